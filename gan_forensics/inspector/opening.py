"""Opening the bytes of an image: never an exception, but a reason why there are no pixels."""

from gan_forensics.data import ImageError, decode_image
from gan_forensics.data.decoding import decode_header
from gan_forensics.files import shown
from gan_forensics.inspector.findings import Opened


def open_bytes(content: bytes, name: str, *, pasted: bool = False) -> Opened:
    """Open the bytes of a file as received.

    Args:
        content: the file.
        name: what it is called.
        pasted: whether a browser encoded it anew.
    """
    header = None
    try:
        header = decode_header(content, name=shown(name))
        pixels = decode_image(content, name=shown(name))
    except ImageError as error:
        return Opened(name, content, pasted, header, refusal=str(error))
    return Opened(name, content, pasted, header, pixels)
