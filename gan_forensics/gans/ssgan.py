"""SSGAN: the discriminator also tells which way up an image is (Chen et al., CVPR 2019)."""

from typing import Unpack

from flax import linen as nn

from gan_forensics.gans.adversarial import Recipe
from gan_forensics.gans.rotation import rotation_task
from gan_forensics.gans.sngan import sngan
from gan_forensics.train import Update


def ssgan(
    generator: nn.Module, discriminator: nn.Module, **recipe: Unpack[Recipe]
) -> tuple[Update, ...]:
    """SNGAN with the rotation task: weight 1 for the discriminator, 0.2 for the generator.

    The discriminator needs a rotation head (`rotations=4`).
    """
    return sngan(generator, discriminator, tasks=(rotation_task(),), **recipe)
