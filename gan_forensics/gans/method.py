"""What a row of the table of methods says."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal, NamedTuple

import flax.linen as nn

from gan_forensics.gans.architectures import Networks
from gan_forensics.gans.augment import augmentation
from gan_forensics.gans.config import POINTS, GanConfig
from gan_forensics.gans.game import Game, Recipe, adversarial
from gan_forensics.gans.priors import Prior
from gan_forensics.gans.task import Task


class Supervision(NamedTuple):
    """Self-supervision that goes on top of a GAN's tasks, or in the place of its first.

    Attributes:
        task: of the weights (discriminator, generator), whether the discriminator has spectral
            norm, the config, and the base's tasks.
        weights: the published ones, where a config says none; None for a task without.
        replaces: whether it stands in the place of the adversarial loss.
    """

    task: Callable[[tuple[float, float], bool, GanConfig, Sequence[Task]], Task]
    weights: Callable[[GanConfig], tuple[float, float]] | None
    replaces: bool = False


class Method(NamedTuple):
    """A row of the table.

    Attributes:
        tasks: of a config; the first is the adversarial loss.
        recipe: as published.
        networks: generator and discriminator of a config.
        conditional: whether it takes classes.
        paper: that published the method.
        recipe_of: who published the rates and moves.
        latent: of a config: length of the noise where it says none.
        prior: of a config: the noise's law where it says none.
        others: of a config: players that move before the two, and what each trains.
        bundle: that a config which chooses none has; None where there are no bundles.
        timed: whether losses depend on the length of the run.
        unit: whether the networks compute in [0, 1].
        supervision: self-supervision on top of the tasks.

    Example:
        >>> from gan_forensics.gans import METHODS, GanConfig
        >>> method = METHODS["sngan"]["resgan"]  # by architecture
        >>> method.paper, method.recipe.n_dis
        ('Miyato et al., ICLR 2018', 5)
        >>> method.tasks(GanConfig("sngan"))
        (Task(discriminator: adversarial; generator: adversarial),)
    """

    tasks: Callable[[GanConfig], Sequence[Task]]
    recipe: Recipe
    networks: Callable[[GanConfig], Networks]
    conditional: bool = False
    paper: str = ""
    recipe_of: str = ""
    latent: Callable[[GanConfig], int] = lambda config: 128
    prior: Callable[[GanConfig], Literal["normal", "uniform"]] = lambda config: "normal"
    others: Callable[[GanConfig], dict[str, tuple[str, ...]]] = lambda config: {}
    bundle: Literal["released", "corrected"] | None = None
    timed: bool = False
    unit: bool = False
    supervision: Supervision | None = None

    def __repr__(self) -> str:
        recipe = self.recipe
        said = [
            *filter(None, [self.paper]),
            f"learning rate {recipe.learning_rate:g}",
            f"betas {recipe.betas}",
            f"{recipe.n_dis} discriminator move{'s' * (recipe.n_dis > 1)} a step",
            *["takes classes"] * self.conditional,
        ]
        return f"Method({'; '.join(said)})"

    def game(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        config: GanConfig | None = None,
        tasks: Sequence[Task] = (),
        prior: Prior | None = None,
        **recipe: Any,
    ) -> Game:
        """The method's game for any networks, with further tasks and another `Recipe`.

        Args:
            generator: of the game.
            discriminator: of the game.
            config: that tasks and further players depend on, where they do.
            tasks: on top of the method's.
            prior: of the noise; by default normal.
            **recipe: fields of `Recipe` in the place of the method's own.

        Raises:
            ValueError: for networks without the classes that it takes, and settings of the config
                that do not go together.
        """
        classes = [getattr(n, "classes", 0) for n in (generator, discriminator)]
        if self.conditional and (classes[0] < 1 or classes[0] != classes[1]):
            raise ValueError(
                "generator and discriminator need the same classes, got "
                f"{classes[0]} and {classes[1]}"
            )
        config = config or GanConfig()
        points = config.architecture in POINTS
        spectral_norm = bool(getattr(discriminator, "spectral_norm", False))
        own = tuple(self.tasks(config))
        if self.supervision is not None:
            own = self._supervised(config, own, spectral_norm)
        options = {"spectral_norm": spectral_norm, "unit": self.unit}
        further, augment = augmentation(config, own, **options)
        return Game(
            generator,
            discriminator,
            (*own, *further, *tasks),
            replace(self.recipe, **recipe).players(self.others(config)),
            prior=prior,
            data="point" if points else "image",
            scale=config.point_scale if points else 1.0 if self.unit else None,
            augment=augment,
        )

    def _supervised(self, config: GanConfig, own: tuple[Task, ...], spectral_norm: bool):
        """The tasks with self-supervision."""
        assert self.supervision is not None
        given = (config.task_discriminator_weight, config.task_generator_weight)
        if self.supervision.weights is None and given != (None, None):
            raise ValueError(
                f"{config.method} has no weights: leave task_discriminator_weight and "
                "task_generator_weight out"
            )
        weights = self.supervision.weights(config) if self.supervision.weights else (1.0, 1.0)
        chosen = tuple(w if g is None else g for w, g in zip(weights, given, strict=True))
        task = self.supervision.task(chosen, spectral_norm, config, own)  # pyright: ignore
        if not self.supervision.replaces:
            return (*own, task)
        if own[0].networks or own[0].others:
            raise ValueError(
                f"{config.method} stands in the place of the adversarial loss, and that of "
                f"{config.base} moves further players too: choose another base"
            )
        if config.base == "r3gan":
            raise ValueError(
                f"{config.method} stands in the place of the adversarial loss, with which r3gan's "
                "penalties would go: choose another base"
            )
        # A gradient penalty is of the logits of the loss; what stands in its place has its own.
        return (task, *(other for other in own[1:] if other.penalty is None))


def only(loss: str, *tasks: Task) -> Callable[[GanConfig], tuple[Task, ...]]:
    """The same tasks for every config: an adversarial loss of `LOSSES`, and others.

    Example:
        >>> from gan_forensics.gans import GanConfig, only, penalised
        >>> tasks = only("hinge", penalised("1-gp"))
        >>> tasks(GanConfig())
        (Task(discriminator: adversarial; generator: adversarial), Task(discriminator: penalised))
    """
    return lambda config: (adversarial(loss), *tasks)
