"""XMP packets: properties of a file, as XML of strangers.

Expat reads them without entities: a document type, with which these are declared, ends the reading.
"""

from xml.parsers import expat

# Properties that are read, and characters of one of them.
MOST_PROPERTIES, MOST_LENGTH = 5000, 2**20
_DEEPEST = 100
_SPLIT = "\t"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_RESOURCE = f"{_RDF}{_SPLIT}resource"
# What was placed into a picture stands there with properties of its own.
_OTHERS = "http://ns.adobe.com/xap/1.0/mm/\tPantry"


def xmp_properties(packet: bytes) -> dict[tuple[str, str], list[str]]:
    """Values of the properties of a packet, as far as it can be read; nothing is raised.

    Properties stand as attributes or as elements, alone, in lists, or within others: all are found
    by their own name.

    Args:
        packet: the XML.

    Returns:
        By namespace and name, in the order of the packet.

    Example:
        >>> rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
        >>> packet = f"<d:Description xmlns:d='{rdf}' xmlns:x='ns' x:Tool='a brush'/>"
        >>> xmp_properties(packet.encode())
        {('ns', 'Tool'): ['a brush']}
    """
    return _read(packet)[0]


def why_unread(packet: bytes) -> str:
    """Why a packet is not read to its end; "" where it is.

    Example:
        >>> why_unread(b"<a/>"), why_unread(b"<!DOCTYPE a []><a/>")
        ('', 'a document type is declared')
    """
    return _read(packet)[1]


def _read(packet: bytes) -> tuple[dict[tuple[str, str], list[str]], str]:
    """Properties of a packet, and why they are not all."""
    found: dict[tuple[str, str], list[str]] = {}
    # Name and text of each element around what is read.
    within: list[tuple[str, list[str]]] = []
    left = MOST_PROPERTIES

    def keep(name: str, text: str) -> None:
        nonlocal left
        space, _, own = name.rpartition(_SPLIT)
        if space in ("", _RDF) or not text.strip() or _OTHERS in (each for each, _ in within):
            return
        left -= 1
        if left < 0:
            raise _EnoughError(f"more than {MOST_PROPERTIES} properties")
        found.setdefault((space, own), []).append(text.strip()[:MOST_LENGTH])

    def begin(name: str, attributes: dict[str, str]) -> None:
        if len(within) >= _DEEPEST:
            raise _EnoughError(f"elements within more than {_DEEPEST} others")
        within.append((name, []))
        for attribute, value in attributes.items():
            keep(_property(within) if attribute == _RESOURCE else attribute, value)

    def text(part: str) -> None:
        if within:
            within[-1][1].append(part)

    def end(_: str) -> None:
        name = _property(within)
        keep(name, "".join(within.pop()[1]))

    def refuse(*_: object) -> None:
        raise _EnoughError("a document type is declared")

    parser = expat.ParserCreate(namespace_separator=_SPLIT)
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, refuse
    text_of_it, why = packet[:MOST_LENGTH].strip(b"\0 \t\r\n"), ""
    try:
        if text_of_it:
            parser.Parse(text_of_it, True)
    except _EnoughError as error:  # What was found counts.
        why = str(error)
    except (expat.ExpatError, ValueError, LookupError):
        why = "it is damaged, or of an unknown coding"
    return found, f"more than {MOST_LENGTH} bytes" if len(packet) > MOST_LENGTH else why


class _EnoughError(Exception):
    """No more is read."""


def _property(within: list[tuple[str, list[str]]]) -> str:
    """Name of the innermost element that is none of a list."""
    for name, _ in reversed(within):
        if not name.startswith(f"{_RDF}{_SPLIT}"):
            return name
    return ""
