"""The recipe that the residual GANs of Lee and Town share (mimicry, arXiv 2005.02494)."""

from collections.abc import Sequence

from flax import linen as nn

from gan_forensics.gans.adversarial import adversarial, adversarial_updates
from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.turn import Task
from gan_forensics.train import Update


def residual_updates(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    loss: AdversarialLoss,
    tasks: Sequence[Task] = (),
    learning_rate: float = 2e-4,
    n_dis: int = 5,
    decay_steps: int = 0,
) -> tuple[Update, ...]:
    """A game in which the discriminator moves n_dis times, then the generator once.

    Adam with beta1 0 and beta2 0.9 for both, each discriminator move on fresh images; networks as
    in `gan_forensics.nn.resgan`.

    Args:
        generator: from noise (and labels, if it has classes) to images.
        discriminator: from images (and labels) to a logit and features.
        loss: who pays what for which logit.
        tasks: further tasks, for instance `infomax_task` or `rotation_task`.
        learning_rate: of both players.
        n_dis: the discriminator's moves a step.
        decay_steps: the rate falls linearly to 0 over so many steps; 0 for a constant rate.
    """
    return adversarial_updates(
        generator,
        discriminator,
        (adversarial(loss), *tasks),
        learning_rate=learning_rate,
        betas=(0.0, 0.9),
        n_dis=n_dis,
        decay_steps=decay_steps,
        first="discriminator",
    )
