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

from gan_forensics.experiments.infomax_encoder import Labelled, encoder, encoder_learner, labelled
from gan_forensics.gans import adam, chance_level, infomax_accuracy, infomax_loss
from gan_forensics.runtime import jit
from gan_forensics.train.seeds import train_seeds

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
    shown, every = jnp.asarray(test.images), config.steps // config.looks
    rngs = {seed: np.random.default_rng((seed, 2)) for seed in config.seeds}
    found = {seed: [] for seed in config.seeds}

    @jit
    def ask(state, images, rows):
        def one(rows):
            seen, _ = network(state.params, state.stats, images[rows], train=False)
            accuracy = infomax_accuracy(seen.p, seen.q)
            return infomax_loss(seen.p, seen.q), accuracy, seen.p.shape[1]

        return jax.lax.map(one, rows)

    def minibatches(seed):
        while True:
            rows = rngs[seed].choice(len(train.images), config.batch_size, replace=False)
            yield {"image": train.images[rows]}

    def look(seed, state):
        answers = {}
        for kind in KINDS:
            rows = asked(kind, test, config.batch_size, config.draws, rngs[seed])
            answers[kind] = ask(state, shown, jnp.asarray(rows))
        found[seed].append(answers)

    rate = adam(config.learning_rate, betas=(0.9, 0.999))
    train_seeds(
        encoder_learner(network, lambda seen: infomax_loss(seen.p, seen.q), rate, train),
        minibatches,
        seeds=config.seeds,
        steps=config.steps,
        batched=False,
        metrics=("encoder/loss",),
        look=look,
        every=every,
        progress=progress,
    )
    looks = [answers for seed in config.seeds for answers in found[seed]]
    places = int(looks[0]["one image"][2][0])
    bound = chance_level(config.batch_size, places)

    def means(measure: int) -> dict[str, list[list[float]]]:
        return {
            kind: [[float(one[kind][measure].mean()) for one in found[seed]] for seed in found]
            for kind in KINDS
        }

    return {
        "steps": [every * look for look in range(config.looks + 1)],
        "loss": means(0),
        "accuracy": means(1),
        "bound": bound,
        "above_bound": min(float(one["one image"][0].min()) - bound for one in looks),
        "places": places,
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
