"""The whole configuration of a GAN: every default as the value that it stands for."""

from dataclasses import fields
from typing import Any

import jax

from gan_forensics.gans.augment import ADA_KIMG, transforms_of
from gan_forensics.gans.building import Gan, recipe_of
from gan_forensics.gans.config import POINTS, GanConfig
from gan_forensics.gans.dag import NORMALISATION, WEIGHT
from gan_forensics.gans.methods import OWN_BASE, method_of
from gan_forensics.gans.optimizers import ADAM_EPSILON, rate_in_words
from gan_forensics.gans.relativistic import GAMMA
from gan_forensics.gans.self_supervised_methods import LABELLED_LOSS
from gan_forensics.nn import dcgan as strided
from gan_forensics.nn import resgan
from gan_forensics.nn.dist_gan_convolutional import ConvDiscriminator
from gan_forensics.nn.points import PointDiscriminator

# Products of float32 numbers that backends compute by themselves.
_PRODUCTS = {"cpu": "float32", "gpu": "tf32, where the GPU has it", "tpu": "bfloat16 products"}


def settings_of(gan: Gan) -> dict[str, Any]:
    """The fields of a GAN's config that mean something for it, none of them left to a default.

    What there is none of says "none". Of a `GanConfig` the betas, the epsilon and who moves first
    are the method's own.
    """
    config = gan.config
    given = {field.name: getattr(config, field.name) for field in fields(config)}
    recipe = recipe_of(config) if isinstance(config, GanConfig) else config
    own = _of_method(gan, config) if isinstance(config, GanConfig) else {}
    found = {**given, **own}
    shared = {
        "learning_rate": rate_in_words(recipe.learning_rate),
        "discriminator_learning_rate": rate_in_words(
            recipe.discriminator_learning_rate or recipe.learning_rate
        ),
        "classes": config.classes or "none",
        "label_names": ", ".join(config.label_names or ()) or "none",
        "average": config.average or "none",
        "precision": config.precision or _PRODUCTS.get(jax.default_backend(), "the backend's own"),
        "decay_steps": config.decay_steps or "none",
        "betas": recipe.betas,
        "epsilon": ADAM_EPSILON,
        "first": recipe.first,
    }
    # In the order of the config; what has no meaning here is None.
    return {name: value for name, value in {**found, **shared}.items() if value is not None}


def _of_method(gan: Gan, config: GanConfig) -> dict[str, Any]:
    """What a method's config stands for; None for what is of others."""
    method, augment = method_of(config), config.augment or "none"
    supervised, dag = method.supervision is not None, augment == "dag"
    weights = (None, None)
    if method.supervision and method.supervision.weights:
        weights = method.supervision.weights(config)
    of_r3gan = "r3gan" in (config.method, config.base)
    points = config.architecture in POINTS
    is_strided = isinstance(gan.discriminator, strided.Discriminator)
    return {
        "size": None if points else config.size,
        "tail": config.tail if is_strided else None,
        **_widths(gan, config),
        "channels": None if points else config.channels,
        "flip": None if points else config.flip,
        "split": config.split or "train",
        "bundle": config.bundle,
        "base": config.base or (OWN_BASE if supervised else None),
        "augment": None if points else augment,
        "transforms": transforms_of(config) or None,
        "dag_weight": (config.dag_weight or WEIGHT) if dag else None,
        "dag_normalisation": (config.dag_normalisation or NORMALISATION) if dag else None,
        "ada_kimg": (config.ada_kimg or ADA_KIMG) if augment == "ada" else None,
        "task_discriminator_weight": _or(config.task_discriminator_weight, weights[0]),
        "task_generator_weight": _or(config.task_generator_weight, weights[1]),
        "label_augmented_loss": (config.label_augmented_loss or LABELLED_LOSS)
        if config.method.startswith("ssgan-la")
        else None,
        "gamma": (config.gamma or GAMMA) if of_r3gan else None,
        "norm": gan.discriminator.norm if is_strided else None,  # pyright: ignore
        "own_minibatches": method.recipe.own_minibatches,
    }


def _or(given: Any, otherwise: Any) -> Any:
    return otherwise if given is None else given


def _widths(gan: Gan, config: GanConfig) -> dict[str, int | None]:
    """The widths that a config may choose, as the networks have them."""
    generator, discriminator = gan.generator, gan.discriminator
    found: dict[str, int | None] = dict.fromkeys(
        ("width", "generator_width", "discriminator_width")
    )
    if isinstance(generator, resgan.Generator) and isinstance(discriminator, resgan.Discriminator):
        found["generator_width"] = resgan.channels_of(generator)[0]
        found["discriminator_width"] = resgan.channels_of(discriminator)[-1]
    elif isinstance(discriminator, strided.Discriminator):
        found["width"] = discriminator.width
    elif isinstance(discriminator, PointDiscriminator):
        found["width"] = discriminator.hidden[0]
    elif isinstance(discriminator, ConvDiscriminator):
        found["width"] = discriminator.layers[0].features
        if config.architecture == "stacked":  # Of the encoder, which has the widest.
            found["discriminator_width"] = found["width"]
            found["width"] = generator.layers[-2].features  # pyright: ignore
    else:
        found["width"] = discriminator.widths[0]  # pyright: ignore
    return found
