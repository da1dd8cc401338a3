"""Names as text: they stay in their line, whatever a stranger called his files."""

MOST = 300


def shown(name: object, *, most: int = MOST) -> str:
    """A name for terminals, figures and pages: `escaped`, and cut in its middle.

    Args:
        name: anything; its text is shown.
        most: characters of the name that are kept; the cut says how many there were.
    """
    text = str(name)
    if len(text) > most:
        head = most * 2 // 3
        text = f"{text[:head]} ... {text[head - most :]} ({len(text)} characters)"
    return escaped(text)


def escaped(text: object) -> str:
    """Text in which everything that cannot be printed stands as its escape code.

    Line breaks and tabs, sequences that steer terminals, marks that turn the direction of writing,
    and the surrogates of file names that are not UTF-8 are such.
    """
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
