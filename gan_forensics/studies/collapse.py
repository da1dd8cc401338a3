"""Which modes a GAN keeps: trained on worlds whose modes are known, and looked at on the way.

Points of the toy worlds are counted around their centres, on the line measured by distances of
distributions; stacked digits are counted by a classifier. What is returned is JSON-able: one value
of each measure for each seed and look.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from gan_forensics.data import Batches
from gan_forensics.data.sources import Source
from gan_forensics.data.stacked import Stacked
from gan_forensics.data.toy_points import WORLDS, World
from gan_forensics.gans import Gan, generate, init
from gan_forensics.gans.context import WEIGHTS
from gan_forensics.quality import FeatureExtractor, extract, fid
from gan_forensics.quality.modes import Judge, count_modes
from gan_forensics.quality.points import SAMPLES, registered
from gan_forensics.train import (
    Learner,
    NonFiniteLossError,
    TrainState,
    train_seeds,
)

Followed = dict[str, Any]
# Looks whose points are kept, of the first seed; of images only the last one's are.
KEPT = 5
SHOWN_POINTS, SHOWN_IMAGES = 500, 40
# Of the noise that is looked with: another one than that of training.
_NOISE = 1000


def follow_points(
    gan: Gan,
    world: World,
    *,
    seeds: Sequence[int],
    steps: int,
    every: int,
    weights: Mapping[str, float] | None = None,
    progress: bool = False,
) -> Followed:
    """Train a GAN of points on a world with some seeds, and measure 2000 points at every look.

    Args:
        gan: built for the world; its config's seed is not read.
        world: that the points come from, always the same ones.
        seeds: of networks, minibatches and noise.
        steps: of training.
        every: steps between looks.
        weights: values of the game's traced weights, by name: GANs that differ in these alone
            share what is compiled.
        progress: show a bar.

    Returns:
        `world`, `seeds`, `steps` of the looks, `measures`: name -> [seed][look] ("modes" and
        "points", or "wasserstein" and "kolmogorov_smirnov" on the line; None for a seed that
        stopped), `kept`: the first seed's looks and 500 points of each, `stopped`: seed -> why.
    """
    data = world.sample(world.n, seed=0).arrays["point"]
    size = gan.config.batch_size

    def batches(seed: int):
        rng = np.random.default_rng((seed, 7))
        while True:
            order = rng.permutation(len(data))
            for first in range(0, len(order) - size + 1, size):
                yield {"point": data[order[first : first + size]]}

    def measured(points: np.ndarray, state: TrainState) -> dict[str, float | None]:
        return _of_points(points, world, data)

    shared = {"seeds": seeds, "steps": steps, "every": every, "samples": SAMPLES}
    return follow(
        gan, batches, measured, world=world.name, weights=weights, progress=progress, **shared
    )


def follow_stacks(
    gan: Gan,
    source: Stacked,
    judge: Judge,
    *,
    seeds: Sequence[int],
    steps: int,
    every: int,
    images: int,
    weights: Mapping[str, float] | None = None,
    progress: bool = False,
) -> Followed:
    """The same for stacked digits: a judge counts the modes of so many images at every look."""

    def measured(made: np.ndarray, state: TrainState) -> dict[str, float | None]:
        found = count_modes(judge(made)[1])
        return {name: value for name, value in found._asdict().items() if name != "n"}

    shared = {"seeds": seeds, "steps": steps, "every": every, "samples": images}
    batches = batches_of(gan, source)
    return follow(
        gan, batches, measured, world="stacked", weights=weights, progress=progress, **shared
    )


def follow_images(
    gan: Gan,
    train: Source,
    held_out: Source,
    extractor: FeatureExtractor,
    *,
    seeds: Sequence[int],
    steps: int,
    every: int,
    images: int,
    weights: Mapping[str, float] | None = None,
    progress: bool = False,
) -> Followed:
    """The same for images of a few classes, by a classifier of them.

    Measured are "effective" classes (inverse Simpson index of what the classifier says) and
    "frechet", the distance of its features from those of held-out images: no FID.
    """
    real = extract(extractor, held_out).features

    def measured(made: np.ndarray, state: TrainState) -> dict[str, float | None]:
        found = extract(extractor, made)
        assert found.logits is not None
        counted = count_modes(found.logits.argmax(1), found.logits.shape[1])
        distance = fid(real, found.features, features=extractor.name)
        return {"effective": counted.effective, "frechet": distance.value}

    shared = {"seeds": seeds, "steps": steps, "every": every, "samples": images}
    batches = batches_of(gan, train)
    return follow(
        gan, batches, measured, world="images", weights=weights, progress=progress, **shared
    )


def batches_of(gan: Gan, source: Source) -> Callable[[int], Iterator[Any]]:
    """Seed -> minibatches of a source, closed when they are no longer asked for."""

    def batches(seed: int) -> Iterator[Any]:
        made = Batches(source, batch_size=gan.config.batch_size, seed=seed)
        with closing(made):
            yield from made

    return batches


def _weighted(gan: Gan, weights: Mapping[str, float] | None) -> Learner:
    """The learner of a GAN whose traced weights have other values."""
    named = {name: np.float32(value) for name, value in (weights or {}).items()}
    if not named:
        return gan.learner

    def start(seed: int):
        params, statistics = init(gan, seed)
        return {**params, WEIGHTS: {**params[WEIGHTS], **named}}, statistics

    return gan.learner._replace(init=start)


def follow(
    gan: Gan,
    batches: Callable[[int], Iterator[Any]],
    measured: Callable[[np.ndarray, TrainState], Mapping[str, float | None]],
    *,
    world: str,
    seeds: Sequence[int],
    steps: int,
    every: int,
    samples: int,
    weights: Mapping[str, float] | None = None,
    progress: bool = False,
) -> Followed:
    """The same for any data and measures.

    Args:
        gan: what is trained.
        batches: seed -> its minibatches.
        measured: what was drawn at a look, and the state -> measures by name.
        world: what the data are called.
        seeds: of networks, minibatches and noise.
        steps: of training.
        every: steps between looks.
        samples: drawn at a look.
        weights: values of the game's traced weights.
        progress: show a bar.
    """
    learner = _weighted(gan, weights)
    looks = list(range(0, steps + 1, every))
    if not seeds or not looks[1:]:
        raise ValueError(f"need a seed and a look after the start, got {seeds}, every {every}")
    keep = {looks[i] for i in np.linspace(0, len(looks) - 1, KEPT).round().astype(int)}
    rows: dict[int, list] = {seed: [] for seed in seeds}
    kept: dict[int, np.ndarray] = {}

    def look(seed: int, state: TrainState) -> None:
        now = looks[len(rows[seed])]
        made = generate(gan, state, samples, seed=_NOISE + seed, batch_size=500)
        rows[seed].append(measured(made, state))
        last = now == looks[-1]
        if seed == seeds[0] and (last if made.dtype == np.uint8 else now in keep):
            kept[now] = made

    # Losses that are not finite end a seed; one that does is found out alone.
    names = tuple(f"{update.name}/loss" for update in learner.updates)
    options: dict[str, Any] = {"steps": steps, "every": every, "look": look, "metrics": names}
    # In turn: as one batch only Dist-GAN gained on a CPU (`benchmarks.toy_gans`).
    options |= {"batched": False, "progress": progress}
    stopped: dict[str, str] = {}
    try:
        train_seeds(learner, batches, seeds=seeds, **options)
    except NonFiniteLossError as error:
        for seed in seeds:
            rows[seed].clear()
            try:
                train_seeds(learner, batches, seeds=[seed], **options)
            except NonFiniteLossError as alone:
                stopped[str(seed)] = str(alone)
        if not stopped:
            raise error
    names = [*next(row for row in rows.values() if row)[0]]
    return {
        "world": world,
        "seeds": list(seeds),
        "steps": looks,
        "samples": samples,
        "measures": {
            name: [
                [at[name] for at in rows[seed]] + [None] * (len(looks) - len(rows[seed]))
                for seed in seeds
            ]
            for name in names
        },
        "kept": {str(step): _shown(made) for step, made in kept.items()},
        "stopped": stopped,
    }


def _of_points(points: np.ndarray, world: World, data: np.ndarray) -> dict[str, float | None]:
    from scipy import stats

    if not np.isfinite(points).all():
        names = ("modes", "points") if world.centres is not None else _LINE
        return dict.fromkeys(names)
    if world.centres is None:
        return {
            _LINE[0]: float(stats.wasserstein_distance(points[:, 0], data[:, 0])),
            _LINE[1]: float(stats.ks_2samp(points[:, 0], data[:, 0]).statistic),  # pyright: ignore
        }
    found = registered(points, world.centres)
    return {"modes": found.covered, "points": found.total}


_LINE = ("wasserstein", "kolmogorov_smirnov")


def _shown(made: np.ndarray) -> list:
    """What is kept of a look: 500 points to three decimals, or 40 images as uint8."""
    if made.dtype == np.uint8:
        return made[:SHOWN_IMAGES].tolist()
    return np.round(made[:SHOWN_POINTS].astype(float), 3).tolist()


def modes_of(world: str) -> int | None:
    """How many modes a world has; None for the line."""
    if world == "stacked":
        return Stacked.classes
    centres = WORLDS[world].centres
    return None if centres is None else len(centres)


def at_end(followed: Followed, measure: str) -> list[float | None]:
    """The last value of a measure for each seed."""
    return [values[-1] for values in followed["measures"][measure]]


def end_rows(followed: Followed, **names: Any) -> list[dict[str, Any]]:
    """A flat row for each seed: the last look's measures, the step, and why it stopped, if it did.

    Args:
        followed: an arm.
        names: further columns, which tell the arm from others.
    """
    measures = {name: at_end(followed, name) for name in followed["measures"]}
    return [
        {
            "seed": seed,
            **names,
            "step": followed["steps"][-1],
            **{name: values[place] for name, values in measures.items()},
            "stopped": followed["stopped"].get(str(seed)),
        }
        for place, seed in enumerate(followed["seeds"])
    ]


def late_mean(followed: Followed, measure: str, *, looks: int = 10) -> list[float | None]:
    """Its mean over the last looks for each seed; None for one that stopped."""
    late = [values[-looks:] for values in followed["measures"][measure]]
    return [None if None in values else float(np.mean(values)) for values in late]


def steps_to(followed: Followed, modes: int) -> list[int | None]:
    """The step of the first look that covers so many modes, for each seed; None for never."""
    found = []
    for values in followed["measures"]["modes"]:
        reached = [
            step
            for step, value in zip(followed["steps"], values, strict=True)
            if value is not None and value >= modes
        ]
        found.append(reached[0] if reached else None)
    return found
