"""`gan-forensics attribute score`."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least, not_among
from gan_forensics.cli.process import images_alone, list_images, listed_members
from gan_forensics.cli.sharding import Sharding
from gan_forensics.files import listed, natural_order, rows_kept, say, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.data.packed import Member
    from gan_forensics.forensics.attribution import Attributor
    from gan_forensics.forensics.attributor_scorer import AttributorScorer


@dataclass(frozen=True)
class AttributeScore:
    """Say which generator made each image: a CSV line for every file, and a page with the images.

    For each image: the probability that it was generated, the generators in the order of their
    probabilities, and "none of these" where it is less like every known source than 95 % of
    held-out images of them were. Probabilities are of the sources that the model knows: an image
    of another generator has some too, so look at the verdict first.

    Of millions of images each shard gets a table, by any number of workers (--shard), which --merge
    puts together.

    Try it:

    $ gan-forensics attribute score suspects --model generators.npz

    $ gan-forensics attribute score crawl --model generators.npz --out scores --shard 0/8

    $ gan-forensics attribute score crawl --model generators.npz --out scores --merge all.parquet
    """

    images: Positional[tuple[Path, ...]]
    """Folders of images, single images, tar (webdataset), zip and Parquet files of images or
    folders of these; with --shard lists too (.csv: a path in each line)."""
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
    sharding: Sharding = field(default_factory=Sharding)
    """Workers by shards."""

    def __call__(self) -> None:
        """Run it."""
        if not self.images:
            raise ValueError("name at least one folder of images")
        at_least(0, most=self.most, maps=self.maps)
        pages: dict[str, Any] = {
            name: None if value == getattr(AttributeScore, name) else value
            for name, value in (("most", self.most), ("maps", self.maps))
        }
        self.sharding.check(self.out, AttributeScore.out, **pages)
        if self.sharding.asked:
            self._by_shards()
        else:
            self._at_once()

    def _by_shards(self) -> None:
        """As one of many workers, or their results together."""

        self.sharding.run(
            self._scorer(), self.images, self.out,
            follow_links=self.follow_links, make=self._scorer,
        )  # fmt: skip

    def _scorer(self) -> "AttributorScorer":
        """The model as shards are scored with it."""
        from gan_forensics.files import sha256_of
        from gan_forensics.forensics.attributor_scorer import AttributorScorer

        return AttributorScorer(self._model(), sha256_of(self.model))

    def _model(self) -> "Attributor":
        """The model; what it does to images is said."""
        from gan_forensics.forensics.attribution_files import load_attributor

        model = load_attributor(self.model)
        if model.preprocessing.words:
            say(f"every image is {model.preprocessing.words}, as when the model was fitted")
        return model

    def _at_once(self) -> None:
        """All in one go."""
        from gan_forensics.files import check_file_out, shown
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
        model = self._model()
        listings = [list_images(path, follow_links=self.follow_links) for path in self.images]
        rows, pictures = [], []
        with rows_kept(self.out, [*_row(Path(), model, "")]) as keep:
            for path, found, unread in scored(model, listed_members(listings)):
                rows.append(_row(path, model, found))
                keep(rows[-1])
                if unread:
                    pictures.append((path, unread))
                elif len(pictures) < self.most:
                    pictures.append((path, found))
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


def scored(model: "Attributor", members: "Iterable[Member]") -> Iterator[tuple[Path, Any, str]]:
    """For each member its path, (image as the model sees it, outputs of it) or why there are none.

    And of files that were not read the reason alone.
    """
    from gan_forensics.forensics.attributor_scorer import AttributorScorer
    from gan_forensics.forensics.score_stream import results

    for result in images_alone(results(members, AttributorScorer(model, ""))):
        found = result.failure.text if result.failure else result.found
        yield Path(result.member.name), found, result.member.reason


def _row(path: Path, model: "Attributor", found: Any) -> dict[str, Any]:
    """The line of an image."""
    from gan_forensics.forensics.attributor_scorer import AttributorScorer

    cells: dict[str, Any] = {}
    if not isinstance(found, str):
        numbers = AttributorScorer(model, "").cells(found)
        cells = {
            name.removeprefix("p_"): value if isinstance(value, str) else f"{value:.4f}"
            for name, value in numbers.items()
        }
    names = ("verdict", "generated", *model.names, "known")
    row = {name: cells.get(name, "") for name in names}
    return {"path": path, **row, "error": found if isinstance(found, str) else ""}


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
