"""Does a discriminator forget less with InfoMax? One against the rest, and the one changes.

The experiment of Chen et al. (CVPR 2019) that InfoMax-GAN repeats: a discriminator learns to tell
one class from all others; every so many steps it is another class, and after all classes the cycle
begins again. It stands for the discriminator of a GAN, whose task changes with the generator. Here
the loss is that discriminator's hinge loss, with the class as the real images, and half of a batch
is of the class. The InfoNCE, where it is added, is of the whole batch.

Accuracy is that on held-out images, the mean of the shares of the class and of the rest that are
called right: 1/2 is chance. It is measured for the tasks of all classes, again and again, so that
it can be read off for the current task and for all tasks seen so far. The latter cannot come near
1: what is right in one task is wrong in another.
"""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from gan_forensics.experiments.infomax_encoder import Labelled, encoder, encoder_learner, labelled
from gan_forensics.gans import LOSSES, adam, infomax_loss
from gan_forensics.runtime import jit
from gan_forensics.train.seeds import train_seeds

ARMS = ("without", "with")


@dataclass(frozen=True)
class Forgetting:
    """How the sequence of tasks is learnt.

    Attributes:
        data: a labelled source.
        width: of the discriminator.
        critics: length of the projections.
        batch_size: half of the class, half of the rest.
        steps: of one task.
        looks: accuracies that are measured in one task, evenly.
        cycles: through all classes.
        learning_rate: of Adam (0, 0.9).
        weight: of the InfoNCE, in the arm that has it.
        test_images: held-out images that are looked at, at most.
        seeds: of initialisation and batches; both arms share them.
    """

    data: str = "samples:digits"
    width: int = 16
    critics: int = 64
    batch_size: int = 32
    steps: int = 200
    looks: int = 10
    cycles: int = 2
    learning_rate: float = 2e-4
    weight: float = 0.2
    test_images: int = 500
    seeds: tuple[int, ...] = (0, 1, 2)


def forgetting(config: Forgetting, *, progress: bool = True) -> dict[str, Any]:
    """Learn the sequence with and without InfoNCE, for every seed.

    Returns:
        `curves`: arm -> [seed][look][class] accuracies, from before the first step on;
        `current`: the class of the task in which a look falls; `rows`: `summary` of each arm and
        seed.

    Raises:
        ValueError: when the steps of a task cannot be divided evenly among its looks.
    """
    if config.looks < 2 or config.steps % config.looks:
        raise ValueError(
            f"{config.steps} steps cannot be divided evenly among {config.looks} looks (of which "
            "there must be 2 or more): change --forgetting.looks"
        )
    train, test = (labelled(config.data, split) for split in ("train", "test"))
    if len(test.labels) > config.test_images:
        chosen = np.random.default_rng(0).permutation(len(test.labels))[: config.test_images]
        test = Labelled(test.images[chosen], test.labels[chosen])
    network = encoder(config.width, config.critics, size=train.images.shape[1])

    @jit
    def says(state, images):
        return network(state.params, state.stats, images, train=False)[0].logits > 0

    order = np.tile(np.arange(train.classes), config.cycles)
    curves: dict[str, list[Any]] = {}
    rows = []
    for arm in ARMS:
        weight = config.weight if arm == "with" else 0.0
        found = _sequences(network, says, config, weight, train, test, order, progress)
        curves[arm] = [accuracy.tolist() for accuracy in found]
        for seed, accuracy in zip(config.seeds, found, strict=True):
            rows.append({"arm": arm, "seed": seed, **summary(accuracy, order, config.looks)})
    return {"curves": curves, "current": np.repeat(order, config.looks).tolist(), "rows": rows}


def summary(
    accuracy: Float[np.ndarray, "looks+1 classes"], order: Int[np.ndarray, " tasks"], looks: int
) -> dict[str, float]:
    """What a sequence of accuracies comes to.

    Args:
        accuracy: of the tasks of all classes: before the first step, then `looks` times a task.
        order: the class of each task.
        looks: looks at a task.

    Returns:
        Means over all switches between tasks of: `seen_before` and `seen_after`, the accuracy on
        all tasks seen until the switch, at the last look before and the first look after it;
        `current_before`, the accuracy on the old task at the end, and `current_after`, on the new
        one at its first look. And `current`, the mean over all looks of the accuracy on the current
        task, and `worst`, the lowest of those from the second task on.
    """
    after_task = accuracy[1:].reshape(len(order), looks, -1)
    seen_before, seen_after, before, after = [], [], [], []
    for task in range(1, len(order)):
        seen = np.unique(order[:task])
        seen_before.append(after_task[task - 1, -1, seen].mean())
        seen_after.append(after_task[task, 0, seen].mean())
        before.append(after_task[task - 1, -1, order[task - 1]])
        after.append(after_task[task, 0, order[task]])
    current = np.stack([after_task[task, :, label] for task, label in enumerate(order)])
    found = {
        "seen_before": np.mean(seen_before),
        "seen_after": np.mean(seen_after),
        "current_before": np.mean(before),
        "current_after": np.mean(after),
        "current": current.mean(),
        "worst": current[1:].min(),
    }
    return {name: float(value) for name, value in found.items()}


def accuracies(
    says: Bool[np.ndarray, " n"], labels: Int[np.ndarray, " n"], classes: int
) -> Float[np.ndarray, " classes"]:
    """The accuracy of one set of answers at the task of every class.

    Args:
        says: whether an image is called one of the class.
        labels: the true classes.
        classes: how many there are.
    """
    own = labels[:, None] == np.arange(classes)
    right = says[:, None] == own
    of_class, of_rest = (
        (right * among).sum(0) / among.sum(0) for among in (own.astype(float), (~own).astype(float))
    )
    return (of_class + of_rest) / 2


def _sequences(network, says, config, weight, train, test, order, progress):
    """For every seed, the accuracies [look, class] of a run through the sequence."""
    half, every = config.batch_size // 2, config.steps // config.looks
    shown = jnp.asarray(test.images)
    found = {seed: [] for seed in config.seeds}

    def loss(seen):
        value = LOSSES["hinge"].discriminator(seen.logits[:half], seen.logits[half:])
        if weight:
            value = value + weight * infomax_loss(seen.p, seen.q)
        return value

    def minibatches(seed):
        rng = np.random.default_rng((seed, 1))
        for label in order:
            own, rest = train.rows(label), np.flatnonzero(train.labels != label)
            for _ in range(config.looks):
                shares = [rng.choice(own, (every, half))]
                shares.append(rng.choice(rest, (every, config.batch_size - half)))
                for rows in np.concatenate(shares, axis=1):
                    yield {"image": train.images[rows]}

    def look(seed, state):
        found[seed].append(accuracies(np.asarray(says(state, shown)), test.labels, train.classes))

    rate = adam(config.learning_rate, betas=(0.0, 0.9))
    train_seeds(
        encoder_learner(network, loss, rate, train),
        minibatches,
        seeds=config.seeds,
        steps=len(order) * config.steps,
        batched=False,
        metrics=("encoder/loss",),
        look=look,
        every=every,
        progress=progress,
    )
    return [np.stack(found[seed]) for seed in config.seeds]
