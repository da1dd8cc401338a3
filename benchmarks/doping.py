"""Seeds of an autoencoder as one batch against a loop; forest scores against scikit-learn's.

    python -m benchmarks.doping

Seeds: ten adversarial autoencoders of width 64 on 600 rows of 21 columns, 300 steps of batch 100,
trained together (`vmap` over seeds, a loop of a hundred steps a call), one after the other by the
same calls, and one after the other with a call for every step, which is what a plain loop does.
Scores: an isolation forest of 100 trees on 256 rows each, 100,000 rows. Compilation is left out;
sides take turns, and the ratios are medians of those within a round.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

SEEDS, STEPS = tuple(range(10)), 300


def train_sides() -> dict[str, Callable[[], object]]:
    """Ways to train the same ten autoencoders."""
    from gan_forensics.anomaly import AAEConfig, train_autoencoders
    from gan_forensics.train import seeds

    x = np.random.default_rng(0).uniform(size=(600, 21))
    config = AAEConfig(21, hidden=(64, 64), joined=False)

    def together():
        return train_autoencoders(config, x, seeds=SEEDS, steps=STEPS)

    def one_by_one():
        return [train_autoencoders(config, x, seeds=[seed], steps=STEPS) for seed in SEEDS]

    def step_by_step():
        segment, seeds.SEGMENT = seeds.SEGMENT, 1
        try:
            return one_by_one()
        finally:
            seeds.SEGMENT = segment

    return {"one batch": together, "loop over seeds": one_by_one, "loop over steps": step_by_step}


def score_sides() -> dict[str, Callable[[], object]]:
    """Ways to score 100,000 rows with the same trees."""
    from sklearn.ensemble import IsolationForest

    from gan_forensics.anomaly import forest_scores, trees_of

    rng = np.random.default_rng(0)
    forest = IsolationForest(random_state=0).fit(rng.standard_normal((3000, 6)))
    rows, trees = rng.standard_normal((100_000, 6)), trees_of(forest)

    def ours():
        return forest_scores(trees, rows, max_samples=forest.max_samples_)

    difference = np.abs(ours() - forest.score_samples(rows)).max()
    assert difference < 1e-12, f"scores differ by {difference}"
    return {"ours": ours, "scikit-learn": lambda: forest.score_samples(rows)}


def race(title: str, sides: dict[str, Callable[[], object]], rounds: int) -> None:
    """Time the sides in turns and print a line each."""
    for run in sides.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, run in sides.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(sides))
    print(f"{title:18} {'seconds':>9} {f'times {first!r}':>20}")
    for name, values in seconds.items():
        ratios = [v / o for v, o in zip(values, seconds[first], strict=True)]
        print(f"{name:18} {statistics.median(values):9.2f} {statistics.median(ratios):20.2f}")


def main() -> None:
    """Run both races and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    race("training", train_sides(), rounds)
    print()
    race("scoring", score_sides(), rounds)


if __name__ == "__main__":
    main()
