"""What c2pa says of content credentials, as a program of its own: image in, JSON out.

It imports nothing of this package, so that it starts quickly. c2pa is native code that gets the
bytes of strangers, and of some of them (an AVIF of many empty boxes) it takes hours: here it has so
much time and memory, and no file or connection can be opened besides, whatever its settings do.
"""

import io
import json
import resource
import sys
from typing import Any

# Seconds of computing, and bytes of memory beside some copies of the image.
MOST_SECONDS, MOST_MEMORY = 5, 2**30
# Characters of what is said.
MOST_SAID = 2**22
# What c2pa asks of nobody: c2pa passes over settings that it does not know without a word, so that
# tests look at what those of fetching and of trust do.
_SETTINGS: dict[str, Any] = {
    "version": 1,
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True},
    "core": {
        "allowed_network_hosts": [],
        # Identities (CAWG) may name web pages that vouch for them.
        "decode_identity_assertions": False,
        "max_decompressed_manifest_size_in_mb": 32,
        # It spools to disk beyond.
        "backing_store_memory_threshold_in_mb": 4096,
    },
}


def said(content: bytes, kind: str, anchors: str) -> dict[str, str]:
    """What c2pa says of an image.

    Args:
        content: the file.
        kind: its media type, such as "image/jpeg".
        anchors: certificates of those who are trusted, PEM; "" for nobody.

    Returns:
        Its report as JSON under "report", or a message under "error".
    """
    import c2pa

    settings = {**_SETTINGS, "trust": {"trust_anchors": anchors}} if anchors else _SETTINGS
    try:
        with (
            c2pa.Context.from_dict(settings) as context,
            c2pa.Reader(kind, io.BytesIO(content), context=context) as reader,
        ):
            report = reader.json()
    except c2pa.C2paError as error:
        return {"error": str(error)[:1000]}
    if len(report) > MOST_SAID:
        return {"error": f"{len(report)} characters of statements, more than {MOST_SAID}"}
    return {"report": report}


def main() -> None:
    """Answer on standard output what is said of the image on standard input.

    Arguments are its media type, and how many bytes of certificates stand before it.
    """
    kind, size = sys.argv[1], int(sys.argv[2])
    anchors = sys.stdin.buffer.read(size).decode()
    content = sys.stdin.buffer.read()
    try:
        import c2pa  # noqa: F401  Its library is opened before nothing can be opened any more.
    except Exception as error:  # Of another machine's kind, or half installed.
        answer = {"unusable": f"{type(error).__name__}: {error}"}
    else:
        _limit(len(content))
        answer = said(content, kind, anchors)
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _limit(size: int) -> None:
    """Take away what the reading of so many bytes does not need; limits that stand are kept."""
    for limit, most in (
        (resource.RLIMIT_CPU, MOST_SECONDS),
        (resource.RLIMIT_AS, MOST_MEMORY + 3 * size),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, 0),
    ):
        hard = resource.getrlimit(limit)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


if __name__ == "__main__":
    main()
