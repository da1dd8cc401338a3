"""`gan-forensics explain`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import failure, judged, list_images, progress
from gan_forensics.files import file_stem, natural_order, rows_kept, say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.explain import Feature
    from gan_forensics.forensics.neural import NeuralDetector
    from gan_forensics.forensics.verdicts import Verdict

_COLUMNS = ("path", "score", "probability", "log10_lr", "verdict", "why", "error")
# Images that are explained together.
_AT_ONCE = 4


@dataclass(frozen=True)
class Explain:
    """Show where a detector sees that images were generated, and which channels see it.

    Beside every image stand the evidence for "generated" and for "real" in it (layer-wise relevance
    propagation), in colours of one scale, and Guided Grad-CAM; below, the channels of highest
    relevance with the patches that they fire most at. The page begins with whether the evidence
    can be trusted: what becomes of the logit as the places that it names are removed, against other
    maps and random places.

    Try it:

    $ gan-forensics explain suspects --detector runs/detector/detector.npz

    $ gan-forensics explain suspect.png --detector runs/detector/detector.npz
    --ranking features/features.csv
    """

    images: Positional[Path]
    """A folder of images, or one image."""
    detector: Path
    """detector.npz of `train detector`."""
    ranking: Path | None = None
    """features.csv of `features`; by default channels are ranked on those of these images that the
    detector is sure were generated."""
    channels: int = 6
    """How many channels to show."""
    patches: int = 5
    """How many patches of each."""
    most: int = 32
    """Images to explain, the first ones by name."""
    follow_links: bool = False
    """Follow links that leave the folder."""
    out: Path = Path("explain")
    """Folder for a PNG of each image, channels.png, scores.csv and report.html."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data import save_png
        from gan_forensics.files import check_folder_out
        from gan_forensics.forensics.detector_scorer import DetectorScorer
        from gan_forensics.forensics.explanations import (
            collage,
            common_scale,
            overlay,
            panel,
            patches,
        )
        from gan_forensics.forensics.faithful_explanations import measured_faithfulness
        from gan_forensics.forensics.score_files import ScoredImage
        from gan_forensics.forensics.verdicts import basis_of
        from gan_forensics.report.explanations import (
            Explained,
            explanations_page,
            faithful_words,
        )

        check_folder_out(self.out)
        at_least(1, channels=self.channels, patches=self.patches, most=self.most)
        detector = read_neural(self.detector)
        chosen = read_ranking(self.ranking) if self.ranking else None
        listing = list_images(self.images, follow_links=self.follow_links)
        paths = sorted(listing.images, key=natural_order)[: self.most]
        if len(paths) < len(listing.images):
            say(f"{len(paths)} of {len(listing.images)} images, the first by name (--most)")
        scorer = DetectorScorer(detector, basis_of(detector))
        found, errors, rows_found = {}, [], []
        with rows_kept(self.out / "scores.csv", _COLUMNS) as keep:
            for path, image, header, explained in _explained(detector, progress(paths)):
                if isinstance(explained, str):
                    errors.append([str(path), explained])
                    verdict = None
                else:
                    scored = ScoredImage(str(path), "")
                    verdict = scorer.scored(scored, {"none": explained.score}, header).verdict
                    found[path] = image, explained, verdict
                rows_found.append(_row(path, explained, verdict))
                keep(rows_found[-1])
            if not found:
                reason = errors[0][1] if errors else "it holds none"
                raise ValueError(f"none of {len(paths)} images can be explained: {reason}")
            write_csv(self.out / "scores.csv", rows_found)
        pixels = [image for image, *_ in found.values()]
        scale, shown = common_scale([e.relevance for _, e, _ in found.values()]), []
        for path, (image, explained, verdict) in found.items():
            one = Explained(path, explained.score, verdict, *panel(image, explained, scale))
            name = f"{len(shown):03d}-{file_stem(path.stem)}.png"
            save_png(self.out / name, overlay(one.base, one.layer))
            shown.append(one)
        features, ranked = self._features(detector, pixels, chosen)
        rows = patches(detector, pixels, features, n=self.patches) if features else []
        if rows:
            save_png(self.out / "channels.png", collage(rows))
        channels = list(zip(features, rows, strict=True))
        say("measuring whether the evidence beats random order")
        try:
            faithful = measured_faithfulness(detector, pixels, [e for _, e, _ in found.values()])
        except ValueError as error:
            faithful = str(error)
        page = explanations_page(
            self.out / "report.html",
            detector,
            shown,
            ranked,
            channels,
            errors,
            scale=scale,
            faithful=faithful,
        )
        if errors:
            say(f"{len(errors)} images left out; see the page, or the error column of scores.csv")
        if not rows:
            say(f"no channels.png: {ranked}")
        say(faithful_words(faithful))
        tell(f"Open {page}.")

    def _features(
        self, detector: "NeuralDetector", images, chosen: "list[Feature] | None"
    ) -> "tuple[list[Feature], str]":
        """The channels to show, and how they were chosen."""
        if chosen is not None:
            return chosen[: self.channels], f"Ranked by {self.ranking}."
        from gan_forensics.studies.transferable import rank_features

        try:
            ranking = rank_features(detector, images)
        except ValueError as error:
            return [], f"No channels are ranked: {error}. A ranking of `features` may be given."
        return ranking.features[: self.channels], (
            f"Ranked on the {ranking.images} of {ranking.given} images that the detector gives a "
            "probability of at least 0.9 of being generated."
        )


def _explained(
    detector: "NeuralDetector", paths: Iterable[Path]
) -> Iterator[tuple[Path, Any, Any, Any]]:
    """Each image as the detector sees it, the header of its file, and why it scored as it did.

    Or why there is no explanation, in words.
    """
    from gan_forensics.data import load_image, read_header
    from gan_forensics.data.flat import FLAT, flat
    from gan_forensics.files import shown
    from gan_forensics.forensics.canvases import BYTES_EXPLAINED, check_memory
    from gan_forensics.forensics.explanations import explain

    waiting = iter(paths)
    while some := list(islice(waiting, _AT_ONCE)):
        images, found, headers = {}, {}, {}
        for path in some:
            try:
                header = read_header(path)
                shape = header.height, header.width, 3
                detector.check_shape(shape)
                sides = detector.preprocessing.shape(shape)[:2]
                check_memory(detector.network, *sides, bytes_a_pixel=BYTES_EXPLAINED)
                image = detector.view(load_image(path))
                if flat([image])[0]:
                    found[path] = f"{shown(path)}: {FLAT}"
                else:
                    images[path], headers[path] = image, header
            except Exception as error:
                found[path] = failure(path, error)
        if images:
            found |= judged(lambda given: explain(detector, given), images)
        for path in some:
            yield path, images.get(path), headers.get(path), found[path]


def _row(path: Path, explained: Any, verdict: "Verdict | None") -> dict[str, Any]:
    """The line of an image: what it was explained to be, or why it was not."""
    from scipy.special import expit

    if verdict is None:
        return dict.fromkeys(_COLUMNS, "") | {"path": path, "error": explained}
    lr = "" if verdict.log10_lr is None else verdict.log10_lr
    score = explained.score
    cells = path, score, float(expit(score)), lr, verdict.verdict, verdict.why, ""
    return dict(zip(_COLUMNS, cells, strict=True))


def read_neural(path: Path) -> "NeuralDetector":
    """A neural detector from its file; a spectral one is refused."""
    from gan_forensics.forensics import load_detector
    from gan_forensics.forensics.neural import NeuralDetector

    detector = load_detector(path)
    if not isinstance(detector, NeuralDetector):
        raise ValueError(
            f"{path} is a spectral detector ({detector.name}), which has no channels: give one of "
            "`gan-forensics train detector`"
        )
    if detector.tiles is not None:
        raise ValueError(
            f"{path} looks at whole photographs by tiles, of which no single logit is explained: "
            "give the detector that it was made of, and images of about a tile "
            f"({detector.tiles.side}x{detector.tiles.side})"
        )
    return detector


def read_ranking(path: Path) -> "list[Feature]":
    """Channels from a features.csv; a file without its columns is refused."""
    from gan_forensics.explain import Feature
    from gan_forensics.files import check_file_in, read_csv, whole_number

    check_file_in(path, "features.csv of `gan-forensics features`")
    table = read_csv(path)
    try:
        return [
            Feature(
                row["layer"],
                whole_number(row["channel"]),
                whole_number(row["channels"]),
                table.number(row["omega"]),
            )
            for _, row in table.rows()
        ]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is no features.csv of `gan-forensics features` ({error!r})"
        ) from error
