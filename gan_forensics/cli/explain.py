"""`gan-forensics explain`."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import list_images, progress
from gan_forensics.files import say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.explain import Feature
    from gan_forensics.forensics.neural import NeuralDetector


@dataclass(frozen=True)
class Explain:
    """Show where a detector sees that images were generated, and which channels see it.

    Beside every image stand the evidence for "generated" and for "real" in it (layer-wise relevance
    propagation), in colours of one scale, and Guided Grad-CAM; below, the channels of highest
    relevance with the patches that they fire most at.

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
        from scipy.special import expit

        from gan_forensics.data import ImageError, load_image, save_png
        from gan_forensics.files import check_folder_out
        from gan_forensics.forensics.explanations import (
            collage,
            common_scale,
            explain,
            overlay,
            panel,
            patches,
        )
        from gan_forensics.report.explanations import Verdict, explanations_page

        check_folder_out(self.out)
        at_least(1, channels=self.channels, patches=self.patches, most=self.most)
        detector = read_neural(self.detector)
        chosen = read_ranking(self.ranking) if self.ranking else None
        listing = list_images(self.images, follow_links=self.follow_links)
        paths = listing.images[: self.most]
        if len(paths) < len(listing.images):
            say(f"{len(paths)} of {len(listing.images)} images, the first by name (--most)")
        images, errors = {}, []
        for path in progress(paths):
            try:
                image = load_image(path)
                try:
                    detector.check_shape(image.shape)
                except ValueError as error:
                    raise ImageError(f"{path}: {error}") from None
                # Shown as the detector sees it.
                images[path] = detector.preprocessing(image)
            except ImageError as error:
                errors.append([str(path), str(error)])
        if not images:
            reason = errors[0][1] if errors else "it holds none"
            raise ValueError(f"none of {len(paths)} images can be explained: {reason}")
        pixels = list(images.values())
        explanations = explain(detector, pixels)
        scale, verdicts = common_scale(explanations), []
        for path, found in zip(images, explanations, strict=True):
            verdict = Verdict(path, found.score, *panel(images[path], found, scale))
            name = f"{len(verdicts):03d}-{path.stem}.png"
            save_png(self.out / name, overlay(verdict.base, verdict.layer))
            verdicts.append(verdict)
        scores = [
            {
                "path": verdict.image,
                "score": verdict.score,
                "probability": float(expit(verdict.score)),
                "verdict": "generated" if verdict.score > detector.threshold else "real",
            }
            for verdict in verdicts
        ]
        write_csv(self.out / "scores.csv", scores)
        features, ranked = self._features(detector, pixels, chosen)
        rows = patches(detector, pixels, features, n=self.patches) if features else []
        if rows:
            save_png(self.out / "channels.png", collage(rows))
        channels = list(zip(features, rows, strict=True))
        page = explanations_page(
            self.out / "report.html", detector, verdicts, ranked, channels, errors, scale=scale
        )
        if errors:
            say(f"{len(errors)} images left out; see the page")
        if not rows:
            say(f"no channels.png: {ranked}")
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
    return detector


def read_ranking(path: Path) -> "list[Feature]":
    """Channels from a features.csv; a file without its columns is refused."""
    from gan_forensics.explain import Feature
    from gan_forensics.files import check_file_in, open_csv

    check_file_in(path, "features.csv of `gan-forensics features`")
    with open_csv(path) as file:
        rows = list(csv.DictReader(file))
    try:
        return [
            Feature(r["layer"], int(r["channel"]), int(r["channels"]), float(r["omega"]))
            for r in rows
        ]
    except (KeyError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path} is no features.csv of `gan-forensics features` ({error!r})"
        ) from error
