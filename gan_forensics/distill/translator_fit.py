"""Training translators in memory, many of one shape in a row, for studies.

A step is compiled once for each shape of batches, teachers' logits present or not, and serves every
smoothing, temperature, weight and seed.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from gan_forensics.data.token_batches import TokenBatches
from gan_forensics.data.vocabulary import PAD, Vocabulary
from gan_forensics.distill.losses import token_losses, top_logits
from gan_forensics.distill.translator import (
    METRIC,
    NETWORK,
    Translator,
    TranslatorConfig,
    make_network,
    translator_learner,
)
from gan_forensics.files.progress import progress_bar
from gan_forensics.runtime import Precision, products, random_key
from gan_forensics.train import NonFiniteLossError, Update, make_step

Sentences = Sequence[Sequence[int] | np.ndarray]
Pairs = tuple[Sentences, Sentences]


class Fitted(NamedTuple):
    """What training gave.

    Attributes:
        translator: at its best evaluation.
        history: for every evaluation "step", "validation/nll", "validation/accuracy" and the mean
            of the training loss since the last one, "loss".
        steps: how many were made.
    """

    translator: Translator
    history: list[dict[str, float]]
    steps: int


class PairBatches:
    """`TokenBatches` of a config, with the numbers that its loss is told for every sentence.

    Attributes:
        pairs: the `TokenBatches`.
    """

    def __init__(
        self,
        config: TranslatorConfig,
        pairs: Pairs,
        *,
        top: Mapping[str, Sequence[np.ndarray]] | None = None,
        shard: tuple[int, int] = (0, 1),
    ):
        """Batches of pairs of ids, with the logits of a teacher, `teacher_top_logits`, or without.

        Of several processes, `shard` of `TokenBatches`, each gets its part.

        Raises:
            ValueError: as `TokenBatches`.
        """
        self.pairs = TokenBatches(
            *pairs,
            tokens=config.tokens,
            seed=config.seed,
            longest=config.longest,
            extra=top,
            shard=shard,
        )
        self._told = {"alpha": config.label_smoothing}
        if top:
            self._told |= {
                "temperature": config.temperature,
                "soft_weight": 1 - config.hard_weight,
            }

    def __next__(self) -> dict[str, np.ndarray]:
        batch = next(self.pairs)
        rows = len(batch["source"])
        return batch | {name: np.full(rows, x, np.float32) for name, x in self._told.items()}

    def state(self) -> dict[str, int]:
        """The position, as that of the `TokenBatches`."""
        return self.pairs.state()

    def restore(self, state: dict[str, int]) -> None:
        """Go to a position."""
        self.pairs.restore(state)

    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others."""
        return self.pairs.fingerprint()


def fit_translator(
    config: TranslatorConfig,
    vocabulary: Vocabulary,
    train: Pairs,
    validation: Pairs,
    *,
    steps: int,
    evaluate_every: int,
    patience: int = 0,
    top: Mapping[str, Sequence[np.ndarray]] | None = None,
    progress: bool = False,
) -> Fitted:
    """Train a translator in memory and keep it as it was at its best evaluation.

    Args:
        config: how.
        vocabulary: of both languages.
        train: (sources, targets), ids of each sentence without END.
        validation: likewise; evaluated by the mean -log p of a reference's token, see `Evaluation`.
        steps: at most.
        evaluate_every: steps between evaluations; there is one at the end too.
        patience: evaluations in a row without a new best after which training stops; 0 for never.
        top: of a student that learns by word, `teacher_top_logits` of the pairs to train on.
        progress: show a bar, where there is a terminal.

    Raises:
        ValueError: for a config that cannot be, tokens that the vocabulary lacks, and lists that
            do not belong together.
        NonFiniteLossError: when the loss stops being finite.

    Example:
        >>> fitted = fit_translator(config, vocabulary, train, held_out, **steps)  # doctest: +SKIP
    """
    if steps < 1 or evaluate_every < 1 or patience < 0:
        raise ValueError(
            "need steps >= 1, evaluate_every >= 1 and patience >= 0, got "
            f"{steps}, {evaluate_every} and {patience}"
        )
    learner = translator_learner(config, len(vocabulary))
    for pairs in (train, validation):
        _check_ids(pairs, len(vocabulary))
    if top:
        _check_ids((top["top_index"],), len(vocabulary))
    batches = PairBatches(config, train, top=top)
    held_out = Evaluation(config, vocabulary, validation)
    (update,) = learner.updates
    step, key = _compiled_step(update), random_key(config.seed)
    # The first step donates the state: a copy, since initial values may be held elsewhere.
    state = jax.tree.map(jnp.array, learner.start(config.seed))
    best, kept, unimproved = np.inf, None, 0
    history: list[dict[str, float]] = []
    losses: list[Any] = []
    now = 0
    bar = progress_bar(total=steps, unit="step", desc=NETWORK, on=progress)
    with bar, products(config.precision):
        for now in range(1, steps + 1):
            batch = jax.tree.map(lambda x: x[None], next(batches))
            state, metrics = step(state, batch, key)
            losses.append(metrics[f"{NETWORK}/loss"])
            bar.update()
            if now % evaluate_every and now < steps:
                continue
            loss = np.asarray(jax.device_get(losses))
            losses.clear()
            if not np.isfinite(loss).all():
                first = now - len(loss) + 1 + int(np.argmin(np.isfinite(loss)))
                raise NonFiniteLossError(
                    f"the loss stopped being finite at step {first}: lower the learning rate or "
                    "look at the data"
                )
            found = held_out({"params": state.params[NETWORK]})
            history.append({"step": now, "loss": float(loss.mean()), **found})
            unimproved += 1
            if found[METRIC] < best:
                best, unimproved = found[METRIC], 0
                kept = jax.device_get(state.params[NETWORK])
            if 0 < patience <= unimproved:
                break
    if kept is None:
        raise NonFiniteLossError("no evaluation was finite: lower the learning rate")
    return Fitted(Translator(config, vocabulary, {"params": kept}), history, now)


def teacher_top_logits(
    translator: Translator, source: Sentences, target: Sentences, *, k: int
) -> dict[str, list[np.ndarray]]:
    """The k largest logits of a teacher at every token of the pairs, from one pass without dropout.

    Args:
        translator: the teacher.
        source: ids of each sentence, without END.
        target: likewise; t tokens and END.
        k: how many.

    Returns:
        "top_index" int32 [t + 1, k] and "top_logit" float32 [t + 1, k] for every pair, largest
        first: what `fit_translator` takes as `top`.

    Raises:
        ValueError: for tokens that the teacher's vocabulary lacks, and for k beyond it.

    Example:
        >>> top = teacher_top_logits(translator, source, target, k=4)  # doctest: +SKIP
    """
    size = len(translator.vocabulary)
    if not 0 < k <= size:
        raise ValueError(f"k must be 1 to {size}, the pieces of the vocabulary, got {k}")
    _check_ids((source, target), size)
    index: list[Any] = [None] * len(source)
    logit: list[Any] = [None] * len(source)
    numbers = [np.full(len(ids) + 1, row + 1, np.int32) for row, ids in enumerate(target)]
    batches = TokenBatches(
        source, target, tokens=translator.config.tokens, seed=0, extra={"pair": numbers},
        longest=max(max(len(s), len(t)) + 1 for s, t in zip(source, target, strict=True)),
    )  # fmt: skip
    largest = _compiled_top(translator.network, k)
    with products(translator.config.precision):
        for _ in range(batches.batches_per_epoch):
            batch = next(batches)
            found = jax.device_get(largest(translator.variables, batch["source"], batch["target"]))
            for row, pairs in enumerate(batch["pair"]):
                if pair := int(pairs[0]):
                    length = len(target[pair - 1]) + 1
                    index[pair - 1], logit[pair - 1] = (x[row, :length].copy() for x in found)
    return {"top_index": index, "top_logit": logit}


class Evaluation:
    """Over the tokens of held-out references: the mean -log p, and how often it is the likeliest.

    p is read at the temperature of the config. A student by word of a raised T is made for that: at
    T = 1 it is far too sure, its -log p grows while it learns, and training would stop too early.

    Attributes:
        left_out: pairs that are longer than the config's `longest`.
    """

    def __init__(self, config: TranslatorConfig, vocabulary: Vocabulary, pairs: Pairs):
        """Make the batches, once; raises ValueError where no pair is short enough."""
        batches = TokenBatches(*pairs, tokens=config.tokens, seed=0, longest=config.longest)
        self.left_out = batches.left_out
        self._batches = [next(batches) for _ in range(batches.batches_per_epoch)]
        self._sums = _compiled_sums(make_network(config, len(vocabulary)))
        self._precision: Precision | None = config.precision
        self._temperature = np.float32(config.temperature)

    def __call__(self, variables: PyTree) -> dict[str, float]:
        """Evaluate the variables of a network."""
        with products(self._precision):
            sums = [
                self._sums(variables, b["source"], b["target"], self._temperature)
                for b in self._batches
            ]
        nll, right, count = np.array(jax.device_get(sums), np.float64).sum(0)
        return {METRIC: float(nll / count), "validation/accuracy": float(right / count)}


@lru_cache(maxsize=32)
def _compiled_step(update: Update) -> Any:
    return jax.jit(make_step((update,)), donate_argnums=0)


@lru_cache(maxsize=32)
def _compiled_sums(network: Any):
    """Sums over tokens: of -log p, of right ones, and their number."""

    @jax.jit
    def sums(variables, source, target, temperature):
        logits = network.apply(variables, source, target, train=False)
        _, nll = token_losses(logits / temperature, target, alpha=0.0)
        real = target != PAD
        right = real & (logits.argmax(-1) == target)
        return jnp.stack([jnp.where(real, nll, 0).sum(), right.sum(), real.sum()])

    return sums


@lru_cache(maxsize=32)
def _compiled_top(network: Any, k: int):
    @jax.jit
    def largest(variables, source, target):
        return top_logits(network.apply(variables, source, target, train=False), k)

    return largest


def _check_ids(lists: Sequence[Sentences], size: int) -> None:
    """Refuse tokens that a vocabulary of a size lacks: networks would make NaN of them."""
    for sentences in lists:
        for row, ids in enumerate(sentences):
            values = np.asarray(ids)
            if wrong := values[(values < 0) | (values >= size)].tolist():
                raise ValueError(
                    f"sentence {row} has the token {wrong[0]}, and the vocabulary {size}: was it "
                    "encoded with another one?"
                )
