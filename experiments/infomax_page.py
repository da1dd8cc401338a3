"""The InfoMax-GAN experiment as one page and as Markdown, and its finding in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_forensics.experiments.infomax_figures import (
    diversity_figure,
    forgetting_figure,
    modes_figure,
    spread,
)
from gan_forensics.experiments.infomax_modes import metrics_of
from gan_forensics.experiments.infomax_published import published_section
from gan_forensics.report import Picture, Section, Table, losses_figure
from gan_forensics.studies import pages
from gan_forensics.studies.pages import plus_minus

Results = Mapping[str, Any]
SWITCH = {
    "current_before": "current task, before a switch",
    "current_after": "current task, after a switch",
    "current": "current task, all the time",
    "worst": "current task, worst after the first",
    "seen_before": "all seen tasks, before a switch",
    "seen_after": "all seen tasks, after a switch",
}
COUNTS = {
    "seen": ("modes seen", ".0f"),
    "half_share": ("half share", ".0f"),
    "effective": ("effective modes", ".0f"),
    "kl": ("KL, nats", ".2f"),
}
QUALITY = {**COUNTS, "frechet": ("Frechet", ".2f")}
# Of what more is better.
MORE = ("seen", "half_share", "effective")

QUESTION = "Does a discriminator that keeps information make a better GAN?"


def finding(results: Results) -> str:
    """What the numbers say, with the number of seeds that agree."""
    claims = {
        "forgetting": _forgetting_finding,
        "diversity": _diversity_finding,
        "modes": _modes_finding,
    }
    said = [say(results[claim]) for claim, say in claims.items() if claim in results]
    if results.get("published"):
        said.append("The recipes' numbers stand beside the published ones at the end of the page.")
    return "\n".join(said)


def _forgetting_finding(result: Results) -> str:
    parts = []
    for name in ("current_after", "current", "seen_after"):
        gains = paired(result["rows"], name, "arm", "without", "with")
        agree = f"{sum(g > 0 for g in gains)} of {len(gains)} seeds up"
        parts.append(f"{SWITCH[name]} {plus_minus(*spread(gains), '+.3f')} ({agree})")
    return f"Forgetting, accuracy with InfoNCE less that without: {'; '.join(parts)}."


def _diversity_finding(result: Results) -> str:
    ends = {kind: [run[-1] for run in runs] for kind, runs in result["loss"].items()}
    kinds = zip(ends["all classes"], ends["one class"], ends["one image"], strict=True)
    ordered = sum(one < two < three for one, two, three in kinds)
    said = ", ".join(f"{kind} {plus_minus(*spread(v))}" for kind, v in ends.items())
    kept = "never" if result["above_bound"] >= -1e-4 else "SOMETIMES"
    return (
        f"Diversity, InfoNCE after {result['steps'][-1]} steps: {said}; in this order for "
        f"{ordered} of {len(ends['one image'])} seeds. A repeated image {kept} pays less than the "
        f"bound {result['bound']:.3f} (least excess {result['above_bound']:.1e})."
    )


def _modes_finding(result: Results) -> str:
    parts = []
    for other in ("sngan", "ssgan"):
        for name, (label, form) in QUALITY.items():
            gains = paired(result["rows"], name, "method", other, "infomax-gan")
            if gains:
                agree = sum((gain > 0) == (name in MORE) and gain != 0 for gain in gains)
                parts.append(
                    f"{label} {plus_minus(*spread(gains), f'+{form}')} "
                    f"against {other} (better for {agree} of {len(gains)} seeds)"
                )
    if not parts:
        return "GANs: nothing to compare InfoMax-GAN with."
    return "InfoMax-GAN on stacked digits: " + "; ".join(parts) + "."


def paired(
    rows: Sequence[Mapping[str, Any]], name: str, key: str, base: str, other: str
) -> list[float]:
    """Of each seed that both have: the value of `other` less that of `base`."""
    values = {(row[key], row["seed"]): row[name] for row in rows}
    seeds = dict.fromkeys(row["seed"] for row in rows)
    return [
        values[other, seed] - values[base, seed]
        for seed in seeds
        if (other, seed) in values and (base, seed) in values
    ]


def forgetting_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Means over seeds of both arms, and of their difference."""
    lines = []
    for name, label in SWITCH.items():
        arms = [[row[name] for row in rows if row["arm"] == arm] for arm in ("without", "with")]
        gain = paired(rows, name, "arm", "without", "with")
        lines.append([label, *(_each(v) for v in arms), plus_minus(*spread(gain), "+.3f")])
    return Table(
        "Balanced accuracy on held-out images, means over seeds ± standard deviation between them; "
        "the difference is paired by seed",
        ["accuracy on", "without InfoNCE", "with InfoNCE", "difference"],
        lines,
    )


def diversity_table(result: Results) -> Table:
    """InfoNCE and its accuracy of the three kinds at the end."""
    lines = [
        [kind, *(_each([run[-1] for run in result[name][kind]]) for name in ("loss", "accuracy"))]
        for kind in result["loss"]
    ]
    return Table(
        f"After {result['steps'][-1]} steps; means over seeds ± standard deviation between them. "
        f"Chance, and the least a repeated image can pay: {result['bound']:.3f}",
        ["batches of", "InfoNCE, nats", "accuracy"],
        lines,
    )


def modes_table(result: Results) -> Table:
    """Mode counts and Frechet distance of every method."""
    lines = [["real, other stacks", *(f"{result['real'][n]:{f}}" for n, (_, f) in QUALITY.items())]]
    for method in dict.fromkeys(row["method"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["method"] == method]
        scores = (_each([row[name] for row in rows], form) for name, (_, form) in QUALITY.items())
        lines.append([method, *scores])
    return Table(
        f"{result['counts']['fake']} images of each GAN against {result['counts']['real']} real "
        "stacks of held-out digits; means over training seeds ± standard deviation between them. "
        "Of 1000 modes: seen at least once (the published count), with half of their share or "
        "more, inverse Simpson index (effective). "
        f"Frechet distance on {result['features']}, not FID",
        ["images", *(label for label, _ in QUALITY.values())],
        lines,
    )


def calibration_table(result: Results) -> Table:
    """What the same counts say of real stacks whose modes are known."""
    lines = [
        [row["true"], *(f"{row[name]:{form}}" for name, (_, form) in COUNTS.items())]
        for row in result["calibration"]
    ]
    return Table(
        f"{result['counts']['fake']} real stacks of held-out digits restricted to so many modes, "
        "by the same classifier",
        ["true modes", *(label for label, _ in COUNTS.values())],
        lines,
    )


def write_pages(out: Path, results: Results) -> None:
    """Write `report.html` and `results.md`: all that was measured, claim by claim."""
    sections = []
    if "forgetting" in results:
        looks, result = results["protocol"]["forgetting"]["looks"], results["forgetting"]
        picture = Picture(
            forgetting_figure(result, looks),
            alt="Accuracy over a sequence of tasks, with and without InfoNCE",
            caption="Means over seeds, bands of one standard deviation between them. Gray lines: "
            "another class becomes the one to find; darker ones: a cycle begins.",
        )
        blocks = [picture, forgetting_table(result["rows"])]
        sections.append(Section("Does the discriminator forget less?", blocks))
    if "diversity" in results:
        picture = Picture(
            diversity_figure(results["diversity"]),
            alt="InfoNCE and its accuracy for diverse and for collapsed batches",
            caption="A discriminator trained by InfoNCE of real images alone.",
        )
        blocks = [picture, diversity_table(results["diversity"])]
        sections.append(Section("Does InfoNCE see collapse?", blocks))
    if "modes" in results:
        sections.append(Section("Are the images better?", _modes_blocks(out, results["modes"])))
    pages.write_page(
        out,
        results,
        title=QUESTION,
        sections=sections,
        timed="Seconds of the call that did the work; what was there already took none.",
        appendix=[published_section(results.get("published", ()))],
    )
    facts = results["protocol"]
    made = Section("Protocol", [f"Commit {facts['commit']}; {facts['hardware']}."])
    pages.write_markdown(out, results, [*sections, made])


def _modes_blocks(out: Path, result: Results) -> list[Any]:
    methods = list(dict.fromkeys(row["method"] for row in result["rows"]))
    seed = result["rows"][0]["seed"]
    grids = ["real", *(f"{method}-seed{seed}" for method in methods)]
    names = ["generator/loss", "discriminator/loss"]
    losses = [
        Picture(
            losses_figure(metrics_of(out, m, seed), names=names, title=f"{m}, seed {seed}"),
            alt=f"Losses of {m}",
        )
        for m in methods
    ]
    figure = Picture(
        modes_figure(result),
        alt="Mode counts, KL and Frechet distance of each GAN",
        caption="A dot for each training seed, a line for their mean; dotted: real stacks of the "
        "training digits.",
    )
    said = (
        f"The classifier gets {result['classifier']['accuracy']:.3f} of held-out single digits "
        "right, and mistakes are further modes seen: the second table says what counts mean. An "
        "image that shows no digits is counted as some mode all the same: read the modes "
        "together with the distance."
    )
    shown = pages.samples(out, grids, ", not chosen")
    return [figure, modes_table(result), said, calibration_table(result), *shown, *losses]


def _each(values: Sequence[float], form: str = ".3f") -> str:
    """Mean and deviation of what each seed has, the value alone of one seed."""
    return plus_minus(*spread(values), form)
