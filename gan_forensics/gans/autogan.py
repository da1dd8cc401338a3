"""AutoGAN's simulator: copies of real images with the traces that a GAN's up-sampling leaves.

Zhang, Karaman and Chang (WIFS 2019). The generator learns to give back the image that it is shown,
and the discriminator that copies look real; a detector that is trained on images against their
copies needs no GAN. With LSGAN's losses,

    L_D = mean (D(x) - 1)^2 + mean D(G(x))^2,    L_G = mean (D(G(x)) - 1)^2 + 0.5 mean |G(x) - x|,

Adam with rate 2e-4 and beta1 0.5, batches of 8, the rate falling linearly to 0 in the second half.
One thing differs from the publication: the discriminator sees the copies of this step, not of a
pool of the last 50.
"""

import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree, UInt8

from gan_forensics.data import Source, as_images, to_float, to_uint8
from gan_forensics.gans.filled_batches import filled_batches
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.optimizers import adam, half_linear_decay
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR
from gan_forensics.nn.autogan import Generator, PatchDiscriminator, Upsampling
from gan_forensics.nn.initial import initial_variables
from gan_forensics.runtime import jit, random_key
from gan_forensics.train import Aux, Cadence, Learner, Update, fit, process_batches

KIND = "simulator"
LOSS = LOSSES["least_squares"]
AT_ONCE = 16


@dataclass(frozen=True)
class SimulatorConfig:
    """What training a simulator computes, beside its images.

    Attributes:
        steps: of training; the published 200 epochs.
        width: of the first maps of both networks.
        blocks: residual blocks of the generator.
        layers: of stride 2 of the discriminator; three need sides of 24 pixels.
        upsampling: of the generator: transposed or nearest.
        copying: weight of the mean absolute difference of copy and image.
        batch_size: images a step.
        learning_rate: of both Adams, in the first half.
        seed: of the networks and the order.

    Raises:
        ValueError: for numbers that are not positive.
    """

    steps: int
    width: int = 64
    blocks: int = 9
    layers: int = 3
    upsampling: Upsampling = "transposed"
    copying: float = 0.5
    batch_size: int = 8
    learning_rate: float = 2e-4
    seed: int = 0

    def __post_init__(self):
        for name in ("steps", "width", "blocks", "layers", "batch_size", "learning_rate"):
            if not (value := getattr(self, name)) > 0:
                raise ValueError(f"{name} must be positive, got {value}")
        if self.copying < 0:
            raise ValueError(f"copying must be 0 or more, got {self.copying}")


@dataclass(frozen=True, eq=False)
class Simulator:
    """A trained generator of copies."""

    config: SimulatorConfig
    channels: int
    params: PyTree

    def __call__(self, images: Any) -> UInt8[np.ndarray, "n h w c"]:
        """Copies of images (`gan_forensics.data.as_images`) of any sides that 4 divides.

        Raises:
            ValueError: for other pixels, channels or sides.
        """
        images = as_images(images)
        if images.shape[-1] != self.channels:
            raise ValueError(f"the simulator copies images of {self.channels} channels")
        copied, made = _copied(networks(self.config, self.channels)[0]), np.empty_like(images)  # pyright: ignore[reportArgumentType]
        for rows, some in filled_batches(images, size=AT_ONCE):
            copies = to_uint8(np.asarray(copied(self.params, to_float(some))), range=(-1, 1))
            made[rows] = copies[: len(made[rows])]
        return made


def networks(config: SimulatorConfig, channels: int) -> tuple[Generator, PatchDiscriminator]:
    """The two players."""
    generator = Generator(config.width, config.blocks, config.upsampling, channels)
    return generator, PatchDiscriminator(config.width, config.layers)


def simulator_learner(config: SimulatorConfig, shape: tuple[int, int, int]) -> Learner:
    """The generator's move and the discriminator's, on images [h, w, c] of one shape.

    Raises:
        ValueError: for images that are too small for the networks.
    """
    generator, discriminator = networks(config, shape[-1])

    def copies(params: PyTree, batch: Any) -> Any:
        return generator.apply({"params": params}, batch["image"], train=True)

    def judged(params: PyTree, images: Any) -> Any:
        return discriminator.apply({"params": params}, images, train=True)

    def of_generator(trainable, frozen, stats, batch, key, step):
        made = copies(trainable[GENERATOR], batch)
        difference = jnp.abs(made - batch["image"]).mean()
        value = LOSS.generator(judged(frozen[DISCRIMINATOR], made)) + config.copying * difference
        return value, Aux({}, {"difference": difference})

    def of_discriminator(trainable, frozen, stats, batch, key, step):
        made = jax.lax.stop_gradient(copies(frozen[GENERATOR], batch))
        real, fake = (judged(trainable[DISCRIMINATOR], x) for x in (batch["image"], made))
        return LOSS.discriminator(real, fake), Aux({}, {})

    def init(seed: int):
        x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        keys = jax.random.split(random_key(seed))
        players = zip((GENERATOR, DISCRIMINATOR), (generator, discriminator), keys, strict=True)
        return {
            name: initial_variables(network, key, x, train=False)["params"]
            for name, network, key in players
        }, {}

    # Twice the rate of which half is the most: constant in the first half, then linear.
    rate = half_linear_decay(2 * config.learning_rate, config.steps)
    updates = (
        Update(GENERATOR, (GENERATOR,), of_generator, adam(rate)),
        Update(DISCRIMINATOR, (DISCRIMINATOR,), of_discriminator, adam(rate)),
    )
    return Learner(KIND, {**asdict(config), "shape": list(shape)}, updates, init)


def train_simulator(
    real: Source, config: SimulatorConfig, run: Path | None = None, **options: Any
) -> Simulator:
    """Train a simulator on real images of one shape.

    Args:
        real: the images.
        config: how.
        run: the run folder; None for a temporary one.
        options: for `gan_forensics.train.fit`, such as `resume` and `facts`.

    Raises:
        ValueError: for images that do not fit the networks, and fewer than a batch.
    """
    shape = real[0]["image"].shape
    learner = simulator_learner(config, shape)
    jax.eval_shape(lambda: learner.start(config.seed))  # refuses images before there is a folder
    batches = process_batches(real, batch_size=config.batch_size, seed=config.seed, flip=True)
    cadence = Cadence(config.steps, log_every=max(1, min(50, config.steps // 2)), keep=1)
    with closing(batches), tempfile.TemporaryDirectory(prefix="simulator_") as temporary:
        state = fit(
            learner,
            batches,
            run=run or Path(temporary),
            cadence=cadence,
            seed=config.seed,
            **options,
        )
    return Simulator(config, shape[-1], jax.tree.map(np.asarray, state.params[GENERATOR]))


@lru_cache(maxsize=8)
def _copied(generator: Generator) -> Callable:
    return jit(lambda params, x: generator.apply({"params": params}, x, train=False))
