"""The Transformer, an encoder and a decoder of sentences (Vaswani et al., NeurIPS 2017).

As fairseq's `transformer_iwslt_de_en_small` has it: layer norm after every addition, ReLU,
sinusoidal positions, and one embedding for source, target and output. Sentences are rows of token
ids that are filled up with PAD, which nothing attends to; a row of PAD alone is computed, means
nothing, and has no part in the other rows.

Training sees whole targets (`__call__`); decoding goes token by token (`step`) and keeps the keys
and values of what it has seen.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from gan_forensics.nn.dropout import Dropout
from gan_forensics.nn.initial import glorot, normal, ones, zeros
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32

# Ids of `gan_forensics.data.vocabulary`, which networks do not import.
PAD, BEGIN = 0, 1
# Positions; the published networks have no more, and a longer sentence is no sentence.
MOST_TOKENS = 1024

# What a place that is not to be attended to scores: exp of it is 0, also in a row of such places.
_MASKED = -1e9

KeysAndValues = tuple[Array, Array]  # both [..., places, heads, width / heads]


class Memory(NamedTuple):
    """What the decoder knows of the sources: keys and values of every layer, and their places."""

    layers: tuple[KeysAndValues, ...]
    real: Bool[Array, "b 1 1 s"]


class Transformer(Network):
    """Encoder and decoder of `layers` layers each; raises ValueError for an impossible width.

    Linear layers start as Glorot's uniform law (gain 1/sqrt(2) for queries, keys and values, which
    fairseq draws as one matrix), embeddings as N(0, 1 / width), PAD's as 0.

    Attributes:
        vocabulary: number of tokens.
        layers: of encoder and of decoder.
        width: of embeddings and maps.
        feed_forward: hidden width of the two-layer perceptrons.
        heads: of every attention; they share the width.
        dropout: of embeddings and of what every sublayer adds.
        dtype: of the computation; softmax, norms and logits are float32 at least.

    Example:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> from gan_forensics.runtime import random_key
        >>> network = Transformer(100, layers=1, width=16, feed_forward=32, heads=2)
        >>> source, target = jnp.full((2, 7), 5), jnp.full((2, 4), 6)
        >>> y, _ = jax.eval_shape(
        ...     lambda: network.init_with_output(random_key(0), source, target, train=False)
        ... )
        >>> y.shape
        (2, 4, 100)
    """

    vocabulary: int
    layers: int = 2
    width: int = 256
    feed_forward: int = 1024
    heads: int = 4
    dropout: float = 0.3
    dtype: Any = None

    def setup(self):
        """Make the layers."""
        if self.width % 2 or self.width % self.heads:
            raise ValueError(
                f"a width of {self.width} cannot be shared by {self.heads} heads, or is odd: "
                "choose an even multiple of the heads"
            )

        def start(key, shape, dtype):
            table = normal(self.width**-0.5)(key, shape, dtype)
            return table * (np.arange(shape[0]) != PAD).astype(np.float32)[:, None]

        shape = (self.vocabulary, self.width)
        self.embedding = self.param("embedding", start, shape, jnp.float32)
        sizes: dict[str, Any] = dict(
            width=self.width, feed_forward=self.feed_forward, heads=self.heads,
            dropout=self.dropout, dtype=self.dtype,
        )  # fmt: skip
        self.encoder = [EncoderLayer(**sizes) for _ in range(self.layers)]
        self.decoder = [DecoderLayer(**sizes) for _ in range(self.layers)]
        self.drop = Dropout(self.dropout)

    def __call__(
        self, source: Int[Array, "b s"], target: Int[Array, "b t"], *, train: bool
    ) -> Float[Array, "b t v"]:
        """Logits of every token of the targets, each given the source and the tokens before it.

        The target is shifted here: its first token is predicted from BEGIN.
        """
        memory = self.remember(source, train=train)
        before = jnp.pad(target[:, :-1], ((0, 0), (1, 0)), constant_values=BEGIN)
        length = before.shape[1]
        seen = jnp.tril(jnp.ones((1, 1, length, length), bool)) & _real(before)
        x = self._embedded(before, sinusoids(length, self.width), train=train)
        for layer, of_source in zip(self.decoder, memory.layers, strict=True):
            x = layer(x, layer.seen(x), seen, of_source, memory.real, train=train)
        return self._logits(x)

    def encode(self, source: Int[Array, "b s"], *, train: bool) -> Float[Array, "b s d"]:
        """The sources as the last layer of the encoder leaves them."""
        x = self._embedded(source, sinusoids(source.shape[1], self.width), train=train)
        for layer in self.encoder:
            x = layer(x, _real(source), train=train)
        return x

    def remember(self, source: Int[Array, "b s"], *, train: bool = False) -> Memory:
        """Encode the sources to what the layers of the decoder look up."""
        encoded = self.encode(source, train=train)
        return Memory(tuple(layer.of_source(encoded) for layer in self.decoder), _real(source))

    def empty_cache(self, rows: int, beam: int, longest: int) -> tuple[KeysAndValues, ...]:
        """Room for the keys and values of `longest` tokens: leaves [rows, beam, longest, h, d]."""
        shape = (rows, beam, longest, self.heads, self.width // self.heads)
        room = jnp.zeros(shape, self.dtype or jnp.float32)
        return ((room, room),) * self.layers

    def step(
        self,
        memory: Memory,
        cache: tuple[KeysAndValues, ...],
        token: Int[Array, "b n"],
        place: Int[Array, ""],
    ) -> tuple[Float[Array, "b n v"], tuple[KeysAndValues, ...]]:
        """Logits of the token at `place` of n hypotheses a source, given the one before it.

        At place 0 that is BEGIN. The cache holds the tokens before; the new one is returned.
        """
        length = cache[0][0].shape[2]
        seen = (jnp.arange(length) <= place).reshape(1, 1, 1, length)
        where = jax.lax.dynamic_slice_in_dim(sinusoids(length, self.width), place, 1)
        x = self._embedded(token, where, train=False)
        moved = []
        for layer, kept, of_source in zip(self.decoder, cache, memory.layers, strict=True):
            new = jax.tree.map(
                lambda kept, new: jax.lax.dynamic_update_slice_in_dim(
                    kept, new[:, :, None].astype(kept.dtype), place, axis=2
                ),
                kept,
                layer.seen(x),
            )
            moved.append(new)
            x = layer(x, new, seen, of_source, memory.real, train=False)
        return self._logits(x), tuple(moved)

    def _embedded(self, tokens, positions, *, train: bool):
        """sqrt(width) times the embeddings plus positions [t, d]; what PAD becomes, nobody sees."""
        rows = jnp.sqrt(self.width) * jnp.take(self.embedding, tokens, axis=0, mode="fill")
        x = (rows + positions[None]).astype(self.dtype or rows.dtype)
        return self.drop(x, deterministic=not train)

    def _logits(self, x):
        table = self.embedding.astype(x.dtype)
        wide = jnp.promote_types(x.dtype, jnp.float32)
        return jnp.einsum("btd,vd->btv", x, table, preferred_element_type=wide)


class EncoderLayer(Network):
    """x <- norm(x + attention(x)), then x <- norm(x + perceptron(x))."""

    width: int
    feed_forward: int
    heads: int
    dropout: float
    dtype: Any

    def setup(self):
        """Make the sublayers."""
        self.attention = Attention(self.width, self.heads, self.dtype)
        self.perceptron = Perceptron(self.width, self.feed_forward, self.dtype)
        self.after_attention = Added(self.dropout, self.dtype)
        self.after_perceptron = Added(self.dropout, self.dtype)

    def __call__(self, x, real, *, train: bool):
        """Every place of [b, s, d] attends to the `real` ones."""
        found = self.attention(x, self.attention.looked_up(x), real)
        x = self.after_attention(x, found, train=train)
        return self.after_perceptron(x, self.perceptron(x), train=train)


class DecoderLayer(Network):
    """As the encoder's, with attention to the source between."""

    width: int
    feed_forward: int
    heads: int
    dropout: float
    dtype: Any

    def setup(self):
        """Make the sublayers."""
        self.attention = Attention(self.width, self.heads, self.dtype)
        self.source_attention = Attention(self.width, self.heads, self.dtype)
        self.perceptron = Perceptron(self.width, self.feed_forward, self.dtype)
        self.after_attention = Added(self.dropout, self.dtype)
        self.after_source = Added(self.dropout, self.dtype)
        self.after_perceptron = Added(self.dropout, self.dtype)

    def seen(self, x) -> KeysAndValues:
        """Keys and values of the target's own tokens."""
        return self.attention.looked_up(x)

    def of_source(self, encoded) -> KeysAndValues:
        """Keys and values of the encoded source."""
        return self.source_attention.looked_up(encoded)

    def __call__(self, x, own: KeysAndValues, seen, of_source: KeysAndValues, real, *, train: bool):
        """Places [b, t, d] to [b, t, d].

        `own` is of the tokens of each row, [b, places, h, d/h], or of those of each place of x,
        [b, t, places, h, d/h]: x then holds t hypotheses rather than t tokens of one.
        """
        if own[0].ndim == 5:
            apart = x.reshape(-1, 1, x.shape[-1])
            flat = jax.tree.map(lambda kept: kept.reshape(-1, *kept.shape[2:]), own)
            found = self.attention(apart, flat, seen).reshape(x.shape)
        else:
            found = self.attention(x, own, seen)
        x = self.after_attention(x, found, train=train)
        found = self.source_attention(x, of_source, real)
        x = self.after_source(x, found, train=train)
        return self.after_perceptron(x, self.perceptron(x), train=train)


class Attention(Network):
    """Several heads of softmax(q k^T / sqrt(d/h)) v, and a linear layer over them together."""

    width: int
    heads: int
    dtype: Any

    def setup(self):
        """Make the four linear layers."""
        one_of_three = glorot(0.5**0.5)
        self.query = _dense(self.width, self.dtype, one_of_three)
        self.key = _dense(self.width, self.dtype, one_of_three)
        self.value = _dense(self.width, self.dtype, one_of_three)
        self.out = _dense(self.width, self.dtype)

    def looked_up(self, x) -> KeysAndValues:
        """Keys and values of places, [b, s, d] to two of [b, s, h, d/h]."""
        return self._by_head(self.key(x)), self._by_head(self.value(x))

    def __call__(self, x, looked_up: KeysAndValues, mask):
        """What the places of x find; `mask` [b or 1, 1, t or 1, s] is where they may look."""
        keys, values = looked_up
        query = self._by_head(self.query(x)) * (self.width // self.heads) ** -0.5
        # float32 also in a bfloat16 network: the softmax has many small terms.
        scores = at_least_float32(_scores(query, keys))
        weights = jax.nn.softmax(jnp.where(mask, scores, _MASKED), axis=-1).astype(values.dtype)
        return self.out(_weighed(weights, values).reshape(x.shape))

    def _by_head(self, x):
        return x.reshape(*x.shape[:-1], self.heads, -1)


class Perceptron(Network):
    """A linear layer, ReLU, a linear layer."""

    width: int
    feed_forward: int
    dtype: Any

    @nn.compact
    def __call__(self, x):
        """[..., d] to [..., d]."""
        hidden = nn.relu(_dense(self.feed_forward, self.dtype, name="hidden")(x))
        return _dense(self.width, self.dtype, name="out")(hidden)


class Added(Network):
    """norm(x + dropout(found))."""

    dropout: float
    dtype: Any

    @nn.compact
    def __call__(self, x, found, *, train: bool):
        """Both [..., d]."""
        kept = Dropout(self.dropout)(found, deterministic=not train)
        return nn.LayerNorm(
            epsilon=1e-5, dtype=self.dtype, use_fast_variance=False, scale_init=ones,
            bias_init=zeros, name="norm",
        )(x + kept)  # fmt: skip


def sinusoids(length: int, width: int) -> Float[Array, "length width"]:
    """Positions: sines of width/2 wavelengths from 2 pi to 20000 pi, then the cosines."""
    half = width // 2
    rates = np.exp(-np.log(10000) / max(half - 1, 1) * np.arange(half))
    angles = np.arange(length)[:, None] * rates[None]
    return jnp.asarray(np.concatenate([np.sin(angles), np.cos(angles)], axis=1), jnp.float32)


def _scores(query, keys):
    """Inner products [b, h, q, k] of [b, q, h, d] and [b, k, h, d]."""
    if query.shape[1] > 1:
        return jnp.einsum("bqhd,bkhd->bhqk", query, keys)
    # While decoding there is one query a row, whose products XLA is slow to find on CPUs: with
    # `_weighed` 16 ms against 2 (256 rows, 64 places, 4 heads of 32).
    return (query * keys).sum(-1).swapaxes(1, 2)[:, :, None]


def _weighed(weights, values):
    """Sums [b, q, h, d] of values [b, k, h, d] with weights [b, h, q, k]."""
    if weights.shape[2] > 1:
        return jnp.einsum("bhqk,bkhd->bqhd", weights, values)
    return (weights[:, :, 0].swapaxes(1, 2)[..., None] * values).sum(1, keepdims=True)


def _real(tokens):
    """Where tokens are not PAD, for attention to look at: [b, 1, 1, s]."""
    return (tokens != PAD)[:, None, None, :]


def _dense(features: int, dtype: Any, kernel_init=None, name: str | None = None) -> nn.Dense:
    return nn.Dense(
        features, dtype=dtype, kernel_init=kernel_init or glorot(), bias_init=zeros, name=name
    )
