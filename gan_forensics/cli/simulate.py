"""`gan-forensics simulate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import open_source, progress, tell_next
from gan_forensics.files import say, tell


@dataclass(frozen=True)
class Simulate:
    """Copy real images through the up-sampling of a GAN, to train a detector where no GAN is known.

    AutoGAN's simulator (Zhang et al., WIFS 2019): a network learns to give back the images that it
    is shown, so that its copies differ by what up-sampling leaves in them, and by what it has not
    learnt. Train until copies look like the images: a detector takes to the easiest difference.

    Try it:

    $ gan-forensics simulate photographs --size 128 --out copies

    $ gan-forensics train detector --real photographs --fake copies --arch autogan --size 128
    """

    real: Positional[str]
    """Source of real images: a folder, or any other source."""
    size: int | None = None
    """Centre-crop and resize all images to this side, a multiple of 4."""
    steps: int = 5000
    """Of training; published are 200 epochs."""
    width: int = 64
    """Channels of the first maps."""
    blocks: int = 9
    """Residual blocks of the generator."""
    upsampling: Literal["transposed", "nearest"] = "transposed"
    """Of the generator."""
    batch_size: int = 8
    """Images a step."""
    learning_rate: float = 2e-4
    """In the first half of training; then it falls to 0."""
    seed: int = 0
    """Of the networks and the order."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    out: Path = Path("copies")
    """Folder for a PNG of each image, numbered in the order of the source."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data import chunks, save_png
        from gan_forensics.files import check_folder_out
        from gan_forensics.gans.autogan import AT_ONCE, SimulatorConfig, train_simulator

        check_folder_out(self.out)
        at_least(0, seed=self.seed)
        at_least(1, size=self.size)
        config = SimulatorConfig(
            steps=self.steps,
            width=self.width,
            blocks=self.blocks,
            upsampling=self.upsampling,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=self.seed,
        )
        source = open_source(self.real, size=self.size, follow_links=self.follow_links)
        simulator = train_simulator(source, config)
        difference, count = 0.0, 0
        for part in chunks(source, AT_ONCE, progress=progress):
            images = part["image"]
            for image, copy in zip(images, simulator(images), strict=True):
                save_png(self.out / f"{count:06d}.png", copy)
                difference += abs(image.astype(float) - copy).mean()
                count += 1
        say(f"copies differ from their images by {difference / count:.1f} levels in the mean")
        tell(f"{count} copies in {self.out}")
        tell_next("train", "detector", "--real", self.real, "--fake", self.out)
