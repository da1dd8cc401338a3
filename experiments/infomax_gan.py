"""Does a discriminator that keeps information make a better GAN? (Lee et al., "InfoMax-GAN", 2021)

    python -m experiments.infomax_gan smoke   # shows that everything runs
    python -m experiments.infomax_gan cpu     # the tables in experiments/README.md
    python -m experiments.infomax_gan paper --published.inception FILE

    preset  hardware      time         what
    smoke   2 CPU cores   a minute     all three claims in a few steps, without SSGAN
    cpu     2 CPU cores   25 minutes   digits 32x32, three seeds; see experiments/README.md
    paper   GPU or TPU    not run yet  CIFAR-10 for the first two claims; mimicry's eight recipes

Three claims of the paper, each against the same without InfoMax, with the same seeds:

    forgetting   a discriminator learns one class against the rest, and the class changes
    diversity    InfoNCE of diverse batches, of one class, of one repeated image
    modes        SNGAN, SSGAN and InfoMax-GAN on stacked digits, whose 1000 modes can be counted
    published    (paper) the same three GANs by the published recipes, FID, KID, inception score

Which numbers to expect stands in experiments/README.md. Every setting of a preset can be
overridden: `cpu --parts modes --modes.seeds 3 4 --out runs/more`. A run that was stopped goes on
when it is started again: parts that are finished are kept, GANs go on from their checkpoints.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax

from gan_forensics.cli.entry import piped
from gan_forensics.experiments.infomax_diversity import KINDS, Diversity, diversity
from gan_forensics.experiments.infomax_forgetting import Forgetting, forgetting
from gan_forensics.experiments.infomax_modes import Stacks, compare
from gan_forensics.experiments.infomax_page import QUESTION, finding, write_pages
from gan_forensics.experiments.infomax_published import Published, reproduce
from gan_forensics.report.provenance import provenance
from gan_forensics.studies.results import write_results
from gan_forensics.studies.runner import (
    as_json,
    carry_out,
    chosen,
    claim_recipe,
    stored_part,
)
from gan_forensics.train.run_folder import writing

Part = Literal["forgetting", "diversity", "modes", "published"]
# Settings of the part on modes that its GANs' own configs hold, or that may differ between calls.
FREE = {"seeds", "methods", "images"}


@dataclass(frozen=True)
class Experiment:
    """Which claims, and how each is examined.

    Attributes:
        out: folder for results.json, report.html and what they are made from.
        parts: the claims.
        forgetting: of the first.
        diversity: of the second.
        modes: of the third.
        published: the recipes of the paper preset.
        compile_quickly: leave most of the compiler's optimisations out; for a few steps they cost
            more than they save.
    """

    out: Path
    parts: tuple[Part, ...] = ("diversity", "forgetting", "modes")
    forgetting: Forgetting = field(default_factory=Forgetting)
    diversity: Diversity = field(default_factory=Diversity)
    modes: Stacks = field(default_factory=Stacks)
    published: Published = field(default_factory=Published)
    compile_quickly: bool = False


SMOKE = Experiment(
    Path("runs/infomax-smoke"),
    forgetting=Forgetting(
        width=8, critics=8, batch_size=8, steps=2, looks=2, cycles=1, test_images=60, seeds=(0, 1)
    ),
    diversity=Diversity(width=8, critics=8, batch_size=8, steps=40, looks=2, draws=4, seeds=(0,)),
    modes=Stacks(
        methods=("sngan", "infomax-gan"),
        seeds=(0,),
        steps=2,
        batch_size=8,
        generator_width=8,
        discriminator_width=8,
        latent=8,
        images=100,
        classifier_steps=20,
    ),
    compile_quickly=True,
)
CPU = Experiment(Path("runs/infomax-cpu"))
PAPER = Experiment(
    Path("runs/infomax-paper"),
    parts=("diversity", "forgetting", "published"),
    forgetting=Forgetting(
        data="tfds:cifar10",
        width=128,
        critics=1024,
        batch_size=64,
        steps=1000,
        looks=20,
        test_images=10_000,
    ),
    diversity=Diversity(
        data="tfds:cifar10",
        width=128,
        critics=1024,
        batch_size=64,
        steps=100_000,
        looks=50,
        draws=50,
        learning_rate=2e-4,
    ),
)
PRESETS = {
    "smoke": ("Some minutes, mostly compiling: shows that everything runs.", SMOKE),
    "cpu": ("Digits at 32x32 on a CPU.", CPU),
    "paper": ("Published widths and recipes; needs an accelerator.", PAPER),
}


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry an experiment out; returns what is in results.json: `tables_of`, and extras.

    Raises:
        ValueError: for no parts, and settings that do not go together.
        RunFolderError: when the folder is in use, or its GANs were trained otherwise.
    """
    if not experiment.parts:
        raise ValueError("no parts to carry out: choose from forgetting, diversity, modes")
    out = experiment.out
    jobs: dict[Part, Callable[[], Any]] = {
        "forgetting": lambda: forgetting(experiment.forgetting),
        "diversity": lambda: diversity(experiment.diversity),
        "modes": lambda: compare(experiment.modes, out),
        "published": lambda: reproduce(experiment.published, out),
    }
    asked = {name: as_json(asdict(getattr(experiment, name))) for name in experiment.parts}
    with writing(out), _compiling(quickly=experiment.compile_quickly):
        if "modes" in asked:
            recipe = {name: value for name, value in asked["modes"].items() if name not in FREE}
            claim_recipe(out / "modes.json", recipe)
        parts = {
            name: stored_part(out / "parts" / f"{name}.json", asked[name], jobs[name])
            for name in experiment.parts
        }
        results: dict[str, Any] = {
            "protocol": {
                **asked,
                "spread": "standard deviation between training seeds (n - 1)",
                **provenance(),
            },
            **{name: result for name, (result, _) in parts.items()},
            "seconds": {name: round(took, 1) for name, (_, took) in parts.items()},
        }
        results["finding"] = finding(results)
        results = write_results(out, results, tables_of(results))
        write_pages(out, results)
    return results


def tables_of(results: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: of every part what each arm and seed comes to; published recipes."""
    rows = [{"part": "forgetting", **r} for r in results.get("forgetting", {}).get("rows", ())]
    if "diversity" in results:
        found, seeds = results["diversity"], results["protocol"]["diversity"]["seeds"]
        for place, seed in enumerate(seeds):
            for kind in KINDS:
                ends = {name: found[name][kind][place][-1] for name in ("loss", "accuracy")}
                rows.append({"part": "diversity", "seed": seed, "batches": kind, **ends})
    rows += [{"part": "modes", **r} for r in results.get("modes", {}).get("rows", ())]
    return {"rows": rows, "published": results.get("published", [])}


@contextmanager
def _compiling(*, quickly: bool) -> Iterator[None]:
    """Compile what is called within with or without most of XLA's optimisations."""
    name = "jax_disable_most_optimizations"
    before = jax.config.values[name]
    jax.config.update(name, before or quickly)
    try:
        yield
    finally:
        jax.config.update(name, before)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = chosen(PRESETS, "infomax_gan", QUESTION, arguments)
    carry_out(experiment, run)


if __name__ == "__main__":
    piped(main)
