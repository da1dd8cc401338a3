"""Students one after the other against one batch of them; decoding with a cache and without.

    python -m benchmarks.distillation

Students learn from a teacher's cached logits, five seeds of each network: the perceptron of the
toy of 100 classes, `small_cnn` on gray images of 28 px, `resnet18` of width 16 on 32 px. Both sides
run the same loop on the device (`train_seeds`), in turn or under `vmap`. Compilation is left out;
sides take turns, and the ratio is the median of those within a round: above 1, one after the other
is faster.

Decoding: beams of four, 64 tokens each (END is held back), of eight sources of 16, by the published
Transformer of two layers with 1,000 tokens. Without the cache of keys and values every token needs
the whole target, and the source, again.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_forensics.data.vocabulary import END, PAD
from gan_forensics.distill import classifier_update, make_classifier, objective, sgd
from gan_forensics.distill.classifier_learner import NETWORK
from gan_forensics.distill.decode import beam_search
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.mlp import MLP, init_mlp
from gan_forensics.nn.transformer import Transformer
from gan_forensics.runtime import random_key
from gan_forensics.train import Learner, supervised_update, train_seeds

ROWS, BEAM, TOKENS = 8, 4, 64

Call = Callable[[], object]


class Students(NamedTuple):
    """What is raced of one architecture: `shape` is that of an input."""

    learner: Learner
    shape: tuple[int, ...]
    classes: int
    batch: int
    steps: int


def perceptrons() -> Students:
    """Students 64-64-100."""
    network, optimizer = MLP((64,), 100), sgd(0.05)

    def init(seed: int):
        rng = np.random.default_rng(seed)
        return {NETWORK: init_mlp(network, 64, rng=rng)}, {NETWORK: {}}

    update = supervised_update(
        NETWORK, network, objective, optimizer, call=lambda network, batch: network(batch["image"])
    )
    return Students(Learner("student", {}, (update,), init), (64,), 100, 128, 100)


def classifiers(
    arch: str, shape: tuple[int, int, int], *, width: int, batch: int, steps: int
) -> Students:
    """Students of a row of `ARCHITECTURES`, of ten classes."""
    network = make_classifier(arch, 10, width=width)
    reads = (1, *shape[:2], 1 if arch == "small_cnn" else 3)

    def init(seed: int):
        images = jax.ShapeDtypeStruct(reads, np.float32)
        variables = initial_variables(network, random_key(seed), images, train=False)
        return {NETWORK: variables.pop("params")}, {NETWORK: variables}

    update = classifier_update(arch, network, sgd(0.05))
    return Students(Learner("student", {}, (update,), init), shape, 10, batch, steps)


def minibatches(students: Students) -> Callable[[int], Iterator[Mapping[str, np.ndarray]]]:
    """Noise, and what a teacher might say of it."""
    n = students.batch

    def batches(seed: int):
        rng = np.random.default_rng(seed)
        batch = {
            "image": rng.uniform(-1, 1, (n, *students.shape)).astype(np.float32),
            "label": rng.integers(students.classes, size=n).astype(np.int32),
            "teacher": rng.normal(size=(n, students.classes)).astype(np.float32),
        }
        for name, value in (("alpha", 0.0), ("temperature", 3.0), ("soft_weight", 1.0)):
            batch[name] = np.full(n, value, np.float32)
        while True:
            yield batch

    return batches


def train(students: Students, *, seeds: int, batched: bool) -> Call:
    """One side of a race."""
    batches = minibatches(students)

    def call():
        return train_seeds(
            students.learner, batches, seeds=range(seeds), steps=students.steps, batched=batched
        )

    return call


def decoders() -> dict[str, Call]:
    """The same search by two ways to say what follows; they find the same hypotheses."""
    network = Transformer(1000)
    source = np.random.default_rng(0).integers(4, 1000, (ROWS, 16)).astype(np.int32)
    variables = initial_variables(network, random_key(0), source, source, train=False)
    wanted = np.ones(ROWS, bool)

    def unending(logits):
        return logits.at[..., END].add(-1e4)

    def search(step, cache):
        return beam_search(step, cache, wanted, beam=BEAM, longest=TOKENS)

    @jax.jit
    def cached(variables, source):
        memory = network.apply(variables, source, method="remember")

        def step(cache, token, place):
            logits, cache = network.apply(variables, memory, cache, token, place, method="step")
            return unending(logits), cache

        return search(step, network.empty_cache(ROWS, BEAM, TOKENS))

    @jax.jit
    def anew(variables, source):
        sources = jnp.repeat(source, BEAM, axis=0)

        def step(prefix, token, place):
            # At place 0 that is BEGIN, written to the last place, which the network drops.
            prefix = prefix.at[:, :, place - 1].set(token)
            targets = prefix.reshape(ROWS * BEAM, TOKENS)
            logits = network.apply(variables, sources, targets, train=False)[:, place]
            return unending(logits.reshape(ROWS, BEAM, -1)), prefix

        return search(step, jnp.full((ROWS, BEAM, TOKENS), PAD, jnp.int32))

    sides = {"with": cached, "without": anew}
    both = [run(variables, source) for run in sides.values()]
    np.testing.assert_allclose(both[0].score, both[1].score, rtol=1e-3)
    assert (both[0].tokens != PAD).all(), "a hypothesis ended early"
    return {
        name: lambda run=run: jax.block_until_ready(run(variables, source))
        for name, run in sides.items()
    }


def turns(sides: Sequence[Call], rounds: int) -> list[list[float]]:
    """Seconds of every side in every round, after a first that is not counted."""
    found: list[list[float]] = [[] for _ in sides]
    for i in range(1 + rounds):
        for side, seconds in zip(sides, found, strict=True):
            start = time.perf_counter()
            side()
            if i:
                seconds.append(time.perf_counter() - start)
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(f"{given.seeds} students, float32, {jax.default_backend()}, ms a step and student")
    print(f"{'architecture':14} {'in turn':>9} {'vmapped':>9} {'vmapped / in turn':>18}")
    races = {
        "perceptron": perceptrons(),
        "small_cnn": classifiers("small_cnn", (28, 28, 1), width=16, batch=64, steps=20),
        "resnet18": classifiers("resnet18", (32, 32, 3), width=16, batch=16, steps=20),
    }
    for name, students in races.items():
        sides = [train(students, seeds=given.seeds, batched=b) for b in (False, True)]
        turn, together = turns(sides, given.rounds)
        ratio = statistics.median(b / a for a, b in zip(turn, together, strict=True))
        a_step = 1e3 / students.steps / given.seeds
        alone, both = (a_step * statistics.median(seconds) for seconds in (turn, together))
        print(f"{name:14} {alone:9.2f} {both:9.2f} {ratio:18.2f}", flush=True)
    sides = decoders()
    with_cache, without = turns(list(sides.values()), given.rounds)
    ratio = statistics.median(b / a for a, b in zip(with_cache, without, strict=True))
    print(f"\n{'decoding':14} {'cache':>9} {'no cache':>9} {'no cache / cache':>18}")
    seconds = (statistics.median(values) for values in (with_cache, without))
    print(f"{'seconds':14} " + " ".join(f"{value:9.2f}" for value in seconds) + f" {ratio:18.1f}")


if __name__ == "__main__":
    main()
