"""`gan-forensics spectrum`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gan_forensics.cli.process import open_source, progress
from gan_forensics.cli.real_and_fake import splits_of
from gan_forensics.cli.sharding import Sharding
from gan_forensics.files import tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.spectra import Curve


@dataclass(frozen=True)
class Spectrum:
    """Mean and spread of the radial spectra of image folders: one plot, one CSV.

    All images must have one size: resizing changes what is measured, so it is never done unasked.

    Try it:

    $ gan-forensics spectrum photographs generated

    $ gan-forensics spectrum photographs generated --resize 128 --out spectra

    $ gan-forensics spectrum crawl generated --resize 128 --out curves --shard 0/8

    $ gan-forensics spectrum crawl generated --resize 128 --out curves --merge spectra
    """

    folders: Positional[tuple[Path, ...]]
    """Folders of images; the first is drawn as the reference. With --shard also folders of tar, zip
    and Parquet files of images, or such files; the tables then hold the curve of each image."""
    resize: int | None = None
    """Centre-crop every image to a square and resize it to this side, with antialiasing."""
    normalise: Literal["min-max", "first", "none"] = "min-max"
    """Of each curve: onto [0, 1], by its first value, or not at all (20 ln|F|)."""
    out: Path = Path("spectrum")
    """Folder for spectrum.png, spectrum.csv (the mean and deviation of every ring, by its mean
    frequency in cycles per pixel: 0.5 is the Nyquist frequency of either axis) and spectrum.json
    (what was left out)."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images have no
    spectrum: they are always left out, and named."""

    sharding: Sharding = field(default_factory=Sharding)
    """Workers by shards."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data.survey import sentences
        from gan_forensics.files import check_folder_out, say

        self.sharding.check(self.out, Spectrum.out, table=False)
        check_folder_out(self.out)
        if not self.folders:
            raise ValueError("name at least one folder of images")
        if self.sharding.asked:
            curves, facts = self._by_shards(), {}
        else:
            curves, facts = self._at_once()
        if curves is None:
            return
        for line in sentences(_left_out(curves)):
            say(f"{line}; the mean is of the others")
        self._write(self.sharding.merge or self.out, curves, facts)

    def _by_shards(self) -> "dict[str, Curve] | None":
        """As one of many workers; or the means of all their curves."""
        from gan_forensics.files import check_folder_out
        from gan_forensics.forensics.spectrum_scorer import MeanCurves, SpectrumScorer

        scorer = SpectrumScorer(self.normalise, self.resize)
        means = MeanCurves(self.folders, scorer)
        if self.sharding.merge is not None:
            check_folder_out(self.sharding.merge, "--merge")
        self.sharding.run(
            scorer, self.folders, self.out, follow_links=self.follow_links, take=means.take,
            make=partial(SpectrumScorer, self.normalise, self.resize),
        )  # fmt: skip
        return None if self.sharding.merge is None else means.curves(self.on_bad_image)

    def _at_once(self) -> "tuple[dict[str, Curve], dict[str, Any]]":
        """All in one go: means, and facts about splits."""
        from gan_forensics.spectra import mean_curves

        opened = {
            name: open_source(f"folder:{name}", size=self.resize, follow_links=self.follow_links)
            for name in dict.fromkeys(map(str, self.folders))
        }
        splits = splits_of(list(opened), list(opened.values()))
        curves = mean_curves(
            opened, normalise=self.normalise, on_bad_image=self.on_bad_image, progress=progress
        )
        return curves, splits

    def _write(self, out: Path, curves: "Mapping[str, Curve]", splits: Mapping[str, Any]) -> None:
        """The plot, the table and the facts."""
        from gan_forensics.files import write_json, written_beside
        from gan_forensics.report import spectra_figure
        from gan_forensics.report.figures import save_figure

        rows = []
        for name, (mean, std, radii, count, _) in curves.items():
            assert radii is not None  # of images they are known
            rows += [
                dict(folder=name, ring=i, cycles_per_pixel=r, mean=m, std=s, images=count)
                for i, (r, m, s) in enumerate(zip(radii, mean, std, strict=True))
            ]
        write_csv(out / "spectrum.csv", rows)
        left_out = _left_out(curves)
        facts = {
            "normalise": self.normalise,
            "resize": self.resize,
            "images": {name: curve.images for name, curve in curves.items()},
            **({"left_out": left_out} if left_out else {}),
            **splits,
        }
        write_json(out / "spectrum.json", facts)
        figure = spectra_figure(curves, title="Mean radial log spectrum", normalise=self.normalise)
        with written_beside(out / "spectrum.png") as partial:
            save_figure(figure, partial)
        tell(f"{out / 'spectrum.png'} and {out / 'spectrum.csv'}")


def _left_out(curves: "Mapping[str, Curve]") -> dict[str, Any]:
    return {name: dict(curve.left_out) for name, curve in curves.items() if curve.left_out}
