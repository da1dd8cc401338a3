"""`gan-forensics spectrum`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_forensics.cli.process import batches, by_sides, open_source
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
    """Folder for spectrum.png and spectrum.csv: the mean and deviation of every ring, by its mean
    frequency in cycles per pixel (0.5 is the Nyquist frequency of either axis)."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""

    def __call__(self) -> None:
        """Run it."""
        import numpy as np

        from gan_forensics.files import check_folder_out, written_beside
        from gan_forensics.report import Curve, spectra_figure
        from gan_forensics.report.figures import save_figure
        from gan_forensics.spectra import SpectrumStatistic, log_spectrum_curve, ring_radii

        check_folder_out(self.out)
        if not self.folders:
            raise ValueError("name at least one folder of images")
        curves, rows, shape = {}, [], None
        for folder in self.folders:
            statistic = None
            source = open_source(
                f"folder:{folder}", size=self.resize, follow_links=self.follow_links
            )
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
            curves[str(folder)] = Curve(mean, std, radii, int(count))
            rings = enumerate(zip(radii, mean, std, strict=True))
            rows += [
                dict(folder=folder, ring=i, cycles_per_pixel=r, mean=m, std=s, images=int(count))
                for i, (r, m, s) in rings
            ]
        write_csv(self.out / "spectrum.csv", rows)
        figure = spectra_figure(curves, title="Mean radial log spectrum", normalise=self.normalise)
        with written_beside(self.out / "spectrum.png") as partial:
            save_figure(figure, partial)
        tell(f"{self.out / 'spectrum.png'} and {self.out / 'spectrum.csv'}")
