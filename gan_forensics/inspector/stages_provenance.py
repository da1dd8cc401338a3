"""The stage `provenance`: what a file says of its origin, and who signed for it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

from gan_forensics.data.embedded import embedded
from gan_forensics.files import listed, shown
from gan_forensics.forensics.credentials import Credentials, credentials
from gan_forensics.forensics.marks import Marks, marks_of, unread_of
from gan_forensics.inspector.findings import Finding, Opened, Tools

_SIGNED = "content credentials"
_BROKEN = f"{_SIGNED} that are broken"
# What a file says, the weightiest first.
_SENTENCES = {
    "generated": "the file says that it was generated ({})",
    "edited": "the file says that it was edited with generative tools ({})",
    "edited photograph": "the file says that it came from a camera, which anybody can write, and "
    "was edited since ({})",
    "camera": "the file says that it came from a camera ({}), which anybody can write",
    "changed": "the file says that it was edited, and names no generative tools ({})",
    "other": "the file says of its origin: {words} ({})",
}
_UNSEEN = "what the file says of how it was made was not looked for"
_PARTLY = "what the file says of how it was made could not all be read"
_STATES = {
    "trusted": "Content credentials of {}, which is trusted",
    "unknown issuer": "Content credentials of an unknown issuer",
    "broken": "Content credentials that are broken",
    "elsewhere": "No content credentials, but an address of some, which was not fetched",
    "absent": "No content credentials",
    "not looked for": "Content credentials not looked for",
}
_OF_CAMERAS = ("edited photograph", "camera")


class _Origin(NamedTuple):
    """What something in a file comes to, in which words, and where it stands."""

    says: str
    words: str
    where: str


def provenance(opened: Opened, tools: Tools) -> Finding:
    """What a file says of its origin, by its content credentials and by other marks."""
    found = embedded(opened.content)
    signed = credentials(opened.content, found, anchors=tools.anchors)
    marks = marks_of(found)
    origins = [*_of_credentials(signed), *_of_marks(marks)]
    said = {origin.says for origin in origins}
    says = next((each for each in _SENTENCES if each in said), "")
    kept = {says}
    if says == "camera" and "changed" in said:
        says, kept = "edited photograph", {"camera", "changed"}
    origins = [each for each in dict.fromkeys(origins) if each.says in kept]
    unread = unread_of(found, opened.content)
    statement = _statement(says, origins, signed)
    if not says and (unread or not found.looked):
        statement = _PARTLY if found.looked else _UNSEEN
    facts = asdict(signed)
    private = {**facts.pop("private"), **marks.private}
    return Finding(
        "provenance",
        {
            "summary": "Pasted: encoded anew by the browser, which leaves nothing of the file's own"
            if opened.pasted
            else f"{_STATES[signed.state].format(_signer(signed))}; {statement}",
            "pasted": opened.pasted,
            "says": says,
            "statement": statement,
            "origins": [
                {"words": words, "where": where}
                for words, where in dict.fromkeys((each.words, each.where) for each in origins)
            ],
            "credentials": facts,
            "trusted_list": tools.anchors is not None,
            "looked": found.looked,
            "unread": list(unread),
            "marks": [mark._asdict() for mark in marks.marks],
        },
        private,
    )


def _of_credentials(signed: Credentials) -> Iterator[_Origin]:
    broken = signed.state == "broken"
    for action in signed.actions:
        if action.says:
            yield _Origin(
                action.says, action.source or action.words, _BROKEN if broken else _SIGNED
            )
    for ingredient in signed.ingredients:
        for each in ingredient.origins:
            where = _BROKEN if broken or each.broken else _SIGNED
            yield _Origin(each.says, f"{ingredient.relationship}, {each.words}", where)


def _of_marks(marks: Marks) -> Iterator[_Origin]:
    for mark in marks.marks:
        yield _Origin(mark.says, mark.what, mark.where)


def _statement(says: str, origins: list[_Origin], signed: Credentials) -> str:
    if not says:
        return "the file says nothing of how it was made"
    where = listed(dict.fromkeys(each.where for each in origins))
    # Whoever signs an edited version does not vouch for what its parts say.
    camera = any(action.says == "camera" for action in signed.actions)
    if says in _OF_CAMERAS and camera and signed.state == "trusted":
        edited = " and was edited since" if says == "edited photograph" else ""
        return f"the file says that it came from a camera{edited}, and {_signer(signed)} signed it"
    return _SENTENCES[says].format(where, words=shown(origins[0].words, most=100))


def _signer(signed: Credentials) -> str:
    return signed.issuer or signed.signer or "somebody without a name"
