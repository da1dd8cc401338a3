"""Does InfoNCE tell diverse batches from collapsed ones?

A small discriminator and critics are trained by nothing but the InfoNCE of real images. Then the
batches of three imagined generators are held against it: of all classes, of one class, and of one
image again and again. For the last there is an exact bound. With scores s[k] of its L places

    L_nce = mean_k log(1 + ((N-1) sum_l e^s[l] + L e^m) / e^s[k]) >= log(1 + (N-1) L)

since log(1 + (N-1)/p) is convex in p = e^s[k] / sum_l e^s[l], whose mean is 1/L: a generator that
has collapsed to one image pays at least the loss of chance, whatever the discriminator has learnt.
"""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int
from tqdm import tqdm

from experiments.infomax_encoder import Encoder, Labelled, encoder, initialised, labelled
from gan_forensics.gans import adam, chance_level, infomax_accuracy, infomax_loss
from gan_forensics.gans.context import DISCRIMINATOR
from gan_forensics.gans.infomax import CRITICS
from gan_forensics.runtime import jit
from gan_forensics.train import Aux, Update, init_state, make_step

KINDS = ("all classes", "one class", "one image")


@dataclass(frozen=True)
class Diversity:
    """How the encoder is trained and asked.

    Attributes:
        data: a labelled source.
        width: of the discriminator.
        critics: length of the projections.
        batch_size: N, of training and asking.
        steps: of training.
        looks: how often it is asked meanwhile, evenly, beside the start.
        draws: batches of each kind that it is asked at a time.
        learning_rate: of Adam (0.9, 0.999).
        seeds: of initialisation, training batches and asked batches.
    """

    data: str = "samples:digits"
    width: int = 16
    critics: int = 64
    batch_size: int = 24
    steps: int = 500
    looks: int = 5
    draws: int = 10
    learning_rate: float = 1e-3
    seeds: tuple[int, ...] = (0, 1, 2)


def diversity(config: Diversity, *, progress: bool = True) -> dict[str, Any]:
    """Train the encoder for every seed, and ask it.

    Returns:
        `steps` of the looks; `loss` and `accuracy`: kind -> [seed][look], means over the draws;
        `bound`: log(1 + (N-1) L); `above_bound`: the least distance of the loss of a repeated image
        from it, over all draws, looks and seeds.

    Raises:
        ValueError: when the looks do not divide the steps, or a class has too few held-out images
            for a batch.
    """
    if config.looks < 1 or config.steps % config.looks:
        raise ValueError(
            f"{config.steps} steps cannot be divided evenly among {config.looks} looks: change "
            "--diversity.looks"
        )
    train, test = (labelled(config.data, split) for split in ("train", "test"))
    network = encoder(config.width, config.critics, size=train.images.shape[1])
    update, learn, ask = _programs(network, config)
    found = {kind: {"loss": [], "accuracy": []} for kind in KINDS}
    least, places, few = np.inf, 0, config.steps // config.looks
    images, shown = jnp.asarray(train.images), jnp.asarray(test.images)
    with tqdm(
        total=len(config.seeds) * config.looks,
        desc="diversity",
        unit="look",
        disable=None if progress else True,
    ) as bar:
        for seed in config.seeds:
            rng, key = np.random.default_rng((seed, 2)), jax.random.key(seed)
            state = init_state((update,), *initialised(network, train, seed))
            for look in range(config.looks + 1):
                for _ in range(few if look else 0):
                    rows = rng.choice(len(images), config.batch_size, replace=False)
                    state = learn(state, images, rows, key)
                bar.update(bool(look))
                for kind in KINDS:
                    rows = asked(kind, test, config.batch_size, config.draws, rng)
                    loss, accuracy, places = ask(state, shown, jnp.asarray(rows))
                    if kind == "one image":
                        bound = chance_level(config.batch_size, int(places))
                        least = min(least, float(loss.min()) - bound)
                    if not look:
                        found[kind]["loss"].append([])
                        found[kind]["accuracy"].append([])
                    found[kind]["loss"][-1].append(float(loss.mean()))
                    found[kind]["accuracy"][-1].append(float(accuracy.mean()))
    return {
        "steps": [few * look for look in range(config.looks + 1)],
        "loss": {kind: found[kind]["loss"] for kind in KINDS},
        "accuracy": {kind: found[kind]["accuracy"] for kind in KINDS},
        "bound": chance_level(config.batch_size, int(places)),
        "above_bound": least,
        "places": int(places),
    }


def asked(
    kind: str, data: Labelled, size: int, draws: int, rng: np.random.Generator
) -> Int[np.ndarray, "draws size"]:
    """The rows of batches of a kind; the classes take turns.

    Raises:
        ValueError: for a kind that is not in `KINDS`, and a class with too few images.
    """
    if kind == "one image":
        return np.repeat(rng.integers(len(data.labels), size=(draws, 1)), size, axis=1)
    if kind == "all classes":
        return np.stack([rng.choice(len(data.labels), size, replace=False) for _ in range(draws)])
    if kind != "one class":
        raise ValueError(f"unknown kind {kind!r}; kinds are {', '.join(KINDS)}")
    batches = []
    for draw in range(draws):
        own = data.rows(draw % data.classes)
        if len(own) < size:
            raise ValueError(
                f"class {draw % data.classes} has {len(own)} held-out images, a batch {size}: "
                "take smaller batches"
            )
        batches.append(rng.choice(own, size, replace=False))
    return np.stack(batches)


def _programs(network: Encoder, config: Diversity):
    """The update, (some steps of it, InfoNCE and its accuracy on batches) compiled."""

    def loss(trainable, frozen, stats, batch, key, step):
        seen, moved = network(trainable, stats, batch["image"], train=True)
        return infomax_loss(seen.p, seen.q), Aux(moved, {})

    rate = adam(config.learning_rate, betas=(0.9, 0.999))
    update = Update("encoder", (DISCRIMINATOR, CRITICS), loss, rate)
    step = make_step((update,))

    def learn(state, images, rows, key):
        return step(state, {"image": images[rows][None]}, key)[0]

    def ask(state, images, rows):
        def one(rows):
            seen, _ = network(state.params, state.stats, images[rows], train=False)
            return infomax_loss(seen.p, seen.q), infomax_accuracy(seen.p, seen.q)

        places = jax.eval_shape(
            lambda x: network(state.params, state.stats, x, train=False)[0].p, images[:1]
        ).shape[1]
        return *jax.lax.map(one, rows), places

    return update, jit(learn, donate_argnums=0), jit(ask)
