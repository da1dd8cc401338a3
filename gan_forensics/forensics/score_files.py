"""Files of scored images: everything that their verdicts rest on, as plain numbers, in JSON.

Scores, calibrators and thresholds are kept with all their digits: likelihood ratios, posteriors and
verdicts follow from the file alone, bit for bit, without the detector and without the images.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gan_forensics import __version__
from gan_forensics.data.carriers import TIERS, tier_of
from gan_forensics.files import check_file_in, read_json, shown, write_json
from gan_forensics.forensics.archive import VERSION as ARCHIVE
from gan_forensics.forensics.calibration import Calibration, read_calibration
from gan_forensics.forensics.calibrators import Calibrator, read_calibrator
from gan_forensics.forensics.format_audit import Seen, outside, read_seen
from gan_forensics.forensics.prevalence import shares_of
from gan_forensics.forensics.verdicts import Basis, Verdict

if TYPE_CHECKING:
    from gan_forensics.forensics.detectors import Detector

# Who told the tier of an image.
FILE, STATED = "file", "stated"
FORMAT, VERSION = "gan_forensics scores", 3
# Versions that are read, and in which version of detector files they keep calibrations.
READABLE = {1: 3, 2: 4, VERSION: ARCHIVE}
# A hundred thousand images take some 40 MiB; Python needs some ten times as much for them.
MOST_SCORES = 64 * 2**20
MOST_SIDE = 2**31


@dataclass(frozen=True)
class ScoredImage:
    """An image and its score, or why it has none.

    Attributes:
        path: of the file, as it was given.
        label: "real", "generated" or "", by its folder.
        score: higher = more likely generated; None where it could not be scored.
        after: scores after carriers, by their names.
        tier: of the image, of `data.carriers.TIERS`.
        container: of the file, such as JPEG.
        quality: of JPEG, 1 to 100; else None.
        outside: how the file differs from those that the detector was fitted on.
        error: why it has no score.
        verdict: what is said of it; None without a score.
        tier_from: "file" where its container and quality told the tier, "stated" where the user
            did; "" without a score.
        height, width: of the image, in pixels; None where it was not noted.
        colours: how the file stores its pixels, as of `Header`; "" where it was not noted.

    Example:
        >>> ScoredImage("a.png", "", score=2.5, tier="clean", container="PNG").after
        {}
    """

    path: str
    label: str
    score: float | None = None
    after: Mapping[str, float] = field(default_factory=dict)
    tier: str = ""
    container: str = ""
    quality: int | None = None
    outside: str = ""
    error: str = ""
    verdict: Verdict | None = None
    tier_from: str = ""
    height: int | None = None
    width: int | None = None
    colours: str = ""


@dataclass(frozen=True, eq=False)
class ScoredImages:
    """Scored images and what they were scored with.

    Attributes:
        detector: what it is: "file", "name", "sha256".
        calibration: of the detector: how it was fitted and what that achieves; None without one.
        facts: of the detector, about the images that it was fitted on.
        basis: what verdicts follow from.
        images: in the order of their names.

    Example:
        >>> scored = ScoredImages({"name": "dct-knn"}, None, {}, Basis(0.5, {}), ())
        >>> scored.again(prior=0.5).basis.prior
        0.5
    """

    detector: Mapping[str, str]
    calibration: Calibration | None
    facts: Mapping[str, Any]
    basis: Basis
    images: Sequence[ScoredImage]

    def judged(self) -> "ScoredImages":
        """The same with the verdicts that follow from the basis."""
        images = [
            image if image.score is None else replace(image, verdict=judged(image, self.basis))
            for image in self.images
        ]
        return replace(self, images=images)

    def again(
        self,
        *,
        prior: float | None = None,
        false_alarms: float | None = None,
        tier: str | None = None,
        anew: bool = False,
    ) -> "ScoredImages":
        """Judged again; what is None stays as it is, or as if it were not stated (`anew`).

        Raises:
            ValueError: as `Basis`.
        """
        basis = replace(self.basis, prior=None, false_alarms=None) if anew else self.basis
        given = {"prior": prior, "false_alarms": false_alarms}
        basis = replace(basis, **{name: v for name, v in given.items() if v is not None})
        images = self.images
        if tier or anew:
            known = read_seen(self.facts.get("seen"))
            images = [
                image if image.score is None else with_tier(image, tier, known, basis)
                for image in self.images
            ]
        return replace(self, basis=basis, images=images).judged()


def with_tier(
    image: ScoredImage, stated: str | None, known: Seen | None, basis: Basis
) -> ScoredImage:
    """An image with the tier that the user states, or else with that which its file tells.

    By the tier goes what about the file is outside of what the detector saw: where a calibrator of
    web or hard images judges it, such JPEGs are not.

    Args:
        image: with the facts of its file.
        stated: tier, or None.
        known: what the detector saw; None where its file does not tell.
        basis: that the image is judged by.
    """
    tier, source = (stated, STATED) if stated else (tier_of(image.quality), FILE)
    image = replace(image, tier=tier, tier_from=source)
    if known is None or not image.colours:  # Files of before keep what they say.
        return image
    return replace(
        image, outside=outside(image, known, tier if tier in basis.calibrators else "clean")
    )


def judged(image: ScoredImage, basis: Basis) -> Verdict:
    """What is said of an image that has a score."""
    assert image.score is not None
    return basis.judge(image.score, image.tier, image.after, outside=image.outside != "")


def scored_with(
    detector: "Detector", path: Path | str, basis: Basis, images: Sequence[ScoredImage] = ()
) -> ScoredImages:
    """Images scored with a detector of a file.

    Example:
        >>> scored_with(detector, "d.npz", basis_of(detector)).detector["file"]  # doctest: +SKIP
        'd.npz'
    """
    facts = {name: value for name, value in detector.facts.items() if name != "left_out"}
    what = {"file": str(path), "name": detector.name, "sha256": detector.sha256 or ""}
    return ScoredImages(what, detector.calibration, facts, basis, images)


def write_scores(path: Path | str, scored: ScoredImages) -> None:
    """Write scored images, for `read_scores`; with the shares, which follow from them.

    Example:
        >>> write_scores("scores.json", scored)  # doctest: +SKIP
        >>> read_scores("scores.json").again(prior=0.01).images[0].verdict.wording  # doctest: +SKIP
        'moderate support for generated'
    """
    basis = scored.basis
    write_json(
        path,
        {
            "format": FORMAT,
            "version": VERSION,
            "gan_forensics": __version__,
            "detector": dict(scored.detector),
            "calibration": scored.calibration and asdict(scored.calibration),
            "facts": dict(scored.facts),
            "threshold": basis.threshold,
            "false_alarms": basis.false_alarms,
            "thresholds": basis.thresholds,
            "prior": basis.prior,
            "calibrators": {name: _plain(found) for name, found in basis.calibrators.items()},
            "shares": [share.record for share in shares_of(scored)],
            "images": [_row(image) for image in scored.images],
        },
    )


def _plain(calibrator: Calibrator) -> dict[str, Any]:
    facts, arrays = calibrator.as_record()
    return {**facts, "arrays": {name: array.tolist() for name, array in sorted(arrays.items())}}


def _row(image: ScoredImage) -> dict[str, Any]:
    verdict = image.verdict
    return {**vars(image), "after": dict(image.after), "verdict": verdict and verdict._asdict()}


def read_scores(path: Path | str) -> ScoredImages:
    """The scored images of a file, which may come from a stranger; verdicts as they stand there.

    Raises:
        OSError: when there is none, or it cannot be read.
        ValueError: in one line, when it is no such file, or a number or text is not what it should
            be.

    Example:
        >>> read_scores("scores.json").detector["name"]  # doctest: +SKIP
        'dct-logistic'
    """
    check_file_in(path, "a JSON of `gan-forensics detect score`")
    content = read_json(path, most=MOST_SCORES)
    try:
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError("its format is another")
        if content.get("version") not in (*READABLE,):
            version = shown(repr(content.get("version")), most=50)
            raise ValueError(f"it has version {version}, this gan_forensics reads {VERSION}")
        return _scored(content)
    except ValueError as error:
        raise ValueError(
            f"{shown(path)} is no usable JSON of `gan-forensics detect score`: "
            f"{shown(error, most=300)}"
        ) from error


def _scored(content: Mapping[str, Any]) -> ScoredImages:
    given = _mapping(content, "calibrators")
    if unknown := given.keys() - TIERS.keys():
        raise ValueError(f"calibrators of unknown tiers {shown(sorted(unknown), most=60)}")
    calibrators = {tier: _calibrator(record) for tier, record in given.items()}
    basis = Basis(
        _number(content, "threshold"),
        calibrators,
        _number(content, "false_alarms", 0, 1, or_none=True),
        _number(content, "prior", 0, 1, or_none=True),
    )
    images = content.get("images")
    if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
        raise ValueError("'images' is no list of objects")
    if not images:
        raise ValueError("it has no images")
    found = []
    for place, image in enumerate(images):
        try:
            found.append(_image(image))
        except ValueError as error:
            raise ValueError(f"image {place + 1}: {error}") from None
    detector = _mapping(content, "detector")
    what = {name: _text(detector, name) for name in ("file", "name", "sha256")}
    calibration = None
    if content.get("calibration") is not None:
        calibration = read_calibration(
            _mapping(content, "calibration"), READABLE[content["version"]]
        )
    facts = _mapping(content, "facts")
    read_seen(facts.get("seen"))
    return ScoredImages(what, calibration, facts, basis, found)


def _image(row: Mapping[str, Any]) -> ScoredImage:
    # Before version 3 colours were not noted.
    texts = {name: _text({"colours": "", **row}, name) for name in _TEXTS}
    score = _number(row, "score", or_none=True)
    if (score is None) != bool(texts["error"]):
        raise ValueError("it has to have a score, or an error that says why not")
    for name, known in (("tier", TIERS), ("tier_from", (FILE, STATED))):
        if score is not None and texts[name] not in known:
            raise ValueError(f"unknown {name} {shown(texts[name], most=30)}: {', '.join(known)}")
    after = {name: _number(row["after"], name) for name in _mapping(row, "after")}
    quality, height, width = (
        None if (number := _number(row, name, 0, most, or_none=True)) is None else int(number)
        for name, most in (("quality", 101), ("height", MOST_SIDE), ("width", MOST_SIDE))
    )
    verdict = row.get("verdict")
    if (score is None) != (verdict is None):
        raise ValueError("it has to have a verdict where it has a score")
    return ScoredImage(
        **texts, score=score, after=after, quality=quality, height=height, width=width,
        verdict=None if verdict is None else _verdict(_mapping(row, "verdict")),
    )  # fmt: skip


_TEXTS = ("path", "label", "tier", "container", "outside", "error", "tier_from", "colours")


def _verdict(given: Mapping[str, Any]) -> Verdict:
    texts = {name: _text(given, name) for name in ("verdict", "why", "wording")}
    of = {name: _number(given, name, or_none=True) for name in Verdict._fields if name not in texts}
    return Verdict(**texts, **of)


def _calibrator(given: Any) -> Calibrator:
    if not isinstance(given, dict):
        raise ValueError("a calibrator is no object")
    arrays = {}
    for name, values in _mapping(given, "arrays").items():
        flat = values if isinstance(values, list) else [values]
        if not all(type(value) in (int, float) for value in flat):
            raise ValueError(f"{shown(name, most=60)} of a calibrator is no list of numbers")
        try:
            arrays[name] = np.array(values, np.float64)
        except OverflowError:
            raise ValueError(
                f"{shown(name, most=60)} of a calibrator has too large numbers"
            ) from None
    return read_calibrator(given, arrays)


def _mapping(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = given.get(name)
    if not isinstance(found, dict):
        raise ValueError(f"{name!r} is no object")
    return found


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if not isinstance(found, str):
        raise ValueError(f"{shown(name)!r} is no text")
    return found


def _number(
    given: Mapping[str, Any],
    name: str,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    or_none: bool = False,
) -> Any:
    """A finite number between two others, both excluded."""
    found = given.get(name)
    if found is None and or_none:
        return None
    if isinstance(found, int | float) and not isinstance(found, bool):
        # Whole numbers may have hundreds of digits.
        if abs(found) < 2**1000 and low < found < high:
            return float(found)
    where = f" between {low:g} and {high:g}" if math.isfinite(low) else ""
    raise ValueError(f"{shown(name)!r} is no finite number{where}")
