"""A page for each experiment: what it asks, its presets, what was measured, and your own results.

What was measured are sections of `experiments/README.md`, which move from its page to those of the
experiments. Your own are read from the results.json of the folders that presets write into.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from sphinx.application import Sphinx
from sphinx.util import logging

from docs.extensions.made import write_pages
from gan_forensics.files import shown
from gan_forensics.report import Table
from gan_forensics.report.run import flatten
from gan_forensics.studies import EXPERIMENTS
from gan_forensics.studies.pages import markdown

MEASURED = "experiments/README"
# How the headings of an experiment's sections in that file begin.
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "dag": ("Which augmentation leaves",),
    "doping": ("Doping the rare", "Rows that repeat"),
    "face_tracking": ("3-D face tracking",),
    "fourier_discrepancies": ("The last upsampling",),
    "fourier_released": (),
    "fourier_robustness": ("Does the escape survive",),
    "gn_gan": ("What keeps a GAN's modes",),
    "infomax_gan": ("A discriminator that keeps",),
    "label_smoothing_distillation": ("When does smoothing",),
    "repmix": ("Which GAN made",),
    "self_supervised_gan": ("Does self-supervision",),
    "spectral_regularisation": ("The spectral loss",),
    "stargan": ("What StarGAN translates",),
    "transferable_features": ("Transferable forensic",),
    "translation_distillation": ("Does a smoothed teacher",),
}


class Found(NamedTuple):
    """Results that a preset left.

    Attributes:
        preset: its name; "" for an experiment without presets.
        folder: that holds results.json.

    Example:
        >>> Found("cpu", Path("runs/doping-cpu")).preset
        'cpu'
    """

    preset: str
    folder: Path


def split_sections(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first section of a document, and the sections by heading.

    Example:
        >>> split_sections("# Results\\n\\n## A\\n\\none\\n\\n## B\\n\\ntwo\\n")
        ('# Results\\n\\n', {'A': '\\n\\none\\n\\n', 'B': '\\n\\ntwo\\n'})
    """
    start, *parts = re.split(r"^## (?=\S)", text, flags=re.MULTILINE)
    heads = [part.partition("\n")[0] for part in parts]
    return start, {head: part[len(head) :] for head, part in zip(heads, parts, strict=True)}


def measured(name: str, sections: Mapping[str, str]) -> str:
    """The sections of an experiment as they stand; "" for one without.

    Args:
        name: of the experiment.
        sections: of `experiments/README.md`, by heading.

    Raises:
        ValueError: for a beginning that is not that of one heading.
    """
    found = []
    for start in SECTIONS[name]:
        heads = [head for head in sections if head.startswith(start)]
        if len(heads) != 1:
            raise ValueError(
                f"{MEASURED}.md has {len(heads)} sections that begin with {start!r}: say in "
                f"docs/extensions/papers.py, SECTIONS, how that of {name!r} begins"
            )
        found.append(f"## {heads[0]}{sections[heads[0]]}")
    return "".join(found)


def what_remains(text: str) -> str:
    """The page of results: what no experiment has taken, and the list of their pages."""
    start, sections = split_sections(text)
    taken = tuple(start for starts in SECTIONS.values() for start in starts)
    rest = [f"## {head}{body}" for head, body in sections.items() if not head.startswith(taken)]
    pages = "\n".join(f"../docs/papers/{name}" for name in EXPERIMENTS)
    return f"{start}## Papers\n\n```{{toctree}}\n:maxdepth: 1\n\n{pages}\n```\n\n{''.join(rest)}"


def default_folders() -> dict[str, tuple[str, str]]:
    """The names of the folders that presets write into -> experiment and preset.

    Example:
        >>> default_folders()["doping-cpu"]
        ('doping', 'cpu')
    """
    folders = {}
    for name in EXPERIMENTS:
        module = import_module(f"gan_forensics.experiments.{name}")
        presets = getattr(module, "PRESETS", None)
        outs = {"": module.Experiment.out} if presets is None else _outs(presets)
        folders |= {out.name: (name, preset) for preset, out in outs.items()}
    return folders


def _outs(presets: Mapping[str, tuple[str, Any]]) -> dict[str, Path]:
    return {preset: experiment.out for preset, (_, experiment) in presets.items()}


def found_results(folder: Path) -> dict[str, list[Found]]:
    """Which experiments have results in the folders below `folder`.

    Raises:
        FileNotFoundError: where it is no folder.
        ValueError: where it holds no results of a preset.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{shown(folder)} is no folder of results: make docs RESULTS=runs")
    found: dict[str, list[Found]] = {}
    known = default_folders()
    for path in sorted(folder.glob("*/results.json")):
        if at := known.get(path.parent.name):
            found.setdefault(at[0], []).append(Found(at[1], path.parent))
    if not found:
        raise ValueError(
            f"{shown(folder)} holds no results.json in a folder as presets write it, such as "
            "doping-smoke: run `python -m experiments.doping smoke`"
        )
    return found


def page(name: str, sections: Mapping[str, str], found: Sequence[Found] = ()) -> str:
    """The page of an experiment, as Markdown.

    Args:
        name: of `EXPERIMENTS`.
        sections: of `experiments/README.md`, by heading.
        found: results at hand.
    """
    module = import_module(f"gan_forensics.experiments.{name}")
    title = EXPERIMENTS[name].partition(";")[0]
    question, _, rest = (module.__doc__ or "").strip().partition("\n")
    here = measured(name, sections).strip()
    if here:
        # What the file in the repository has stands on this page.
        rest = rest.replace(f"see {MEASURED}.md", "see below")
        rest = rest.replace(f"{MEASURED}.md", "the sections below")
    blocks = [f"# {title[0].upper()}{title[1:]}", f"*{question}*", rest.strip("\n")]
    if presets := getattr(module, "PRESETS", {}):
        blocks += ["## Presets", *_presets(presets)]
    blocks.append(here)
    if found:
        blocks.append("## Your results")
    for preset, folder in found:
        heading = f"### Preset `{preset}`" if preset else f"### `{folder.name}`"
        blocks += [heading, f"```{{results}} {folder.resolve()}\n```"]
    return "\n\n".join(filter(None, blocks)) + "\n"


def _presets(presets: Mapping[str, tuple[str, Any]]) -> list[str]:
    """What each preset is for, and the settings in which they differ."""
    settings = {name: flatten(asdict(experiment)) for name, (_, experiment) in presets.items()}
    names = dict.fromkeys(key for some in settings.values() for key in some)
    rows = [[key, *(some.get(key) for some in settings.values())] for key in names]
    rows = [row for row in rows if any(value != row[1] for value in row[2:])]
    said = "\n".join(f"- `{name}`: {what}" for name, (what, _) in presets.items())
    return [
        said,
        "Settings in which they differ; `--help` has all.",
        markdown(Table("", ["setting", *settings], rows)),
    ]


def _write(app: Sphinx) -> None:
    text = (app.srcdir / f"{MEASURED}.md").read_text(encoding="utf-8")
    _, sections = split_sections(text)
    folder = app.config.results_folder
    found = found_results(Path(folder)) if folder else {}
    for name, some in found.items():
        places = ", ".join(str(each.folder) for each in some)
        logging.getLogger(__name__).info("results of %s: %s", name, shown(places))
    pages = {name: page(name, sections, found.get(name, ())) for name in EXPERIMENTS}
    write_pages(app.srcdir / "docs" / "papers", pages)


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    if docname == MEASURED:
        source[0] = what_remains(source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls it."""
    app.add_config_value("results_folder", "", "", types=[str])
    app.connect("builder-inited", _write)
    app.connect("source-read", _read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
