"""The generator made to answer for its spectrum (Durall et al., CVPR 2020).

The paper and its released code are two methods, see `gan_forensics.spectra.spectral_loss`. With
L_G the generator's adversarial loss and l the distance between the curves of generated and real
images, the generator minimises

    released         L_G (1 + lambda l)   l is a constant: a longer step, the same way
    differentiable   L_G + lambda l       the gradient flows through the spectrum
"""

from typing import Literal

import flax.linen as nn
import jax

from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.turn import DISCRIMINATOR, GENERATOR, forward
from gan_forensics.spectra import spectral_loss
from gan_forensics.train import Aux, Update

Mode = Literal["released", "differentiable"]


def spectrally_regularised(
    updates: tuple[Update, ...],
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    loss: AdversarialLoss,
    weight: float,
    mode: Mode,
) -> tuple[Update, ...]:
    """A game of `adversarial_updates` whose generator is charged for its spectrum as well.

    The noise and the networks' passes are those of the plain game: weight 0 is the plain game.

    Args:
        updates: the plain game; its update "generator" is replaced.
        generator: its generator.
        discriminator: its discriminator.
        loss: its adversarial loss.
        weight: lambda; the released default is 1e-5.
        mode: "released" or "differentiable".

    Returns:
        The game; the generator's new metric "spectral" is l.

    Raises:
        ValueError: when the game has no update "generator"; for an unknown mode, when traced.
    """
    if GENERATOR not in [update.name for update in updates]:
        names = [update.name for update in updates]
        raise ValueError(f"the game has no update {GENERATOR!r} to regularise, only {names}")

    def generator_loss(trainable, frozen, stats, batch, key, step):
        real = batch["image"]
        z = jax.random.normal(key, (real.shape[0], generator.latent))
        fake, generator_stats = forward(generator, trainable[GENERATOR], stats[GENERATOR], z)
        logits, discriminator_stats = forward(
            discriminator, frozen[DISCRIMINATOR], stats[DISCRIMINATOR], fake
        )
        moved = {GENERATOR: generator_stats, DISCRIMINATOR: discriminator_stats}
        adversarial = loss.generator(logits)
        spectral = spectral_loss(fake, real, mode=mode)
        if mode == "released":
            total = adversarial * (1 + weight * spectral)
        else:
            total = adversarial + weight * spectral
        return total, Aux(moved, {"spectral": spectral})

    return tuple(
        update._replace(loss=generator_loss) if update.name == GENERATOR else update
        for update in updates
    )
