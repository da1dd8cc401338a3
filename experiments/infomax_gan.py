"""Does a discriminator that keeps information make a better GAN? (Lee et al., "InfoMax-GAN", 2021)

    python -m experiments.infomax_gan smoke   # shows that everything runs
    python -m experiments.infomax_gan cpu     # the tables in experiments/README.md
    python -m experiments.infomax_gan paper --published.inception FILE

    preset  hardware      time         what
    smoke   2 CPU cores   some minutes all three claims in a few steps, without SSGAN
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

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import tyro

from experiments.infomax_diversity import Diversity, diversity
from experiments.infomax_forgetting import Forgetting, forgetting
from experiments.infomax_modes import Stacks, compare
from experiments.infomax_page import finding, write_markdown, write_page
from experiments.infomax_published import Published, reproduce
from gan_forensics.report.provenance import provenance
from gan_forensics.runtime import keep_scratch_memory
from gan_forensics.train import InterruptedRunError, RunFolderError
from gan_forensics.train.run_folder import differences, writing

Part = Literal["forgetting", "diversity", "modes", "published"]


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
    """

    out: Path
    parts: tuple[Part, ...] = ("diversity", "forgetting", "modes")
    forgetting: Forgetting = field(default_factory=Forgetting)
    diversity: Diversity = field(default_factory=Diversity)
    modes: Stacks = field(default_factory=Stacks)
    published: Published = field(default_factory=Published)


SMOKE = Experiment(
    Path("runs/infomax-smoke"),
    forgetting=Forgetting(
        width=8, critics=8, batch_size=8, steps=2, looks=2, cycles=1, test_images=60, seeds=(0, 1)
    ),
    diversity=Diversity(width=8, critics=8, batch_size=8, steps=40, looks=2, draws=4, seeds=(0,)),
    modes=Stacks(
        count=400,
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
    """Carry an experiment out; returns what is in results.json (tables: results.md, report.html).

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
    with writing(out):
        _claim(out, experiment)
        parts = {
            name: _part(out / "parts" / f"{name}.json", _asked(experiment, name), jobs[name])
            for name in experiment.parts
        }
        results: dict[str, Any] = {
            "protocol": {
                **{name: _asked(experiment, name) for name in parts},
                "spread": "standard deviation between training seeds (n - 1)",
                **provenance(),
            },
            **{name: part["result"] for name, part in parts.items()},
            "seconds": {name: round(part["seconds"], 1) for name, part in parts.items()},
        }
        results["finding"] = finding(results)
        _write_json(out / "results.json", results)
        write_markdown(out, results)
        write_page(out, results)
    return results


def _asked(experiment: Experiment, part: str) -> dict[str, Any]:
    """The settings of a part as JSON knows them."""
    return json.loads(json.dumps(asdict(getattr(experiment, part)), default=str))


# Settings of the part on modes that its GANs' own configs hold, or that may differ between calls.
_FREE = {"seeds", "methods", "images"}


def _claim(out: Path, experiment: Experiment) -> None:
    """Refuse a folder whose GANs were trained on other stacks or for another time."""
    if "modes" not in experiment.parts:
        return
    asked = {k: v for k, v in _asked(experiment, "modes").items() if k not in _FREE}
    path = out / "modes.json"
    if not path.exists():
        _write_json(path, asked)
    elif changes := differences(json.loads(path.read_text(encoding="utf-8")), asked):
        listed = "".join(f"\n  {line}" for line in changes)
        raise RunFolderError(
            f"the GANs in {out} were trained otherwise (there -> now):{listed}\n"
            "choose another folder, or the settings of this one"
        )


def _part(path: Path, asked: dict[str, Any], job: Callable[[], Any]) -> dict[str, Any]:
    """The result of a job, from its file where the same was asked for before."""
    if path.exists():
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["asked"] == asked:
            return stored
    start = time.perf_counter()
    result = job()
    _write_json(path, {"asked": asked, "result": result, "seconds": time.perf_counter() - start})
    return json.loads(path.read_text(encoding="utf-8"))


def _write_json(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _remember_compiled(folder: Path) -> None:
    """Let XLA keep what it compiles: the GANs of a method differ in nothing but their seed."""
    if not getattr(jax.config, "jax_compilation_cache_dir", None):
        jax.config.update("jax_compilation_cache_dir", str(folder.resolve()))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a preset from the command line."""
    experiment = tyro.extras.overridable_config_cli(
        PRESETS,
        prog="python -m experiments.infomax_gan",
        description="Does a discriminator that keeps information make a better GAN?",
        args=arguments,
    )
    keep_scratch_memory()
    _remember_compiled(experiment.out / "compiled")
    try:
        results = run(experiment)
    except InterruptedRunError as error:
        print(f"{error} (the same command again)", file=sys.stderr)
        sys.exit(128 + error.signal)
    print(f"\n{results['finding']}\n\nOpen {experiment.out / 'report.html'}")


if __name__ == "__main__":
    main()
