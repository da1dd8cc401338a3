"""Beam search, for anything that says which token comes next.

A hypothesis is a sequence of tokens that ends in END; its score is the sum of its tokens' natural
log probabilities divided by (its length, END included) ** penalty, as fairseq normalises. The
search keeps, for every sentence, the `beam` likeliest unfinished hypotheses and the `beam` best
finished ones. In a step each unfinished one is continued by every token; a continuation by END
finishes when it is among the `beam` likeliest of all. At the longest length END is forced.

A sentence is done when it has `beam` finished hypotheses, or `n_best` that no unfinished one can
overtake. With a beam of 1 that is greedy decoding, whatever the penalty; with a beam as large as
the number of sequences it is exact. Sentences do not depend on each other.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PyTree

from gan_forensics.data.vocabulary import BEGIN, END, PAD

# (cache with leaves [b, beam, ...], tokens [b, beam], place) -> (logits [b, beam, v], cache)
Step = Callable[[Any, Int[Array, "b beam"], Int[Array, ""]], tuple[Float[Array, "b beam v"], Any]]

# Of what cannot be. Finite, so that sums of it stay numbers, and comparable.
_NEVER = -1e9


class Hypotheses(NamedTuple):
    """The best hypotheses of every sentence, the best first.

    Attributes:
        tokens: up to END, which is included, then PAD; where there are fewer than n, PAD alone.
        score: normalised log probability; -1e9 for those that are not there.
    """

    tokens: Int[Array, "b n longest"]
    score: Float[Array, "b n"]


class _Search(NamedTuple):
    """The loop's state: unfinished hypotheses, finished ones, and where they stand."""

    place: Int[Array, ""]
    tokens: Int[Array, "b beam longest"]
    log_probability: Float[Array, "b beam"]
    finished: Hypotheses
    done: Bool[Array, " b"]
    cache: PyTree


def beam_search(
    step: Step,
    cache: PyTree,
    wanted: Bool[Array, " b"],
    *,
    beam: int,
    longest: int,
    length_penalty: float | Array = 1.0,
    n_best: int = 1,
) -> Hypotheses:
    """The best token sequences of every sentence; to be called under `jit`.

    Args:
        step: what follows; called with BEGIN at place 0. PAD and BEGIN are never generated.
        cache: of the step, before its first call; its rows follow their hypotheses.
        wanted: which sentences are to be decoded; of the others nothing is returned.
        beam: hypotheses that are kept.
        longest: tokens of a hypothesis at most, END included.
        length_penalty: 0 or more; may be traced.
        n_best: hypotheses to return, at most `beam`.

    Raises:
        ValueError: for counts below 1, and more hypotheses than the beam.

    Example:
        >>> import numpy as np
        >>> logits = jnp.log(jnp.array([0.1, 0.2, 0.6, 0.1]))
        >>> step = lambda cache, last, place: (jnp.broadcast_to(logits, (*last.shape, 4)), cache)
        >>> found = beam_search(step, {}, jnp.ones(1, bool), beam=1, longest=3)
        >>> found.tokens.shape
        (1, 1, 3)
    """
    check_search(beam=beam, longest=longest, n_best=n_best)
    rows = wanted.shape[0]

    def normalised(log_probability, length):
        return log_probability / jnp.asarray(length, jnp.float32) ** length_penalty

    def advance(search: _Search) -> _Search:
        place = search.place
        before = jnp.where(place == 0, BEGIN, search.tokens[:, :, jnp.maximum(place - 1, 0)])
        logits, cache = step(search.cache, before, place)
        log_p = jax.nn.log_softmax(logits.astype(jnp.float32))
        vocabulary = log_p.shape[-1]
        token = jnp.arange(vocabulary)
        last = place == longest - 1
        barred = (token == PAD) | (token == BEGIN) | (last & (token != END))
        log_p = jnp.where(barred.reshape(1, 1, -1), _NEVER, log_p)
        total = (search.log_probability[:, :, None] + log_p).reshape(rows, beam * vocabulary)
        # Of twice as many as are kept half at most end: each unfinished one ends in one way.
        best, at = _largest(total, 2 * beam)
        parent, token = at // vocabulary, at % vocabulary
        tokens = _rows_of(search.tokens, parent).at[:, :, place].set(token)
        possible = best > _NEVER / 2
        ends = (token == END) & possible

        ripe = ends[:, :beam] & ~search.done[:, None]
        score = jnp.where(ripe, normalised(best[:, :beam], place + 1), _NEVER)
        finished = _best_of(search.finished, Hypotheses(tokens[:, :beam], score), beam)

        going = jnp.where(ends | ~possible, _NEVER, best)
        log_probability, kept = _largest(going, beam)
        kept_parent = jnp.take_along_axis(parent, kept, axis=1)
        # Continuing costs probability, and at the longest the divisor is the largest.
        hope = jnp.where(
            log_probability[:, 0] > _NEVER / 2, normalised(log_probability[:, 0], longest), _NEVER
        )
        whole = (finished.score > _NEVER / 2).sum(1) >= beam
        return _Search(
            place + 1,
            _rows_of(tokens, kept),
            log_probability,
            finished,
            search.done | whole | (finished.score[:, n_best - 1] >= hope),
            jax.tree.map(lambda leaf: _rows_of(leaf, kept_parent), cache),
        )

    nothing = jnp.full((rows, beam, longest), PAD, jnp.int32)
    start = _Search(
        jnp.zeros((), jnp.int32),
        nothing,
        # All but one are impossible at first, or the beam would hold one hypothesis many times.
        jnp.where(jnp.arange(beam) == 0, 0.0, _NEVER)[None].repeat(rows, axis=0),
        Hypotheses(nothing, jnp.full((rows, beam), _NEVER, jnp.float32)),
        ~wanted,
        cache,
    )
    going_on = lambda search: (search.place < longest) & ~search.done.all()  # noqa: E731
    tokens, score = jax.lax.while_loop(going_on, advance, start).finished
    return Hypotheses(tokens[:, :n_best], score[:, :n_best])


def check_search(*, beam: int, longest: int, n_best: int, length_penalty: float = 1.0) -> None:
    """Refuse settings that no search can have (ValueError)."""
    for name, value in (("beam", beam), ("longest", longest), ("n_best", n_best)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if n_best > beam:
        raise ValueError(
            f"a beam of {beam} keeps {beam} hypotheses, and {n_best} are asked for: give a beam of "
            f"{n_best} or more"
        )
    if not 0 <= length_penalty < float("inf"):
        raise ValueError(f"length_penalty must be 0 or more, got {length_penalty}")


def _best_of(old: Hypotheses, new: Hypotheses, beam: int) -> Hypotheses:
    """The `beam` best of two sets; of equal ones those that were there first."""
    both = [jnp.concatenate(pair, axis=1) for pair in zip(old, new, strict=True)]
    score, kept = _largest(both[1], beam)
    return Hypotheses(_rows_of(both[0], kept), score)


def _largest(values: Array, k: int) -> tuple[Array, Array]:
    """The k largest of every row and their places.

    XLA knows them from a sort that is cut off. When a part of them is cut off once more it merges
    both cuts, does not know them any longer, and sorts: 250 ms in the place of 2 on a CPU (64 rows
    of four hypotheses and 4000 tokens). The barrier keeps the cuts apart.
    """
    return jax.lax.optimization_barrier(jax.lax.top_k(values, k))


def _rows_of(leaf: Array, index: Int[Array, "b n"]) -> Array:
    """Hypotheses [b, n, ...] of [b, m, ...]."""
    rows, m = leaf.shape[:2]
    # One gather of whole rows: three times as fast as along an axis.
    flat = index + m * jnp.arange(rows)[:, None]
    return leaf.reshape(rows * m, *leaf.shape[2:])[flat]
