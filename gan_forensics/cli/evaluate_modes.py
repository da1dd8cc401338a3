"""What `gan-forensics evaluate` does of points, and of stacks of digits."""

from pathlib import Path
from typing import TYPE_CHECKING

from gan_forensics.cli.checks import not_given
from gan_forensics.cli.evaluate import Judged
from gan_forensics.cli.process import open_source
from gan_forensics.files import say, tell

if TYPE_CHECKING:
    import numpy as np

    from gan_forensics.cli.evaluate import Evaluate
    from gan_forensics.data import Source


def check_options(command: "Evaluate", *, points: bool) -> None:
    """Refuse what is of the features of images where points or modes are judged."""
    if points:
        why = f"{command.data} has points, which are judged as they are"
        not_given(why, size=command.size, precision=command.precision, cache=command.cache)
    else:
        why = f"the modes of {command.data} are counted by a classifier of its digits"
    not_given(
        why,
        features=None if command.features == "inception" else command.features,
        weights=command.weights,
        resize=command.resize,
        metrics=command.metrics,
        on_bad_image=None if command.on_bad_image == "stop" else command.on_bad_image,
    )


def check_kinds(command: "Evaluate", run: Path, *, is_run: bool, points: bool) -> None:
    """Refuse images against points, and points against images."""
    from gan_forensics.data.names import has_points

    if is_run:
        from gan_forensics.train.run_folder import read_config

        # What the run was trained on is a name that others wrote: nothing is opened by it.
        given = read_config(run, "gan").get("dimensions") is not None
    else:
        given = has_points(command.run)
    if given != points:
        kinds = ("images", "points")
        raise ValueError(
            f"{command.run} has {kinds[given]}, {command.data} {kinds[points]}: give both of one "
            "kind (points: a toy world, or npz:FILE.npz with an array `point` [n, d])"
        )


def of_points(command: "Evaluate", run: Path, *, is_run: bool) -> Judged:
    """Modes and registered points of a toy world, or distances."""
    from gan_forensics import data
    from gan_forensics.quality.evaluate import over_draws
    from gan_forensics.quality.points import point_scores

    real = _whole(command, data.open_source(command.data, split=command.split), "point")
    if is_run:
        draws, made = command.drawn(run, *command.gan(run)[0])
    else:
        draws, made = [_whole(command, data.open_source(command.run), "point")], command.run
    world = data.world_of(command.data)
    scores = over_draws([point_scores(d, real, world, seed=command.seed) for d in draws])
    return Judged(scores, {"generated": made}, {}, [])


def of_stacks(command: "Evaluate", run: Path, *, is_run: bool) -> Judged:
    """Mode counts of stacks, and the same of real stacks of known modes."""
    from gan_forensics.data.stacked import Stacked
    from gan_forensics.quality.evaluate import over_draws
    from gan_forensics.quality.modes import calibration, mode_scores, train_judge

    gan, size = command.gan(run) if is_run else (None, command.size)
    links = command.follow_links

    def stacks(split: str) -> Stacked:
        source = open_source(command.data, size=size, split=split, follow_links=links)
        assert isinstance(source, Stacked)
        return source

    real = _whole(command, stacks(command.split), "image")
    if gan:
        draws, made = command.drawn(run, *gan)
    else:
        given = open_source(command.run, size=size, follow_links=links)
        draws, made = [_whole(command, given, "image")], command.run
    if draws[0].shape[1:] != real.shape[1:]:
        sides = " and ".join("x".join(map(str, images.shape[1:])) for images in (draws[0], real))
        raise ValueError(
            f"images of {made} and stacks of {command.data} are {sides} (height x width x "
            "channels): bring them to one --size; only three channels can be stacks"
        )
    say("a classifier of single digits is trained for 3000 steps, to count modes")
    judge = train_judge(
        stacks("train").inner,
        stacks("test").inner,
        command.judge_folder("digit-classifier"),
        seed=command.seed,
        precision=command.precision,
    )
    real_features, _ = judge(real)
    scores = over_draws([mode_scores(images, real_features, judge) for images in draws])
    table = [
        {"true_modes": true, **{k: v for k, v in found._asdict().items() if k != "n"}}
        for true, found in calibration(judge, len(draws[0]), seed=command.seed).items()
    ]
    tell(
        f"The same counts of {len(draws[0])} held-out real stacks of so many modes (the classifier "
        f"gets {judge.accuracy:.3f} of held-out digits right):"
    )
    tell("  ".join(f"{name.replace('_', ' '):>10}" for name in table[0]))
    for row in table:
        tell("  ".join(f"{value:10.4g}" for value in row.values()))
    protocol = {
        "generated": made,
        "size": size or "as they are",
        "features": {"name": judge.features, **judge.digits.protocol},
        "calibration": "held-out digits of the inner source, as many stacks as were generated",
    }
    return Judged(scores, protocol, {"calibration": table}, [])


def _whole(command: "Evaluate", source: "Source", key: str) -> "np.ndarray":
    """One array of at most n examples."""
    import numpy as np

    from gan_forensics.data import take

    chosen = command.some(source)
    return take(chosen, np.arange(len(chosen)))[key]
