"""Which augmentation helps a GAN, and which one changes what it learns? (Tran et al., DAG, 2021)

    python -m experiments.dag smoke
    python -m experiments.dag cpu
    python -m experiments.dag cpu --data idx:PATH

    preset  hardware      time          what
    smoke   2 CPU cores   15 seconds    theory, two arms of points and two of images, a few steps
    cpu     2 CPU cores   see experiments/README.md, points of 5 seeds, limited data of 5 seeds
    paper   GPU or TPU    not run yet   CIFAR-10 with 100, 25, 20 and 10 % of its training images

"DAG" ("On data augmentation for GAN training", IEEE TIP 2021) judges transformed pairs of real and
generated images by heads of their own. Parts:

    theory     the theorems on a few states, by closed form and brute force
    leak2d     three modes in the plane, rotated by quarters: on which copy do the points end?
    limited    images, 10 and 100 % of the training set, nine ways to augment
    gammas     R3GAN's penalty on one extra seed of `limited`, by which its weight is chosen
    published  limited CIFAR-10 (only in `paper`)

Expected on points: classical augmentation spreads over the copies (.20 on the data's own), one head
for uniform rotations ends on any copy, DAG on the data's own (.98). On limited data only that DAG
is not worse than no augmentation by a factor. What came out stands in experiments/README.md. Every
arm's seed is kept when it is done, so that a run that was stopped goes on when it is started again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from gan_forensics.cli.entry import piped
from gan_forensics.experiments.dag_limited import (
    DAG_ROTATION,
    PLAIN,
    R3GAN,
    Limited,
    followed_images,
    read_reals,
)
from gan_forensics.experiments.dag_page import QUESTION, finding, write_pages
from gan_forensics.experiments.dag_plane import DAG, NONE, Plane, followed_points
from gan_forensics.experiments.dag_published import Published, reproduce
from gan_forensics.experiments.theory_page import claim_rows
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_compiled, keep_scratch_memory
from gan_forensics.studies.arms import stored_seeds
from gan_forensics.studies.collapse import end_rows
from gan_forensics.studies.results import write_results
from gan_forensics.studies.runner import as_json, carry_out, chosen, in_processes, stored_part
from gan_forensics.train.run_folder import writing

Part = Literal["theory", "leak2d", "limited", "gammas", "published"]


@dataclass(frozen=True)
class Experiment:
    """Which parts, and how each is trained.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        data: labelled images, in a training and a test split.
        parts: of the experiment.
        leak2d: points.
        limited: images.
        gammas: R3GAN's penalties on images.
        published: limited CIFAR-10.
        processes: arms that are trained at once; by default as many as cores.
    """

    out: Path
    data: str = "samples:mnist5k"
    parts: tuple[Part, ...] = ("theory", "leak2d", "gammas", "limited")
    leak2d: Plane = field(default_factory=Plane)
    limited: Limited = field(default_factory=Limited)
    gammas: Limited = field(
        default_factory=lambda: Limited(
            (R3GAN,), fractions=(0.1,), seeds=(100,), gammas=(0.1, 1.0, 10.0)
        )
    )
    published: Published = field(default_factory=Published)
    processes: int | None = None


_FEW = {"seeds": (0, 1), "steps": 4, "every": 2, "batch_size": 8}
PRESETS = {
    "smoke": (
        "Theory, two arms of points and two of images in a few steps: shows that all runs.",
        Experiment(
            Path("runs/dag-smoke"),
            data="samples:digits",
            parts=("theory", "leak2d", "limited"),
            leak2d=Plane((NONE, DAG), points=200, **_FEW),
            limited=Limited(
                (PLAIN, DAG_ROTATION),
                fractions=(0.1,),
                width=4,
                images=100,
                classifier_steps=20,
                leaks=("rotation",),
                leak_steps=5,
                **_FEW,
            ),
            processes=1,
        ),
    ),
    "cpu": (
        "Theory, points of six arms, limited data of nine, on a CPU.",
        Experiment(Path("runs/dag-cpu")),
    ),
    "paper": (
        "Limited CIFAR-10, four fractions and the published policies; needs an accelerator.",
        Experiment(Path("runs/dag-paper"), parts=("theory", "leak2d", "published")),
    ),
}


def theory() -> dict[str, Any]:
    """The claims on a few states."""
    from gan_forensics.experiments.dag_theory import results

    return results()


def _job(part: str, name: str, experiment: Experiment) -> tuple[str, str, Any, float]:
    """One arm with all its seeds; in a process of its own."""
    keep_scratch_memory()
    keep_compiled()
    settings = getattr(experiment, part)
    asked = {**as_json(asdict(settings)), "name": name}
    for key in ("arms", "seeds", "fractions", "gammas"):
        asked.pop(key, None)
    if part == "leak2d":
        follow_seed = followed_points(name, settings)
    else:
        asked |= {"data": experiment.data, "run": settings.runs()[name]}
        follow_seed = followed_images(name, settings, experiment.data, experiment.out)
    folder = experiment.out / "parts"
    found, seconds = stored_seeds(folder, f"{part}-{name}", asked, settings.seeds, follow_seed)
    return part, name, found, seconds


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
            "data": experiment.data,
            **{part: as_json(asdict(each)) for part, each in settings.items()},
            "spread": "standard deviation between training seeds (n - 1)",
            **provenance(),
        },
        "references": {},
    }
    with writing(out):
        if "theory" in parts:
            results["theory"] = theory()
        jobs, seconds = [], {}
        for part in (part for part in ("leak2d", "gammas", "limited") if part in parts):
            each = settings[part]
            names = each.arms if part == "leak2d" else tuple(each.runs())
            jobs += [(part, name, experiment) for name in names]
            seconds[part] = 0.0
            if part != "leak2d":
                asked = {"data": experiment.data, **as_json(asdict(each))}
                results["references"][part], seconds[part] = stored_part(
                    out / "parts" / f"{part}-real.json",
                    asked,
                    lambda each=each: read_reals(each, experiment.data, out),
                )
        for part, name, found, took in in_processes(_job, jobs, experiment.processes):
            results.setdefault(part, {})[name] = found
            seconds[part] += took
        if "published" in parts:
            results["published"] = reproduce(experiment.published, out)
        results["seconds"] = {part: round(value, 1) for part, value in seconds.items()}
        results["finding"] = finding(results)
        results = write_results(out, results, tables_of(results))
        write_pages(out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: the end of every part, arm and seed; real images; claims; published recipes."""
    rows, real = [], []
    for arm, followed in results.get("leak2d", {}).items():
        rows += end_rows(followed, part="leak2d", arm=arm, fraction=None, gamma=None)
    for part in ("gammas", "limited"):
        if part in results:
            runs = Limited(**results["protocol"][part]).runs()
            for name, followed in results[part].items():
                arm, fraction, gamma = runs[name]
                gamma = gamma if arm == R3GAN else None
                rows += end_rows(followed, part=part, arm=arm, fraction=fraction, gamma=gamma)
            for fraction, found in results["references"][part]["fractions"].items():
                share = float(fraction.removesuffix("%")) / 100
                real.append({"part": part, "fraction": share, **found})
    claims = claim_rows(results["theory"]) if "theory" in results else []
    published = results.get("published", [])
    return {"rows": rows, "real": real, "claims": claims, "published": published}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    carry_out(chosen(PRESETS, "dag", QUESTION, arguments), run)


if __name__ == "__main__":
    piped(main)
