"""IPTC's older datasets (IIM), which Photoshop keeps in JPEG and TIFF files."""

# Of the application record: numbers and names of those that are read.
IPTC_NAMES = {
    5: "ObjectName", 40: "SpecialInstructions", 65: "OriginatingProgram", 80: "By-line",
    110: "Credit", 115: "Source", 116: "CopyrightNotice", 120: "Caption", 122: "Writer",
}  # fmt: skip
_MOST_SETS, _MOST_LENGTH = 1000, 10_000


def iptc_values(data: bytes) -> dict[str, str]:
    """Texts of datasets by their names, as far as they can be read; nothing is raised.

    Args:
        data: as `gan_forensics.data.embedded` finds them.

    Example:
        >>> iptc_values(bytes([28, 2, 110, 0, 3]) + b"Ann")
        {'Credit': 'Ann'}
    """
    found: dict[str, str] = {}
    at = 0
    for _ in range(_MOST_SETS):
        head = data[at : at + 5]
        size = int.from_bytes(head[3:])
        if len(head) < 5 or head[0] != 0x1C or size & 0x8000:
            break
        if head[1] == 2 and head[2] in IPTC_NAMES:
            text = data[at + 5 : at + 5 + min(size, _MOST_LENGTH)].decode("utf-8", "replace")
            if text.strip("\0 "):
                found.setdefault(IPTC_NAMES[head[2]], text.strip("\0 "))
        at += 5 + size
    return found
