"""`gan-forensics translate`."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import failure, open_source, progress
from gan_forensics.files import file_stem, listed, natural_order, say, tell

if TYPE_CHECKING:
    import numpy as np

    from gan_forensics.data import Source
    from gan_forensics.gans import StarGanConfig

# Rows of the grid.
_ROWS = 16


@dataclass(frozen=True)
class Translate:
    """Translate images between the domains of a trained StarGAN.

    What --to does not name stays as it is; what an image is now, the run's discriminator tells. The
    size of images and the names of domains are the run's.

    Try it:

    $ gan-forensics translate runs/stargan-BASELINE-128 faces --to Blond_Hair

    $ gan-forensics translate runs/stargan-BASELINE-128 face.jpg --to Blond_Hair Black_Hair,Male=0

    $ gan-forensics translate runs/stargan-BASELINE-32 toy:domains --split test
    """

    run: Positional[Path]
    """A run folder of `train stargan`."""
    images: Positional[str]
    """A folder of images, one image, or any other source."""
    to: tuple[str, ...] = ()
    """One or more targets, each a name or several joined by commas; NAME=0 takes it away. By
    default those of the paper: each exclusive attribute, and the opposite of every other."""
    most: int = 64
    """Images to translate, the first ones by name."""
    split: Literal["train", "test", "all"] = "all"
    """Which part of a source."""
    follow_links: bool = False
    """Follow links that leave the folder."""
    out: Path = Path("translations")
    """Folder for grid.png, and for each target a folder of single images."""

    def __call__(self) -> None:
        """Run it."""
        import numpy as np

        from gan_forensics.data import image_grid, save_png
        from gan_forensics.files import check_folder_out
        from gan_forensics.gans import load_stargan, target_labels, translate
        from gan_forensics.gans.stargan_targets import asked_of, changed, told_labels

        at_least(1, most=self.most)
        check_folder_out(self.out)
        gan, state = load_stargan(self.run)
        names, exclusive = gan.config.attributes, gan.config.exclusive or ()
        asked = {target: asked_of(target, names, exclusive) for target in self.to}
        source = self._opened(gan.config)
        stems, images = self._read(source, gan.config.channels)
        labels = told_labels(gan, state, images)
        told = ", ".join(
            f"{int(count)} {name}" for name, count in zip(names, labels.sum(0), strict=True)
        )
        say(f"{self.images}: {len(images)} images, of which the run's discriminator calls {told}")
        if asked:
            targets = {name: changed(labels, wish, names) for name, wish in asked.items()}
        else:
            columns = [name if name in exclusive else f"{name}-turned" for name in names]
            targets = dict(zip(columns, target_labels(labels, names, exclusive), strict=True))
        made = {
            name: translate(gan, state, images, wanted)
            for name, wanted in progress(targets.items())
        }
        for name, translated in made.items():
            for stem, image in zip(stems, translated, strict=True):
                save_png(self.out / _file_name(name) / f"{stem}.png", image)
        rows = np.stack([images, *made.values()], axis=1)[:_ROWS]
        grid = image_grid(rows.reshape(-1, *images.shape[1:]), rows.shape[1])
        save_png(self.out / "grid.png", grid)
        tell(
            f"{len(images)} images, each in {len(made)} domain{'s' * (len(made) > 1)}, in "
            f"{self.out}; columns of "
            f"grid.png: the image, {listed(made)}"
        )

    def _opened(self, config: "StarGanConfig") -> "Source":
        """The images at the size and with the channels of the run; says what is done to them."""
        from gan_forensics.data import FileSource, Rgb, account
        from gan_forensics.files import shown

        path = Path(self.images)
        if path.is_file():
            source = FileSource([path], size=config.size)
            if line := account.fitted(source, config.size):
                say(f"{shown(path)}: {line}")
        elif ":" not in self.images and not path.exists():
            raise FileNotFoundError(f"{shown(path)}: no such file or folder; check the path")
        else:
            source = open_source(
                self.images, size=config.size, split=self.split, follow_links=self.follow_links
            )
        return Rgb(source) if config.channels == 3 else source

    def _read(self, source: "Source", channels: int | None) -> "tuple[list[str], np.ndarray]":
        """The images that can be read, and names for their translations."""
        import numpy as np

        from gan_forensics.data.sources import describe

        count = min(self.most, len(source))
        if count < len(source):
            say(f"{count} of {len(source)} images, the first ones (--most)")
        names, images, errors = [], [], []
        rows = list(range(len(source)))
        if getattr(getattr(source, "source", source), "root", None):  # A list has an order.
            rows.sort(key=lambda row: natural_order(describe(source, row)))
        for index in rows[:count]:
            try:
                images.append(source[index]["image"])
            except Exception as error:  # The others have nothing to do with it.
                errors.append(failure(Path(describe(source, index)), error))
                continue
            name = describe(source, index)
            stem = file_stem(Path(name).stem) if Path(name).is_file() else ""
            names.append((f"{index:06d}", stem))
        if not images:
            raise ValueError(f"none of {count} images can be translated: {errors[0]}")
        if errors:
            say(f"{len(errors)} images left out: {errors[0]}{', ...' * (len(errors) > 1)}")
        if images[0].shape[-1] != channels:
            raise ValueError(
                f"{self.images} is in colour, and the run's images are gray: convert it"
            )
        often = Counter(stem for _, stem in names)
        unique = [
            stem if often[stem] == 1 else "-".join(filter(None, (number, stem)))
            for number, stem in names
        ]
        return unique, np.stack(images)


def _file_name(target: str) -> str:
    """A target as the name of a folder."""
    return file_stem(re.sub(r"[^\w=.,+-]", "_", target))
