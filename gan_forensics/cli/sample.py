"""`gan-forensics sample`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from gan_forensics.cli.checks import at_least
from gan_forensics.files import tell


@dataclass(frozen=True)
class Sample:
    """Draw images, or points, from a trained GAN.

    Try it:

    $ gan-forensics sample runs/dcgan-N.1.5-64 -n 64 --out samples

    $ gan-forensics sample runs/dcgan-N.1.5-64 -n 1000 --out samples --form png

    $ gan-forensics sample runs/sagan-32 --labels 0 1 2 --truncation 1.5

    $ gan-forensics sample runs/sagan-32 --class cat dog

    $ gan-forensics sample runs/sngan-32 --interpolate 8

    $ gan-forensics sample runs/gn-gan-grid9 -n 2000 --form npz
    """

    run: Positional[Path]
    """A run folder of `train`."""
    n: Annotated[int, arg(aliases=["-n"])] = 64
    """How many images; with --interpolate, of all rows together."""
    out: Path = Path("samples")
    """Folder to write to."""
    form: Literal["grid", "png", "npz"] = "grid"
    """One picture of all, a PNG file each, or one array `image` uint8 [n, h, w, c]. Points: the
    picture shows them, the array is `point` float32 [n, d]."""
    seed: int = 0
    """Image i depends on the seed, i and its class alone."""
    labels: Annotated[tuple[str, ...], arg(aliases=["--class"])] = ()
    """Classes of a conditional GAN, by name or else by number, taken in turn by the images (rows,
    with --interpolate); by default they are drawn."""
    truncation: float | None = None
    """Noise from the normal distribution cut off at this many standard deviations."""
    interpolate: int | None = None
    """This many rows of images, each on the way from one noise to another."""

    def __call__(self) -> None:
        """Run it."""
        import numpy as np

        from gan_forensics.data import image_grid, save_png
        from gan_forensics.files import check_folder_out, written_beside
        from gan_forensics.gans import generate, interpolate, load_gan
        from gan_forensics.report.figures import save_figure
        from gan_forensics.report.trajectories import sample_figure

        at_least(1, n=self.n)
        at_least(0, seed=self.seed)
        if self.truncation is not None and not self.truncation > 0:
            raise ValueError(f"--truncation {self.truncation:g}: it must be positive")
        if self.interpolate is not None and not 1 <= self.interpolate <= self.n // 2:
            raise ValueError(
                f"--interpolate {self.interpolate} with -n {self.n}: give 1 to {self.n // 2} rows, "
                "so that a row has two images or more"
            )
        if self.interpolate is not None and self.truncation is not None:
            raise ValueError("--truncation is for single images: leave it out with --interpolate")
        rows, columns = self.interpolate, None
        count = self.n if rows is None else rows
        if len(self.labels) > count:
            what = "images" if rows is None else "rows"
            raise ValueError(
                f"{len(self.labels)} --labels for {count} {what}: ask for a class each at most, "
                f"or for more {what}"
            )
        check_folder_out(self.out)
        gan, state = load_gan(self.run)
        key = gan.game.data
        if key == "point" and rows is not None:
            raise ValueError("--interpolate is for images, this GAN makes points: leave it out")
        if key == "point" and self.form == "png":
            raise ValueError(
                "--form png is for images, this GAN makes points: take grid, a picture of all, or "
                "npz"
            )
        labels = np.resize(self.labels, count) if self.labels else None
        if rows is None:
            chosen = {"labels": labels, "truncation": self.truncation}
            images = generate(gan, state, count, seed=self.seed, **chosen)
        else:
            columns = self.n // rows
            images = interpolate(gan, state, rows, columns, seed=self.seed, labels=labels)
        if self.form == "grid" and key == "point":
            with written_beside(self.out / "points.png") as partial:
                save_figure(sample_figure(images), partial)
        elif self.form == "grid":
            save_png(self.out / "grid.png", image_grid(images, columns))
        elif self.form == "npz":
            with written_beside(self.out / f"{key}s.npz") as partial:
                np.savez(partial, **{key: images})  # pyright: ignore[reportArgumentType]
        else:
            for i, image in enumerate(images):
                save_png(self.out / f"{i:06d}.png", image)
        tell(f"{len(images)} {key}s of step {int(state.step)} in {self.out}")
