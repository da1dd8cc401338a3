"""The Dist-GAN and GN-GAN experiment as one page and as Markdown, and its finding in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_forensics.experiments.gn_gan_arms import DISTANCE, FAKE, GAN, NE, NE_GM, RELEASED, RMS
from gan_forensics.report import Section, Table
from gan_forensics.studies import pages
from gan_forensics.studies.collapse import at_end
from gan_forensics.studies.collapse_page import (
    calibration_table,
    paired_table,
    said_mean,
    world_pictures,
    world_table,
)

Results = Mapping[str, Any]
QUESTION = "What keeps a GAN's modes?"
TITLES = {
    "line": "Points on a line",
    "grid9": "The 9-mode grid",
    "grid25": "The 25-mode grid",
    "stacked": "Stacked digits",
    "images": "Single digits",
}
# Steps at which registered points stand in the tables.
AT = (2000, 4000, 8000)
LABELS = (
    "NE is neighbour embedding, GM gradient matching. Dist-GAN's losses are exact, from the "
    "authors' code; that of GN-GAN was never released: NE and GM are recollection, in part "
    "confirmed by a third party's code."
)
BUNDLES = (
    "The published toy experiment labels reconstructions as fake and penalises root-mean-square "
    f"slopes ({RELEASED}); all other arms have the corrected losses but for what they are named "
    f"after ({RMS}; {FAKE})."
)


def finding(results: Results) -> str:
    """What the numbers say, arm beside arm."""
    said = []
    if "line" in results:
        ends = "; ".join(
            f"{name} {said_mean(at_end(f, 'wasserstein'), '.2f')}"
            for name, f in results["line"].items()
        )
        said.append(f"Line, Wasserstein-1 distance at the end: {ends}.")
    for part in ("grid9", "grid25"):
        if part in results:
            arms = {n: results[part][n] for n in (GAN, DISTANCE, NE, NE_GM) if n in results[part]}
            ends = "; ".join(
                f"{name} {said_mean(at_end(f, 'modes'), '.1f')} modes, "
                f"{said_mean(at_end(f, 'points'))} points"
                for name, f in arms.items()
            )
            said.append(f"{TITLES[part]}, at the end: {ends}.")
    if "stacked" in results:
        ends = "; ".join(
            f"{name} {said_mean(at_end(f, 'effective'))}" for name, f in results["stacked"].items()
        )
        said.append(f"Stacked digits, effective modes of 1000: {ends}.")
    if "images" in results:
        ends = "; ".join(
            f"{name} {said_mean(at_end(f, 'frechet'), '.0f')}"
            for name, f in results["images"].items()
        )
        said.append(f"Single digits, Frechet distance (no FID): {ends}.")
    return "\n".join(said)


def sections_of(results: Results) -> list[Section]:
    """Tables and pictures of every part."""
    sections = []
    for part, title in TITLES.items():
        if part not in results:
            continue
        arms = results[part]
        blocks: list[Any] = [] if part == "line" else [LABELS]
        blocks += [BUNDLES] if {RELEASED, RMS, FAKE} & set(arms) else []
        blocks.append(world_table(arms, at=AT))
        measures = {"line": (), "stacked": ("effective",), "images": ("frechet",)}.get(
            part, ("modes", "points")
        )
        base = GAN if GAN in arms else next(iter(arms))
        for measure in measures:
            form = "+.1f" if measure == "modes" else "+.0f"
            for against in dict.fromkeys((base, DISTANCE if DISTANCE in arms else base)):
                blocks.append(paired_table(arms, against, measure, form))
        blocks += world_pictures(arms)
        if part == "stacked":
            blocks.append(calibration_table(next(iter(arms.values()))))
        if stopped := _stopped(arms):
            blocks.append(stopped)
        sections.append(Section(title, blocks))
    return sections


def _stopped(arms: Mapping[str, Any]) -> Table | None:
    rows = [
        [name, seed, why]
        for name, followed in arms.items()
        for seed, why in followed["stopped"].items()
    ]
    if not rows:
        return None
    return Table("Seeds that stopped, since a loss was not finite.", ["arm", "seed", "why"], rows)


def write_pages(out: Path, results: Results) -> None:
    """Write report.html and results.md."""
    sections = sections_of(results)
    pages.write_markdown(out, results, sections)
    pages.write_page(
        out, results, title=QUESTION, sections=sections, timed="Training of each part's groups."
    )
