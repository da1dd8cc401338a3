"""`--leak` of `gan-forensics evaluate`: whether samples show the transforms of training."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from gan_forensics.cli.checks import not_given
from gan_forensics.cli.evaluate import Judged
from gan_forensics.cli.process import open_source, say

if TYPE_CHECKING:
    from gan_forensics.cli.evaluate import Evaluate
    from gan_forensics.data import Source
    from gan_forensics.gans.transforms import Policy
    from gan_forensics.quality import Leak

HEADINGS = ("transforms", "accuracy", "chance", "samples", "held out", "leak", "95 % interval")
_BY_TRANSFORM = ("seen", "blind")


class _Sets(NamedTuple):
    """Images of one size and one number of channels: uint8 [n, h, w, c]."""

    samples: "Source"
    train: "Source"
    held_out: "Source"


def check_options(command: "Evaluate") -> "tuple[Policy, ...]":
    """The policies that were asked for; options that would do nothing are refused."""
    from gan_forensics.data.names import has_points
    from gan_forensics.gans.transforms import policies_of

    assert command.leak is not None
    policies = policies_of(command.leak)
    for source in (command.run, command.data):
        if has_points(source):
            raise ValueError(f"--leak is of images, and {source} has points: leave it out")
    not_given(
        "--leak is told by a classifier of its own",
        features=None if command.features == "inception" else command.features,
        weights=command.weights,
        resize=command.resize,
        metrics=command.metrics,
        cache=command.cache,
        precision=command.precision,
    )
    not_given(
        "--leak takes the training and the test split of --data, and one draw",
        split=None if command.split == "all" else command.split,
        draws=None if command.draws == 1 else command.draws,
    )
    return policies


def of_leaks(
    command: "Evaluate", run: Path, policies: "tuple[Policy, ...]", *, is_run: bool
) -> Judged:
    """The leak of every policy."""
    import numpy as np

    from gan_forensics.data import take
    from gan_forensics.gans.transforms import check_images
    from gan_forensics.quality import Score, measure_leak
    from gan_forensics.quality.transform_classifier import AT_MOST

    command = replace(command, n=min(command.n, AT_MOST))
    sets, made = _opened(command, run, is_run=is_run)
    samples, train, held_out = (take(s, np.arange(len(s)))["image"] for s in sets)
    check_images(policies, train.shape)
    say(
        f"{len(samples)} samples; of {command.data} {len(train)} images train the classifiers and "
        f"{len(held_out)} are held out (its test split)"
    )
    leaks = []
    for policy in policies:
        say(f"a classifier of {policy.name} is trained")
        apply = [transform.apply for transform in policy.transforms]
        images = samples, train, held_out
        leaks.append(measure_leak(policy.name, apply, *images, seed=command.seed))
    _print(leaks, policies)
    counts = {"real": len(held_out), "fake": len(samples)}
    scores, rows = [], []
    for leak, policy in zip(leaks, policies, strict=True):
        names = [transform.name for transform in policy.transforms[1:]]
        seen = dict(zip(names, leak.seen, strict=True))
        unseen = _unseen(leak, policy)
        plain = {key: value for key, value in leak._asdict().items() if key not in _BY_TRANSFORM}
        rows.append({**plain, "chance": 1 / len(policy.transforms), "blind": ", ".join(unseen)})
        scores.append(
            Score(
                f"leak of {policy.name}",
                leak.leak,
                None,
                counts,
                "a classifier of transforms",
                seed=command.seed,
                protocol={**rows[-1], "seen": seen, "blind": unseen},
                warning=_warning(policy.name, unseen, len(names)),
            )
        )
    protocol = {
        "generated": made,
        "size": command.size or "as they are",
        "images": f"at most {AT_MOST} of each kind",
        "classifiers": f"trained on {len(train)} images of the training split",
        "held_out": f"{len(held_out)} images of the test split",
    }
    return Judged(scores, protocol, {"leaks": rows}, [])


def _opened(command: "Evaluate", run: Path, *, is_run: bool) -> tuple[_Sets, str]:
    """Samples, real images that train and held-out ones; and what the samples are."""
    from gan_forensics.data import ArraySource, Rgb

    gan, size = command.gan(run) if is_run else (None, command.size)
    links = command.follow_links
    train, held_out = (
        command.some(open_source(command.data, size=size, split=split, follow_links=links))
        for split in ("train", "test")
    )
    if gan:
        (images,), made = command.drawn(run, *gan)
        samples = ArraySource(image=images)
    else:
        made = command.run
        samples = command.some(open_source(command.run, size=size, follow_links=links))
    sets = _Sets(samples, train, held_out)
    if len({source[0]["image"].shape[-1] for source in sets}) > 1:
        say("gray images are compared with images in colour: all are read as RGB")
        sets = _Sets(*map(Rgb, sets))
    return sets, made


def _print(leaks: "list[Leak]", policies: "tuple[Policy, ...]") -> None:
    """A table, and what each of its rows means."""
    width = max(len(leak.name) for leak in leaks)
    width = max(width, len(HEADINGS[0]))
    print(f"{HEADINGS[0]:{width}}  " + "  ".join(f"{name:>8}" for name in HEADINGS[1:]))
    for leak in leaks:
        numbers = (leak.accuracy, 1 / (len(leak.seen) + 1), leak.rate, leak.base, leak.leak)
        said = "  ".join(f"{number:8.3f}" for number in numbers)
        print(f"{leak.name:{width}}  {said}  {leak.low:+.3f} to {leak.high:+.3f}")
    print(
        "accuracy: of the classifier on held-out real images, transformed evenly; samples, held "
        "out: share called transformed; leak: their difference. Samples that are unlike real "
        "images for another reason, another transform among them, may be called transformed too."
    )
    for leak, policy in zip(leaks, policies, strict=True):
        print(_meaning(leak, policy))


def _meaning(leak: "Leak", policy: "Policy") -> str:
    if all(leak.blind):
        return (
            f"{leak.name}: blind. On these images the classifier sees none of the transforms, so "
            "that the interval says nothing."
        )
    most = sum(leak.seen) / len(leak.seen)
    scale = f"a generator of transformed images alone would show {most:.3f}"
    if leak.low > 0:
        found = "more samples than real images look transformed"
    elif leak.high < 0:
        found = "fewer samples than real images look transformed: they differ from them otherwise"
    else:
        found = "no leak is seen; the interval holds 0"
    unseen = _unseen(leak, policy)
    but = f"; blind to {', '.join(unseen)}" if unseen else ""
    return f"{leak.name}: {found}; {scale}{but}."


def _unseen(leak: "Leak", policy: "Policy") -> list[str]:
    """Names of the transforms that the classifier is blind to."""
    pairs = zip(policy.transforms[1:], leak.blind, strict=True)
    return [transform.name for transform, blind in pairs if blind]


def _warning(policy: str, unseen: list[str], of: int) -> str:
    if not unseen:
        return ""
    which = "any of its transforms" if len(unseen) == of else ", ".join(unseen)
    return f"the classifier of {policy} does not see {which} on these images: nothing is said of it"
