"""`gan-forensics spectrum`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_forensics.cli.process import open_source, progress
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
        from gan_forensics.data.survey import sentences
        from gan_forensics.files import check_folder_out, say, write_json, written_beside
        from gan_forensics.report import spectra_figure
        from gan_forensics.report.figures import save_figure
        from gan_forensics.spectra import mean_curves

        check_folder_out(self.out)
        if not self.folders:
            raise ValueError("name at least one folder of images")
        opened = {
            name: open_source(f"folder:{name}", size=self.resize, follow_links=self.follow_links)
            for name in dict.fromkeys(map(str, self.folders))
        }
        splits = splits_of(list(opened), list(opened.values()))
        curves = mean_curves(
            opened, normalise=self.normalise, on_bad_image=self.on_bad_image, progress=progress
        )
        left_out = {name: curve.left_out for name, curve in curves.items() if curve.left_out}
        for line in sentences(left_out):
            say(f"{line}; the mean is of the others")
        rows = []
        for name, (mean, std, radii, count, _) in curves.items():
            assert radii is not None  # of images they are known
            rows += [
                dict(folder=name, ring=i, cycles_per_pixel=r, mean=m, std=s, images=count)
                for i, (r, m, s) in enumerate(zip(radii, mean, std, strict=True))
            ]
        write_csv(self.out / "spectrum.csv", rows)
        facts = {
            "normalise": self.normalise,
            "resize": self.resize,
            "images": {name: curve.images for name, curve in curves.items()},
            **({"left_out": left_out} if left_out else {}),
            **splits,
        }
        write_json(self.out / "spectrum.json", facts)
        figure = spectra_figure(curves, title="Mean radial log spectrum", normalise=self.normalise)
        with written_beside(self.out / "spectrum.png") as partial:
            save_figure(figure, partial)
        tell(f"{self.out / 'spectrum.png'} and {self.out / 'spectrum.csv'}")
