"""What a GAN is made from: the config that run folders keep and the command line is made of."""

from dataclasses import dataclass
from typing import Literal

from gan_forensics.gans.game import Schedule
from gan_forensics.gans.optimizers import Rate
from gan_forensics.runtime import Precision

Architecture = Literal[
    "dcgan", "resgan", "sngan", "resnet", "stacked", "perceptron", "small-perceptron"
]
Augmentation = Literal["none", "classical", "diffaugment", "ada", "cr", "bcr", "dag"]
POINTS: tuple[Architecture, ...] = ("perceptron", "small-perceptron")


@dataclass(frozen=True)
class GanConfig:
    """Everything that decides what a training run computes.

    Attributes:
        method: a key of `METHODS`.
        data: a source: folder:PATH (or just a path), list:FILE.csv, idx:PATH, npz:FILE.npz,
            tfds:NAME, samples:photos|digits|mnist5k|lfw, stacked:SOURCE, toy:powerlaw; or points:
            toy:line|grid9|grid25|plus|sine, or an npz file with `point` [n, d].
        size: side of the images: for strided networks a power of two from 16, for residual ones
            32, 48, 64 or 128; of dist-gan and gn-gan dcgan has 28, 32 and 64, sngan and resnet 32
            and 48, stacked 28.
        tail: the last upsampling of a strided generator: BASELINE (transposed convolution),
            {N,Z,B}.1.{3,5,7} or {N,Z,B}.3.5 for nearest, zero insertion, bilinear, then that many
            convolutions of that kernel; A.1.5 and K.1.5 for a binomial or Kaiser filter.
        width: of strided networks, channels of the maps at full and half size, by default 32; of
            dist-gan and gn-gan the narrowest map, of perceptrons the hidden layers, by default as
            published.
        latent: length of the noise; by default the method's own: 128 for most, for points as many
            numbers as these have.
        prior: law of the noise; by default the method's own: normal for most, uniform in [-1, 1)
            for dist-gan, gn-gan and points of two numbers or more.
        channels: of the images, 3 or 1; by default those of the data: files have 1 where all are
            gray (of a GAN without data, 3).
        batch_size: images a minibatch, over all processes.
        learning_rate: of both players; by default the method's own. In Python it may be a schedule
            of the step, in the place of `schedule`.
        discriminator_learning_rate: of the discriminator, where it differs.
        flip: whether to mirror half of the images.
        seed: of initialisation, data order and noise.
        architecture: strided (dcgan) or residual (resgan) networks; by default the method's own,
            and residual ones at size 48. "resgan" makes of dcgan and wgan-gp the residual GANs of
            mimicry, with its recipe. dist-gan and gn-gan have a dcgan of their own, sngan (the
            convolutions of SN-GAN, by default at size 48), resnet, and stacked, for
            stacked:SOURCE at size 28. Points have a perceptron, on a line a small-perceptron.
        generator_width: of a residual generator, channels of its first map; by default as
            published for the size.
        discriminator_width: of a residual discriminator, its features; by default as published.
        classes: of a conditional method; by default as many as the data have.
        n_dis: the discriminator's moves a step, each on fresh images; by default the method's own.
        schedule: of the learning rates: none (constant), linear (to 0), half-linear (half of the
            rate, from half of the run on linearly to 0), staircase (times 0.9 every 10,000 moves);
            by default the method's own.
        decay_steps: steps until the rate is 0; those in which losses of dist-gan and gn-gan on
            images change over the run; by default those of the run.
        average: decay a of a moving average of the generator, which images are then drawn with, by
            statistics of its own: the mean over about the last 1 / (1 - a) steps, 1,000 at .999,
            10,000 at .9999; before as many steps it holds the first ones too. By default none.
        precision: float32 products; tf32, products of factors rounded to 10 bits; bfloat16,
            activations of 7 bits (parameters, statistics and losses stay float32). By default the
            backend's own: float32 on CPUs, tf32 on recent GPUs, products of bfloat16 on TPUs.
        split: which images of the data train: train, or all, with those that are otherwise held
            out for measuring (about a quarter of a folder, or its test/); by default train.
        bundle: of dist-gan and gn-gan: corrected, the idea of the paper, or released, what the
            authors' code does where it differs; by default corrected.
        dimensions: of points, how many numbers each has; by default as the data.
        base: of a self-supervised method, the GAN that it goes on top of: any other method, such as
            sngan (the default), dcgan, dist-gan or r3gan.
        augment: what images go through before the discriminator: none; classical (real images
            alone, which moves the target); diffaugment (colour, translation and cutout of all);
            ada (with a probability that adapts); cr and bcr (equal logits for mirrored and shifted
            images); dag (a head for every transform, with transformed pairs; it keeps the target
            for transforms that can be undone, with no guarantee for others).
        transforms: of classical and dag: rotation, flip, fliprot, fliprot-tf, shift (circular),
            which can be undone, and with no guarantee crop (as released: crop-nearest, crop-align,
            crop-biggan), translation, random-translation, cutout, colour, such as rotation,crop; of
            diffaugment some of colour, translation, cutout. By default
            flip (classical), rotation (dag), all three.
        dag_weight: of DAG's term, by default 0.2.
        dag_normalisation: of DAG's sum: non_identity (the default), module or shared_identity.
        ada_kimg: thousands of real images in which ADA's probability may go from 0 to 1, by default
            500, too slow for a short run.
        task_discriminator_weight: of self-supervision in the discriminator's loss, by default 1, on
            dist-gan as released.
        task_generator_weight: in the generator's, by default 0.2 (ssgan, ms-gan; ssgan on dist-gan
            0, as released), 0.1 (ss-adversarial).
        label_augmented_loss: of ssgan-la: cross-entropy (the default) or multi-hinge.
        gamma: of r3gan, weight of both penalties, by default 1.
        norm: of a strided discriminator: batch, layer, instance or none; by default the method's.
        point_scale: m, where networks see points x as (x / m + 1) / 2; by default that of the toy
            world, or the largest number of the data, for points of two numbers or more.
        label_names: of a conditional method, what the labels 0, 1, ... stand for; filled in from
            the data, where they say so.

    Example:
        >>> config = GanConfig("sngan", size=32, batch_size=16)
        >>> config.shape, config.flip
        ((32, 32, 3), False)
    """

    method: str = "dcgan"
    data: str = "samples:photos"
    size: int = 64
    tail: str = "BASELINE"
    width: int | None = None
    latent: int | None = None
    prior: Literal["normal", "uniform"] | None = None
    channels: Literal[1, 3] | None = None
    batch_size: int = 64
    learning_rate: Rate | None = None
    discriminator_learning_rate: Rate | None = None
    flip: bool = False
    seed: int = 2021
    architecture: Architecture | None = None
    generator_width: int | None = None
    discriminator_width: int | None = None
    classes: int | None = None
    n_dis: int | None = None
    schedule: Schedule | None = None
    decay_steps: int | None = None
    average: float | None = None
    precision: Precision | None = None
    split: Literal["train", "all"] | None = None
    bundle: Literal["released", "corrected"] | None = None
    base: str | None = None
    augment: Augmentation | None = None
    transforms: str | None = None
    dag_weight: float | None = None
    dag_normalisation: Literal["non_identity", "module", "shared_identity"] | None = None
    ada_kimg: float | None = None
    task_discriminator_weight: float | None = None
    task_generator_weight: float | None = None
    label_augmented_loss: Literal["cross-entropy", "multi-hinge"] | None = None
    gamma: float | None = None
    norm: Literal["batch", "layer", "instance", "none"] | None = None
    dimensions: int | None = None
    point_scale: float | None = None
    label_names: tuple[str, ...] | None = None

    def __post_init__(self):
        if self.label_names is not None:  # JSON brings lists back.
            object.__setattr__(self, "label_names", tuple(self.label_names))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        if self.architecture in POINTS:
            return (self.dimensions or 1,)
        return (self.size, self.size, self.channels or 3)


@dataclass(frozen=True)
class OwnConfig:
    """What a GAN of `make_gan` is made from: its arguments, with networks and terms in words.

    Attributes:
        generator: its class and its fields.
        discriminator: likewise.
        terms: of the players, by name, in the order of the tasks.

    Example:
        >>> import flax.linen as nn
        >>> from gan_forensics.gans import make_gan
        >>> class MyG(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, z):
        ...         return nn.tanh(nn.Dense(16)(z)).reshape(-1, 4, 4, 1)
        >>> class MyD(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         return nn.Dense(1)(x.reshape(len(x), -1))
        >>> config = make_gan(MyG(), MyD(), size=4, channels=1, latent=2).config
        >>> config.generator, config.terms["generator"], config.learning_rate
        ('MyG()', ('adversarial',), 0.0002)
    """

    generator: str
    discriminator: str
    terms: dict[str, tuple[str, ...]]
    size: int
    channels: int
    latent: int
    prior: Literal["normal", "uniform"]
    range: tuple[float, float]
    classes: int | None
    label_names: tuple[str, ...] | None
    batch_size: int
    learning_rate: Rate
    discriminator_learning_rate: Rate
    betas: tuple[float, float]
    n_dis: int
    schedule: Schedule
    decay_steps: int | None
    first: Literal["generator", "discriminator"]
    average: float | None
    precision: Precision | None
    flip: bool
    seed: int
    method: str = "own"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one example."""
        return (self.size, self.size, self.channels)
