"""`gan-forensics attribute verify`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import Positional

from gan_forensics.cli.attribute_score import scored
from gan_forensics.cli.process import list_images, listed_members
from gan_forensics.files import say, tell

if TYPE_CHECKING:
    import numpy as np

    from gan_forensics.forensics.attribution import Attributor


@dataclass(frozen=True)
class AttributeVerify:
    """Say whether two images, or two folders of them, come from one generator.

    "One generator" is said where at most 5 % of pairs of different sources are as similar, and more
    than 5 % of pairs of one source are as unlike; "different" the other way round; "not clear"
    where both or neither hold. The rates are those of held-out images of the sources that the model
    knows, in sets as large as these: about a quarter as many images as it kept of a source, at
    most. A folder is taken for images of one generator, whatever it holds.

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
    """Follow links, and paths of lists, that leave their folder."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.forensics.attribution_files import load_attributor
        from gan_forensics.forensics.verification import Verifier

        model = load_attributor(self.model)
        if self.first.resolve() == self.second.resolve():
            raise ValueError(f"{self.first} is compared with itself: give two images or folders")
        verifier = Verifier(model.gallery.features, model.gallery_labels)
        sets = [self._features(model, path, verifier.largest) for path in (self.first, self.second)]
        found = verifier.compare(*sets)
        words = {
            "same": "one generator", "different": "different generators", "unsure": "not clear"
        }  # fmt: skip
        tell(
            f"{words[found.verdict]}: similarity {found.similarity:.3f}, probability "
            f"{found.probability:.2f} of one generator (were it as likely as not before)"
        )
        tell(
            f"of pairs of different known sources {found.false_match:.1%} are as similar or more "
            f'(so often would "one generator" be wrong), of pairs of one source '
            f"{found.false_non_match:.1%} as similar or less; 5 % are allowed"
        )

    def _features(self, model: "Attributor", path: Path, most: int) -> "np.ndarray":
        import numpy as np

        from gan_forensics.data import Listing

        paths = list_images(path, follow_links=self.follow_links).images
        if len(paths) > most:
            chosen = np.random.default_rng(0).permutation(len(paths))[:most]
            paths = [paths[i] for i in sorted(chosen)]
            say(f"{path}: {most} images drawn at random, as many as the model's gallery can judge")
        parts, errors = [], []
        members = listed_members([Listing(paths, {})])
        for _, found, _ in scored(model, members):
            if isinstance(found, str):
                errors.append(found)
            else:
                parts.append(found[1].features)
        if errors:
            say(f"{path}: {len(errors)} images left out; first: {errors[0]}")
        if not parts:
            raise ValueError(f"{path}: no image that can be compared")
        return np.concatenate(parts)
