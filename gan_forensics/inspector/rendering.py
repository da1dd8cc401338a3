"""Findings as HTML, by the templates of `pages/`: for the live page and for reports alike."""

import base64
import functools
import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import jinja2
from markupsafe import Markup

from gan_forensics import __version__
from gan_forensics.forensics.failures import failure_of
from gan_forensics.inspector.findings import Finding
from gan_forensics.inspector.inspection import LAST_WORD, Inspection, in_a_word, verdicts
from gan_forensics.inspector.stages import SHOWN
from gan_forensics.report.html import page_environment

# By the names of pictures, their addresses.
Picture = Callable[[str], str]


def fragment(
    finding: Finding,
    *,
    picture: Picture,
    served: bool,
    id: str,
    private: bool,
    final: Finding | None = None,
) -> Markup:
    """The section of a page that shows a finding, by the template of its stage.

    Args:
        finding: what a stage found.
        picture: gives the address of each of its pictures, by name.
        served: whether the page is the live one, whose server answers.
        id: with which the ids of elements begin; no other finding's on the page does.
        private: whether places, serial numbers and names of people are shown.
        final: what has the last word on it, as soon as that is known.
    """
    return rendered(
        f"{finding.stage}.html",
        facts=finding.facts,
        private=finding.private if private else {},
        picture=picture,
        served=served,
        id=id,
        final=final.facts if final else {},
    )


def section(inspection: Inspection, stage: str, *, served: bool, private: bool) -> Markup:
    """What a stage found of an image, or why it failed; empty where it does not apply.

    A stage whose finding cannot be shown has failed as well.
    """

    def picture(name: str) -> str:
        if served:
            return f"images/{inspection.number}/{stage}/{name}.webp"
        return data_url(inspection.pictures[stage][name])

    id = f"image-{inspection.number}-{stage}"
    error = inspection.errors.get(stage)
    finding = inspection.findings.get(stage)
    last, *first = LAST_WORD
    final = inspection.findings.get(last) if stage in first else None
    if finding is not None:
        try:
            return fragment(
                finding, picture=picture, served=served, id=id, private=private, final=final
            )
        # The other stages are shown all the same.
        except Exception as failed:
            error = f"{stage}: what was found cannot be shown ({failure_of('page', failed).text})"
    return rendered("error.html", stage=stage, error=error) if error else Markup()


def article(
    inspection: Inspection, *, served: bool, private: bool, opened: bool, regions: bool = False
) -> Markup:
    """All that is known of an image: its line, its picture, and a section for each stage.

    Args:
        inspection: of the image.
        served: whether the page is the live one.
        private: whether private facts are shown.
        opened: whether it is shown opened, rather than as its line alone.
        regions: whether regions can be scored.
    """
    return rendered(
        "image.html",
        image=inspection,
        summary=summary(inspection, served=served),
        look=look(inspection, served=served, regions=regions),
        sections={
            stage: section(inspection, stage, served=served, private=private) for stage in SHOWN
        },
        served=served,
        opened=opened,
    )


def summary(inspection: Inspection, *, served: bool) -> Markup:
    """The line of an image in the list: what it is called and what was found, in a few words."""
    words = verdicts(inspection)
    return rendered(
        "summary.html",
        image=inspection,
        preview=_preview(inspection, served),
        verdict=in_a_word(inspection, *LAST_WORD),
        kind=words.pop() if len(words) == 1 else "none",
        provenance=in_a_word(inspection, "provenance"),
    )


def look(inspection: Inspection, *, served: bool, regions: bool) -> Markup:
    """The picture of an image to look at, and what was done to come by its pixels."""
    return rendered(
        "look.html",
        image=inspection,
        preview=_preview(inspection, served),
        served=served,
        regions=regions and inspection.width > 0,
    )


def _preview(inspection: Inspection, served: bool) -> str:
    """The address of the picture to look at; empty where there is none."""
    picture = inspection.pictures.get("file", {}).get("preview")
    if picture is None:
        return ""
    return f"images/{inspection.number}/file/preview.webp" if served else data_url(picture)


def data_url(picture: bytes) -> Markup:
    """The address by which a page holds a picture itself; as markup it is not cut, as texts are.

    Example:
        >>> str(data_url(b"abc"))
        'data:image/webp;base64,YWJj'
    """
    return Markup(f"data:image/webp;base64,{base64.b64encode(picture).decode()}")


def rendered(template: str, **values: Any) -> Markup:
    """A template of `pages/`, filled.

    Args:
        template: name of its file.
        **values: what it names. Beside them each has `style`, `script` and `version`.
    """
    return Markup(_environment().get_template(template).render(**values))


def policy(*, served: bool) -> str:
    """The content-security policy of a page: its own script and looks, and nothing from elsewhere.

    Args:
        served: whether the page may ask the server that it comes from.

    Example:
        >>> policy(served=False).split("; ")[0]
        "default-src 'none'"
    """
    rules = {
        "default-src": "'none'",
        "img-src": "'self' data:" if served else "data:",
        "style-src": _hash("inspector.css"),
        "script-src": _hash("inspector.js"),
        "connect-src": "'self'" if served else "'none'",
        "form-action": "'none'",
        "base-uri": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


@functools.cache
def _environment() -> jinja2.Environment:
    environment = page_environment("inspector/pages")
    environment.globals |= {
        "script": Markup(_own("inspector.js")),
        "style": Markup(_own("inspector.css")),
        "policy": policy,
        "version": __version__,
    }
    return environment


@functools.cache
def _own(name: str) -> str:
    return files("gan_forensics.inspector").joinpath("pages", name).read_text(encoding="utf-8")


def _hash(name: str) -> str:
    digest = hashlib.sha256(_own(name).encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
