"""What a row of the table of methods says."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from gan_forensics.gans.adversarial import Recipe, adversarial
from gan_forensics.gans.architectures import Networks
from gan_forensics.gans.config import GanConfig
from gan_forensics.gans.context import Task
from gan_forensics.gans.losses import LOSSES


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
        bundles: whether a config chooses a bundle.
        timed: whether losses depend on the length of the run.
        unit: whether the networks compute in [0, 1].
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
    bundles: bool = False
    timed: bool = False
    unit: bool = False


def only(loss: str, *tasks: Task) -> Callable[[GanConfig], tuple[Task, ...]]:
    """The same tasks for every config: an adversarial loss of `LOSSES`, and others."""
    return lambda config: (adversarial(LOSSES[loss]), *tasks)
