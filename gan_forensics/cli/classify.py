"""`gan-forensics classify`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gan_forensics.cli.process import failure, judged, list_images, progress
from gan_forensics.files import listed, natural_order, rows_kept, say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.distill import Classifier

AT_ONCE = 64


@dataclass(frozen=True)
class Classify:
    """Say what images show: a CSV line for every file, by a run of `train classifier` or `distill`.

    Images are squared and resized as those that the network was tested on.

    Try it:

    $ gan-forensics classify runs/classifier-resnet18-0 photographs --out labels.csv
    """

    run: Positional[Path]
    """A run folder of `train classifier` or `distill`."""
    images: Positional[Path]
    """A folder of images, or one image."""
    out: Path = Path("labels.csv")
    """path, label (a number), name (of the label, where the data had names), probability, the
    probability of each label, error."""
    epoch: Literal["chosen", "last"] = "chosen"
    """Which network of the run: at the epoch that was chosen, or the last."""
    follow_links: bool = False
    """Follow links that leave the folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.distill import load_classifier
        from gan_forensics.files import check_file_out, shown

        check_file_out(self.out)
        classifier = load_classifier(self.run, epoch=self.epoch)
        paths, left_out = list_images(self.images, follow_links=self.follow_links)
        rows, fitted = [], 0
        with rows_kept(self.out, [*_row(classifier, Path(), None, "")]) as keep:
            for row, was_fitted in _rows(classifier, progress(paths)):
                rows.append(row)
                keep(row)
                fitted += was_fitted
            rows += [
                _row(classifier, path, None, f"{shown(path)}: {why}")
                for path, why in left_out.items()
            ]
            rows.sort(key=lambda row: natural_order(row["path"]))
            write_csv(self.out, rows)
        if fitted:
            say(f"{fitted} of {len(paths)} were cropped to squares or resized to {classifier.size}")
        errors = [row["error"] for row in rows if row["error"]]
        called = [row["name"] or row["label"] for row in rows if not row["error"]]
        if not called:
            raise RuntimeError(
                f"none of {len(rows)} could be classified, see {self.out}; first: "
                f"{shown(errors[0])}"
            )
        counts = {name: called.count(name) for name in sorted(set(called), key=natural_order)}
        said = listed([f"{n} {name}" for name, n in counts.items()])
        tell(f"{len(called)} images: {said}; {self.out}")
        if errors:
            say(f"{len(errors)} could not be classified; see the error column")


def _rows(classifier: "Classifier", paths: Iterable[Path]) -> Iterator[tuple[dict[str, Any], bool]]:
    """A row for each image, and whether it had another size than the network's."""
    import numpy as np

    from gan_forensics.data import load_image

    channels: Any = classifier.channels
    waiting = iter(paths)
    while some := list(islice(waiting, AT_ONCE)):
        found: dict[Path, Any] = {}
        fitted: set[Path] = set()
        for path in some:
            try:
                image = load_image(path, channels=channels)
                found[path] = classifier.fitted(image)
                if found[path].shape != image.shape:
                    fitted.add(path)
            except Exception as error:
                found[path] = failure(path, error)
        good = {path: image for path, image in found.items() if not isinstance(image, str)}
        if good:
            found |= judged(lambda images: list(classifier.logits(np.stack(images))), good)
        for path, said in found.items():
            failed = isinstance(said, str)
            row = _row(classifier, path, None if failed else said, said if failed else "")
            yield row, path in fitted


def _row(classifier: "Classifier", path: Path, logits: Any, error: str) -> dict[str, Any]:
    """The cells of an image: logits of its labels, or why there are none."""
    from scipy.special import softmax

    names = classifier.label_names
    columns = [f"p_{names[k] if names else k}" for k in range(classifier.classes)]
    if logits is None:
        blank = dict.fromkeys(("label", "name", "probability", *columns), "")
        return {"path": str(path), **blank, "error": error}
    p = softmax(logits.astype(float))
    label = int(p.argmax())
    cells = {name: f"{value:.6f}" for name, value in zip(columns, p, strict=True)}
    return {
        "path": str(path),
        "label": label,
        "name": names[label] if names else "",
        "probability": f"{p[label]:.6f}",
        **cells,
        "error": error,
    }
