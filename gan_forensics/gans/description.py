"""What a GAN is and what a step of it costs, before anything is drawn, compiled or trained."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from gan_forensics.gans.building import Gan
from gan_forensics.gans.discriminator_output import named_outputs
from gan_forensics.gans.offered import abstract_batch, in_words
from gan_forensics.gans.settings import settings_of
from gan_forensics.train.cost import StepCost, step_cost


class NetworkRow(NamedTuple):
    """One network of a GAN.

    Attributes:
        name: in the game.
        kind: its class.
        parameters: how many numbers it learns.
        outputs: their shapes by name, for a minibatch; "" is the name of a single one.
    """

    name: str
    kind: str
    parameters: int
    outputs: dict[str, tuple[int, ...]]


@dataclass(frozen=True, repr=False)
class Description:
    """A GAN in numbers; printed, a page.

    Attributes:
        networks: one row each.
        moves: of a step, by player, in their order.
        cost: of a step on one device, for a whole minibatch.
        settings: the whole configuration, every default as the value that it stands for.

    Example:
        >>> from gan_forensics.gans import GanConfig, build, describe
        >>> about = describe(build(GanConfig(size=16, width=2, latent=4)))
        >>> about.parameters, about.settings["n_dis"], about.settings["learning_rate"]
        (794, 1, 0.0001)
    """

    networks: tuple[NetworkRow, ...]
    moves: dict[str, int]
    cost: StepCost
    settings: dict[str, Any]

    @property
    def parameters(self) -> int:
        """Of all networks."""
        return sum(network.parameters for network in self.networks)

    def __repr__(self) -> str:
        moves = ", then ".join(f"{n} of the {name}" for name, n in self.moves.items())
        wide = max(map(len, self.settings)) + 2
        counts = {row.name: row.parameters for row in self.networks} | {"together": self.parameters}
        said = [f"  {row.kind} -> {_shapes(row.outputs)}" for row in self.networks] + [""]
        rows = [
            f"  {name:<{wide}}{count:>14,} parameters{what}"
            for (name, count), what in zip(counts.items(), said, strict=True)
        ]
        return "\n".join(
            [
                "networks",
                *rows,
                f"a step: moves {moves}",
                *(f"  {line}" for line in self.cost.lines()),
                "configuration",
                *(f"  {name:<{wide}}{_said(value)}" for name, value in self.settings.items()),
            ]
        )


def describe(gan: Gan) -> Description:
    """The networks, what a step costs, and the whole configuration of a GAN.

    Everything is counted on shapes: no network is drawn, nothing is compiled. How operations and
    memory are counted: `gan_forensics.train.cost`.

    Args:
        gan: of `build` or `make_gan`.

    Example:
        >>> from gan_forensics.gans import GanConfig, build
        >>> about = describe(build(GanConfig(size=16, width=2, batch_size=8)))
        >>> about.parameters, about.networks[0].outputs
        (8730, {'': (8, 16, 16, 3)})
        >>> about.settings["learning_rate"]
        0.0001
    """
    size, judge = gan.config.batch_size, in_words(gan.discriminator)
    seen: dict[str, dict[str, tuple[int, ...]]] = {}

    def look(call, args, kwargs, context):
        made, module = call(*args, **kwargs), context.module
        if not module.path and context.method_name == "__call__" and not module.is_initializing():
            words = in_words(module)
            seen[words] = _outputs(made, named=words == judge)
        return made

    batch = abstract_batch(gan.game, gan.config.shape, size)
    with nn.intercept_methods(look):
        cost = step_cost(gan.learner, batch)
    rows = [
        NetworkRow(name, type(net).__name__, cost.parameters[name], seen.get(in_words(net), {}))
        for name, net in gan.game.networks.items()
    ]
    moves = {update.name: update.repeats for update in gan.updates}
    return Description(tuple(rows), moves, cost, settings_of(gan))


def _outputs(made: Any, *, named: bool) -> dict[str, tuple[int, ...]]:
    if named:
        return {name: tuple(x.shape) for name, x in named_outputs(made).items()}
    leaves = jax.tree_util.tree_flatten_with_path(made)[0]
    return {jax.tree_util.keystr(p, simple=True, separator="."): tuple(x.shape) for p, x in leaves}


def _shapes(outputs: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {list(shape)}".strip() for name, shape in outputs.items())


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return ", ".join(map(_said, value))
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_said(part)}" for name, part in value.items())
    return str(value)
