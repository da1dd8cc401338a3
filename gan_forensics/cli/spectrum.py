"""`gan-forensics spectrum`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_forensics.cli.process import batches, by_sides, open_source, progress
from gan_forensics.cli.real_and_fake import splits_of
from gan_forensics.files import tell, write_csv


@dataclass(frozen=True)
class Spectrum:
    """Mean and spread of the radial spectra of image folders: one plot, one CSV.

    All images must have one size: resizing changes what is measured, so it is never done unasked.

    Try it:

    $ gan-forensics spectrum photographs generated

    $ gan-forensics spectrum photographs generated --resize 128 --out spectra
    """

    folders: Positional[tuple[Path, ...]]
    """Folders of images; the first is drawn as the reference."""
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

    def __call__(self) -> None:
        """Run it."""
        import numpy as np

        from gan_forensics.data.survey import sentences, surveyed
        from gan_forensics.files import check_folder_out, say, write_json, written_beside
        from gan_forensics.forensics.features import looked_at
        from gan_forensics.report import Curve, spectra_figure
        from gan_forensics.report.figures import save_figure
        from gan_forensics.spectra import SpectrumStatistic, log_spectrum_curve, ring_radii

        check_folder_out(self.out)
        if not self.folders:
            raise ValueError("name at least one folder of images")
        curves, rows, shape = {}, [], None
        names = dict.fromkeys(map(str, self.folders))
        opened = {
            name: open_source(f"folder:{name}", size=self.resize, follow_links=self.follow_links)
            for name in names
        }
        splits = splits_of(list(opened), list(opened.values()))
        surveys, usable, left_out = surveyed(
            opened,
            view=lambda image: looked_at("durall", image[None])[0],
            on_bad_image=self.on_bad_image,
            progress=progress,
        )
        for line in sentences(left_out.get("left_out", {})):
            say(f"{line}; the mean is of the others")
        for folder, source in zip(names, usable, strict=True):
            statistic = None
            for images in batches(source):
                if shape and images.shape[1:3] != shape:
                    raise ValueError(
                        f"{folder} holds images of {by_sides(images.shape[1:3])}, others are "
                        f"{by_sides(shape)}: give --resize N to bring all to one size"
                    )
                shape = images.shape[1:3]
                values = log_spectrum_curve(images, normalise=self.normalise, precision="float64")
                statistic = (statistic or SpectrumStatistic.zero(values.shape[1])).update(values)
            assert statistic and shape
            mean, std, count = (np.asarray(value) for value in statistic.result())
            radii = ring_radii(*shape)
            curves[folder] = Curve(mean, std, radii, int(count))
            rings = enumerate(zip(radii, mean, std, strict=True))
            rows += [
                dict(folder=folder, ring=i, cycles_per_pixel=r, mean=m, std=s, images=int(count))
                for i, (r, m, s) in rings
            ]
        write_csv(self.out / "spectrum.csv", rows)
        means = {name: len(one.rows) for name, one in zip(names, surveys, strict=True)}
        settings = {"normalise": self.normalise, "resize": self.resize}
        write_json(self.out / "spectrum.json", {**settings, "images": means, **left_out, **splits})
        figure = spectra_figure(curves, title="Mean radial log spectrum", normalise=self.normalise)
        with written_beside(self.out / "spectrum.png") as partial:
            save_figure(figure, partial)
        tell(f"{self.out / 'spectrum.png'} and {self.out / 'spectrum.csv'}")
