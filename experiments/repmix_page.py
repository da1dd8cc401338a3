"""The attribution experiment as one page and as Markdown, and its finding in words.

Accuracy on further images of the very GANs that were fitted on never stands alone: beside it stand
new training seeds of the same GANs, and semantics that were never seen.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.experiments.repmix_arms import CLEAN, COMPOUND, MIXING, REPMIX, RESNET
from gan_forensics.experiments.repmix_dates import read_dates
from gan_forensics.experiments.repmix_gans import CONTROL
from gan_forensics.forensics.attribution_measure import CONDITIONS, NEW_SEEDS, SEEN, UNSEEN
from gan_forensics.report import Picture, Section, Table
from gan_forensics.report.class_plots import confusion_figure
from gan_forensics.studies import pages
from gan_forensics.studies.by_date import dates_table

Results = Mapping[str, Any]
TITLE = "Which GAN made this image, whatever it shows?"
GROUPS = (SEEN, NEW_SEEDS, UNSEEN)
MEASURES = {
    "attribution_accuracy": "Attribution: share of images given to their own source",
    "balanced_detection_accuracy": "Detection, balanced: mean of the shares of real and of "
    "generated images told rightly; a constant answer has 0.5",
    "detection_accuracy": "Detection, plain: share of images told rightly; always answering "
    "'generated' has the generators' share",
    "nmi": "Normalised mutual information of true and called sources",
    "purity": "Purity of the called sources",
    "map_l2": "Retrieval, mean average precision by distance of features",
    "map_cosine": "Retrieval, mean average precision by cosine",
}
ABLATIONS = ((REPMIX, RESNET), (MIXING, RESNET), (COMPOUND, RESNET), (RESNET, CLEAN))


def groups_of(results: Results) -> list[str]:
    """The groups that were measured, in order."""
    first = next(iter(_seeds(results, next(iter(results["arms"])))))
    return [group for group in GROUPS if group in first["cells"]]


def _seeds(results: Results, arm: str) -> Iterator[Mapping[str, Any]]:
    return iter(results["arms"][arm].values())


def values(results: Results, arm: str, group: str, condition: str, measure: str) -> list[float]:
    """A measure of an arm, by seed; those that do not exist are left out."""
    found = [one["cells"][group][condition][measure] for one in _seeds(results, arm)]
    return [value for value in found if value is not None]


def _said(some: Sequence[float], form: str = ".3f") -> str:
    if not some:
        return "–"
    deviation = float(np.std(some, ddof=1)) if len(some) > 1 else None
    return pages.plus_minus(float(np.mean(some)), deviation, form)


def cells_table(results: Results, measure: str) -> Table:
    """A measure of every arm in every group and condition: mean ± deviation between seeds."""
    groups = groups_of(results)
    columns = [f"{group}, {condition}" for condition in CONDITIONS for group in groups]
    rows = [
        [arm, *(
            _said(values(results, arm, group, condition, measure))
            for condition in CONDITIONS for group in groups
        )]
        for arm in results["arms"]
    ]  # fmt: skip
    seeds = len(next(iter(results["arms"].values())))
    return Table(
        f"{MEASURES[measure]}. Mean ± standard deviation of {seeds} attributor seeds. Conditions: "
        "as they are; after the corruptions of training; after held-out ones.",
        ["attributor", *columns],
        rows,
    )


def differences(results: Results) -> Table | None:
    """Attribution of pairs of arms, seed by seed, where nothing was seen in training."""
    pairs = [pair for pair in ABLATIONS if results["arms"].keys() >= {*pair}]
    if not pairs:
        return None
    groups, rows = groups_of(results), []
    for one, other in pairs:
        row = [f"{one} - {other}"]
        for condition in CONDITIONS:
            for group in groups:
                a, b = (
                    values(results, arm, group, condition, "attribution_accuracy")
                    for arm in (one, other)
                )
                row.append(_said([x - y for x, y in zip(a, b, strict=False)], "+.3f"))
        rows.append(row)
    columns = [f"{group}, {condition}" for condition in CONDITIONS for group in groups]
    return Table(
        "Differences in attribution of arms of one seed, mean ± standard deviation between seeds: "
        "mixing and compound loss together, each alone, and perturbations in training.",
        ["difference", *columns],
        rows,
    )


def control_table(results: Results) -> Table | None:
    """How often images of the two GANs that differ in loss alone are taken for the other one's."""
    names = results["benchmark"]["names"]
    if not {*CONTROL} <= {*names}:
        return None
    groups, rows = groups_of(results), []
    for arm in results["arms"]:
        row: list[Any] = [arm]
        for group in groups:
            shares = []
            for one in _seeds(results, arm):
                cell = one["cells"][group]["clean"]
                a, b = (cell["names"].index(name) for name in CONTROL)
                table = np.array(cell["confusion"])
                own, swapped = table[a, a] + table[b, b], table[a, b] + table[b, a]
                shares += [swapped / (own + swapped)] if own + swapped else []
            row.append(_said(shares, ".2f"))
        rows.append(row)
    return Table(
        f"Of images of {' and '.join(CONTROL)} that are given to one of the two, the share that is "
        "given to the wrong one: their networks are the same, only the loss differs. 0.5 is no "
        "better than a coin. Images as they are.",
        ["attributor", *groups],
        rows,
    )


def mixtures_table(results: Results) -> Table | None:
    """Whether the posterior of a mixture tracks its weights."""
    rows = [
        [arm, _said([one["mixtures"]["error"] for one in _seeds(results, arm)]),
         f"{next(_seeds(results, arm))['mixtures']['constant']:.3f}"]
        for arm in results["arms"] if "mixtures" in next(_seeds(results, arm))
    ]  # fmt: skip
    return Table(
        "Mixed embeddings of two images of different sources, weight b of the first: mean of "
        "|posterior of the first source - b|, and that of a constant 1/2.",
        ["attributor", "error", "constant"],
        rows,
    ) if rows else None  # fmt: skip


def open_table(results: Results) -> Table | None:
    """Each generator left out once."""
    rows = []
    for arm, seeds in results.get("open_set", {}).items():
        for seed, lefts in seeds.items():
            for left, scores in lefts.items():
                for score in ("probability", "neighbours"):
                    one = scores[score]
                    rows.append([
                        f"{arm} {seed} without {left}", score,
                        *(_with_interval(one, key) for key in ("auroc", "fpr_at_95", "oscr")),
                        f"{one['accuracy']:.3f}",
                    ])  # fmt: skip
    return Table(
        "Open set: the generator left out of the fit is unknown; all others, their new training "
        "seeds among them, are known. AUROC of known against unknown, unknown images taken for "
        "known where 95 % of the known are accepted, OSCR, and attribution of the known, with 95 % "
        "intervals of images.",
        ["attributor", "score", "AUROC", "false positives at 95 %", "OSCR", "attribution"],
        rows,
    ) if rows else None  # fmt: skip


def _with_interval(one: Mapping[str, Any], key: str) -> str:
    low, high = (one["intervals"][key][end] for end in ("low", "high"))
    return f"{one[key]:.3f} ({low:.3f} to {high:.3f})"


def verification_table(results: Results) -> Table:
    """Verdicts on pairs of sets."""
    kinds = next(_seeds(results, next(iter(results["arms"]))))["verification"]
    rows = []
    for arm in results["arms"]:
        for kind in kinds:
            of = [one["verification"][kind] for one in _seeds(results, arm)]
            rows.append([
                arm, kind,
                *(_said([one[key] for one in of], ".2f") for key in (
                    "same: same", "same: different", "different: different", "different: same")),
            ])  # fmt: skip
    return Table(
        "Verification: pairs of sets of so many images each, of one source and of two. The rest of "
        "the verdicts is 'unsure'. In 'new seeds' the second set is of another training of the "
        "first one's GAN, which counts as the same source.",
        ["attributor", "sets", "one source: same", "one source: different",
         "two sources: different", "two sources: same"],
        rows,
    )  # fmt: skip


def finding(results: Results) -> str:
    """What the numbers say; the groups always beside one another."""
    said = []
    for arm in (REPMIX, RESNET):
        if arm in results["arms"]:
            parts = [
                f"{group} {_said(values(results, arm, group, condition, 'attribution_accuracy'))}"
                f" ({condition})"
                for condition in CONDITIONS
                for group in groups_of(results)
            ]
            chance = 1 / len(results["benchmark"]["names"])
            said.append(f"Attribution by {arm}, chance {chance:.3f}: {', '.join(parts)}.")
    for found in results.get("dates", ()):
        if found["ranking"] is not None:
            low, high = (found["ranking_interval"][end] for end in ("low", "high"))
            said.append(
                f"Fitted until {found['until']}: the order of the detectors on what came next "
                f"agrees with that before by tau-b {found['ranking']:.2f} ({low:.2f} to "
                f"{high:.2f})."
            )
    return "\n".join(said) or "Nothing was fitted that the finding is about."


def sections_of(results: Results, out: Path) -> list[Section]:
    """Tables and pictures of every part."""
    sections = []
    if "makers" in results:
        rows = [[n, m["year"], m["network"], m["loss"]] for n, m in results["makers"].items()]
        caption = "Sources beside real images, by year of the venue. The first two differ in loss."
        table = Table(caption, ["source", "year", "generator", "loss"], rows)
        sections.append(Section("Sources", [table, *_samples(results, out)]))
    others = [results["benchmark"]["unseen"]]
    sections.append(
        Section(
            "Attribution and detection",
            [
                f"{SEEN}: further images of the very trainings that were fitted on. {NEW_SEEDS}: "
                f"of trainings by other seeds. {UNSEEN}: {', '.join(others[0]) or 'none'}. The "
                "first says little by itself. Spreads are those of attributors alone: all of them "
                "were fitted and measured on the same trainings of the GANs, of which one for each "
                "source and seen semantic is new, and one of the unseen ones there is.",
                *(cells_table(results, measure) for measure in MEASURES),
            ],
        )
    )
    parts = (differences(results), mixtures_table(results), control_table(results))
    blocks = [table for table in parts if table is not None]
    sections.append(Section("What mixing, gate and perturbations do", blocks))
    sections.append(Section("Who is taken for whom", _confusions(results), pairs=True))
    if (table := open_table(results)) is not None:
        sections.append(Section("None of these", [table]))
    sections.append(Section("One source or two", [verification_table(results)]))
    if "dates" in results:
        sections.append(Section("By date", [dates_table(read_dates(results["dates"]))]))
    return sections


def _samples(results: Results, out: Path) -> list[Picture]:
    names = [*results["benchmark"]["seen"], *results["benchmark"]["unseen"]]
    said = "; rows: real, then each source by training seed, in the order of the table"
    return pages.samples(out, [n for n in names if (out / "samples" / f"{n}.png").exists()], said)


def _confusions(results: Results) -> list[Picture]:
    pictures = []
    for arm in (REPMIX, RESNET):
        for group in groups_of(results) if arm in results["arms"] else ():
            cells = [one["cells"][group]["clean"] for one in _seeds(results, arm)]
            total = np.sum([cell["confusion"] for cell in cells], 0)
            title = f"{arm}: {group}"
            figure = confusion_figure(total, cells[0]["names"], title=title)
            caption = f"{title}, images as they are, seeds together."
            pictures.append(Picture(figure, alt=f"Confusion matrix, {title}", caption=caption))
    return pictures


def write_pages(out: Path, results: Results) -> None:
    """Write report.html and results.md."""
    sections = sections_of(results, out)
    pages.write_page(out, results, title=TITLE, sections=sections, timed="Of fits, by part.")
    pages.write_markdown(out, results, sections)
