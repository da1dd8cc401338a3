"""`--leak` of `gan-forensics evaluate`: whether samples show the transforms of training."""

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gan_forensics.cli.checks import not_given
from gan_forensics.cli.evaluate import Judged
from gan_forensics.cli.process import open_source
from gan_forensics.files import say, tell

if TYPE_CHECKING:
    from gan_forensics.cli.evaluate import Evaluate
    from gan_forensics.data import Source
    from gan_forensics.gans.transforms import Policy
    from gan_forensics.quality import Leak

HEADINGS = ("transforms", "accuracy", "chance", "samples", "held out", "leak", "95 % interval")
CAVEAT = (
    "Samples that are unlike real images for another reason, another transform among them, may be "
    "called transformed too."
)


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
        on_bad_image=None if command.on_bad_image == "stop" else command.on_bad_image,
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
    from gan_forensics.quality.transforms import AT_MOST

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
    meanings = _meanings(leaks, policies)
    _print(leaks, meanings)
    counts = {"real": len(held_out), "fake": len(samples)}
    scores = [
        Score(
            f"leak of {policy.name}",
            math.nan if all(leak.blind) else leak.leak,
            None,
            counts,
            "a classifier of transforms",
            seed=command.seed,
            warning=_warning(policy.name, _unseen(leak, policy), len(leak.blind)),
        )
        for leak, policy in zip(leaks, policies, strict=True)
    ]
    protocol = {
        "generated": made,
        "size": command.size or "as they are",
        "images": f"at most {AT_MOST} of each kind",
        "classifiers": f"trained on {len(train)} images of the training split",
        "held_out": f"{len(held_out)} images of the test split",
    }
    tables = {
        "leaks": [_row(leak) for leak in leaks],
        "transforms": [
            {"name": leak.name, "transform": transform.name, "seen": seen, "blind": blind}
            for leak, policy in zip(leaks, policies, strict=True)
            for transform, seen, blind in zip(
                policy.transforms[1:], leak.seen, leak.blind, strict=True
            )
        ],
        "notes": {**meanings, "all": CAVEAT},
    }
    return Judged(scores, protocol, tables, [])


def _row(leak: "Leak") -> dict[str, Any]:
    """A leak without what is of single transforms; a blind classifier says nothing."""
    row = leak._asdict()
    del row["seen"], row["blind"]
    if all(leak.blind):
        row |= dict.fromkeys(("leak", "low", "high"))
    return {**row, "most": leak.most, "chance": 1 / (len(leak.seen) + 1)}


def _opened(command: "Evaluate", run: Path, *, is_run: bool) -> tuple[_Sets, str]:
    """Samples, real images that train and held-out ones; and what the samples are."""
    from gan_forensics.data import ArraySource, Rgb
    from gan_forensics.quality.transforms import check_count

    gan, size = command.gan(run) if is_run else (None, command.size)
    links = command.follow_links
    given = None
    if not gan:
        given = command.some(open_source(command.run, size=size, follow_links=links))
    train, held_out = (
        command.some(open_source(command.data, size=size, split=split, follow_links=links))
        for split in ("train", "test")
    )
    # Before the GAN draws and any classifier is trained.
    check_count(command.n if given is None else len(given), "of the generator")
    check_count(len(train), f"of the training split of {command.data}")
    check_count(len(held_out), f"held out (the test split of {command.data})")
    made = command.run
    if gan:
        (images,), made = command.drawn(run, *gan)
        given = ArraySource(image=images)
    assert given is not None
    sets = _Sets(given, train, held_out)
    if len({source[0]["image"].shape[-1] for source in sets}) > 1:
        say("gray images are compared with images in colour: all are read as RGB")
        sets = _Sets(*map(Rgb, sets))
    return sets, made


def _print(leaks: "list[Leak]", meanings: dict[str, str]) -> None:
    """A table, and what each of its rows means."""
    width = max(len(leak.name) for leak in leaks)
    width = max(width, len(HEADINGS[0]))
    tell(f"{HEADINGS[0]:{width}}  " + "  ".join(f"{name:>8}" for name in HEADINGS[1:]))
    for leak in leaks:
        numbers = (leak.accuracy, 1 / (len(leak.seen) + 1), leak.rate, leak.base)
        said = "  ".join(f"{number:8.3f}" for number in numbers)
        found = f"{leak.leak:8.3f}  {leak.low:+.3f} to {leak.high:+.3f}"
        tell(f"{leak.name:{width}}  {said}  {'   blind  -' if all(leak.blind) else found}")
    tell(
        "accuracy: of the classifier on held-out real images, transformed evenly; samples, held "
        f"out: share called transformed; leak: their difference. {CAVEAT}"
    )
    for name, meaning in meanings.items():
        tell(f"{name}: {meaning}")


def _meanings(leaks: "list[Leak]", policies: "tuple[Policy, ...]") -> dict[str, str]:
    """What is found, by policy.

    One rule: where the interval of any policy lies above what transformed images alone would show,
    the samples are unlike the data for another reason, and no policy's raised rate is evidence.
    """
    unlike = ", ".join(leak.name for leak in leaks if leak.unlike)
    return {
        leak.name: _meaning(leak, policy, unlike)
        for leak, policy in zip(leaks, policies, strict=True)
    }


def _meaning(leak: "Leak", policy: "Policy", unlike: str) -> str:
    if all(leak.blind):
        return (
            "blind. On these images the classifier sees none of the transforms, so that nothing is "
            "said of a leak."
        )
    scale = f"transformed images alone would show at most {leak.most:.3f}"
    if leak.low > 0 and unlike:
        found = (
            "more samples than real images look transformed, which is no evidence of a leak: "
            "samples are unlike the data for another reason (the interval is above what "
            f"transformed images alone would show: {unlike})"
        )
    elif leak.low > 0:
        found = "more samples than real images look transformed"
    elif leak.high < 0:
        found = "fewer samples than real images look transformed: they differ from them otherwise"
    else:
        found = "no leak is seen; the interval holds 0"
    unseen = _unseen(leak, policy)
    but = f"; blind to {', '.join(unseen)}" if unseen else ""
    return f"{found}; {scale}{but}."


def _unseen(leak: "Leak", policy: "Policy") -> list[str]:
    """Names of the transforms that the classifier is blind to."""
    pairs = zip(policy.transforms[1:], leak.blind, strict=True)
    return [transform.name for transform, blind in pairs if blind]


def _warning(policy: str, unseen: list[str], of: int) -> str:
    if not unseen:
        return ""
    which = "any of its transforms" if len(unseen) == of else ", ".join(unseen)
    return f"the classifier of {policy} does not see {which} on these images: nothing is said of it"
