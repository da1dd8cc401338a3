"""Precision, recall, density and coverage of two sets, beside one matrix product of their size.

    python -m benchmarks.precision_recall
    python -m benchmarks.precision_recall --samples 50000 --rounds 1

Features of length 2048, float32 given, float64 computed. Three products of all pairs cannot be done
without, real with real, fake with fake, real with fake; the limit is one of them alone, in float64,
a thousand rows at a time. Sides take turns call by call.
"""

from functools import partial

from benchmarks import in_turns

FEATURES, ROWS = 2048, 1024


def ours(samples: int) -> in_turns.Call:
    """The four scores of the project."""
    from gan_forensics.quality import prdc

    real, fake = _sets(samples)
    return lambda: prdc(real, fake)


def product(samples: int) -> in_turns.Call:
    """All products of real and fake features, none of which is kept."""
    real, fake = (x.astype("float64") for x in _sets(samples))

    def call():
        for i in range(0, samples, ROWS):
            real[i : i + ROWS] @ fake.T

    return call


def _sets(samples: int):
    import numpy as np

    rng = np.random.default_rng(0)
    return (rng.standard_normal((samples, FEATURES), np.float32) for _ in range(2))


def main() -> None:
    """Race both and print the table."""
    parser = in_turns.arguments(__doc__, "torch", rounds=3)
    parser.add_argument("--samples", type=int, default=5000, help="of each of the two sets")
    given = parser.parse_args()
    sides = {"ours": partial(ours, given.samples), "product": partial(product, given.samples)}
    in_turns.table(in_turns.race("precision_recall", sides, (), given).seconds)


if __name__ == "__main__":
    main()
