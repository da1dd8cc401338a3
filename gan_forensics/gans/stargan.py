"""StarGAN: a game whose generator translates images (Choi et al., CVPR 2018).

With x images, c their labels, c' those of another image, and x' = G(x, c') the translation:

    discriminator   -mean D(x) + mean D(x') + l_cls L_cls(x, c) + l_gp mean (|grad D(x^)| - 1)^2
    generator       -mean D(x') + l_cls L_cls(x', c') + l_rec mean |x - G(x', c)|

D is the mean over patches (no logarithm), L_cls the binary cross-entropy summed over labels, a mean
over images. A step is `n_dis` moves of the discriminator, each on fresh images, then one of the
generator on the images and c' of the first; the released code gives it those of the last.

What a game of `gan_forensics.gans.game` draws from noise is an image here, so that StarGAN
is a learner of its own, made of the same losses, penalties and optimisers.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, PyTree, UInt8

from gan_forensics.data import Transform, as_images, to_float, to_uint8
from gan_forensics.data.attributes import AttributeSource
from gan_forensics.files import listed
from gan_forensics.gans.filled_batches import filled_batches
from gan_forensics.gans.game import init_network
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.optimizers import adam
from gan_forensics.gans.penalties import gradient_penalty
from gan_forensics.gans.stargan_config import StarGanConfig, filled
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR, Loss
from gan_forensics.nn.stargan import Discriminator, Generator
from gan_forensics.runtime import (
    computation_dtype,
    jit,
    products,
    random_key,
)
from gan_forensics.train import Aux, Learner, TrainState, Update

KIND = "stargan"
Images = Float[Array, "b h w c"]
Labels = Float[Array, "b l"]
Judge = Callable[[Images], Mapping[str, Array]]
# The released code changes its rates once in so many moves of the discriminator.
_RATE_EVERY = 1000
_WASSERSTEIN = LOSSES["wasserstein"]


class StarGan(NamedTuple):
    """A built StarGAN: its config, with what was left out filled in, networks and updates.

    Example:
        >>> from gan_forensics.gans import StarGanConfig, build_stargan
        >>> config = StarGanConfig(size=16, attributes=("Smiling", "Young"), width=4, blocks=1)
        >>> gan = build_stargan(config)
        >>> gan.learner
        Learner('stargan', updates discriminator, generator)
    """

    config: StarGanConfig
    generator: Generator
    discriminator: Discriminator
    updates: tuple[Update, ...]

    @property
    def learner(self) -> Learner:
        """What `gan_forensics.train.fit` trains."""
        return Learner(
            KIND,
            asdict(self.config),
            self.updates,
            lambda seed: _init(self, seed),
            precision=self.config.precision,
        )


def classification_loss(logits: Labels, labels: Labels) -> Float[Array, ""]:
    """Binary cross-entropy, summed over labels, its mean over images."""
    return optax.sigmoid_binary_cross_entropy(logits, labels).sum(1).mean()


def discriminator_loss(
    judge: Judge,
    images: Images,
    translated: Images,
    labels: Labels,
    *,
    classification_weight: float = 1.0,
    penalty_weight: float = 10.0,
    key: Array | None = None,
    alpha: Float[Array, " b"] | None = None,
) -> Loss:
    """What the discriminator minimises, see the head of this file.

    Args:
        judge: images to "logits" [b, h', w'] and "labels" [b, l].
        images: x.
        translated: x', of which no gradient is taken.
        labels: c.
        classification_weight: l_cls.
        penalty_weight: l_gp.
        key: of alpha, if that is not given.
        alpha: of x^ = alpha x + (1 - alpha) x'.
    """
    translated = jax.lax.stop_gradient(translated)
    real, fake = judge(images), judge(translated)["logits"]
    adversarial = _WASSERSTEIN.discriminator(real["logits"], fake)
    classification = classification_loss(real["labels"], labels)
    penalty = gradient_penalty(
        lambda x: judge(x)["logits"],
        images,
        translated,
        kind="1-gp",
        key=key,
        alpha=None if alpha is None else 1 - alpha,
    )
    value = adversarial + classification_weight * classification + penalty_weight * penalty
    metrics = {"real_logit": real["logits"].mean(), "fake_logit": fake.mean()}
    metrics |= {"classification": classification, "penalty": penalty}
    return Loss(value, {"adversarial": adversarial, **metrics})


def generator_loss(
    translate: Callable[[Images, Labels], Images],
    judge: Judge,
    images: Images,
    labels: Labels,
    targets: Labels,
    *,
    classification_weight: float = 1.0,
    reconstruction_weight: float = 10.0,
) -> Loss:
    """What the generator minimises, see the head of this file.

    Args:
        translate: G.
        judge: as for the discriminator.
        images: x.
        labels: c.
        targets: c'.
        classification_weight: l_cls.
        reconstruction_weight: l_rec.
    """
    translated = translate(images, targets)
    judged = judge(translated)
    adversarial = _WASSERSTEIN.generator(judged["logits"])
    classification = classification_loss(judged["labels"], targets)
    reconstruction = jnp.abs(images - translate(translated, labels)).mean()
    value = adversarial + classification_weight * classification
    value += reconstruction_weight * reconstruction
    metrics = {"classification": classification, "reconstruction": reconstruction}
    return Loss(value, {"adversarial": adversarial, **metrics})


def with_targets(source: AttributeSource) -> Transform:
    """Gives minibatches of a source "targets": the labels of their images in another order."""
    return Transform(
        lambda batch, drawn: {**batch, "targets": drawn["targets"]},
        lambda rng, rows: {
            "targets": np.stack([source.attributes_of(int(row)) for row in rng.permutation(rows)])
        },
    )


def rate_after(
    moves: Any, rate: float, total: int, schedule: Literal["linear", "released"]
) -> Float[Array, ""]:
    """The learning rate after some of `total` moves of the discriminator.

    linear: r until half of them, then linearly to 0. released: the code subtracts r / (total / 2)
    once in 1000 moves of the second half, as if it did so in each: 0.1 % in all.
    """
    half = total // 2
    if schedule == "linear":
        return rate * (1 - jnp.clip(moves - (total - half), 0, half) / half)
    taken = jnp.maximum(moves // _RATE_EVERY - (total - half) // _RATE_EVERY, 0)
    return rate * (1 - taken / half)


def build_stargan(config: StarGanConfig) -> StarGan:
    """The networks and updates of a config that says its attributes.

    Batches have "image" float [b, h, w, c] in [-1, 1], "attributes" [b, l] and "targets" [b, l]
    (`with_targets`).

    Raises:
        ValueError: for settings that cannot be, saying which.

    Example:
        >>> from gan_forensics.gans import StarGanConfig, build_stargan
        >>> config = StarGanConfig(size=16, attributes=("Smiling", "Young"), width=4, blocks=1)
        >>> gan = build_stargan(config)
        >>> gan.config.layers, [update.repeats for update in gan.updates]
        (3, [5, 1])
    """
    config = filled(config)
    dtype = computation_dtype(config.precision)
    generator = Generator(
        config.width,
        blocks=config.blocks,
        upsampling=config.upsampling,
        channels=config.channels or 3,
        dtype=dtype,
    )
    assert config.layers is not None
    discriminator = Discriminator(
        config.size, len(config.attributes), config.width, config.layers, dtype=dtype
    )

    def of_discriminator(trainable, frozen, stats, batch, key, step):
        images, labels = batch["image"], batch["attributes"]
        translated = _applied(generator, frozen[GENERATOR])(images, batch["targets"])
        value, metrics = discriminator_loss(
            _applied(discriminator, trainable[DISCRIMINATOR]),
            images,
            translated,
            labels,
            classification_weight=config.classification_weight,
            penalty_weight=config.penalty_weight,
            key=key,
        )
        return value, Aux({}, metrics)

    def of_generator(trainable, frozen, stats, batch, key, step):
        value, metrics = generator_loss(
            _applied(generator, trainable[GENERATOR]),
            _applied(discriminator, frozen[DISCRIMINATOR]),
            batch["image"],
            batch["attributes"],
            batch["targets"],
            classification_weight=config.classification_weight,
            reconstruction_weight=config.reconstruction_weight,
        )
        return value, Aux({}, metrics)

    updates = (
        Update(DISCRIMINATOR, (DISCRIMINATOR,), of_discriminator, _adam(config, 1), config.n_dis),
        Update(GENERATOR, (GENERATOR,), of_generator, _adam(config, config.n_dis)),
    )
    return StarGan(config, generator, discriminator, updates)


def _adam(config: StarGanConfig, moves: int) -> optax.GradientTransformation:
    """Adam of a player who moves once in `moves` moves of the discriminator."""
    rate, schedule = config.learning_rate, config.schedule
    if schedule == "constant":
        return adam(rate)
    assert config.decay_steps is not None
    total = config.decay_steps * config.n_dis
    return adam(lambda count: rate_after(count * moves, rate, total, schedule))


def _applied(network: nn.Module, params: PyTree) -> Callable[..., Any]:
    return lambda *inputs: network.apply({"params": params}, *inputs, train=True)


def _init(gan: StarGan, seed: int) -> tuple[dict[str, PyTree], dict[str, PyTree]]:
    config = gan.config
    shape = (2, config.size, config.size, config.channels or 3)
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    labels = jax.ShapeDtypeStruct((2, len(config.attributes)), jnp.float32)
    keys = jax.random.split(random_key(seed))
    both = {
        GENERATOR: init_network(gan.generator, keys[0], image, labels),
        DISCRIMINATOR: init_network(gan.discriminator, keys[1], image),
    }
    params, stats = ({name: pair[i] for name, pair in both.items()} for i in (0, 1))
    return params, stats


def translate(
    gan: StarGan,
    state: TrainState,
    images: Any,
    labels: Float32[np.ndarray, "n l"],
    *,
    batch_size: int = 16,
) -> UInt8[np.ndarray, "n h w c"]:
    """Translate images to the domains that labels name.

    Args:
        gan: what was trained.
        state: as training left it.
        images: of the size that it was trained on, as `gan_forensics.data.as_images` takes them.
        labels: a row for each image, a number from 0 to 1 for each of the config's attributes.
        batch_size: images at a time; each is translated by itself.

    Raises:
        ValueError: for images or labels of another shape, type or range.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.gans import StarGanConfig, build_stargan, translate
        >>> config = StarGanConfig(size=16, attributes=("Smiling", "Young"), width=4, blocks=1)
        >>> gan = build_stargan(config)
        >>> state = gan.learner.start(0)  # doctest: +SKIP
        >>> images = np.zeros((2, 16, 16, 3), np.uint8)
        >>> labels = np.array([[1, 0], [1, 1]], np.float32)
        >>> translate(gan, state, images, labels).shape  # doctest: +SKIP
        (2, 16, 16, 3)
    """
    images, labels = as_images(images), np.asarray(labels, np.float32)
    config = gan.config
    shape = (config.size, config.size, config.channels or 3)
    if images.shape[1:] != shape:
        raise ValueError(
            f"images must be [n, {', '.join(map(str, shape))}], got {list(images.shape)}: "
            f"as_images(images, size={config.size}) makes squares of the side it was trained on"
        )
    if labels.shape != (len(images), len(config.attributes)):
        raise ValueError(
            f"labels must be [{len(images)}, {len(config.attributes)}], a row for each image of "
            f"{listed(config.attributes)}, got {list(labels.shape)}"
        )
    if labels.size and not (labels.min() >= 0 and labels.max() <= 1):
        raise ValueError(f"labels lie from 0 to 1, got {labels.min():g} to {labels.max():g}")
    made, program = np.empty_like(images), _compiled(gan.generator)  # pyright: ignore
    with products(config.precision):
        for rows, x, c in filled_batches(images, labels, size=batch_size):
            out = program(state.params[GENERATOR], to_float(x), c)
            made[rows] = to_uint8(np.asarray(out)[: len(made[rows])], range=(-1, 1))
    return made


@functools.cache
def _compiled(generator: nn.Module) -> Callable[..., Array]:
    """(parameters, images, labels) -> translations, compiled once for a network."""

    def translation(params, images, labels):
        return generator.apply({"params": params}, images, labels, train=False)

    return jit(translation)
