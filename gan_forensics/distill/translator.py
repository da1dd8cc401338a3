"""A translator: a Transformer with its vocabulary, and the one move that trains it.

The recipe is fairseq's for IWSLT: Adam (0.9, 0.98) with epsilon 1e-8, a rate that grows linearly
over the warm-up and then falls as the inverse root of the step, dropout, batches by tokens, the
loss summed over the tokens that are not PAD and divided by their number. A teacher is a translator
that learnt with smoothing or without; a student learns from its largest logits at every token
(`token_losses`) or from the sentences that it translates.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, PyTree

from gan_forensics.data.vocabulary import LARGEST, PAD, Vocabulary
from gan_forensics.distill.losses import token_losses
from gan_forensics.files import check_file_in, read_bytes
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.limits import check_limits
from gan_forensics.nn.transformer import MOST_TOKENS, Transformer
from gan_forensics.runtime import Precision, check_precision, computation_dtype, random_key
from gan_forensics.train import (
    Learner,
    Update,
    from_config,
    load_state,
    read_config,
    supervised_update,
)

KIND = NETWORK = "translator"
# The vocabulary of a run folder, a serialised sentencepiece model: parsed, never executed.
VOCABULARY = "vocabulary.model"
# What training watches: the mean over tokens of -log p of the reference, at the config's T.
METRIC = "validation/nll"

_FIRST_RATE = 1e-7


@dataclass(frozen=True)
class TranslatorConfig:
    """What a translator is made of, and how it learns.

    Attributes:
        label_smoothing: alpha, the mass that goes to all tokens alike.
        temperature: T at which a student reads the logits of its teacher, and its own.
        hard_weight: of the student's loss by the references; the teacher's is the rest.
        layers: of encoder and of decoder.
        width: of embeddings and layers.
        feed_forward: hidden width of the perceptrons.
        heads: of every attention.
        dropout: of embeddings and of what every sublayer adds.
        tokens: of one side of a batch, padding included.
        longest: tokens of a sentence at most; pairs with a longer one are left out.
        learning_rate: at the end of the warm-up.
        warm_up: steps of linear growth; then the rate falls as 1 / sqrt(step).
        seed: of initial weights, order and dropout.
        precision: of products; by default the backend's own.

    Example:
        >>> TranslatorConfig(layers=1, width=64).heads
        4
    """

    label_smoothing: float = 0.0
    temperature: float = 1.0
    hard_weight: float = 0.1
    layers: int = 2
    width: int = 256
    feed_forward: int = 1024
    heads: int = 4
    dropout: float = 0.3
    tokens: int = 4096
    longest: int = 200
    learning_rate: float = 5e-4
    warm_up: int = 4000
    seed: int = 0
    precision: Precision | None = None


@dataclass(frozen=True, eq=False)
class Translator:
    """A Transformer that has learnt.

    Attributes:
        config: what it is made of.
        vocabulary: of both languages.
        variables: of the network.

    Example:
        >>> translator = load_translator("runs/translator")  # doctest: +SKIP
    """

    config: TranslatorConfig
    vocabulary: Vocabulary = field(repr=False)
    variables: PyTree = field(repr=False)

    @property
    def network(self) -> Any:
        """The network, without variables: a `Transformer`."""
        return make_network(self.config, len(self.vocabulary))


def check_config(config: TranslatorConfig) -> None:
    """Refuse what cannot be (ValueError)."""
    check_precision(config.precision)
    check_limits(config)
    if not 0 <= config.label_smoothing < 1:
        raise ValueError(
            f"label_smoothing must be 0 or more and below 1, got {config.label_smoothing}"
        )
    if not 0 < config.temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {config.temperature}")
    if not 0 <= config.hard_weight <= 1:
        raise ValueError(f"hard_weight must lie between 0 and 1, got {config.hard_weight}")
    if not 0 <= config.dropout < 1:
        raise ValueError(f"dropout must be 0 or more and below 1, got {config.dropout}")
    if not 0 < config.learning_rate < math.inf:
        raise ValueError(f"learning_rate must be positive, got {config.learning_rate}")
    sizes = "layers", "width", "feed_forward", "heads", "tokens", "longest", "warm_up"
    for name, least in {**dict.fromkeys(sizes, 1), "longest": 2, "seed": 0}.items():
        if getattr(config, name) < least:
            raise ValueError(f"{name} must be at least {least}, got {getattr(config, name)}")
    if config.longest > MOST_TOKENS:
        raise ValueError(f"longest must be at most {MOST_TOKENS}, got {config.longest}")
    if config.width % 2 or config.width % config.heads:
        raise ValueError(
            f"width {config.width} must be even and a multiple of heads, {config.heads}"
        )


def make_network(config: TranslatorConfig, vocabulary: int) -> Any:
    """The `Transformer` of a config for a number of tokens."""
    return Transformer(
        vocabulary,
        layers=config.layers,
        width=config.width,
        feed_forward=config.feed_forward,
        heads=config.heads,
        dropout=config.dropout,
        dtype=computation_dtype(config.precision),
    )


def inverse_root_schedule(learning_rate: float, warm_up: int) -> optax.Schedule:
    """From 1e-7 linearly to r = `learning_rate` at step `warm_up`, then r sqrt(warm_up / step).

    Vaswani et al. (NeurIPS 2017), equation 3, as fairseq's `inverse_sqrt` has it.
    """

    def rate(step: Any) -> Any:
        growing = _FIRST_RATE + step * (learning_rate - _FIRST_RATE) / warm_up
        falling = learning_rate * jnp.sqrt(warm_up / jnp.maximum(step, 1))
        return jnp.where(step < warm_up, growing, falling)

    return rate


def translator_adam(learning_rate: float, warm_up: int) -> optax.GradientTransformation:
    """Adam of the published recipe, without decay and without clipping."""
    schedule = inverse_root_schedule(learning_rate, warm_up)
    return optax.adam(schedule, b1=0.9, b2=0.98, eps=1e-8)


def translator_update(network: Transformer, optimizer: optax.GradientTransformation) -> Update:
    """The one move of a translator, with or without a teacher's logits in its batches.

    Batches have "source" and "target" int [b, l] (ids, END, then PAD) and "alpha" [b]; with a
    teacher also "top_index" and "top_logit" [b, l, k], "temperature" [b] and "soft_weight" [b].
    Only shapes are compiled in: one step serves every smoothing, temperature and weight.
    """

    def call(network: Any, batch: Mapping[str, Array]):
        return network(batch["source"], batch["target"], train=True)

    def loss(logits, batch):
        taught = {}
        if "top_index" in batch:
            taught = {name: batch[name] for name in ("top_index", "top_logit")}
            taught |= {name: batch[name][:, None] for name in ("temperature", "soft_weight")}
        losses, nll = token_losses(logits, batch["target"], alpha=batch["alpha"][:, None], **taught)
        real = batch["target"] != PAD
        count = jnp.maximum(real.sum(), 1)

        def per_token(values):
            return jnp.where(real, values, 0).sum() / count

        right = logits.argmax(-1) == batch["target"]
        return per_token(losses), {"nll": per_token(nll), "accuracy": per_token(right)}

    return supervised_update(NETWORK, network, loss, optimizer, call=call)


@lru_cache(maxsize=32)
def update_of(network: Any, learning_rate: float, warm_up: int) -> Update:
    """The move of a network, made once: what is compiled for it goes by its identity."""
    return translator_update(network, translator_adam(learning_rate, warm_up))


def translator_learner(config: TranslatorConfig, vocabulary: int) -> Learner:
    """The learner of a config for a number of tokens.

    Raises:
        ValueError: as `check_config`.
    """
    check_config(config)
    network = make_network(config, vocabulary)

    def init(seed: int):
        ids = jax.ShapeDtypeStruct((1, 8), np.dtype("int32"))
        variables = initial_variables(network, random_key(seed), ids, ids, train=False)
        return {NETWORK: variables["params"]}, {}

    update = update_of(network, config.learning_rate, config.warm_up)
    return Learner(KIND, asdict(config), (update,), init, precision=config.precision)


def load_translator(run: Path | str) -> Translator:
    """The translator of a run folder, at its best checkpoint by the validation pairs.

    Raises:
        RunFolderError: when the folder is not a translator's run folder.
        FileNotFoundError: when its vocabulary is missing.
        ValueError: when its vocabulary is none.
        CheckpointError: when it has no checkpoint that can be read.

    Example:
        >>> translator = load_translator("runs/translator")  # doctest: +SKIP
    """
    run = Path(run)
    read_config(run, KIND)
    vocabulary = read_vocabulary(run)

    def made(saved: dict[str, Any]):
        config = TranslatorConfig(**saved)
        return config, translator_learner(config, len(vocabulary))

    config, learner = from_config(run, KIND, made)
    state = load_state(run, learner, best=METRIC)
    return Translator(config, vocabulary, {"params": state.params[NETWORK]})


def read_vocabulary(run: Path) -> Vocabulary:
    """The vocabulary of a run folder; raises as `load_translator`."""
    path = run / VOCABULARY
    check_file_in(path, "the run folder whole, its vocabulary included")
    try:
        return Vocabulary(read_bytes(path, most=LARGEST))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def check_same_vocabulary(teacher: Translator, student: Vocabulary) -> None:
    """Refuse a student that does not share its teacher's vocabulary (ValueError)."""
    if teacher.vocabulary.model != student.model:
        raise ValueError(
            f"the teacher's vocabulary, of {len(teacher.vocabulary)} pieces, is not the student's, "
            f"of {len(student)}: its logits would be of other tokens; train the student with the "
            "vocabulary of its teacher"
        )
