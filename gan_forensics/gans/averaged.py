"""What images are drawn with: the generator as it was trained last, or its moving average.

Batch norm keeps statistics of what the trained parameters make of noise, and spectral norm vectors
of their kernels. Both belong to those parameters and not to an average of them, which has its own:
they are what training passes of the average over fresh noise leave, as training would have left
them ("standing statistics"; Brock et al., ICLR 2019, section 4.1 and appendix).
"""

import zlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from gan_forensics.gans.building import Gan
from gan_forensics.gans.priors import Prior
from gan_forensics.gans.task import GENERATOR
from gan_forensics.nn.calling import apply
from gan_forensics.runtime import jit, products, random_key
from gan_forensics.train import TrainState
from gan_forensics.train.average import span

# Training passes of the average, and the fewest images of one. Batch norm weighs the newest by .1:
# a thousandth is left of the statistics of other parameters, and the last twenty passes count.
PASSES, LEAST_BATCH = 64, 64


def with_average(gan: Gan, state: TrainState) -> TrainState:
    """A state whose generator is its average, with statistics of its own; it keeps no average.

    A state without an average is returned as it is.

    Args:
        gan: what was trained.
        state: as training left it.

    Example:
        >>> import jax
        >>> from gan_forensics.gans import GanConfig, build, with_average
        >>> gan = build(GanConfig("dist-gan", data="toy:grid9", average=0.99))
        >>> state = jax.eval_shape(lambda: gan.learner.start(0))  # shapes alone
        >>> list(state.average), with_average(gan, state).average
        (['generator'], {})
    """
    if GENERATOR not in state.average:
        return state
    params, stats = state.average[GENERATOR], state.stats[GENERATOR]
    if stats:
        stats = own_statistics(gan, params, stats)
    return replace(
        state,
        params={**state.params, GENERATOR: params},
        stats={**state.stats, GENERATOR: stats},
        average={},
    )


def about_average(gan: Gan, steps: int) -> str | None:
    """What is to be known of the average that images are drawn with; None where there is none.

    Args:
        gan: what was trained.
        steps: for how long.

    Example:
        >>> from gan_forensics.gans import GanConfig, about_average, build
        >>> gan = build(GanConfig(size=16, average=0.999))
        >>> about_average(gan, steps=5000).split(" (")[0]
        'images are drawn with an average of the generator over about its last 1,000 steps'
        >>> "young" in about_average(gan, steps=100)
        True
    """
    decay = gan.config.average
    if decay is None:
        return None
    line = (
        f"images are drawn with an average of the generator over about its last {span(decay):,} "
        f"steps (decay {decay:g})"
    )
    if not is_young(gan, steps):
        return line
    return (
        f"{line}; after {steps:,} steps it is young, a mean over all of them, the first ones too: "
        f"it means something from step {span(decay):,} on, with a smaller decay sooner"
    )


def is_young(gan: Gan, steps: int) -> bool:
    """Whether images are drawn with an average that spans more steps than were made."""
    return gan.config.average is not None and steps < span(gan.config.average)


def own_statistics(gan: Gan, params: PyTree, stats: PyTree) -> PyTree:
    """The statistics of a generator with these parameters; the same ones at every call.

    Args:
        gan: what was trained.
        params: of its generator.
        stats: of other parameters, to begin with.
    """
    key = jax.random.fold_in(random_key(0), zlib.crc32(b"statistics of the average"))
    count = max(gan.config.batch_size, LEAST_BATCH)
    one_pass = _compiled(gan.generator, gan.game.prior, gan.config.classes, count)
    with products(gan.config.precision):
        for place in range(PASSES):
            stats = one_pass(params, stats, jax.random.fold_in(key, place))
    return stats


@lru_cache(maxsize=8)
def _compiled(generator: nn.Module, prior: Prior, classes: int | None, count: int) -> Callable:
    """(parameters, statistics, key) -> the statistics after a training pass of fresh noise."""

    def statistics_of_the_average(params: PyTree, stats: PyTree, key: Array) -> PyTree:
        inputs = [prior.draw(key, count, None)]
        if classes:
            own = jax.random.fold_in(key, 1)
            inputs.append(jax.random.randint(own, (count,), 0, classes, jnp.int32))
        variables = {"params": params, **stats}
        told = {"train": True, "mutable": list(stats), "rngs": jax.random.fold_in(key, 2)}
        return apply(generator, variables, *inputs, **told)[1]

    return jit(statistics_of_the_average)
