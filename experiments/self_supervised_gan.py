"""Does self-supervision keep a GAN from collapse, or does it reward collapse? (Tran et al., 2019)

    python -m experiments.self_supervised_gan smoke
    python -m experiments.self_supervised_gan cpu
    python -m experiments.self_supervised_gan cpu --parts stacked

    preset  hardware      time          what
    smoke   2 CPU cores   15 seconds    theory, and two arms on 8x8 stacks, a few steps
    cpu     2 CPU cores   see experiments/README.md, theory, 8x8 stacks of 5 seeds, 28x28 of 3
    paper   GPU or TPU    not run yet   stacked MNIST at the published length, the published recipes

SSGAN (CVPR 2019) lets the discriminator tell by how much an image was rotated. Tran et al. (NeurIPS
2019, arXiv 1911.06997) show that its generator's term does not ask for coverage, and let the
classifier name fakes too (MS-GAN, here in the log-ratio form; "adversarial SS" is the matching form
of arXiv 1905.05469, which is what the authors released). Parts:

    theory      both games on a few states, by closed form and brute force
    digits      stacks of three 8x8 digits, whose 1000 modes are counted: eleven arms
    starved     the same with a discriminator of a quarter of the width: three arms
    gammas      R3GAN's penalty on one extra seed of `digits`, by which its weight is chosen
    stacked     28x28 stacks with the published K/4 networks: Dist-GAN hosts and R3GAN
    stacked_k2  the same with K/2 (only in `paper`)
    published   the published recipes (only in `paper`)

Arms of a part have the same networks, rates, seeds and images; only SNGAN's discriminator has
spectral norm. Expected are signs, not values: MS-GAN above SSGAN; whether MS-GAN is above the plain
GAN is open at this size. What came out stands in experiments/README.md. Every arm's seed is kept
when it is done, so that a run that was stopped goes on when it is started again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from gan_forensics.cli.entry import piped
from gan_forensics.data import open_source
from gan_forensics.data.stacked import Stacked
from gan_forensics.experiments.self_supervised_arms import GAMMAS, GAN, MS, SS, Digits, Stacks
from gan_forensics.experiments.self_supervised_page import QUESTION, finding, write_pages
from gan_forensics.experiments.self_supervised_published import Published, reproduce
from gan_forensics.experiments.theory_page import claim_rows
from gan_forensics.quality.modes import Judge, calibration, train_judge
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.arms import stored_seeds
from gan_forensics.studies.collapse import end_rows, follow_stacks
from gan_forensics.studies.results import write_results
from gan_forensics.studies.runner import (
    as_json,
    carry_out,
    chosen,
    in_processes,
    process_copy,
    stored_part,
)
from gan_forensics.train.run_folder import writing

Part = Literal["theory", "digits", "starved", "gammas", "stacked", "stacked_k2", "published"]
STACKS: tuple[Part, ...] = ("digits", "starved", "gammas", "stacked", "stacked_k2")


FULL = Stacks(
    seeds=(0, 1, 2, 3, 4),
    steps=200_000,
    every=10_000,
    data="tfds:mnist",
    images=25_600,
    classifier_steps=50_000,
)


@dataclass(frozen=True)
class Experiment:
    """Which parts, and how each is trained.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        parts: of the experiment.
        digits: 8x8 stacks.
        starved: 8x8 stacks with a small discriminator.
        gammas: 8x8 stacks, R3GAN's penalties.
        stacked: 28x28 stacks, K/4.
        stacked_k2: 28x28 stacks, K/2.
        published: the published recipes.
        processes: arms that are trained at once; by default as many as cores.
    """

    out: Path
    parts: tuple[Part, ...] = ("theory", "gammas", "digits", "starved", "stacked")
    digits: Digits = field(default_factory=Digits)
    starved: Digits = field(default_factory=lambda: Digits((GAN, SS, MS), widths=(2, 4)))
    gammas: Digits = field(default_factory=lambda: Digits(tuple(GAMMAS), seeds=(100,)))
    stacked: Stacks = field(default_factory=Stacks)
    stacked_k2: Stacks = field(default_factory=lambda: Stacks(divisor=2))
    published: Published = field(default_factory=Published)
    processes: int | None = None


_FEW = {"seeds": (0, 1), "steps": 4, "every": 2, "batch_size": 8, "images": 64}
PRESETS = {
    "smoke": (
        "Theory, and two arms on 8x8 stacks in a few steps: shows that everything runs.",
        Experiment(
            Path("runs/self-supervised-gan-smoke"),
            parts=("theory", "digits"),
            digits=Digits((SS, MS), classifier_steps=20, **_FEW),
            processes=1,
        ),
    ),
    "cpu": (
        "Theory, 8x8 stacks with all arms, 28x28 stacks with four, on a CPU.",
        Experiment(Path("runs/self-supervised-gan-cpu")),
    ),
    "paper": (
        "Stacked MNIST at the published length, and the published recipes; needs an accelerator.",
        Experiment(
            Path("runs/self-supervised-gan-paper"),
            parts=("theory", "digits", "stacked", "stacked_k2", "published"),
            digits=Digits(images=25_600),
            stacked=FULL,
            stacked_k2=Stacks(**{**asdict(FULL), "divisor": 2}),
        ),
    ),
}


def theory() -> dict[str, Any]:
    """The claims on a few states."""
    from gan_forensics.experiments.self_supervised_theory import results

    return results()


def judged(settings: Digits | Stacks, out: Path, arm: str = "") -> Judge:
    """The judge of a part, from its run folder where it is finished there."""
    data, size, steps = settings.data, settings.size, settings.classifier_steps
    whole = out / "judges" / f"{data.replace(':', '-')} {size} {steps}"
    return _judge(data, size, steps, process_copy(whole, arm))


# Arms of one process share it, and what is compiled for it.
@cache
def _judge(data: str, size: int, steps: int, run: Path) -> Judge:
    train, test = (_stacks(data, size, split).inner for split in ("train", "test"))
    return train_judge(train, test, run, steps=steps)


def _stacks(data: str, size: int, split: str) -> Stacked:
    source = open_source(f"stacked:{data}", size=size, split=split)
    assert isinstance(source, Stacked)
    return source


def _calibrated(settings: Digits | Stacks, out: Path) -> dict[str, Any]:
    """How good the judge of a part is, and what it says of real stacks of known modes."""
    judge = judged(settings, out)
    counts = calibration(judge, settings.images).items()
    rows = [{"true": true, **count._asdict()} for true, count in counts]
    return {"accuracy": judge.accuracy, "calibration": rows}


def trained(arm: str, settings: Digits | Stacks, out: Path) -> Any:
    """A function that follows one seed of an arm; what seeds share is made by the first."""

    @cache
    def shared():
        gan = settings.gan(arm)
        return gan, _stacks(settings.data, settings.size, "train"), judged(settings, out, arm)

    def follow(seed: int) -> dict[str, Any]:
        gan, source, judge = shared()
        options = {name: getattr(settings, name) for name in ("steps", "every", "images")}
        return follow_stacks(gan, source, judge, seeds=(seed,), **options)

    return follow


def _job(part: str, arm: str, settings: Digits | Stacks, out: Path) -> tuple[str, str, Any, float]:
    """One arm with all its seeds; in a process of its own."""
    keep_scratch_memory()
    keep_compiled()
    asked = {**as_json(asdict(settings)), "arm": arm}
    asked = {k: v for k, v in asked.items() if k not in ("arms", "seeds")}
    follow = trained(arm, settings, out)
    found, seconds = stored_seeds(out / "parts", f"{part}-{arm}", asked, settings.seeds, follow)
    return part, arm, found, seconds


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry the experiment out; returns what is in results.json: `tables_of`, and extras.

    Raises:
        ValueError: for no parts.
        RunFolderError: when the folder is in use.
    """
    parts, out = experiment.parts, experiment.out
    if not parts:
        raise ValueError(f"no parts to carry out: choose from {', '.join(get_args(Part))}")
    settings = {part: getattr(experiment, part) for part in parts if part != "theory"}
    results: dict[str, Any] = {
        "protocol": {
            **{part: as_json(asdict(each)) for part, each in settings.items()},
            "spread": "standard deviation between training seeds (n - 1)",
            **provenance(),
        },
        "seconds": {},
    }
    with writing(out):
        seconds = results["seconds"]
        if "theory" in parts:
            results["theory"] = theory()
        judges = {}
        for part in (part for part in STACKS if part in parts):
            each = settings[part]
            asked = {"data": each.data, "images": each.images, "steps": each.classifier_steps}
            judges[part], seconds[part] = stored_part(
                out / "parts" / f"{part}-judge.json",
                asked,
                lambda each=each: _calibrated(each, out),
            )
        jobs = [(part, arm, settings[part], out) for part in judges for arm in settings[part].arms]
        for part, arm, found, took in in_processes(_job, jobs, experiment.processes):
            results.setdefault(part, {})[arm] = {**found, **judges[part]}
            seconds[part] += took
        if "published" in parts:
            results["published"] = reproduce(experiment.published, out)
        results["seconds"] = {part: round(value, 1) for part, value in seconds.items()}
        results["finding"] = finding(results)
        results = write_results(out, results, tables_of(results))
        write_pages(out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: the end of every part, arm and seed; what judges say of real stacks; claims."""
    rows, judges = [], []
    for part in (part for part in STACKS if part in results):
        for arm, followed in results[part].items():
            rows += end_rows(followed, part=part, arm=arm)
        first = next(iter(results[part].values()))
        judges += [
            {"part": part, "accuracy": first["accuracy"], **row} for row in first["calibration"]
        ]
    claims = claim_rows(results["theory"]) if "theory" in results else []
    published = results.get("published", [])
    return {"rows": rows, "calibration": judges, "claims": claims, "published": published}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "self_supervised_gan", QUESTION, arguments), run)


if __name__ == "__main__":
    piped(main)
