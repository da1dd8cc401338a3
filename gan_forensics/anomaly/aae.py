"""The adversarial autoencoder of DOPING: rows onto a plane whose law is that of a known prior.

Makhzani et al. (arXiv 1511.05644) in the form of Lim et al. (ICDM 2018). Encoder E, decoder G and
a discriminator Q of codes move in this order, each with an Adam of its own and without weights
between the losses:

    reconstruction   E and G   mean over rows and columns of (G(E(x)) - x)^2
    discriminator    Q         bce(Q(z), 1) + bce(Q(sg E(x)), 0),  z ~ N(0, prior_scale^2 I)
    encoder          E         bce(Q(E(x)), 1)

so that the encoder meets the discriminator that has just moved. At the optimum Q cannot tell codes
from the prior: its logits are 0, its loss 2 ln 2, the encoder's ln 2.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PyTree

from gan_forensics.anomaly.minibatches import Order, Rows, table_minibatches
from gan_forensics.gans.losses import LOSSES
from gan_forensics.nn.mlp import MLP, Output, Start, init_mlp, map_rows, run_mlp
from gan_forensics.train import Aux, Learner, Update
from gan_forensics.train.seeds import train_seeds

ENCODER, DECODER, DISCRIMINATOR = "encoder", "decoder", "discriminator"
LOSS = LOSSES["non_saturating"]


@dataclass(frozen=True)
class AAEConfig:
    """Networks and recipe; the defaults are those published for real tables.

    Attributes:
        features: d, columns of a row.
        latent: m, length of a code.
        hidden: widths of the hidden layers of all three networks.
        output: of the decoder: "sigmoid" for rows in the unit cube, "linear" for any others.
        start: law of the initial kernels; published: "normal" for the toy worlds.
        prior_scale: deviation of the prior's axes; published: 10, and 5 for the toy worlds.
        learning_rate: of the three Adams; published: 1e-4, and 1e-3 for the toy worlds.
        epsilon: of the three Adams; published: 1e-7, and 1e-8 for the toy worlds.
        batch: rows a minibatch.
        order: of the rows; published: shuffled, and sequential for the toy worlds.
        joined: as published for real tables, shuffle prior and encoded codes together and move Q
            once on each half of them, with the mean over its rows. Otherwise Q moves once, with
            the sum of the two means.
        labelled: tell Q which rows are anomalies, and give those a prior of their own, uniform on
            the sphere of `anomaly_radius`. Needs labels, so it is not unsupervised.
        anomaly_radius: published: 100.

    Example:
        >>> AAEConfig(features=4, hidden=(16, 16)).latent
        2
    """

    features: int
    latent: int = 2
    hidden: tuple[int, ...] = (1000, 1000)
    output: Output = "sigmoid"
    start: Start = "glorot"
    prior_scale: float = 10.0
    learning_rate: float = 1e-4
    epsilon: float = 1e-7
    batch: int = 100
    order: Order = "shuffled"
    joined: bool = True
    labelled: bool = False
    anomaly_radius: float = 100.0

    def __post_init__(self):
        object.__setattr__(self, "hidden", tuple(self.hidden))  # a list, read from JSON
        if min(self.features, self.latent, self.batch, *self.hidden) < 1:
            raise ValueError(
                "features, latent, batch and hidden widths must be 1 or more, got "
                f"{self.features}, {self.latent}, {self.batch} and {self.hidden}"
            )
        if not min(self.prior_scale, self.learning_rate, self.epsilon, self.anomaly_radius) > 0:
            raise ValueError("prior_scale, learning_rate, epsilon and anomaly_radius must be > 0")


def networks(config: AAEConfig) -> dict[str, MLP]:
    """Encoder [b, d] -> [b, m], decoder [b, m] -> [b, d], discriminator [b, m (+ 1)] -> [b, 1]."""
    return {
        ENCODER: MLP(config.hidden, config.latent),
        DECODER: MLP(config.hidden, config.features, config.output),
        DISCRIMINATOR: MLP(config.hidden, 1),
    }


@lru_cache(maxsize=32)
def aae_learner(config: AAEConfig) -> Learner:
    """The three moves and the initial networks; the same object for the same config.

    A minibatch holds "x" [b, d], "prior" [b, m], and where the config asks for it "label" [b] (1
    nominal, 0 anomaly) or "half" [b], the rows of the 2b joined codes (first the prior's, then the
    encoded) that this move of Q sees.

    Example:
        >>> [update.name for update in aae_learner(AAEConfig(4, hidden=(8, 8))).updates]
        ['reconstruction', 'discriminator', 'encoder']
    """
    nets = networks(config)

    def encode(params: PyTree, x: Array) -> Array:
        return run_mlp(nets[ENCODER], params, x)

    def logits(params: PyTree, z: Array, batch: Rows) -> Array:
        if config.labelled:
            z = jnp.concatenate([z, batch["label"].astype(z.dtype)[:, None]], axis=1)
        return run_mlp(nets[DISCRIMINATOR], params, z)[:, 0]

    def reconstruction(trainable, frozen, stats, batch, key, step):
        z = encode(trainable[ENCODER], batch["x"])
        x = run_mlp(nets[DECODER], trainable[DECODER], z)
        return jnp.square(x - batch["x"]).mean(), Aux({}, {})

    def discriminator(trainable, frozen, stats, batch, key, step):
        z = jax.lax.stop_gradient(encode(frozen[ENCODER], batch["x"]))
        real = logits(trainable[DISCRIMINATOR], batch["prior"], batch)
        fake = logits(trainable[DISCRIMINATOR], z, batch)
        both = LOSS.discriminator(real, fake)
        if not config.joined:
            return both, Aux({}, {"both": both})
        losses = jnp.concatenate([LOSS.on_real(real), LOSS.on_fake(fake)])
        return losses[batch["half"]].mean(), Aux({}, {"both": both})

    def encoder(trainable, frozen, stats, batch, key, step):
        z = encode(trainable[ENCODER], batch["x"])
        return LOSS.generator(logits(frozen[DISCRIMINATOR], z, batch)), Aux({}, {})

    def init(seed: int):
        rng = np.random.default_rng((seed, 1))
        widths = {
            ENCODER: config.features,
            DECODER: config.latent,
            DISCRIMINATOR: config.latent + config.labelled,
        }
        return {k: init_mlp(nets[k], n, rng=rng, start=config.start) for k, n in widths.items()}, {}

    adam = optax.adam(config.learning_rate, b1=0.9, b2=0.999, eps=config.epsilon)
    halves = 2 if config.joined else 1
    updates = (
        Update("reconstruction", (ENCODER, DECODER), reconstruction, adam),
        Update("discriminator", (DISCRIMINATOR,), discriminator, adam, repeats=halves),
        Update("encoder", (ENCODER,), encoder, adam),
    )
    return Learner("autoencoder", asdict(config), updates, init)


def with_noise(config: AAEConfig, rows: Rows, rng: np.random.Generator) -> Rows:
    """Rows {"x": [steps, b, d], ...} with all that the moves see, [steps, minibatches, b, ...]."""
    steps, n = rows["x"].shape[:2]
    normal = rng.standard_normal((steps, n, config.latent))
    prior = config.prior_scale * normal
    if config.labelled:
        sphere = normal / np.linalg.norm(normal, axis=-1, keepdims=True)
        prior = np.where(rows["label"][..., None] > 0, prior, config.anomaly_radius * sphere)
    batch = {**rows, "prior": prior.astype(np.float32)}
    if not config.joined:
        return {name: leaf[:, None] for name, leaf in batch.items()}
    batch = {name: np.stack([leaf, leaf], axis=1) for name, leaf in batch.items()}
    shuffled = rng.permuted(np.tile(np.arange(2 * n), (steps, 1)), axis=1)
    return {**batch, "half": shuffled.reshape(steps, 2, n)}


@dataclass(frozen=True, eq=False)
class Autoencoder:
    """A trained adversarial autoencoder.

    Attributes:
        config: of its networks.
        params: network -> parameters.
        history: metric -> value at every step; "discriminator/both" is the sum of the two means,
            2 ln 2 = 1.386 where codes and prior cannot be told apart.

    Example:
        >>> (coder,) = train_autoencoders(AAEConfig(4), x, seeds=[0], steps=3000)  # doctest: +SKIP
        >>> coder.encode(x).shape  # doctest: +SKIP
    """

    config: AAEConfig
    params: Mapping[str, PyTree] = field(repr=False)
    history: Mapping[str, Float[np.ndarray, " steps"]] = field(default_factory=dict, repr=False)

    def encode(self, x: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n m"]:
        """Codes of rows."""
        return map_rows(networks(self.config)[ENCODER], self.params[ENCODER], x)

    def decode(self, z: Float[np.ndarray, "n m"]) -> Float[np.ndarray, "n d"]:
        """Rows of codes."""
        return map_rows(networks(self.config)[DECODER], self.params[DECODER], z)


def train_autoencoders(
    config: AAEConfig,
    x: Float[np.ndarray, "n d"],
    *,
    seeds: Sequence[int],
    steps: int,
    labels: np.ndarray | None = None,
    progress: bool = False,
) -> list[Autoencoder]:
    """Train one autoencoder for every seed on the same rows, all in one batch.

    Args:
        config: networks and recipe.
        x: training rows, in the unit cube for a sigmoid decoder.
        seeds: of weights, order and noise.
        steps: of three moves each.
        labels: 1 nominal, 0 anomaly; needed by the labelled variant and by no other.
        progress: show a bar.

    Raises:
        ValueError: for rows that do not fit the config, or labels without their variant.
        NonFiniteLossError: when training diverges.

    Example:
        >>> config = AAEConfig(features=4, hidden=(16, 16))
        >>> coders = train_autoencoders(config, x, seeds=range(3), steps=1000)  # doctest: +SKIP
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or x.shape[1] != config.features or not len(x):
        raise ValueError(f"rows must be [n, {config.features}] with n >= 1, got {list(x.shape)}")
    if not np.isfinite(x).all():
        raise ValueError(f"{int((~np.isfinite(x)).any(1).sum())} rows hold NaN or infinity")
    if config.output == "sigmoid" and (x.min() < 0 or x.max() > 1):
        raise ValueError(
            f"a sigmoid decoder reaches (0, 1) only, the rows run from {x.min():.4g} to "
            f"{x.max():.4g}: scale them by their minima and maxima, or take output='linear'"
        )
    table = {"x": x}
    if (labels is not None) != config.labelled:
        raise ValueError("labels and labelled=True belong together: give both or neither")
    if labels is not None:
        table["label"] = np.asarray(labels, np.float32)
        if table["label"].shape != (len(x),) or not np.isin(table["label"], (0, 1)).all():
            raise ValueError(f"labels must be [{len(x)}] of 1 (nominal) and 0 (anomaly)")
    noise = partial(with_noise, config)
    batches = table_minibatches(table, noise, steps=steps, batch=config.batch, order=config.order)
    learner = aae_learner(config)
    trained = train_seeds(learner, batches, seeds=seeds, steps=steps, progress=progress)
    return [Autoencoder(config, state.params, history) for state, history in trained]
