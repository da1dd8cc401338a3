"""What a detector makes of image files: scores, likelihood ratios and verdicts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from gan_forensics.data.carriers import RESHIPPED
from gan_forensics.data.decoding import Header
from gan_forensics.forensics.detectors import Detector
from gan_forensics.forensics.format_audit import Seen, read_seen, size_class
from gan_forensics.forensics.measure import score_carried
from gan_forensics.forensics.prevalence import Kind, Share, shares, why_none
from gan_forensics.forensics.score_files import ScoredImage, judged, with_tier
from gan_forensics.forensics.score_stream import Result
from gan_forensics.forensics.verdicts import Basis


@dataclass(frozen=True)
class DetectorScorer:
    """A detector as `score_stream.score_shard` takes it.

    Attributes:
        detector: of a file, whose SHA-256 names its results.
        basis: what verdicts follow from, as of `basis_of`.
        tier: that the images are stated to be of; None as each file tells.
        carriers: whether images are scored also after JPEG, WebP and resizing.

    Example:
        >>> detector = load_detector("detector.npz")  # doctest: +SKIP
        >>> scorer = DetectorScorer(detector, basis_of(detector))  # doctest: +SKIP
        >>> score_shard(shards_of(["photos"]).shards[0], scorer, "scores")  # doctest: +SKIP
        PosixPath('scores/results/photos-000000-6f1ed002ab559585.parquet')
    """

    detector: Detector
    basis: Basis
    tier: str | None = None
    carriers: bool = False

    @cached_property
    def seen(self) -> Seen | None:
        """What the detector was fitted on."""
        return read_seen(self.detector.facts.get("seen"))

    @property
    def identity(self) -> dict[str, Any]:
        """What results rest on."""
        return {
            "detector": self.detector.name,
            "detector_sha256": self.detector.sha256 or "",
            "false_alarms": self.basis.false_alarms,
            "prior": self.basis.prior,
            "tier": self.tier,
            "carriers": self.carriers,
        }

    @property
    def columns(self) -> dict[str, str]:
        """Its columns, the same ones for every detector."""
        return {
            "score": "double", "log10_lr": "double", "log10_lr_lower": "double",
            "log10_lr_upper": "double", "posterior": "double", "verdict": "string",
            "why": "string", "wording": "string", "tier": "string", "tier_from": "string",
            "spread": "double", "outside": "string",
        }  # fmt: skip

    def kind(self, row: Mapping[str, Any]) -> Kind:
        """The kind of a row of a table that has a verdict."""
        size = size_class(row["height"], row["width"])
        return Kind(row["tier"], row["codec"], size, row["outside"] is not None, row["verdict"])

    def shares(self, kinds: Mapping[Kind, int]) -> list[Share]:
        """How many images are generated, as `prevalence.shares`."""
        known, facts = self.detector.calibration, self.detector.facts
        why = why_none(known, facts, self.basis.false_alarms, self.carriers)
        return shares(kinds, known, why=why)

    def check(self, header: Header) -> None:
        """Refuse an image of a size that the detector does not take (ValueError)."""
        self.detector.check_shape((header.height, header.width, 3))

    def prepared(self, pixels: Any) -> Any:
        """The image as it is: the detector prepares it itself."""
        return pixels

    def judge(self, given: list[tuple[Any, Header]]) -> Sequence[dict[str, float] | None]:
        """Scores by carrier, "none" first; None for flat images."""
        names = ("none", *RESHIPPED) if self.carriers else ("none",)
        scores = score_carried(self.detector, [image for image, _ in given], names)
        return [
            {name: float(s) for name, s in zip(names, column, strict=True) if s == s}
            if column[0] == column[0]
            else None
            for column in scores.T
        ]

    def image(self, path: str, label: str, result: Result) -> ScoredImage:
        """A scored image with its verdict, or why it has none."""
        image = ScoredImage(path, label)
        if result.failure or result.header is None:
            return replace(image, error=result.failure.text if result.failure else "")
        return self.scored(image, result.found, result.header)

    def scored(self, row: ScoredImage, found: Mapping[str, float], header: Header) -> ScoredImage:
        """A row with its scores by carrier, "none" first, and the verdict of these."""
        (_, score), *after = found.items()
        image = replace(
            row,
            score=score,
            after=dict(after),
            container=header.container,
            quality=header.quality,
            height=header.height,
            width=header.width,
            colours=header.colours,
        )
        image = with_tier(image, self.tier, self.seen, self.basis)
        return replace(image, verdict=judged(image, self.basis))

    def cells(self, found: Mapping[str, float], header: Header) -> dict[str, Any]:
        """The cells of an image that has a score."""
        image = self.scored(ScoredImage("", ""), found, header)
        verdict = image.verdict
        assert verdict is not None
        every = list(found.values())
        return {
            "score": image.score,
            "log10_lr": verdict.log10_lr,
            "log10_lr_lower": verdict.lower,
            "log10_lr_upper": verdict.upper,
            "posterior": verdict.posterior,
            "verdict": verdict.verdict,
            "why": verdict.why or None,
            "wording": verdict.wording or None,
            "tier": image.tier,
            "tier_from": image.tier_from,
            "spread": max(every) - min(every) if self.carriers else None,
            "outside": image.outside or None,
        }
