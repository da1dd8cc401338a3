"""`gan-forensics detect score`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gan_forensics.cli.checks import not_among, not_given, within
from gan_forensics.cli.labels import labels_of
from gan_forensics.cli.process import images_alone, list_images, listed_members
from gan_forensics.cli.sharding import Sharding
from gan_forensics.files import listed, natural_order, rows_kept, say, shown, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.data import Listing
    from gan_forensics.forensics.detector_scorer import DetectorScorer
    from gan_forensics.forensics.prevalence import Kind
    from gan_forensics.forensics.score_files import ScoredImages

Tier = Literal["clean", "web", "hard"]


@dataclass(frozen=True)
class DetectScore:
    """Score images: likelihood ratio, verdict, and what they rest on, for every file.

    A likelihood ratio (LR) says how many times more probable the score is if the image was
    generated than if it is a photograph, bounded by what the detector's reference images support.
    The verdict is "generated" above the threshold, "photograph" at or below it, and "unsure" where
    the file is unlike those that the detector was fitted on (column outside), where the LR lies
    between 1/2 and 2 (inconclusive), where LR and threshold contradict each other, or, with
    --carriers, where compression or resizing turns it over.

    Where IMAGES has folders for real and for generated images, both error rates are reported; which
    names are taken for what is said, and --real-is says it for other names.

    Beside the table lie a JSON with all digits, calibrators included, and a page. Of such a JSON,
    given as IMAGES, everything is computed again without detector and images.

    Of millions of images each shard gets a table, by any number of workers (--shard), which --merge
    puts together.

    Try it:

    $ gan-forensics detect score suspects --detector detector.npz --out scores.csv

    $ gan-forensics detect score suspects --detector detector.npz --carriers --prior 0.1

    $ gan-forensics detect score scores.json --prior 0.01 --out again.csv

    $ gan-forensics detect score crawl --detector detector.npz --out scores --shard 0/8

    $ gan-forensics detect score crawl --detector detector.npz --out scores --merge scores.parquet
    """

    images: Positional[tuple[Path, ...]]
    """Folders of images, single images, tar (webdataset), zip and Parquet files of images or
    folders of these, lists (.csv: a path in each line); or the JSON that this command wrote beside
    a table."""
    detector: Path | None = None
    """A file of `detect fit` or `train detector`. A JSON of scores needs none."""
    weights: Path | None = None
    """The weights that `detect fit` was given, where it was given any."""
    out: Path = Path("scores.csv")
    """path, label, score (higher: more likely generated), log10_lr and its bounds, posterior (with
    --prior), verdict, why (it is unsure), wording (ENFSI verbal scale), tier and tier_from ("file"
    or "stated"), container and JPEG quality, spread (with --carriers: from the lowest to the
    highest score), outside (how the file differs from those that the detector was fitted on), the
    detector's SHA-256, the numbers of
    reference images, error. JSON and page lie beside it, as .json and .html. Until all are scored,
    the rows so far are beside it, in NAME.partial-....csv."""
    prior: float | None = None
    """Probability that an image was generated before it was looked at: from the case, never from
    the detector. With it the posterior is given."""
    false_alarms: float | None = None
    """Another share of photographs above the threshold than the detector's: the scores of its
    reference photographs set it, for images of each tier those of that tier. What the LR then
    contradicts is "unsure"."""
    tier: Tier | None = None
    """How the images were carried, for the calibrator: clean, web (768 pixels, JPEG 60) or hard
    (512 pixels, JPEG 40). By default as each file tells; state it where you know better, which is
    recorded."""
    anew: bool = False
    """Of a JSON: leave aside the prior, the share of false alarms and the tier that were stated for
    it. By default they are kept, except what is stated again."""
    carriers: bool = False
    """Score each image also after JPEG, WebP and resizing: a verdict that does not hold is
    "unsure"."""
    real_is: str | None = None
    """The name of the folders of real images; folders beside them are of generated ones."""
    follow_links: bool = False
    """Follow links that leave the folder."""
    sharding: Sharding = field(default_factory=Sharding)
    """Workers by shards."""

    def __call__(self) -> None:
        """Run it."""
        within(0, 1, prior=self.prior, false_alarms=self.false_alarms)
        if not self.images:
            raise ValueError("name at least one folder of images")
        kept = {"real_is": self.real_is, "anew": self.anew or None}
        self.sharding.check(self.out, DetectScore.out, **kept)
        if not self.sharding.asked:
            self._at_once()
            return
        scorer = self._scorer()
        kinds: Counter[Kind] = Counter()

        def take(row: Mapping[str, Any]) -> None:
            if row["verdict"]:
                kinds[scorer.kind(row)] += 1

        self.sharding.run(
            scorer, self.images, self.out, follow_links=self.follow_links, take=take,
            facts=lambda: {"shares": [share.record for share in scorer.shares(kinds)]},
            make=self._scorer,
        )  # fmt: skip
        if kinds:
            from gan_forensics.report.shares import share_lines

            tell(*share_lines(scorer.shares(kinds)))

    def _at_once(self) -> None:
        """All in one go."""
        from gan_forensics.files import check_file_out
        from gan_forensics.files.paths import is_stream
        from gan_forensics.forensics.score_files import write_scores
        from gan_forensics.report.scores import scores_page, summary

        stream = is_stream(self.out)
        beside = [] if stream else [self.out.with_suffix(s) for s in (".json", ".html")]
        for path in (self.out, *beside):
            check_file_out(path)
            if self.detector is not None:
                not_among("--out", path, the_detector=self.detector)
                not_among(
                    "--out", path, the_page_of_the_detector=self.detector.with_suffix(".html")
                )
            for images in self.images:
                not_among("--out", path, the_file_that_is_read=images)
        for path in beside:
            not_among("--out", self.out, what_lies_beside_the_table=path)
        first, *more = self.images
        again = first.suffix.lower() == ".json" and not first.is_dir() and not more
        scored = self._again(first) if again else self._scored()
        for line in chain(_known(scored), _without_lrs(scored)):
            say(line)
        tell(*summary(scored, self.out))
        for path, write in zip(beside, (write_scores, scores_page), strict=False):
            write(path, scored)
        if beside:
            tell(f"Open {beside[1]}; all digits are in {beside[0]}.")

    def _again(self, file: Path) -> "ScoredImages":
        """Judged again, from a JSON alone."""
        from gan_forensics.forensics.score_files import read_scores
        from gan_forensics.report.scores import columns_of, score_row

        not_given(
            f"{file} is a JSON of scores, from which alone all is computed",
            detector=self.detector, weights=self.weights, carriers=self.carriers or None,
            real_is=self.real_is, follow_links=self.follow_links or None,
        )  # fmt: skip
        read = read_scores(file)
        same = read.again()
        changed = sum(
            old.verdict != new.verdict for old, new in zip(read.images, same.images, strict=True)
        )
        if changed:
            warning = (
                f"{changed} of {len(read.images)} rows of {file} do not follow from its "
                "scores and calibrators: it was changed, or another version wrote it"
            )
            say(f"WARNING: {warning}")
            # What is written now follows from its numbers, and has to tell what it was made of.
            read = replace(read, facts={**read.facts, "doubt": warning})
        else:
            say(f"what {file} says of {len(read.images)} images follows from its numbers")
        with _about("--false-alarms", self.false_alarms):
            scored = read.again(
                prior=self.prior,
                false_alarms=self.false_alarms,
                tier=self.tier,
                anew=self.anew,
            )
        if kept := [] if self.anew else self._kept(read):
            say(f"{file} states {listed(kept)}, which is kept; --anew leaves it aside")
        carried = any(image.after for image in scored.images)
        columns = columns_of(scored, carriers=carried)
        write_csv(self.out, [score_row(scored, image, columns) for image in scored.images])
        return scored

    def _kept(self, read: "ScoredImages") -> list[str]:
        """What a JSON states and no option states again, in words."""
        from gan_forensics.forensics.score_files import STATED

        basis, kept = read.basis, []
        if basis.prior is not None and self.prior is None:
            kept.append(f"the prior {basis.prior:g}")
        if basis.false_alarms is not None and self.false_alarms is None:
            kept.append(f"{100 * basis.false_alarms:g} % false alarms")
        stated = sum(image.tier_from == STATED for image in read.images)
        if stated and self.tier is None:
            kept.append(f"the tier of {stated} images")
        return kept

    def _scorer(self) -> "DetectorScorer":
        """The detector, and what its verdicts follow from; said."""
        from gan_forensics.forensics import load_detector
        from gan_forensics.forensics.detector_scorer import DetectorScorer
        from gan_forensics.forensics.verdicts import basis_of

        if self.detector is None:
            raise ValueError(
                "give --detector FILE, a file of `detect fit` or `train detector`; only a JSON of "
                "`detect score` needs none"
            )
        not_given("only a JSON of `detect score` states something", anew=self.anew or None)
        detector = load_detector(self.detector, frozen=self.weights)
        with _about("--false-alarms", self.false_alarms):
            basis = basis_of(detector, false_alarms=self.false_alarms, prior=self.prior)
        if detector.tiles is not None:
            say(f"every image is scored by {detector.tiles.words}, by their upper quartile")
        elif detector.preprocessing.words:
            say(f"every image is {detector.preprocessing.words}, as when the detector was fitted")
        if self.prior is not None and not detector.calibrators:
            say("--prior: the detector has no calibrator, and without LR there is no posterior")
        return DetectorScorer(detector, basis, self.tier, self.carriers)

    def _scored(self) -> "ScoredImages":
        """Scored with a detector."""
        from gan_forensics.forensics.score_files import ScoredImage, scored_with
        from gan_forensics.forensics.score_stream import results
        from gan_forensics.report.scores import columns_of, score_row

        scorer = self._scorer()
        listings = [list_images(path, follow_links=self.follow_links) for path in self.images]
        labels = self._labels(listings)
        scored = scored_with(scorer.detector, str(self.detector), scorer.basis)
        columns = columns_of(scored, carriers=self.carriers)
        images: list[ScoredImage] = []
        with rows_kept(self.out, columns) as keep:
            for result in images_alone(results(listed_members(listings), scorer)):
                label = labels.get(result.member.name, "")
                images.append(scorer.image(result.member.name, label, result))
                keep(score_row(scored, images[-1], columns))
            images.sort(key=lambda image: natural_order(image.path))
            write_csv(self.out, [score_row(scored, image, columns) for image in images])
        scored = replace(scored, images=images)
        errors = [image.error for image in images if image.error]
        if len(errors) == len(images):
            # No wrong use of the command, and no success either.
            raise RuntimeError(
                f"none of {len(images)} could be scored, see {self.out}; first: {shown(errors[0])}"
            )
        return scored

    def _labels(self, listings: "Sequence[Listing]") -> dict[str, str]:
        """The label of each file of folders, by its path; what was taken for what is said."""
        labels: dict[str, str] = {}
        for root, (images, left_out) in zip(self.images, listings, strict=True):
            found, lines = labels_of([*images, *left_out], root, real_is=self.real_is)
            labels |= {str(path): label for path, label in found.items()}
            for line in lines:
                say(line)
        return labels


def _known(scored: "ScoredImages") -> Iterator[str]:
    """What the detector achieved when it was measured, and what cannot be said, in lines."""
    from gan_forensics.forensics.verdicts import TURNED
    from gan_forensics.report.evidence import measured_lines, unmeasured

    share = scored.basis.false_alarms
    at = "" if share is None else " (at its own threshold)"
    yield from (f"{line}{at}" for line in measured_lines(scored.calibration))
    if share is not None:
        yield unmeasured(share)
    verdicts = [image.verdict for image in scored.images if image.verdict is not None]
    if any(v.why.startswith(TURNED) for v in verdicts) and not scored.facts.get("robust"):
        yield "unsure: JPEG, WebP or resizing turns the verdict over; --robust trains for that"
    if errors := sum(image.error != "" for image in scored.images):
        yield f"{errors} could not be scored; see the error column"


def _without_lrs(scored: "ScoredImages") -> Iterator[str]:
    """What there are no likelihood ratios of, in lines, and of which tiers images are."""
    basis = scored.basis
    from gan_forensics.report.scores import tier_said

    known = [image for image in scored.images if image.score is not None]
    tiers, said = Counter(image.tier for image in known), Counter(map(tier_said, known))
    if not basis.calibrators:
        yield (
            "no likelihood ratios: the detector has no calibrator; fit it again with `detect fit`, "
            "or give it one with `detect recalibrate --refit --fake`"
        )
        return
    yield (
        f"tiers: {listed([f'{n} {tier}' for tier, n in said.items()])}; where none is stated, "
        "container and quality of the file tell it"
    )
    for tier, n in tiers.items():
        if tier not in basis.calibrators:
            yield (
                f"{n} images are of tier {tier}, for which the detector has no calibrator: they "
                "have no likelihood ratio"
            )


@contextmanager
def _about(option: str, value: Any) -> Iterator[None]:
    """Name the option in errors, where it was given."""
    try:
        yield
    except ValueError as error:
        if value is None:
            raise
        raise ValueError(f"{option} {value:g}: {error}") from None
