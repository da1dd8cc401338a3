"""The training schedule of Chandrasegaran et al. (CVPR 2021), with the distance left open.

After every epoch 10,000 generated images are compared with 10,000 fixed training images; a distance
that has not fallen by more than 1.0 for more than one epoch multiplies both learning rates by
(1e-6 / rate)^(1 / epochs), not below 1e-6, and five epochs without such a fall end the run.

The published runs used the FID (2048 Inception features, which need downloaded weights) and drew
their images from the best of five kept checkpoints. Here the distance is an argument. Its default,
`pixel_frechet`, is NOT the FID and its values must not be compared with published ones. Images are
drawn from the best checkpoint, which is kept beside the five newest.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from gan_forensics.data import open_source, take
from gan_forensics.gans import Gan, GanConfig, build, generate, load_gan, train_gan
from gan_forensics.quality import fid
from gan_forensics.train import Cadence, Plateau, TrainState, minibatches_per_step

# The most epochs that each method is trained for.
EPOCHS = {"dcgan": 50, "lsgan": 50, "wgan-gp": 100}
LOWEST_RATE = 1e-6
POOLED = 8

Images = UInt8[np.ndarray, "n h w c"]
Distance = Callable[[Images, Images], float]


def pixel_frechet(real: Images, fake: Images) -> float:
    """Frechet distance of images averaged to 8x8 pixels, in percent of the real ones' variance.

    With means m and covariances C of the pooled pixels, |m_r - m_f|^2 + tr(C_r + C_f
    - 2 (C_r^1/2 C_f C_r^1/2)^1/2), divided by tr C_r. Equal sets have 0; images that all equal
    the real mean have 100. It sees layout and colour, and nothing of what is finer than an eighth
    of the image: no spectrum enters the schedule of an experiment on spectra.

    Args:
        real: uint8, at least two, with sides that are multiples of 8.
        fake: uint8 of the same shape but for the number, at least two.

    Raises:
        ValueError: when the real images do not vary, and for fewer than two of either.
    """
    real, fake = _pooled(real), _pooled(fake)
    variance = real.var(axis=0, ddof=1).sum()
    if variance <= 0:
        raise ValueError(f"{len(real)} real images are all alike: there is nothing to compare with")
    return float(100 * fid(real, fake).value / variance)


def _pooled(images: Images) -> np.ndarray:
    n, h, w, c = images.shape
    blocks = images.reshape(n, POOLED, h // POOLED, POOLED, w // POOLED, c)
    return blocks.mean(axis=(2, 4), dtype=np.float64).reshape(n, -1)


def plateau_rule(rate: float, epochs: int, *, threshold: float = 1.0) -> Plateau:
    """The rule for a learning rate and a length; `threshold` is in units of the distance."""
    return Plateau(
        "distance",
        factor=(LOWEST_RATE / rate) ** (1 / epochs),
        patience=1,
        threshold=threshold,
        floor=LOWEST_RATE,
        stop_after=5,
    )


def train_by_plateau(
    config: GanConfig,
    run: Path,
    *,
    steps: int = 0,
    distance: Distance = pixel_frechet,
    images: int = 10_000,
    threshold: float = 1.0,
) -> tuple[Gan, TrainState]:
    """Train a GAN by this schedule in a run folder, going on from what is there.

    Args:
        config: the GAN.
        run: its run folder.
        steps: at most so many; 0 for the method's number of epochs (`EPOCHS`).
        distance: (real, generated) images to a number that falls as they come nearer.
        images: how many of each it is given, where the data have as many.
        threshold: how much a fall of it must exceed to count.
    """
    source = open_source(config.data, size=config.size, split="train")
    chosen = np.random.default_rng(0).permutation(len(source))[:images]
    real = take(source, np.sort(chosen))["image"]
    gan = build(replace(config, channels=real.shape[-1]))

    def evaluate(state: TrainState) -> dict[str, float]:
        fake = generate(gan, state, images, seed=0)
        return {"distance": distance(real, fake)}

    per_epoch = max(1, len(source) // config.batch_size // minibatches_per_step(gan.updates))
    epochs = EPOCHS[config.method]
    rate = gan.config.learning_rate
    assert rate
    train_gan(
        config,
        run,
        Cadence(
            steps or epochs * per_epoch,
            checkpoint_every=per_epoch,
            sample_every=per_epoch,
            evaluate_every=per_epoch,
            keep=5,
        ),
        resume=True,
        evaluate=evaluate,
        best="distance",
        plateau=plateau_rule(rate, epochs, threshold=threshold),
    )
    return load_gan(run, best="distance")
