"""The stage `provenance`: what a file says of its origin, and who signed for it."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import NamedTuple

from gan_forensics.data.embedded import embedded
from gan_forensics.files import listed
from gan_forensics.forensics.credentials import Credentials, credentials
from gan_forensics.forensics.marks import Marks, marks_of
from gan_forensics.inspector.findings import Finding, Opened, Tools

_SIGNED = "content credentials"


class _Origin(NamedTuple):
    """What something in a file comes to, in which words, and where it stands."""

    says: str
    words: str
    where: str


def provenance(opened: Opened, tools: Tools) -> Finding:
    """Content credentials and marks of a file, and what they come to in a sentence."""
    found = embedded(opened.content)
    signed = credentials(opened.content, found, anchors=tools.anchors)
    marks = marks_of(found)
    says, statement = _statement(signed, [*_of_credentials(signed), *_of_marks(marks)])
    if opened.pasted:
        says, statement = "nothing", (
            "The browser encoded this pasted picture anew: whatever its file said is lost. Drop "
            "the file itself"
        )  # fmt: skip
    facts = asdict(signed)
    private = {**facts.pop("private"), **marks.private}
    return Finding(
        "provenance",
        {
            "summary": f"{_credentials_in_words(signed)} {statement}.",
            "pasted": opened.pasted,
            "says": says,
            "statement": f"{statement}.",
            "credentials": facts,
            "marks": [mark._asdict() for mark in marks.marks],
        },
        private,
    )


def _of_credentials(signed: Credentials) -> Iterator[_Origin]:
    where = f"{_SIGNED}{', which are broken' if signed.state == 'broken' else ''}"
    for action in signed.actions:
        if action.says:
            yield _Origin(action.says, action.source, where)
    for ingredient in signed.ingredients:
        for says in ingredient.says:
            words = f"{ingredient.relationship}: {', '.join(ingredient.sources)}"
            yield _Origin(says, words, where)


def _of_marks(marks: Marks) -> Iterator[_Origin]:
    for mark in marks.marks:
        yield _Origin(mark.says, mark.what, mark.where)


def _statement(signed: Credentials, origins: list[_Origin]) -> tuple[str, str]:
    """What a file says, and the sentence for it."""
    sentences = {
        "generated": "The file says that it was generated ({})",
        "edited": "The file says that it was edited with generative tools ({})",
        "camera": "The file says that it came from a camera, which anybody can write",
        "other": "The file says of its origin: {}",
    }
    for says, sentence in sentences.items():
        some = [each for each in origins if each.says == says]
        if not some:
            continue
        if says == "camera" and signed.state == "trusted" and some[0].where == _SIGNED:
            sentence = f"The file says, signed by {signed.issuer}, that it came from a camera"
        words = listed(dict.fromkeys(f"{each.words}, by its {each.where}" for each in some))
        return says, sentence.format(words)
    return "nothing", "The file says nothing of how it was made"


def _credentials_in_words(signed: Credentials) -> str:
    return {
        "trusted": f"Content credentials of {signed.issuer}, which is trusted.",
        "unknown issuer": "Content credentials of an issuer that is not known.",
        "broken": "Content credentials that are broken.",
        "absent": "No content credentials.",
        "not looked for": "Content credentials were not looked for.",
    }[signed.state]
