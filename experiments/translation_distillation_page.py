"""The experiment on distilled translators as one page and as Markdown, and its finding in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.experiments.translation_distillation_published import published_section
from gan_forensics.experiments.translation_distillation_tasks import CATALOGUES, HELD_OUT
from gan_forensics.report import Picture, Section, Table
from gan_forensics.report.figures import Figure
from gan_forensics.report.plots import INK, curve_style, label_ends, tidy
from gan_forensics.studies import pages
from gan_forensics.studies.collapse_page import student_interval
from gan_forensics.studies.translation_scores import CHRF, PAPER, STANDARD, paired_bootstrap

Results = Mapping[str, Any]
TITLE = "Does a smoothed teacher of translation spoil its students at raised temperatures?"
ARMS = (
    "teacher alpha: cross-entropy smoothed with alpha. none alpha: the same from another seed of "
    "weights, a student without a teacher. word alpha T: the teacher's four largest logits at "
    "every token, read at T, and a tenth of hard labels. matched 0 T: the hard teacher read at "
    "T / c, where c is the spread of the smoothed teacher's logits by that of the hard one's. "
    "sequence alpha: cross-entropy on the translations of the teacher's beam search. alpha is the "
    "teacher's; students by word and by sequence do not smooth."
)
# Arms with a sign: what is compared, in pairs of seeds. {a} is the smoothing, {low} and {high}
# temperatures.
CONTRASTS = {
    "smoothed teacher less hard teacher": ("+teacher {a}", "-teacher 0"),
    "T = 1: student of the smoothed teacher less that of the hard one": (
        "+word {a} T{low}", "-word 0 T{low}",
    ),
    "loss from T = {low} to {high}, hard teacher": ("+word 0 T{low}", "-word 0 T{high}"),
    "loss from T = {low} to {high}, smoothed teacher": ("+word {a} T{low}", "-word {a} T{high}"),
    "falls faster with smoothing, at equal T": (
        "+word {a} T{low}", "-word {a} T{high}", "-word 0 T{low}", "+word 0 T{high}",
    ),
    "falls faster with smoothing, at equal effective temperature": (
        "+word {a} T{low}", "-word {a} T{high}", "-matched 0 T{low}", "+matched 0 T{high}",
    ),
    "by sequence less by word at T = 1, hard teacher": ("+sequence 0", "-word 0 T{low}"),
    "by sequence less by word at T = 1, smoothed teacher": ("+sequence {a}", "-word {a} T{low}"),
    "no teacher (alpha 0) less by word at T = 1, hard teacher": ("+none 0", "-word 0 T{low}"),
    "no teacher (alpha {a}) less by word at T = 1, smoothed teacher": (
        "+none {a}", "-word {a} T{low}",
    ),
}  # fmt: skip


def measure_of(source: str) -> str:
    """What a source is judged by."""
    return "exact" if source.startswith("numbers") else STANDARD


def value(results: Results, source: str, seed: str, arm: str, split: str = "test") -> float:
    """The measure of an arm, 0 to 100."""
    measure = measure_of(source)
    found = results["scores"][source][seed][arm]["splits"][split][measure]
    return 100 * found if measure == "exact" else found


def values(results: Results, source: str, arm: str, split: str = "test") -> list[float]:
    """The measure of an arm by seed."""
    return [value(results, source, seed, arm, split) for seed in results["scores"][source]]


def arms_of(results: Results, source: str) -> list[str]:
    """The arms of a source, teachers first."""
    first = next(iter(results["scores"][source].values()))
    return [name for name in first if name != "ratio"]


def compared(results: Results) -> list[str]:
    """The sources that are compared over seeds."""
    return [source for source in results["scores"] if source != CATALOGUES]


def _grid(results: Results, source: str) -> Mapping[str, Any]:
    return results["protocol"]["demonstration" if source == CATALOGUES else "grid"]


def _filled(results: Results) -> dict[str, tuple[str, ...]]:
    """The contrasts of these results."""
    grid = results["protocol"]["grid"]
    temperatures = grid["temperatures"]
    low, high = temperatures[0], 3.0 if 3.0 in temperatures else temperatures[-1]
    words = {"a": f"{grid['alphas'][-1]:g}", "low": f"{low:g}", "high": f"{high:g}"}
    filled = {
        name.format(**words): tuple(arm.format(**words) for arm in signed)
        for name, signed in CONTRASTS.items()
    }
    known = {*arms_of(results, compared(results)[0])}
    return {name: signed for name, signed in filled.items() if {arm[1:] for arm in signed} <= known}


def contrast(results: Results, signed: Sequence[str], source: str) -> list[float]:
    """Sum of arms with their signs, by seed."""
    signs = [1 if arm[0] == "+" else -1 for arm in signed]
    by_arm = [values(results, source, arm[1:]) for arm in signed]
    return np.dot(signs, by_arm).tolist()


def said(gains: Sequence[float]) -> str:
    """Mean and interval of paired differences, and what they show."""
    ends = student_interval(gains)
    if ends is None:
        return f"{np.mean(gains):+.1f} ({len(gains)} pair{'s' * (len(gains) > 1)}, no interval)"
    shown = "not shown" if ends[0] <= 0 <= ends[1] else ("above 0" if ends[0] > 0 else "below 0")
    return f"{np.mean(gains):+.1f} ({ends[0]:+.1f} to {ends[1]:+.1f}): {shown}"


def best_cell(results: Results, source: str) -> str:
    """The distilled arm that does best on the validation pairs, mean over seeds."""
    cells = [arm for arm in arms_of(results, source) if not arm.startswith(("teacher", "none"))]
    means = [float(np.mean(values(results, source, arm, "validation"))) for arm in cells]
    return cells[int(np.argmax(means))]


def contrasts_table(results: Results) -> Table:
    """Every contrast for every source and all together."""
    sources = compared(results)
    contrasts = {name: [contrast(results, signed, source) for source in sources]
                 for name, signed in _filled(results).items()}  # fmt: skip
    grid = results["protocol"]["grid"]
    rule = f"word {grid['alphas'][-1]:g} T{grid['temperatures'][0]:g}"
    if rule in arms_of(results, sources[0]):
        contrasts[f"best cell by validation less {rule}"] = [
            contrast(results, (f"+{best_cell(results, source)}", f"-{rule}"), source)
            for source in sources
        ]
    rows = [
        [name, *map(said, by_source), said([gain for gains in by_source for gain in gains])]
        for name, by_source in contrasts.items()
    ]
    return Table(
        "Differences in points of the measure, mean and Student's 95 % interval over paired seeds; "
        "the last column takes all sources and seeds as pairs.",
        ["difference", *sources, "all"],
        rows,
    )


def arms_table(results: Results) -> Table:
    """The measure of every arm on every source."""
    sources = compared(results)
    rows = []
    for arm in arms_of(results, sources[0]):
        row: list[Any] = [arm]
        for source in sources:
            found = values(results, source, arm)
            deviation = float(np.std(found, ddof=1)) if len(found) > 1 else None
            nll = [one[arm]["nll"] for one in results["scores"][source].values()]
            row += [pages.plus_minus(float(np.mean(found)), deviation, ".1f"),
                    f"{np.mean(nll):.3f}"]  # fmt: skip
        rows.append(row)
    seeds = len(results["scores"][sources[0]])
    columns = [text for source in sources
               for text in (f"{source}: {measure_of(source)}, %", "validation nll")]  # fmt: skip
    return Table(
        f"Test scores, mean ± standard deviation of {seeds} seed{'s' * (seeds > 1)}, and mean "
        "-log p of a validation reference's token, read at the T of training.",
        ["arm", *columns],
        rows,
    )


def chosen_table(results: Results) -> Table | None:
    """The temperature that validation chooses for each teacher, and its test score."""
    rows, grid = [], results["protocol"]["grid"]
    kinds = [(kind, alpha) for kind in ("word", "matched") if kind in grid["students"]
             for alpha in (grid["alphas"] if kind == "word" else grid["alphas"][:1])]  # fmt: skip
    for source in compared(results):
        for kind, alpha in kinds:
            chosen, scores = [], []
            for seed in results["scores"][source]:
                names = [f"{kind} {alpha:g} T{t:g}" for t in grid["temperatures"]]
                found = [value(results, source, seed, name, "validation") for name in names]
                best = names[int(np.argmax(found))]
                chosen.append(best.rpartition(" T")[2])
                scores.append(value(results, source, seed, best))
            deviation = float(np.std(scores, ddof=1)) if len(scores) > 1 else None
            score = pages.plus_minus(float(np.mean(scores)), deviation, ".1f")
            rows.append([source, f"{kind} {alpha:g}", ", ".join(chosen), score])
    return Table(
        "T chosen on the validation pairs, by seed (the smaller one of equals), and the test score "
        "there.",
        ["source", "students", "T by seed", "test"],
        rows,
    ) if rows else None  # fmt: skip


def temperature_figure(results: Results, source: str) -> Figure:
    """The measure against temperature, with the spread of seeds; arms without T as lines."""
    grid = results["protocol"]["grid"]
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.subplots()
    kinds = [name for name in ("word", "matched") if name in grid["students"]]
    curves = [(kind, alpha) for kind in kinds
              for alpha in (grid["alphas"] if kind == "word" else grid["alphas"][:1])]  # fmt: skip
    ends, x = [], np.arange(len(grid["temperatures"]))
    flat = [arm for arm in arms_of(results, source) if not arm.startswith(("word", "matched"))]
    for index, (kind, alpha) in enumerate(curves):
        by_t = [values(results, source, f"{kind} {alpha:g} T{t:g}") for t in grid["temperatures"]]
        mean = np.mean(by_t, axis=1)
        deviation = np.std(by_t, axis=1, ddof=1) if len(by_t[0]) > 1 else None
        colour, dash = curve_style(index + 1)
        places = x + 0.06 * (index - 1)
        axes.errorbar(places, mean, deviation, color=colour, ls=dash, marker="o", ms=4, capsize=3)
        ends.append((float(mean[-1]), f"{kind} {alpha:g}", colour))
    for index, arm in enumerate(flat):
        mean = float(np.mean(values(results, source, arm)))
        colour, dash = curve_style(1 + len(curves) + index)
        axes.axhline(mean, color=colour, ls=dash, lw=1)
        ends.append((mean, arm, colour))
    axes.set_xticks(x, [f"{t:g}" for t in grid["temperatures"]])
    axes.set_xlabel("temperature T at which teacher and student are read", color=INK)
    axes.set_ylabel(f"{measure_of(source)}, %" if measure_of(source) == "exact" else "BLEU")
    tidy(axes, source)
    label_ends(axes, ends)
    return figure


def demonstration_sections(results: Results) -> list[Section]:
    """Scores on catalogues, both protocols and test sets, and sacrebleu's paired bootstrap."""
    if CATALOGUES not in results["scores"]:
        return [Section("Catalogues", [results["skipped"]])] if "skipped" in results else []
    (seed,) = results["scores"][CATALOGUES]
    scores, task = results["scores"][CATALOGUES][seed], results["tasks"][CATALOGUES][seed]
    arms = arms_of(results, CATALOGUES)
    splits = ("test", HELD_OUT)
    rows = [
        [arm, *(round(scores[arm]["splits"][split][name], 2)
                for split in splits for name in (STANDARD, PAPER, CHRF)), scores[arm]["steps"]]
        for arm in arms
    ]  # fmt: skip
    columns = [f"{split}: {name}" for split in splits for name in (STANDARD, PAPER, CHRF)]
    signatures = scores[arms[0]]["splits"]["test"]["signatures"]
    blocks: list[Any] = [
        "A demonstration: one seed, a small Transformer, early stopping on validation pairs, text "
        f"of {len(task['packages'])} packages, of which {task['held out']} was held out whole. "
        "Messages made after one template fall on both sides of a split by sentence, so that the "
        "score within the packages says more of templates than of translation: read that of the "
        "package held out. Differences of one seed say nothing of other seeds.",
        Table("Pairs of sentences.", [*task["pairs"]], [[*task["pairs"].values()]]),
        Table(
            "Scores. Signatures: " + "; ".join(f"{k}: {v}" for k, v in signatures.items()) + ".",
            ["arm", *columns, "steps"],
            rows,
        ),
    ]
    for split in splits:
        said_by = {arm: scores[arm]["splits"][split]["translations"] for arm in arms}
        references = scores[arms[0]]["splits"][split]["references"]
        rows = []
        for first, second in _pairs(arms):
            found = paired_bootstrap({first: said_by[first], second: said_by[second]}, references)
            rows += [[f"{second} less {first}", row["metric"], row["difference"], row["p"]]
                     for row in found]  # fmt: skip
        if rows:
            blocks.append(
                Table(
                    f"sacrebleu's paired bootstrap over the sentences of {split}, 1000 draws; p of "
                    "no difference. It knows one training of each system.",
                    ["difference", "metric", "points", "p"],
                    rows,
                )
            )
    packages = [
        [name, facts["license"], facts["read"], ", ".join(
            f"{reason} {count}" for reason, count in facts["left_out"].items())]
        for name, facts in task["packages"].items()
    ]  # fmt: skip
    blocks.append(
        Table("Where the sentences come from; their licences are their packages'.",
              ["package", "licence", "messages", "left out"], packages)
    )  # fmt: skip
    return [Section("Catalogues: a demonstration", blocks)]


def _pairs(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Arms to be compared: temperatures of a teacher, teachers at a temperature, no teacher."""
    words = [arm for arm in arms if arm.startswith("word")]
    teachers = [arm for arm in arms if arm.startswith("teacher")]
    alphas = list(dict.fromkeys(arm.split()[1] for arm in words))
    temperatures = list(dict.fromkeys(arm.split()[2] for arm in words))
    pairs = [(f"word {a} {temperatures[0]}", f"word {a} {t}")
             for a in alphas for t in temperatures[1:]]  # fmt: skip
    pairs += [(f"word {alphas[0]} {t}", f"word {a} {t}") for t in temperatures for a in alphas[1:]]
    pairs += [(f"teacher {a}", f"word {a} {temperatures[0]}") for a in alphas]
    return [*pairs, *((teachers[0], other) for other in teachers[1:])]


def finding(results: Results) -> str:
    """The verdicts in words, over all sources and seeds as pairs."""
    table = contrasts_table(results)
    if not any(
        cell["splits"]["test"][measure_of(source)]
        for source in compared(results)
        for one in results["scores"][source].values()
        for cell in one.values()
        if isinstance(cell, dict)
    ):
        return "Every score is 0: training was too short to compare anything."
    best = table.rows[-1]
    seeds = len(results["scores"][compared(results)[0]])
    lines = [
        f"{' and '.join(table.columns[1:-1])}, {seeds} seed{'s' * (seeds > 1)} each; points, with "
        "95 % intervals over pairs."
    ]
    lines += [f"{row[0][0].upper()}{row[0][1:]}: {row[-1]}." for row in table.rows]
    if best[0].startswith("best cell") and "interval" not in best[-1]:
        among = "is not" if best[-1].endswith("above 0") else "is"
        lines.append(f"A smoothed teacher at T = 1 {among} among the best.")
    ratios = [one["ratio"] for source in compared(results)
              for one in results["scores"][source].values() if "ratio" in one]  # fmt: skip
    if ratios:
        lines.append(f"c, the spread of smoothed by hard logits: {np.mean(ratios):.2f}.")
    if "skipped" in results:
        lines.append(results["skipped"])
    return "\n".join(lines)


def write_pages(out: Path, results: Results) -> Path:
    """Write report.html and results.md."""
    figures = [
        Picture(
            temperature_figure(results, source),
            alt=f"{measure_of(source)} of students against temperature, {source}",
            caption=f"{source}: mean and standard deviation of seeds; lines are arms without T.",
        )
        for source in compared(results)
    ]
    chosen = chosen_table(results)
    sections = [
        Section("Score against temperature", figures),
        Section(
            "Teachers and students", [ARMS, arms_table(results), *([chosen] if chosen else [])]
        ),
        Section("Verdicts", [contrasts_table(results)]),
        *demonstration_sections(results),
        published_section(),
        Section("Texts", [_texts(results)]),
    ]
    pages.write_markdown(out, results, sections)
    return pages.write_page(
        out, results, title=TITLE, sections=sections, timed="Training and scoring, by source."
    )


def _texts(results: Results) -> Table:
    rows = []
    for source in compared(results):
        seed, facts = next(iter(results["tasks"][source].items()))
        for split in ("train", "validation", "test"):
            some = facts[split]
            left = ", ".join(f"{why} {n}" for why, n in some["left_out"].items()) or "nothing"
            rows.append([source, split, some["kept"], left, facts["pieces"], seed])
    return Table(
        "Sentences of the first seed.",
        ["source", "split", "pairs", "left out", "pieces", "seed"],
        rows,
    )
