"""`gan-forensics spectrum`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tyro.conf import Positional

from gan_forensics.cli.process import (
    images_alone,
    list_images,
    listed_members,
    open_source,
    progress,
)
from gan_forensics.cli.real_and_fake import splits_of
from gan_forensics.cli.sharding import Sharding
from gan_forensics.files import listed, shown, tell, write_csv

if TYPE_CHECKING:
    from gan_forensics.forensics.spectrum_bands import SpectrumBands
    from gan_forensics.forensics.spectrum_scorer import MeanCurves
    from gan_forensics.spectra import Curve


@dataclass(frozen=True)
class Spectrum:
    """Mean and spread of the radial spectra of image folders: one plot, one CSV.

    All images must have one size: resizing changes what is measured, so it is never done unasked.
    Of images of any sizes --tile measures tiles of one size, cut without resizing; with it bands
    are made that `inspect` compares images with.

    Try it:

    $ gan-forensics spectrum photographs generated

    $ gan-forensics spectrum photographs generated --resize 128 --out spectra

    $ gan-forensics spectrum photographs generated --tile 256 --out spectra

    $ gan-forensics spectrum crawl generated --resize 128 --out curves --shard 0/8

    $ gan-forensics spectrum crawl generated --resize 128 --out curves --merge spectra
    """

    folders: Positional[tuple[Path, ...]]
    """Folders of images; the first is drawn as the reference. With --shard or --tile also folders
    of tar, zip and Parquet files of images, or such files; tables of shards hold the curve of each
    image."""
    resize: int | None = None
    """Centre-crop every image to a square and resize it to this side, with antialiasing."""
    tile: int | None = None
    """Cut at most 16 tiles of this side (256, say) out of every image, and take the mean of their
    curves; smaller images are left out, and named. Also writes bands.npz: between which values the
    curves of each folder lie, by the codec and the size of the files; the first folder is of
    photographs."""
    normalise: Literal["min-max", "first", "none"] = "min-max"
    """Of each curve: onto [0, 1], by its first value, or not at all (20 ln|F|)."""
    out: Path = Path("spectrum")
    """Folder for spectrum.png, spectrum.csv (the mean and deviation of every ring, by its mean
    frequency in cycles per pixel: 0.5 is the Nyquist frequency of either axis), spectrum.json
    (what was left out), and with --tile bands.npz."""
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
        means = self._means() if self.sharding.asked or self.tile is not None else None
        if means is None:
            curves, facts = self._at_once()
        elif self._each(means):
            curves, facts = means.curves(self.on_bad_image), {}
        else:
            return
        for line in sentences(_left_out(curves)):
            say(f"{line}; the mean is of the others")
        out = self.sharding.merge or self.out
        if means is not None and self.tile is not None:
            facts |= self._write_bands(out, means.bands())
        self._write(out, curves, facts)

    def _means(self) -> "MeanCurves":
        """Of curves that are made image by image."""
        from gan_forensics.forensics.spectrum_bands import SIDES
        from gan_forensics.forensics.spectrum_scorer import MeanCurves, SpectrumScorer

        if self.tile is not None and self.resize is not None:
            raise ValueError("--tile cuts without resizing, --resize resizes: give one of the two")
        if self.tile is not None and self.tile not in SIDES:
            raise ValueError(f"--tile {self.tile}: give a side of {SIDES[0]} to {SIDES[-1]} pixels")
        means = MeanCurves(self.folders, SpectrumScorer(self.normalise, self.resize, self.tile))
        if self.tile is not None:
            means.check_names()
        return means

    def _each(self, means: "MeanCurves") -> bool:
        """Take the curve of each image; False for one of many workers, who takes none."""
        from gan_forensics.files import check_folder_out
        from gan_forensics.forensics.score_stream import results
        from gan_forensics.forensics.shard_results import row

        scorer = means.scorer
        if not self.sharding.asked:
            folders = [Path(path) for path in dict.fromkeys(map(os.path.abspath, self.folders))]
            listings = [list_images(path, follow_links=self.follow_links) for path in folders]
            for found in images_alone(results(listed_members(listings), scorer)):
                cells = found.failure or scorer.cells(found.found, found.header)  # pyright: ignore
                means.take(row(found.member, found.header, found.sha256, cells, ""))
            return True
        if self.sharding.merge is not None:
            check_folder_out(self.sharding.merge, "--merge")
        self.sharding.run(
            scorer, self.folders, self.out, follow_links=self.follow_links, take=means.take,
            make=partial(replace, scorer),
        )  # fmt: skip
        return self.sharding.merge is not None

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

    def _write_bands(self, out: Path, bands: "SpectrumBands") -> dict[str, Any]:
        """The bands, and facts about them."""
        bands.save(out / "bands.npz")
        kinds = [
            {"codec": codec, "size": size, "images": images}
            for (codec, size), images in bands.kinds.items()
        ]
        for kind in kinds:
            counts = listed([f"{n:,} of {shown(name)}" for name, n in kind["images"].items()])
            tell(f"band: {kind['codec']}, longer side {kind['size']}: {counts}")
        return {"tile": self.tile, "bands": kinds}

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
        if self.tile is not None:
            tell(f"{out / 'bands.npz'}: bands for `gan-forensics inspect --bands`")


def _left_out(curves: "Mapping[str, Curve]") -> dict[str, Any]:
    return {name: dict(curve.left_out) for name, curve in curves.items() if curve.left_out}
