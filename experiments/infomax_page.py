"""The InfoMax-GAN experiment as one page: finding, figures, tables, protocol."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from experiments.infomax_figures import diversity_figure, forgetting_figure, modes_figure, spread
from experiments.infomax_modes import metrics_of
from experiments.infomax_published import published_section
from gan_forensics.report import Facts, Picture, Section, Table, losses_figure, write_report

Results = Mapping[str, Any]
SWITCH = {
    "current_before": "current task, before a switch",
    "current_after": "current task, after a switch",
    "current": "current task, all the time",
    "worst": "current task, worst after the first",
    "seen_before": "all seen tasks, before a switch",
    "seen_after": "all seen tasks, after a switch",
}
QUALITY = {"modes": ("modes", ".0f"), "kl": ("KL, nats", ".2f"), "frechet": ("Frechet", ".2f")}


def finding(results: Results) -> str:
    """What the numbers say, with the number of seeds that agree."""
    said = []
    if "forgetting" in results:
        said.append(_forgetting_finding(results))
    if "diversity" in results:
        said.append(_diversity_finding(results["diversity"]))
    if "modes" in results:
        said.append(_modes_finding(results["modes"]))
    if results.get("published"):
        said.append("The recipes' numbers stand beside the published ones at the end of the page.")
    return "\n".join(said)


def _forgetting_finding(results: Results) -> str:
    rows = results["forgetting"]["rows"]
    parts = []
    for name in ("current_after", "current", "seen_after"):
        gains = paired(rows, name, "arm", "without", "with")
        mean, deviation = spread(gains)
        parts.append(
            f"{SWITCH[name]} {mean:+.3f} ± {deviation:.3f} "
            f"({sum(g > 0 for g in gains)} of {len(gains)} seeds up)"
        )
    return f"Forgetting, accuracy with InfoNCE less that without: {'; '.join(parts)}."


def _diversity_finding(result: Results) -> str:
    ends = {kind: [run[-1] for run in runs] for kind, runs in result["loss"].items()}
    ordered = sum(
        one < two < three
        for one, two, three in zip(
            ends["all classes"], ends["one class"], ends["one image"], strict=True
        )
    )
    said = ", ".join("{} {:.2f} ± {:.2f}".format(kind, *spread(v)) for kind, v in ends.items())
    kept = "never" if result["above_bound"] >= -1e-4 else "SOMETIMES"
    return (
        f"Diversity, InfoNCE after {result['steps'][-1]} steps: {said}; in this order for "
        f"{ordered} of {len(ends['one image'])} seeds. A repeated image {kept} pays less than the "
        f"bound {result['bound']:.3f} (least excess {result['above_bound']:.1e})."
    )


def _modes_finding(result: Results) -> str:
    parts = []
    for other in ("sngan", "ssgan"):
        for name, better in (("frechet", -1), ("modes", 1), ("kl", -1)):
            gains = paired(result["rows"], name, "method", other, "infomax-gan")
            if gains:
                mean, deviation = spread(gains)
                agree = sum(better * gain > 0 for gain in gains)
                label, form = QUALITY[name]
                parts.append(
                    f"{label} {mean:+{form}} ± {deviation:{form}} "
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
        lines.append([label, *(_plus_minus(v, ".3f") for v in arms), _signed(gain, ".3f")])
    return Table(
        "Balanced accuracy on held-out images, means over seeds ± standard deviation between them; "
        "the difference is paired by seed",
        ["accuracy on", "without InfoNCE", "with InfoNCE", "difference"],
        lines,
    )


def diversity_table(result: Results) -> Table:
    """InfoNCE and its accuracy of the three kinds at the end."""
    lines = [
        [
            kind,
            _plus_minus([run[-1] for run in result["loss"][kind]], ".3f"),
            _plus_minus([run[-1] for run in result["accuracy"][kind]], ".3f"),
        ]
        for kind in result["loss"]
    ]
    return Table(
        f"After {result['steps'][-1]} steps; means over seeds ± standard deviation between them. "
        f"Chance, and the least a repeated image can pay: {result['bound']:.3f}",
        ["batches of", "InfoNCE, nats", "accuracy"],
        lines,
    )


def modes_table(result: Results) -> Table:
    """Modes, KL and Frechet distance of every method."""
    lines = [["real, other stacks", *(f"{result['real'][n]:{f}}" for n, (_, f) in QUALITY.items())]]
    for method in dict.fromkeys(row["method"] for row in result["rows"]):
        rows = [row for row in result["rows"] if row["method"] == method]
        lines.append(
            [method, *(_plus_minus([r[n] for r in rows], f) for n, (_, f) in QUALITY.items())]
        )
    return Table(
        f"{result['counts']['fake']} images of each GAN against {result['counts']['real']} real "
        "stacks of held-out digits; means over training seeds ± standard deviation between them. "
        f"Frechet distance on {result['features']}, not FID",
        ["images", "modes of 1000", "KL to uniform, nats", "Frechet distance"],
        lines,
    )


def write_markdown(out: Path, results: Results) -> Path:
    """Write `results.md`: the finding and the tables, as they stand in `experiments/README.md`."""
    tables = []
    if "forgetting" in results:
        tables.append(forgetting_table(results["forgetting"]["rows"]))
    if "diversity" in results:
        tables.append(diversity_table(results["diversity"]))
    if "modes" in results:
        tables.append(modes_table(results["modes"]))
    blocks = [results["finding"].replace("\n", "\n\n")]
    for table in tables:
        blocks += [f"{table.caption}.", markdown(table)]
    blocks.append(f"Commit {results['protocol']['commit']}; {results['protocol']['hardware']}.")
    path = out / "results.md"
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path


def markdown(table: Table) -> str:
    """A table as in `experiments/README.md`."""
    rule = "|---" * len(table.columns) + "|"
    rows = ["| " + " | ".join(map(str, row)) + " |" for row in table.rows]
    return "\n".join(["| " + " | ".join(table.columns) + " |", rule, *rows])


def sections(out: Path, results: Results) -> list[Section]:
    """All that was measured, claim by claim, then what it was measured with."""
    found = []
    if "forgetting" in results:
        looks = results["protocol"]["forgetting"]["looks"]
        picture = Picture(
            forgetting_figure(results["forgetting"], looks),
            alt="Accuracy over a sequence of tasks, with and without InfoNCE",
            caption="Means over seeds, bands of one standard deviation between them. Gray lines: "
            "another class becomes the one to find; darker ones: a cycle begins.",
        )
        table = forgetting_table(results["forgetting"]["rows"])
        found.append(Section("Does the discriminator forget less?", [picture, table]))
    if "diversity" in results:
        picture = Picture(
            diversity_figure(results["diversity"]),
            alt="InfoNCE and its accuracy for diverse and for collapsed batches",
            caption="A discriminator trained by InfoNCE of real images alone.",
        )
        table = diversity_table(results["diversity"])
        found.append(Section("Does InfoNCE see collapse?", [picture, table]))
    if "modes" in results:
        found.append(_modes_section(out, results["modes"]))
    facts = {
        f"{part}, {k}" if isinstance(v, dict) else part: str(w)
        for part, v in results["protocol"].items()
        for k, w in (v.items() if isinstance(v, dict) else [("", v)])
    }
    return [
        *found,
        Section("Protocol", [Facts(facts)]),
        Section(
            "Timings",
            [
                "Seconds of the call that did the work; what was there already took none.",
                Facts(results["seconds"]),
            ],
        ),
        published_section(results.get("published", ())),
    ]


def _modes_section(out: Path, result: Results) -> Section:
    methods = list(dict.fromkeys(row["method"] for row in result["rows"]))
    seed = result["rows"][0]["seed"]
    grids = [
        Picture(
            out / "samples" / f"{name}.png", alt=f"Images: {name}", caption=f"{name}, not chosen"
        )
        for name in ("real", *(f"{method}-seed{seed}" for method in methods))
    ]
    losses = [
        Picture(
            losses_figure(
                metrics_of(out, method, seed),
                names=["generator/loss", "discriminator/loss"],
                title=f"{method}, seed {seed}",
            ),
            alt=f"Losses of {method}",
        )
        for method in methods
    ]
    figure = Picture(
        modes_figure(result),
        alt="Modes, KL and Frechet distance of each GAN",
        caption="A dot for each training seed, a line for their mean; dotted: real stacks of the "
        "training digits.",
    )
    said = (
        f"The classifier gets {result['classifier']['accuracy']:.3f} of held-out single digits "
        "right. An image that shows no digits is counted as some mode all the same: read the modes "
        "together with the distance."
    )
    return Section("Are the images better?", [figure, modes_table(result), said, *grids, *losses])


def write_page(out: Path, results: Results) -> Path:
    """Write `report.html`."""
    return write_report(
        out / "report.html",
        title="Does a discriminator that keeps information make a better GAN?",
        lead=results["finding"].replace("\n", " "),
        sections=sections(out, results),
    )


def _plus_minus(values: Sequence[float], form: str) -> str:
    mean, deviation = spread(values)
    return (
        f"{mean:{form}} ± {deviation:{form}}"
        if len(np.atleast_1d(values)) > 1
        else f"{mean:{form}}"
    )


def _signed(values: Sequence[float], form: str) -> str:
    mean, deviation = spread(values)
    return f"{mean:+{form}} ± {deviation:{form}}"
