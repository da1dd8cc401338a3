"""The generator made to answer for its spectrum (Durall et al., CVPR 2020).

The paper and its released code are two methods, see `gan_forensics.spectra.spectral_loss`. With
L_G the generator's adversarial loss and l the distance between the curves of generated and real
images, the generator minimises

    released         L_G (1 + lambda l)   l is a constant: a longer step, the same way
    differentiable   L_G + lambda l       the gradient flows through the spectrum
"""

from typing import Literal

from gan_forensics.gans.context import Context
from gan_forensics.gans.losses import AdversarialLoss
from gan_forensics.gans.task import Loss, Task, Weight
from gan_forensics.spectra import spectral_loss

Mode = Literal["released", "differentiable"]


def spectral_task(loss: AdversarialLoss, *, weight: Weight, mode: Mode) -> Task:
    """A term of the generator's for its spectrum, on top of any GAN of images.

    Reports "spectral", l without its weight.

    Args:
        loss: the game's adversarial loss, whose L_G the released mode weighs.
        weight: lambda; the released default is 1e-5.
        mode: "released" or "differentiable".

    Raises:
        ValueError: for an unknown mode, when traced.

    Example:
        >>> from gan_forensics.gans import LOSSES, spectral_task
        >>> spectral_task(LOSSES["ns"], weight=1e-5, mode="released")
        Task(generator: spectral_task)
    """

    def generator(context: Context) -> Loss:
        spectral = spectral_loss(context.images("fake"), context.images("real"), mode=mode)
        value = context.weigh(weight) * spectral
        if mode == "released":
            value = value * loss.generator(context.fake["logits"])
        return Loss(value, {"spectral": spectral})

    return Task(generator=(generator,))
