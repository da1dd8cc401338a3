"""Where a picture comes from, in the words of IPTC's vocabulary of digital source types.

Vocabulary: https://cv.iptc.org/newscodes/digitalsourcetype/, retired codes among them.
"""

from typing import Literal, NamedTuple

# "edited" is with what generates, "changed" without, as far as it is said.
Says = Literal["generated", "edited", "camera", "changed", "other"]
_TYPES: dict[str, tuple[Says, str]] = {
    "trainedAlgorithmicMedia": ("generated", "made by a generative AI model"),
    "algorithmicMedia": ("generated", "made by an algorithm without training data"),
    "trainedAlgorithmicData": ("generated", "data made by a trained model"),
    "compositeWithTrainedAlgorithmicMedia": ("edited", "edited with a generative AI model"),
    "compositeSynthetic": ("edited", "put together from parts, some of them generated"),
    "digitalCapture": ("camera", "taken with a digital camera"),
    "computationalCapture": ("camera", "taken with a camera that merges several exposures"),
    "negativeFilm": ("camera", "scanned from a negative on film"),
    "positiveFilm": ("camera", "scanned from a positive on film"),
    "print": ("camera", "scanned from a print"),
    "compositeCapture": ("camera", "put together from several captures of real life"),
    "humanEdits": ("changed", "edited by people with tools that do not generate"),
    "minorHumanEdits": ("changed", "retouched by people"),
    "algorithmicallyEnhanced": ("changed", "changed by an algorithm that does not generate"),
    "composite": ("changed", "put together from several parts"),
    "digitalCreation": ("other", "made by people with digital tools"),
    "digitalArt": ("other", "made by people with digital tools"),
    "softwareImage": ("other", "made by software"),
    "dataDrivenMedia": ("other", "drawn from data"),
    "screenCapture": ("other", "a capture of a screen"),
    "virtualRecording": ("other", "a recording of a virtual event"),
}
_BY_CODE = {code.lower(): (code, *row) for code, row in _TYPES.items()}


class SourceType(NamedTuple):
    """A digital source type.

    Attributes:
        code: as the vocabulary has it; "" of one that it does not have.
        says: what it comes to.
        words: what it means.
    """

    code: str
    says: Says
    words: str


def source_type(address: str) -> SourceType:
    """The source type that an address of the vocabulary, or a code alone, stands for.

    Example:
        >>> source_type("http://cv.iptc.org/newscodes/digitalsourcetype/screenCapture").words
        'a capture of a screen'
    """
    code = address.strip().rstrip("/").replace(":", "/").rpartition("/")[2]
    return SourceType(*_BY_CODE.get(code.lower(), ("", "other", address.strip()[:200])))
