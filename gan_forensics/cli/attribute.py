"""`gan-forensics attribute`: which generator made an image; `fit` lies in `attribute_fit.py`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, subcommand

from gan_forensics.cli.attribute_fit import AttributeFit
from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import list_images, progress, say, write_csv

if TYPE_CHECKING:
    import numpy as np

    from gan_forensics.data.attributed import Attributed
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
        from gan_forensics.data.files import check_file_out, shown
        from gan_forensics.forensics.attribution_files import load_attributor
        from gan_forensics.report.attribution import score_page

        page = self.out.with_suffix(".html")
        for path in (self.out, page):
            check_file_out(path)
        at_least(0, most=self.most, maps=self.maps)
        model = load_attributor(self.model)
        if model.preprocessing.words:
            say(f"every image is {model.preprocessing.words}, as when the model was fitted")
        paths, left_out = list_images(self.images, follow_links=self.follow_links)
        rows, pictures = [], []
        for path, found in _scored(model, progress(paths)):
            rows.append(_row(path, model, found))
            if len(pictures) < self.most:
                pictures.append((path, found))
        for path, reason in left_out.items():
            rows.append(_row(path, model, f"{path}: {reason}"))
        rows.sort(key=lambda row: row["path"])
        write_csv(self.out, rows)
        errors = [row["error"] for row in rows if row["error"]]
        known = [row["verdict"] for row in rows if not row["error"]]
        if not known:
            raise RuntimeError(
                f"none of {len(rows)} could be scored, see {self.out}; first: {shown(errors[0])}"
            )
        counts = {name: known.count(name) for name in dict.fromkeys(known)}
        said = ", ".join(f"{n} {shown(name)}" for name, n in sorted(counts.items()))
        print(f"{len(known)} images: {said}; {self.out}")
        shown_rows, scale = _with_maps(model, pictures, self.maps)
        score_page(
            page,
            names=model.names,
            real=model.real,
            rows=shown_rows,
            facts={**model.described(), "counts": counts, "scale": scale},
        )
        print(f"Open {page}.")
        if errors:
            say(f"{len(errors)} could not be scored; see the error column")


@dataclass(frozen=True)
class AttributeVerify:
    """Say whether two images, or two folders of them, come from one generator.

    Neither needs to be of a generator that the model knows, but its error rates are those of the
    generators that it knows.

    Try it:

    $ gan-forensics attribute verify suspect.png other.png --model generators.npz

    $ gan-forensics attribute verify one_account another_account --model generators.npz
    """

    first: Positional[Path]
    """An image, or a folder of images of one generator."""
    second: Positional[Path]
    """Another."""
    model: Path
    """A file of `attribute fit`."""
    follow_links: bool = False
    """Follow links that leave a folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.forensics.attribution_files import load_attributor
        from gan_forensics.forensics.verification import Verifier

        model = load_attributor(self.model)
        verifier = Verifier(model.gallery.features, model.gallery_labels)
        sets = [self._features(model, path, verifier.largest) for path in (self.first, self.second)]
        found = verifier.compare(*sets)
        words = {
            "same": "one generator", "different": "different generators", "unsure": "not clear"
        }  # fmt: skip
        print(
            f"{words[found.verdict]}: similarity {found.similarity:.3f}, probability "
            f"{found.probability:.2f} of one generator (were it as likely as not before)"
        )
        print(
            f"of pairs of different known sources {found.false_match:.1%} are as similar or more, "
            f"of pairs of one source {found.false_non_match:.1%} as similar or less"
        )

    def _features(self, model: "Attributor", path: Path, most: int) -> "np.ndarray":
        import numpy as np

        paths = list_images(path, follow_links=self.follow_links).images
        if len(paths) > most:
            chosen = np.random.default_rng(0).permutation(len(paths))[:most]
            paths = [paths[i] for i in sorted(chosen)]
            say(f"{path}: {most} images by chance, as many as the model's gallery can judge")
        parts, errors = [], []
        for _, found in _scored(model, progress(paths)):
            if isinstance(found, str):
                errors.append(found)
            else:
                parts.append(found[1].features)
        if errors:
            say(f"{path}: {len(errors)} images left out; first: {errors[0]}")
        if not parts:
            raise ValueError(f"{path}: no image that can be compared")
        return np.concatenate(parts)


@dataclass(frozen=True)
class AttributeEvaluate:
    """Measure a model on labelled images: what it calls right, clean and corrupted.

    Images of generators, training seeds and contents that the model was fitted on are told from new
    ones by what the model's file says of them; sources that it does not know are refused.

    Try it:

    $ gan-forensics attribute evaluate generators.npz --data folder:others --out evaluated
    """

    model: Positional[Path]
    """A file of `attribute fit`."""
    data: str
    """Labelled images, as for `attribute fit`."""
    out: Path
    """Folder for results.json and report.html."""
    real_is: str | None = None
    """The source that is real, where its name does not say so."""
    most: int = 500
    """Images of each source and group that are measured on."""
    severities: bool = False
    """Also measure all 19 corruptions at each of their five severities, which takes a while."""
    seed: int = 0
    """Of the choice and of the corruptions."""
    follow_links: bool = False
    """Follow links that leave a folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.cli.attribute_fit import said_cells
        from gan_forensics.data.attributed import open_attributed
        from gan_forensics.data.files import check_folder_out, write_json
        from gan_forensics.forensics.attribution_files import load_attributor
        from gan_forensics.forensics.attribution_measure import measured
        from gan_forensics.forensics.attribution_parts import relabelled
        from gan_forensics.report.attribution_fit import fitted_page

        check_folder_out(self.out)
        at_least(1, most=self.most)
        at_least(0, seed=self.seed)
        model = load_attributor(self.model)
        images = open_attributed(self.data, real_is=self.real_is, follow_links=self.follow_links)
        images = relabelled(images, model.names, model.real)
        found = measured(
            model, images, model.facts.get("known", {}), most=self.most, seed=self.seed,
            progress=progress,
        )  # fmt: skip
        facts = {**model.described(), "data": self.data, "measured": found}
        if self.severities:
            facts["severity"] = self._severities(model, images)
        write_json(self.out / "results.json", {"model": str(self.model), **facts})
        print("\n".join(said_cells(found)))
        print(f"Open {fitted_page(self.out / 'report.html', facts)}.")

    def _severities(self, model: "Attributor", images: "Attributed") -> dict[str, list[float]]:
        import numpy as np

        from gan_forensics.data.corruptions import CORRUPTIONS
        from gan_forensics.data.perturbations import at_hand
        from gan_forensics.forensics.attribution_measure import against_severity, some_of_each

        kinds, line = at_hand(tuple(CORRUPTIONS))
        if line:
            say(line)
        every = np.ones(len(images.labels), bool)
        rows = some_of_each(images, every, most=self.most, seed=self.seed)
        return against_severity(model, images, rows, progress(kinds))


@dataclass(frozen=True)
class Attribute:
    """Tell which generator made an image: fit a model on labelled images, and ask it.

    Try it:

    $ gan-forensics attribute fit --data folder:generators --out generators.npz

    $ gan-forensics attribute score suspects --model generators.npz
    """

    action: (
        Annotated[AttributeFit, subcommand("fit", prefix_name=False)]
        | Annotated[AttributeScore, subcommand("score", prefix_name=False)]
        | Annotated[AttributeEvaluate, subcommand("evaluate", prefix_name=False)]
        | Annotated[AttributeVerify, subcommand("verify", prefix_name=False)]
    )

    def __call__(self) -> None:
        """Run it."""
        self.action()


def _scored(model: "Attributor", paths: Iterable[Path]) -> Iterator[tuple[Path, Any]]:
    """(image as the model sees it, outputs of it) for each path, or why there are none."""
    import numpy as np

    from gan_forensics.data import ImageError, load_image

    waiting = iter(paths)
    while some := list(islice(waiting, AT_ONCE)):
        found: dict[Path, Any] = {}
        for path in some:
            try:
                found[path] = model.prepared(load_image(path))
            except ImageError as error:
                found[path] = str(error)
            except ValueError as error:
                found[path] = f"{path}: {error}"
        good = [path for path in some if not isinstance(found[path], str)]
        if good:
            outputs = model.model.outputs(np.stack([found[path] for path in good]))
            for place, path in enumerate(good):
                found[path] = found[path], outputs.rows([place])
        yield from found.items()


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
        scale = common_scale(maps)
        drawn = {
            path: panel(found[0], one, scale)
            for (path, found), one in zip(chosen, maps, strict=True)
        }
    rows = []
    for path, found in pictures:
        if isinstance(found, str):
            rows.append(ScoredImage(path, None, None, False, None, None, found))
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
