"""Content credentials (C2PA): who signed what about an image, and whether that holds.

Nothing is fetched: no manifest that a file names, no answer on whether a certificate was revoked,
no list of whom to trust.
"""

import base64
import binascii
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from gan_forensics.data.embedded import Embedded
from gan_forensics.data.sniff import HEADER, image_format
from gan_forensics.data.xmp import xmp_properties
from gan_forensics.files import parse_json, read_bytes, shown
from gan_forensics.forensics import credentials_child
from gan_forensics.forensics.source_types import Says, source_type

State = Literal["trusted", "unknown issuer", "broken", "elsewhere", "absent", "not looked for"]
# Seconds in which the reader must have answered, however busy the machine is.
MOST_WAITING = 30
# Actions, ingredients and statements that are kept, and characters of a text.
MOST_KEPT, MOST_TEXT = 50, 300
MOST_ANCHORS = 2**24
_KINDS = {
    "JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp", "TIFF": "image/tiff",
    "GIF": "image/gif", "AVIF": "image/avif", "HEIC": "image/heic",
}  # fmt: skip
# Stands in every manifest, whatever holds it.
_LABEL = b"c2pa"
# Each box of them has one; pixels do not have as many by chance.
_BOX, _BOXES = b"jumd", 3
_PROVENANCE = ("http://purl.org/dc/terms/", "provenance")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----")
_TRUSTED, _UNTRUSTED = "signingCredential.trusted", "signingCredential.untrusted"
_CHANGED = "the picture is not the one that was signed: its file was changed afterwards"
# What c2pa calls that which does not hold (codes of the C2PA specification), in words.
_FAILURES = {
    "assertion.dataHash.mismatch": _CHANGED,
    "assertion.bmffHash.mismatch": _CHANGED,
    "assertion.boxesHash.mismatch": _CHANGED,
    "claimSignature.mismatch": "the signature does not fit what it is said to sign",
    "claimSignature.missing": "the signature is missing",
    "claimSignature.outsideValidity": "it was signed when the certificate was not valid",
    "assertion.hashedURI.mismatch": "a statement was changed after signing",
    "assertion.missing": "a statement was taken out after signing",
    "signingCredential.invalid": "the certificate may not sign content credentials",
    "signingCredential.expired": "the certificate had expired",
    "signingCredential.revoked": "the certificate was revoked",
    "ingredient.claimSignature.mismatch": "the signature of an ingredient does not fit",
    "ingredient.manifest.mismatch": "the credentials of an ingredient were changed",
}
_ACTIONS = {
    "c2pa.created": "created", "c2pa.opened": "opened an earlier version",
    "c2pa.placed": "placed another picture in it", "c2pa.edited": "edited",
    "c2pa.cropped": "cropped", "c2pa.resized": "resized", "c2pa.orientation": "turned",
    "c2pa.filtered": "filtered", "c2pa.color_adjustments": "changed colours",
    "c2pa.drawing": "drew", "c2pa.converted": "converted to another format",
    "c2pa.transcoded": "encoded anew", "c2pa.repackaged": "packed anew",
    "c2pa.published": "published", "c2pa.removed": "removed something",
    "c2pa.redacted": "took out statements", "c2pa.watermarked": "added a watermark",
    "c2pa.addedText": "added text", "c2pa.adjustedColor": "changed colours",
    "c2pa.deleted": "took out something", "c2pa.edited.metadata": "edited what the file says",
    "c2pa.enhanced": "enhanced",
}  # fmt: skip
# Those that change what is to be seen.
_CHANGES = frozenset({
    "c2pa.placed", "c2pa.edited", "c2pa.cropped", "c2pa.filtered", "c2pa.color_adjustments",
    "c2pa.drawing", "c2pa.removed", "c2pa.addedText", "c2pa.adjustedColor", "c2pa.deleted",
    "c2pa.enhanced",
})  # fmt: skip
_RELATIONSHIPS = {
    "parentOf": "an earlier version of the picture", "componentOf": "a part of the picture",
    "inputTo": "given to the tool that made the picture",
}  # fmt: skip


@dataclass(frozen=True)
class Action:
    """Something that was done to an image, as its credentials state.

    Attributes:
        words: what was done.
        source: where what was made by it comes from, in words; "" where it is not stated.
        says: what that comes to.
        tool: it was done with.
        when: as stated.
        description: as stated.
    """

    words: str
    source: str = ""
    says: Says | Literal[""] = ""
    tool: str = ""
    when: str = ""
    description: str = ""


@dataclass(frozen=True)
class Origin:
    """Where an ingredient, or what it was made from, comes from, or what was done to it.

    Attributes:
        words: for it.
        says: what that comes to for the picture that the ingredient went into.
        broken: whether the credentials that state it were broken.
    """

    words: str
    says: Says
    broken: bool = False


@dataclass(frozen=True)
class Ingredient:
    """A picture that went into another one.

    Attributes:
        title: of it.
        relationship: what it was to the other, in words.
        state: what was found of its credentials when it went in, and whether their issuer is
            trusted.
        origins: what its credentials and those of what it was made from state.
    """

    title: str
    relationship: str
    state: str
    origins: tuple[Origin, ...] = ()


@dataclass(frozen=True)
class Credentials:
    """Content credentials of an image.

    Attributes:
        state: whether there are some, and whether they hold.
        reason: for it, in words; "" where the state says all.
        failed: checks that did not hold, in words.
        issuer: the organisation that the certificate was issued to.
        signer: the name that it was issued to.
        time: of signing, as stated by an authority for timestamps; "" where there is none.
        generator: the program that made the credentials.
        title: of the image.
        actions: in their order.
        ingredients: in their order.
        statements: labels of all that is stated.
        remote: the address of further credentials, which was not fetched.
        private: serial number of the certificate, and names of people.
    """

    state: State
    reason: str = ""
    failed: tuple[str, ...] = ()
    issuer: str = ""
    signer: str = ""
    time: str = ""
    generator: str = ""
    title: str = ""
    actions: tuple[Action, ...] = ()
    ingredients: tuple[Ingredient, ...] = ()
    statements: tuple[str, ...] = ()
    remote: str = ""
    private: Mapping[str, str] = field(default_factory=dict)


def credentials(content: bytes, found: Embedded, *, anchors: str | None = None) -> Credentials:
    """The content credentials of an image file.

    c2pa (the extra `credentials`) reads them, in a program of its own; it is started only where the
    file holds some.

    Args:
        content: the file.
        found: what it carries besides.
        anchors: certificates of those whose signatures are trusted, PEM; see `read_anchors`.

    Example:
        >>> credentials(b"\\x89PNG\\r\\n\\x1a\\n", Embedded()).state
        'absent'
    """
    kind = _KINDS.get(image_format(content[:HEADER]) or "")
    remote = _remote(found)
    if kind is None:
        return Credentials("not looked for", "files of this format are not looked into")
    if _LABEL not in content:
        return _none(content, remote)
    if find_spec("c2pa") is None:
        return Credentials(
            "not looked for",
            "the file seems to hold some, and the package that reads them is not installed: "
            "pip install 'gan_forensics[credentials]'",
            remote=remote,
        )
    said = _said(content, kind, anchors or "")
    if reason := said.get("unusable"):
        return Credentials("not looked for", shown(reason), remote=remote)
    if error := said.get("error"):
        if re.match(r"ManifestNotFound|Remote|Other: C2PA provenance not found", error):
            return _none(content, remote)
        return Credentials("broken", f"they cannot be read: {shown(error)}", remote=remote)
    try:
        return _credentials(parse_json(said["report"], "content credentials"), remote)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return Credentials("broken", f"they cannot be read: {shown(error)}", remote=remote)


def read_anchors(path: Path | str) -> str:
    """Certificates of those whose signatures are trusted, from a file.

    Args:
        path: of a PEM file, such as a list of trust.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it holds no certificates.
    """
    text = read_bytes(path, most=MOST_ANCHORS).decode("utf-8", "replace")
    whole = [each for each in _PEM.findall(text) if _is_certificate(each)]
    blocks = text.count("-----BEGIN")
    if not whole or len(whole) != blocks:
        raise ValueError(
            f"{shown(path)}: {len(whole)} certificates in {blocks} blocks of PEM; give a file of "
            "certificates alone, each between the lines -----BEGIN CERTIFICATE----- and "
            "-----END CERTIFICATE-----"
        )
    return text


def _is_certificate(block: str) -> bool:
    """Whether base64 holds a sequence of DER and nothing else."""
    try:
        data = base64.b64decode("".join(block.split()), validate=True)
    except (binascii.Error, ValueError):
        return False
    return data[:2] == b"\x30\x82" and len(data) == 4 + int.from_bytes(data[2:4])


def _none(content: bytes, remote: str) -> Credentials:
    """Of a file that holds none that can be read; what is elsewhere is not fetched."""
    if content.count(_BOX) >= _BOXES:
        reason = "the file holds boxes as they have (JUMBF), of which no credentials can be read"
        return Credentials("broken", reason, remote=remote)
    return Credentials("elsewhere" if remote else "absent", remote=remote)


def _remote(found: Embedded) -> str:
    """The address of a manifest that a file names."""
    named = xmp_properties(found.xmp).get(_PROVENANCE, [])
    return next((each[:MOST_TEXT] for each in named if re.match("https?://", each)), "")


def _said(content: bytes, kind: str, anchors: str) -> dict[str, str]:
    """What the program says; that it is of no use where it was stopped, or broke."""
    before = anchors.encode()
    command = [sys.executable, "-P", credentials_child.__file__, kind, str(len(before))]
    try:
        answer = subprocess.run(
            command, input=before + content, capture_output=True, timeout=MOST_WAITING
        )
        if answer.returncode == 0:
            return parse_json(answer.stdout, "what c2pa says")
    except (subprocess.TimeoutExpired, OSError, ValueError):
        pass
    return {
        "unusable": f"the program that reads them broke, or was stopped after "
        f"{credentials_child.MOST_SECONDS} seconds of computing, as on files that are made to "
        "that end: nothing is known of them"
    }


def _credentials(report: dict[str, Any], remote: str) -> Credentials:
    manifests = report["manifests"]
    active = manifests[report["active_manifest"]]
    signature = active.get("signature_info") or {}
    results = report.get("validation_results") or {}
    deltas = [each["validationDeltas"] for each in results.get("ingredientDeltas") or []]
    failed = _failed([results.get("activeManifest") or {}, *deltas])
    state = {"Trusted": "trusted", "Valid": "unknown issuer"}.get(
        report["validation_state"], "broken"
    )
    statements = _listed(active.get("assertions"))
    return Credentials(
        state=state,  # pyright: ignore[reportArgumentType]
        failed=tuple(failed) if state == "broken" else (),
        issuer=_text(signature.get("issuer")),
        signer=_text(signature.get("common_name")),
        time=_text(signature.get("time")),
        generator=_generator(active),
        title=_text(active.get("title")),
        actions=tuple(_actions(statements)),
        ingredients=tuple(
            _ingredient(each, manifests, deltas) for each in _listed(active.get("ingredients"))
        ),
        statements=tuple(dict.fromkeys(_text(each.get("label")) for each in statements)),
        remote=remote,
        private=_private(signature, statements),
    )


def _failed(results: list[dict[str, Any]]) -> list[str]:
    """What did not hold, in words; whom a certificate was issued by is told by the state."""
    codes = {
        each["code"]: each.get("explanation")
        for result in results
        for each in _listed(result.get("failure"))
        if each["code"] != _UNTRUSTED
    }
    return [
        _FAILURES.get(code) or _text(f"{code}: {explanation}")
        for code, explanation in codes.items()
    ]


def _labels(results: list[dict[str, Any]], kind: str, code: str) -> set[str]:
    """The labels of manifests of which some results say something."""
    places = [
        re.search("/c2pa/([^/]+)/", _text(each.get("url")))
        for result in results
        for each in _listed(result.get(kind))
        if each.get("code") == code
    ]
    return {place[1] for place in places if place}


def _generator(manifest: dict[str, Any]) -> str:
    infos = _listed(manifest.get("claim_generator_info"))
    names = [f"{_text(each.get('name'))} {_text(each.get('version'))}".strip() for each in infos]
    return ", ".join(filter(None, names)) or _text(manifest.get("claim_generator"))


def _actions(statements: list[dict[str, Any]]) -> list[Action]:
    found = []
    for statement in statements:
        if _text(statement.get("label")).startswith("c2pa.actions"):
            for each in _listed((statement.get("data") or {}).get("actions")):
                code, source = _text(each.get("action")), each.get("digitalSourceType")
                agent = each.get("softwareAgent")
                kind = source_type(_text(source)) if source else None
                found.append(
                    Action(
                        _ACTIONS.get(code, code),
                        kind.words if kind else "",
                        _of_action(code, kind.says if kind else ""),
                        _text(agent.get("name") if isinstance(agent, dict) else agent),
                        _text(each.get("when")),
                        _text(each.get("description")),
                    )
                )
    return found[:MOST_KEPT]


def _of_action(code: str, says: Says | Literal[""]) -> Says | Literal[""]:
    """What an action comes to, that works with or makes something of an origin."""
    return "changed" if code in _CHANGES and says not in ("generated", "edited") else says


def _ingredient(
    each: dict[str, Any], manifests: dict[str, Any], deltas: list[dict[str, Any]]
) -> Ingredient:
    label, relationship = _text(each.get("active_manifest")), _text(each.get("relationship"))
    state = "it had none"
    if (own := manifests.get(label)) is not None:
        signature = own.get("signature_info") or {}
        signer = _text(signature.get("issuer")) or _text(signature.get("common_name"))
        # What was found when it went in, and what is found otherwise now.
        trusted = _labels([_results(each), *deltas], "success", _TRUSTED)
        trusted -= _labels(deltas, "failure", _UNTRUSTED)
        worth = "which is trusted" if label in trusted else "for which nobody vouches"
        state = f"intact, of {signer or 'somebody without a name'}, {worth}"
        if failed := _failed_of(each):
            state = f"broken: {'; '.join(failed)}"
    return Ingredient(
        _text(each.get("title")),
        _RELATIONSHIPS.get(relationship, relationship),
        state,
        tuple(dict.fromkeys(_origins(each, manifests, set()))),
    )


def _results(ingredient: dict[str, Any]) -> dict[str, Any]:
    return (ingredient.get("validation_results") or {}).get("activeManifest") or {}


def _failed_of(ingredient: dict[str, Any]) -> list[str]:
    """What did not hold of an ingredient when it went in, in newer and older credentials."""
    older = [
        each
        for each in _listed(ingredient.get("validation_status"))
        if _text(each.get("code")) in _FAILURES
    ]
    return _failed([_results(ingredient), {"failure": older}])


def _origins(
    ingredient: dict[str, Any], manifests: dict[str, Any], seen: set[str], broken: bool = False
) -> list[Origin]:
    """What an ingredient and all that it was made from come to for what was made of it."""
    label, relationship = _text(ingredient.get("active_manifest")), ingredient.get("relationship")
    own = manifests.get(label)
    if own is None or label in seen or len(seen) == MOST_KEPT:
        return []
    seen.add(label)
    broken = broken or bool(_failed_of(ingredient))
    found = []
    for each in _listed(own.get("ingredients")):
        found += _origins(each, manifests, seen, broken)
    for action in _actions(_listed(own.get("assertions"))):
        if action.says:
            found.append(Origin(action.source or action.words, action.says, broken))
    return [replace(each, says=_of_ingredient(each.says, _text(relationship))) for each in found]


def _of_ingredient(says: Says, relationship: str) -> Says:
    """What the origin of an ingredient comes to for the picture that it went into."""
    if relationship == "parentOf" and says != "other":
        return says
    part_of = relationship == "componentOf" and says in ("generated", "edited")
    return "edited" if part_of else "other"


def _private(signature: dict[str, Any], statements: list[dict[str, Any]]) -> dict[str, str]:
    authors = [
        _text(author.get("name"))
        for each in statements
        if _text(each.get("label")).startswith("stds.schema-org.CreativeWork")
        for author in _listed((each.get("data") or {}).get("author"))
    ]
    found = {
        "author": ", ".join(filter(None, authors)),
        "serial number of the certificate": _text(signature.get("cert_serial_number")),
    }
    return {name: text for name, text in found.items() if text}


def _listed(values: Any) -> list[dict[str, Any]]:
    """The objects of a list, as many as are kept."""
    some = values if isinstance(values, list) else []
    return [each for each in some[:MOST_KEPT] if isinstance(each, dict)]


def _text(value: Any) -> str:
    """A text, cut; "" for what is none."""
    return value[:MOST_TEXT] if isinstance(value, str) else ""
