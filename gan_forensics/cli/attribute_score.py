"""`gan-forensics attribute score`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least, not_among
from gan_forensics.cli.process import failure, judged, list_images, progress
from gan_forensics.files import listed, natural_order, rows_kept, say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.forensics.attribution import Attributor

AT_ONCE = 64


@dataclass(frozen=True)
class AttributeScore:
    """Say which generator made each image: a CSV line for every file, and a page with the images.

    For each image: the probability that it was generated, the generators in the order of their
    probabilities, and "none of these" where it is less like every known source than 95 % of
    held-out images of them were. Probabilities are of the sources that the model knows: an image
    of another generator has some too, so look at the verdict first.

    Try it:

    $ gan-forensics attribute score suspects --model generators.npz
    """

    images: Positional[Path]
    """A folder of images, or one image."""
    model: Path
    """A file of `attribute fit`."""
    out: Path = Path("attributed.csv")
    """path, verdict (real, a generator, or none of these), generated (the probability), the
    probability of each source, known (below the threshold of the model: none of these), error. The
    page lies beside it, as .html."""
    most: int = 64
    """Images on the page, the first ones by name."""
    maps: int = 12
    """Images on the page of which it is drawn which regions decided, where the model is repmix or
    resnet."""
    follow_links: bool = False
    """Follow links that leave the folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.files import check_file_out, shown
        from gan_forensics.forensics.attribution_files import load_attributor
        from gan_forensics.report.attribution import score_page

        page = self.out.with_suffix(".html")
        for path in (self.out, page):
            check_file_out(path)
            not_among(
                "--out",
                path,
                the_model=self.model,
                the_page_of_the_model=self.model.with_suffix(".html"),
            )
        not_among("--out", self.out, the_page_of_the_images=page)
        at_least(0, most=self.most, maps=self.maps)
        model = load_attributor(self.model)
        if model.preprocessing.words:
            say(f"every image is {model.preprocessing.words}, as when the model was fitted")
        paths, left_out = list_images(self.images, follow_links=self.follow_links)
        rows, pictures = [], []
        with rows_kept(self.out, [*_row(Path(), model, "")]) as keep:
            for path, found in scored(model, progress(paths)):
                rows.append(_row(path, model, found))
                keep(rows[-1])
                if len(pictures) < self.most:
                    pictures.append((path, found))
            for path, reason in left_out.items():
                rows.append(_row(path, model, f"{shown(path)}: {reason}"))
                pictures.append((path, reason))
            rows.sort(key=lambda row: natural_order(row["path"]))
            write_csv(self.out, rows)
        errors = [row["error"] for row in rows if row["error"]]
        known = [row["verdict"] for row in rows if not row["error"]]
        if not known:
            raise RuntimeError(
                f"none of {len(rows)} could be scored, see {self.out}; first: {shown(errors[0])}"
            )
        counts = {name: known.count(name) for name in dict.fromkeys(known)}
        said = listed([f"{n} {name}" for name, n in sorted(counts.items())])
        tell(f"{len(known)} images: {said}; {self.out}")
        tell(
            f"none of these: known (the largest probability) below {model.threshold:.4f}, as of "
            f"{1 - model.accepted:.0%} of images of known sources"
        )
        shown_rows, scale = _with_maps(model, pictures, self.maps)
        score_page(
            page,
            names=model.names,
            real=model.real,
            rows=shown_rows,
            facts={**model.described(), "counts": counts, "scale": scale},
        )
        tell(f"Open {page}.")
        if errors:
            say(f"{len(errors)} could not be scored; see the error column")


def scored(model: "Attributor", paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
    """(image as the model sees it, outputs of it) for each path, or why there are none."""
    import numpy as np

    from gan_forensics.data import load_image, read_header

    def judge(images: list[Any]) -> list[tuple[Any, Any]]:
        outputs = model.model.outputs(np.stack(images))
        return [(image, outputs.rows([place])) for place, image in enumerate(images)]

    waiting = iter(paths)
    while some := list(islice(waiting, AT_ONCE)):
        found: dict[Path, Any] = {}
        for path in some:
            try:
                header = read_header(path)
                model.check_shape((header.height, header.width, 3))
                found[path] = model.prepared(load_image(path))
            except Exception as error:
                found[path] = failure(path, error)
        good = {path: image for path, image in found.items() if not isinstance(image, str)}
        yield from (found | (judged(judge, good) if good else {})).items()


def _row(path: Path, model: "Attributor", found: Any) -> dict[str, Any]:
    """The line of an image."""
    if isinstance(found, str):
        blank = dict.fromkeys(("verdict", "generated", *model.names, "known"), "")
        return {"path": path, **blank, "error": found}
    _, outputs = found
    probabilities = model.probabilities(outputs)[0]
    unknown = bool(model.none_of_these(outputs)[0])
    return {
        "path": path,
        "verdict": "none of these" if unknown else model.names[int(probabilities.argmax())],
        "generated": f"{1 - probabilities[model.real_index]:.4f}",
        **{n: f"{p:.4f}" for n, p in zip(model.names, probabilities, strict=True)},
        "known": f"{model.knownness(outputs)[0]:.4f}",
        "error": "",
    }


def _with_maps(
    model: "Attributor", pictures: list[tuple[Path, Any]], most: int
) -> tuple[list, float | None]:
    """What the page shows of images, the first ones with maps of what decided; and their scale."""
    import numpy as np

    from gan_forensics.files import shown
    from gan_forensics.forensics.attribution_map import has_maps, source_maps
    from gan_forensics.forensics.attribution_model import Outputs
    from gan_forensics.forensics.explanations import common_scale, panel
    from gan_forensics.report.attribution import ScoredImage

    drawn: dict[Path, Any] = {}
    scale = None
    judged = [(p, f) for p, f in pictures if not isinstance(f, str)]
    chosen = [(p, f) for p, f in judged if not model.none_of_these(f[1])[0]][:most]
    if chosen and has_maps(model):
        outputs = Outputs(
            *(np.concatenate(a) for a in zip(*(f[1] for _, f in chosen), strict=True))
        )
        maps = source_maps(model, [f[0] for _, f in chosen], outputs, np.argmax(outputs.logits, 1))
        scale = common_scale([one.relevance for one in maps])
        drawn = {
            path: panel(found[0], one, scale)
            for (path, found), one in zip(chosen, maps, strict=True)
        }
    rows = []
    for path, found in pictures:
        if isinstance(found, str):
            reason = found.removeprefix(f"{shown(path)}: ")
            rows.append(ScoredImage(path, None, None, False, None, None, reason))
            continue
        pixels, outputs = found
        base, layer = drawn.get(path, (None, None))
        rows.append(
            ScoredImage(
                path, pixels, model.probabilities(outputs)[0],
                bool(model.none_of_these(outputs)[0]), base, layer, "",
            )
        )  # fmt: skip
    return rows, scale
