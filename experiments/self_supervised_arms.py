"""The arms of the self-supervision experiment: GANs that differ in one task, loss or norm."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from gan_forensics.experiments.small_networks import SIDE, TinyDiscriminator, TinyGenerator
from gan_forensics.gans import Gan, GanConfig, build
from gan_forensics.gans.methods import method_of


class Arm(NamedTuple):
    """One GAN.

    Attributes:
        loss: adversarial, for tables.
        norm: of the discriminator, for tables.
        task: what stands beside the loss, for tables.
        config: fields of its `GanConfig`.
    """

    loss: str
    norm: str
    task: str
    config: Mapping[str, Any]


def _task(method: str, task: str, generator_weight: float = 0.2) -> Arm:
    """Self-supervision beside the plain GAN's loss, of weight 1 for the discriminator."""
    weights = {"task_discriminator_weight": 1.0, "task_generator_weight": generator_weight}
    config = {"method": method, "base": "dcgan", **weights}
    return Arm("non-saturating", "none", task, config)


# The arms on which claims are made, by what they are called in tables.
GAN, SS, MS, MATCHING = "GAN", "SSGAN", "MS-GAN", "adversarial SS"
SS_D, LA, LA_PLUS = "SSGAN, D only", "SSGAN-LA", "SSGAN-LA+"
MULTI, DAG, SNGAN, R3GAN = "multi-head DA", "DAG", "SNGAN", "R3GAN"
SPECTRAL = "spectral"
DIGITS = {
    GAN: Arm("non-saturating", "none", "none", {"method": "dcgan"}),
    SS: _task("ssgan", "which rotation, both players"),
    SS_D: _task("ssgan", "which rotation, D alone", 0.0),
    MS: _task("ms-gan", "which rotation or fake, log-ratio"),
    MATCHING: _task("ss-adversarial", "which rotation or fake, matched"),
    LA: Arm(
        "none",
        "none",
        "which rotation of real or fake, in the loss's place",
        {"method": "ssgan-la", "base": "dcgan"},
    ),
    LA_PLUS: _task("ssgan-la-plus", "which rotation of real or fake"),
    MULTI: Arm(
        "non-saturating",
        "none",
        "a head for each rotation, in the main one's place",
        {"method": "multi-head-da", "base": "dcgan"},
    ),
    DAG: Arm(
        "non-saturating",
        "none",
        "a head for each rotation beside the main one",
        {"method": "dcgan", "augment": "dag", "transforms": "rotation"},
    ),
    SNGAN: Arm("hinge", SPECTRAL, "none", {"method": "sngan"}),
    R3GAN: Arm("relativistic, R1 and R2", "none", "none", {"method": "r3gan"}),
}
# R3GAN's penalty is chosen on a seed of its own.
GAMMAS = {
    f"{R3GAN}, gamma {gamma:g}": DIGITS[R3GAN]._replace(config={"method": "r3gan", "gamma": gamma})
    for gamma in (0.1, 1.0, 10.0)
}
DIST, DIST_MS, DIST_MATCHING = "Dist-GAN", "Dist-GAN + MS", "Dist-GAN + adversarial SS"
STACKED = {
    DIST: Arm("Dist-GAN", "none", "none", {"method": "dist-gan"}),
    DIST_MS: Arm("Dist-GAN", "none", DIGITS[MS].task, {"method": "ms-gan", "base": "dist-gan"}),
    DIST_MATCHING: Arm(
        "Dist-GAN",
        "none",
        f"{DIGITS[MATCHING].task}, as released",
        {"method": "ss-adversarial", "base": "dist-gan"},
    ),
    R3GAN: DIGITS[R3GAN],
}


def tiny_gan(
    arm: Arm,
    *,
    data: str,
    batch_size: int,
    learning_rate: float,
    discriminator_learning_rate: float,
    widths: tuple[int, int],
    latent: int = 32,
) -> Gan:
    """An arm on 8x8 images: networks, rates and moves are those of all arms.

    Args:
        arm: of `DIGITS` or `GAMMAS`.
        data: source of the images.
        batch_size: images a minibatch.
        learning_rate: of the generator; both Adams have betas 0.5 and 0.999.
        discriminator_learning_rate: of the discriminator.
        widths: of the discriminator's maps.
        latent: length of the noise.
    """
    config = GanConfig(
        data=data,
        size=SIDE,
        channels=3,
        batch_size=batch_size,
        latent=latent,
        learning_rate=learning_rate,
        discriminator_learning_rate=discriminator_learning_rate,
        **arm.config,
    )
    game = method_of(config).game(
        TinyGenerator(latent),
        TinyDiscriminator(widths, spectral_norm=arm.norm == SPECTRAL),
        config=config,
        learning_rate=learning_rate,
        discriminator_learning_rate=discriminator_learning_rate,
        betas=(0.5, 0.999),
        n_dis=1,
        schedule="none",
        first="generator",
        own_minibatches=method_of(config).recipe.own_minibatches,
    )
    return Gan(config, game)


def stacked_gan(arm: Arm, *, data: str, batch_size: int, divisor: int) -> Gan:
    """An arm of `STACKED` on stacks of 28x28, with the published networks.

    Args:
        arm: of `STACKED`.
        data: source of the stacks.
        batch_size: images a minibatch.
        divisor: of the discriminator's widths: 4 is K/4, 2 is K/2.
    """
    return build(
        GanConfig(
            data=data,
            size=28,
            architecture="stacked",
            discriminator_width=8 // divisor,
            batch_size=batch_size,
            **arm.config,
        )
    )


@dataclass(frozen=True)
class Digits:
    """Arms on 8x8 stacks.

    Attributes:
        arms: of `DIGITS` or `GAMMAS`.
        seeds: of every arm.
        steps: of training.
        every: steps between looks.
        batch_size: stacks a minibatch.
        learning_rate: of the generator.
        discriminator_learning_rate: of the discriminator. At equal rates the plain GAN stays at 2
            to 10 modes (seed 100, four rates); at these three extra seeds (100 to 102) show 480 to
            569 after 2000 steps. So the ratio was chosen, by the plain GAN alone, for all arms.
        widths: of the discriminator's maps.
        data: source of single digits.
        images: measured at every look.
        classifier_steps: training of the judge.
    """

    arms: tuple[str, ...] = tuple(DIGITS)
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    steps: int = 2000
    every: int = 500
    batch_size: int = 64
    learning_rate: float = 1e-3
    discriminator_learning_rate: float = 4e-3
    widths: tuple[int, int] = (8, 16)
    data: str = "samples:digits"
    images: int = 10_000
    classifier_steps: int = 3000

    @property
    def size(self) -> int:
        """Of the images."""
        return SIDE

    def gan(self, arm: str) -> Gan:
        """An arm's GAN."""
        return tiny_gan(
            {**DIGITS, **GAMMAS}[arm],
            data=f"stacked:{self.data}",
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            discriminator_learning_rate=self.discriminator_learning_rate,
            widths=self.widths,
        )


@dataclass(frozen=True)
class Stacks:
    """Arms on 28x28 stacks with the published networks; fields as those of `Digits`, and

    Attributes:
        divisor: of the discriminator's widths, 4 for K/4.
    """

    arms: tuple[str, ...] = tuple(STACKED)
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 2000
    every: int = 500
    batch_size: int = 64
    divisor: int = 4
    data: str = "samples:mnist5k"
    images: int = 5000
    classifier_steps: int = 3000

    @property
    def size(self) -> int:
        """Of the images."""
        return 28

    def gan(self, arm: str) -> Gan:
        """An arm's GAN."""
        return stacked_gan(
            STACKED[arm],
            data=f"stacked:{self.data}",
            batch_size=self.batch_size,
            divisor=self.divisor,
        )
