"""A GAN of networks that anyone wrote and of any terms."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn

from gan_forensics.gans.building import Gan
from gan_forensics.gans.config import OwnConfig
from gan_forensics.gans.game import Game, Recipe, Schedule, adversarial
from gan_forensics.gans.offered import check_game, checked_network, in_words
from gan_forensics.gans.optimizers import Rate, check_rate
from gan_forensics.gans.priors import PRIORS
from gan_forensics.gans.task import DISCRIMINATOR, GENERATOR, Task, check_tasks, term_name
from gan_forensics.nn.limits import check_limits
from gan_forensics.runtime import check_precision


def make_gan(
    generator: nn.Module,
    discriminator: nn.Module,
    *,
    size: int,
    tasks: Sequence[Task] = (adversarial("non_saturating"),),
    channels: int = 3,
    latent: int | None = None,
    prior: Literal["normal", "uniform"] = "normal",
    range: tuple[float, float] = (-1, 1),
    classes: int | None = None,
    label_names: Sequence[str] | None = None,
    batch_size: int = 64,
    learning_rate: Rate = 2e-4,
    discriminator_learning_rate: Rate | None = None,
    betas: tuple[float, float] = (0.5, 0.999),
    n_dis: int = 1,
    schedule: Schedule = "none",
    decay_steps: int | None = None,
    first: Literal["generator", "discriminator"] = "generator",
    average: float | None = None,
    precision: Literal["float32", "tf32"] | None = None,
    flip: bool = False,
    seed: int = 2021,
) -> Gan[OwnConfig]:
    """A GAN of your own networks and your own terms, for `fit`, `generate` and `describe`.

    The networks are Linen modules as somebody wrote them. `__call__` takes the noise [b, latent] or
    the images [b, size, size, channels], in a conditional GAN then the labels [b], and by name at
    most one of `train`, `training`, `is_training` (True in training) and `deterministic` (False).
    Dropout and other noise have their keys in training. The generator returns images; the
    discriminator returns logits [b] or [b, 1], (logits, features), or outputs by name (a dict, a
    named tuple), one of them "logits"; what it sows under "intermediates" is an output too.

    What cannot work is refused here, by shapes alone: nothing is compiled and no memory is taken.

    Args:
        generator: of noise (and labels).
        discriminator: of images (and labels).
        size: side of the images.
        tasks: what is minimised, see `Task`; a term is a function of the context (`Context`) to a
            number: `context.real.logits`, `context.fake.pooled` are what the discriminator returns
            for real and for generated images.
        channels: of the images.
        latent: length of the noise; by default the generator's attribute `latent`.
        prior: of the noise: normal, or uniform in [-1, 1).
        range: of the pixels that the networks see and make: (-1, 1), or (0, 1).
        classes: of a conditional GAN: as many as the data have; by default without.
        label_names: what the labels 0, 1, ... stand for, in a conditional GAN.
        batch_size: images a minibatch.
        learning_rate: of both Adams, a number or a schedule of the step.
        discriminator_learning_rate: of the discriminator's; by default the same.
        betas: of both Adams.
        n_dis: moves of the discriminator a step, each on fresh images.
        schedule: of the rates: none, linear, half-linear, staircase, as in `GanConfig`.
        decay_steps: steps until the rate is 0, of the schedules linear and half-linear.
        first: who moves first in a step.
        average: decay of a moving average of the generator, which images are then drawn with.
        precision: of products, float32 or tf32; by default the backend's own. The dtype in which
            networks compute is their own business.
        flip: whether to mirror half of the images.
        seed: of initialisation, data order and noise.

    Raises:
        ValueError: for networks, terms and settings that do not fit each other, in one line.

    Example:
        >>> import flax.linen as nn
        >>> class MyG(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, z):
        ...         return nn.tanh(nn.Dense(48)(z)).reshape(-1, 4, 4, 3)
        >>> class MyD(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         pooled = nn.relu(nn.Dense(8)(x.reshape(len(x), -1)))
        ...         return {"logits": nn.Dense(1)(pooled), "pooled": pooled}
        >>> def feature_matching(c):
        ...     return ((c.real.pooled.mean(0) - c.fake.pooled.mean(0)) ** 2).sum()
        >>> tasks = [adversarial("hinge"), Task(generator=(feature_matching,))]
        >>> gan = make_gan(MyG(), MyD(), tasks=tasks, size=4, latent=2)
        >>> gan.config.terms["generator"]
        ('adversarial', 'feature_matching')
    """
    tasks = check_tasks(tasks)
    generator = checked_network(GENERATOR, generator, labelled=bool(classes))
    discriminator = checked_network(DISCRIMINATOR, discriminator, labelled=bool(classes))
    whole = {"size": size, "channels": channels, "batch_size": batch_size, "n_dis": n_dis}
    optional = {"latent": latent, "classes": classes, "decay_steps": decay_steps}
    given = {name: value for name, value in optional.items() if value is not None}
    for name, value in {**whole, **given}.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{name} must be a whole number, 1 or more, got {value!r}")
    if prior not in PRIORS:
        raise ValueError(f"unknown prior {prior!r}; priors are {', '.join(PRIORS)}")
    if tuple(range) not in ((-1, 1), (0, 1)):
        raise ValueError(f"range is (-1, 1) or (0, 1), what networks see and make, got {range}")
    if average is not None and not 0 < average < 1:
        raise ValueError(f"average is a decay between 0 and 1, got {average}")
    if first not in ("generator", "discriminator"):
        raise ValueError(f"first is generator or discriminator, got {first!r}")
    if precision == "bfloat16":
        raise ValueError("your networks compute in the dtype that they choose: leave precision out")
    check_precision(precision)
    if label_names is not None and len(label_names) != classes:
        raise ValueError(f"{len(label_names)} label_names for {classes or 0} classes")
    own = getattr(generator, "latent", None)
    latent = latent if latent is not None else own
    if latent is None:
        raise ValueError(
            f"{type(generator).__name__} has no attribute latent, the length of its noise: give "
            "latent=128, or another number"
        )
    recipe = Recipe(
        learning_rate, discriminator_learning_rate, betas, n_dis, schedule, decay_steps, first
    )
    for name in ("learning_rate", "discriminator_learning_rate"):
        if (rate := getattr(recipe, name)) is not None:
            check_rate(name, rate)
    if callable(learning_rate) and schedule != "none":
        raise ValueError(f"learning_rate is a schedule itself: leave schedule={schedule!r} out")
    game = Game(
        generator,
        discriminator,
        tasks,
        recipe.players(),
        prior=PRIORS[prior](latent),
        scale=1.0 if tuple(range) == (0, 1) else None,
        classes=classes or 0,
    )
    config = OwnConfig(
        generator=in_words(generator),
        discriminator=in_words(discriminator),
        terms={player: tuple(map(term_name, terms)) for player, terms in game.terms.items()},
        latent=latent,
        prior=prior,
        range=(float(range[0]), float(range[1])),
        label_names=None if label_names is None else tuple(label_names),
        average=average,
        precision=precision,
        flip=flip,
        seed=seed,
        classes=classes,
        decay_steps=decay_steps,
        learning_rate=learning_rate,
        discriminator_learning_rate=discriminator_learning_rate or learning_rate,
        betas=betas,
        schedule=schedule,
        first=first,
        size=size,
        channels=channels,
        batch_size=batch_size,
        n_dis=n_dis,
    )
    check_limits(config)
    check_game(game, config.shape)
    return Gan(config, game)
