"""The self-supervision experiment as one page and as Markdown, and its finding in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_forensics.experiments.self_supervised_arms import (
    DIGITS,
    DIST,
    DIST_MATCHING,
    DIST_MS,
    GAMMAS,
    GAN,
    MATCHING,
    MS,
    R3GAN,
    SS,
    STACKED,
    Arm,
)
from gan_forensics.experiments.self_supervised_published import published_section
from gan_forensics.experiments.theory_page import said_claims, theory_section
from gan_forensics.report import Section, Table
from gan_forensics.studies import pages
from gan_forensics.studies.arms import said_difference, said_settled
from gan_forensics.studies.collapse import at_end
from gan_forensics.studies.collapse_page import (
    calibration_table,
    paired_table,
    said_mean,
    world_pictures,
    world_table,
)

Results = Mapping[str, Any]
QUESTION = "Does self-supervision keep a GAN from collapse?"
TITLES = {
    "digits": "Stacks of 8x8 digits",
    "starved": "Stacks of 8x8 digits, starved discriminator",
    "gammas": "Stacks of 8x8 digits, R3GAN's penalty on an extra seed",
    "stacked": "Stacks of 28x28 digits, K/4",
    "stacked_k2": "Stacks of 28x28 digits, K/2",
}
# Pairs of arms about which something is said.
COMPARED = ((MS, SS), (SS, GAN), (MS, GAN), (MATCHING, GAN), (R3GAN, GAN))
COMPARED += ((DIST_MS, DIST), (DIST_MATCHING, DIST), (R3GAN, DIST))
NOTE = (
    "Modes are named by a classifier of single digits, whose mistakes inflate the modes seen (the "
    "published count): read them beside the calibration. Intervals are Student's, of seeds in "
    "pairs. With few seeds they are wide: three cannot show even what the paper is clearest about."
)


def finding(results: Results) -> str:
    """What the numbers say, arm beside arm."""
    said = [said_claims(results["theory"])] if "theory" in results else []
    for part, title in TITLES.items():
        if part in results:
            ends = "; ".join(
                f"{name} {said_mean(at_end(f, 'effective'))} (KL "
                f"{said_mean(at_end(f, 'kl'), '.2f')})"
                for name, f in results[part].items()
            )
            said.append(f"{title}, effective modes of 1000: {ends}.")
            if pairs := _pairs(results[part]):
                said.append(said_settled(results[part], pairs, "kl", "+.2f"))
    if "published" in results:
        said.append("The published recipes: see their table.")
    return "\n".join(said)


def _pairs(arms: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [pair for pair in COMPARED if arms.keys() >= {*pair}]


def comparisons(arms: Mapping[str, Any]) -> list[str]:
    """What the pairs of seeds allow to be said."""
    return [
        said_difference(arms, name, against, measure, form)
        for name, against in _pairs(arms)
        for measure, form in (("seen", "+.0f"), ("effective", "+.0f"), ("kl", "+.2f"))
    ]


def sections_of(results: Results) -> list[Section]:
    """Tables and pictures of every part."""
    sections = []
    if "theory" in results:
        from gan_forensics.experiments.self_supervised_theory import figures

        sections.append(theory_section(results["theory"], figures))
    for part, title in TITLES.items():
        if part in results:
            sections.append(Section(title, _blocks(results[part], _known(part))))
    if "published" in results:
        sections.append(published_section(results["published"]))
    return sections


def _known(part: str) -> Mapping[str, Arm]:
    return STACKED if part.startswith("stacked") else {**DIGITS, **GAMMAS}


def _blocks(arms: Mapping[str, Any], known: Mapping[str, Arm]) -> list[Any]:
    blocks: list[Any] = [NOTE, arm_table({name: known[name] for name in arms}), world_table(arms)]
    bases = [name for name in (GAN, DIST, SS) if name in arms]
    for against in bases:
        others = {GAN: arms, DIST: arms, SS: {n: arms[n] for n in (MS, SS) if n in arms}}[against]
        if len(others) > 1:
            blocks.append(paired_table(others, against, "effective"))
            blocks.append(paired_table(others, against, "kl", "+.2f"))
    blocks += comparisons(arms)
    blocks += world_pictures(arms)
    blocks.append(calibration_table(next(iter(arms.values()))))
    stopped = [[name, seed, why] for name, f in arms.items() for seed, why in f["stopped"].items()]
    if stopped:
        caption = "Seeds that stopped, since a loss was not finite."
        blocks.append(Table(caption, ["arm", "seed", "why"], stopped))
    return blocks


def arm_table(arms: Mapping[str, Arm]) -> Table:
    """What the arms are."""
    rows = [[name, arm.loss, arm.norm, arm.task] for name, arm in arms.items()]
    return Table("The arms.", ["arm", "loss", "norm of D", "what D is asked beside"], rows)


def write_pages(out: Path, results: Results) -> None:
    """Write report.html and results.md."""
    sections = sections_of(results)
    pages.write_markdown(out, results, sections)
    pages.write_page(
        out, results, title=QUESTION, sections=sections, timed="Training of each part's arms."
    )
