"""The augmentation experiment as one page and as Markdown, and its finding in words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import image_grid
from gan_forensics.experiments.dag_limited import DA, DAG_CROP, DAG_ROTATION, LIMITED, PLAIN, R3GAN
from gan_forensics.experiments.dag_plane import TURN, drawn
from gan_forensics.experiments.dag_published import published_section
from gan_forensics.experiments.theory_page import said_claims, theory_section
from gan_forensics.gans import GanConfig
from gan_forensics.gans.augment import described
from gan_forensics.report import Picture, Section, Table
from gan_forensics.report.trajectories import Trajectory, points_figure, trajectories_figure
from gan_forensics.studies import pages
from gan_forensics.studies.arms import said_difference, said_settled
from gan_forensics.studies.collapse import Followed, at_end
from gan_forensics.studies.collapse_page import paired_table, said_interval, said_mean

Results = Mapping[str, Any]
Arms = Mapping[str, Followed]
QUESTION = "Which augmentation helps a GAN, and which changes what it learns?"
LIMITED_NOTE = (
    "Frechet distances are on a small classifier's features, trained on all training images, "
    "from all held-out images: no FID. 'Nearer' is the share of generated images nearer to a "
    "training image than to one of equally many held-out ones: 1/2 is no memorisation. 'Gap' is "
    "D's mean logit on training images less that on held-out ones. Crops, shifts that lose a "
    "border, cutout and colour have no guarantee of DAG's: they cannot be undone."
)
PLANE_NOTE = (
    "Shares of points within 0.5 of a centre. One head for uniformly rotated points sees mixtures "
    "alone: any copy is as good. With heads of its own for each rotation, only the data's is."
)


def finding(results: Results) -> str:
    """What the numbers say, arm beside arm."""
    said = [said_claims(results["theory"])] if "theory" in results else []
    if "leak2d" in results:
        ends = "; ".join(
            f"{name} {said_mean(at_end(f, 'original'), '.2f')} (copies "
            f"{said_mean(at_end(f, 'turned'), '.2f')})"
            for name, f in results["leak2d"].items()
        )
        said.append(f"Points, share on the data's own modes: {ends}.")
    if "limited" in results:
        for fraction, arms in by_fraction(results["limited"]).items():
            ends = "; ".join(
                f"{name} {said_mean(at_end(f, 'frechet'), '.1f')}" for name, f in arms.items()
            )
            said.append(f"{fraction} of the images, Frechet distance (no FID): {ends}.")
            if pairs := _pairs(arms):
                said.append(said_settled(arms, pairs, "frechet", "+.1f"))
    if "gammas" in results:
        ends = "; ".join(
            f"{name} {said_mean(at_end(f, 'frechet'), '.1f')}"
            for name, f in results["gammas"].items()
        )
        said.append(f"R3GAN's penalty on an extra seed, Frechet distance: {ends}.")
    return "\n".join(said)


def by_fraction(arms: Arms) -> dict[str, dict[str, Followed]]:
    """Fraction -> arm -> what was followed."""
    found: dict[str, dict[str, Followed]] = {}
    for name, followed in arms.items():
        arm, fraction = name.rsplit(", ", 1)
        found.setdefault(fraction, {})[arm] = followed
    return found


def comparisons(arms: Arms) -> list[str]:
    """What the pairs of seeds allow to be said."""
    return [said_difference(arms, *pair, "frechet", "+.1f") for pair in _pairs(arms)]


def _pairs(arms: Arms) -> list[tuple[str, str]]:
    pairs = [(name, PLAIN) for name in arms if name != PLAIN and PLAIN in arms]
    return pairs + [(name, DA) for name in (DAG_CROP, DAG_ROTATION) if name in arms and DA in arms]


def sections_of(results: Results) -> list[Section]:
    """Tables and pictures of every part."""
    sections = []
    if "theory" in results:
        from gan_forensics.experiments.dag_theory import figures

        sections.append(theory_section(results["theory"], figures))
    if "leak2d" in results:
        sections.append(Section("Points and their rotated copies", _plane(results["leak2d"])))
    for part, title in (("gammas", "R3GAN's penalty"), ("limited", "Limited data")):
        if part in results:
            blocks = _limited(results[part], results["references"][part])
            sections.append(Section(title, blocks))
    if "published" in results:
        sections.append(published_section(results["published"]))
    return sections


def _plane(arms: Arms) -> list[Any]:
    rows = [
        [
            name,
            said_mean(at_end(f, "original"), ".2f"),
            said_interval(at_end(f, "original"), ".2f", low=0, high=1),
            said_mean(at_end(f, "turned"), ".2f"),
            " ".join("–" if c is None else f"{90 * c:.0f}°" for c in at_end(f, "copy")),
        ]
        for name, f in arms.items()
    ]
    first = next(iter(arms.values()))
    table = Table(
        f"Where {first['samples']:,} points lie after {first['steps'][-1]:,} steps; mean ± "
        f"standard deviation of {len(first['seeds'])} seeds.",
        ["arm", "on the data's modes", "95 % of the mean", "on copies", "most, by seed"],
        rows,
    )
    kept = {name: f["kept"] for name, f in arms.items() if f["kept"]}
    figure = points_figure(kept, _copies())
    picture = Picture(
        figure,
        alt="Generated points at five looks, a row for each arm",
        caption=f"Points of seed {first['seeds'][0]} over training (blue) on the data's own modes "
        "and their rotated copies (gray).",
    )
    return [PLANE_NOTE, table, picture, *_stopped(arms)]


def _copies() -> np.ndarray:
    points = drawn(np.random.default_rng(0), 350)
    return np.concatenate([points @ turn for turn in TURN])


def _limited(arms: Arms, read: Mapping[str, Any]) -> list[Any]:
    blocks: list[Any] = [LIMITED_NOTE, arm_table()]
    for fraction, some in by_fraction(arms).items():
        real = read["fractions"][fraction]
        blocks.append(_table(fraction, some, read, real))
        if PLAIN in some and len(some) > 1:
            blocks.append(paired_table(some, PLAIN, "frechet", "+.1f"))
            blocks += comparisons(some)
        drawn = {n: Trajectory(f["steps"], f["measures"]["frechet"]) for n, f in some.items()}
        figure = trajectories_figure(drawn, ylabel="Frechet distance")
        alt = f"Frechet distance over training on {fraction} of the images, a panel for each arm"
        blocks.append(Picture(figure, alt=alt, caption=f"{alt}; thin: seeds, thick: their mean."))
        blocks += [_images(f"{name}, {fraction}", f) for name, f in some.items()]
    return [*blocks, *_stopped(arms)]


def _table(fraction: str, arms: Arms, read: Mapping[str, Any], real: Mapping[str, Any]) -> Table:
    first = next(iter(arms.values()))
    own = ("frechet", "memorisation", "gap", "gap_deviations")
    further = [name for name in first["measures"] if name not in own]
    rows = [
        [
            name,
            said_mean(at_end(f, "frechet"), ".1f"),
            said_mean(_best(f), ".1f"),
            said_mean(at_end(f, "memorisation"), ".2f"),
            said_mean(at_end(f, "gap"), ".2f"),
            said_mean(at_end(f, "gap_deviations"), ".2f"),
            *(said_mean(at_end(f, measure), ".2f") for measure in further),
        ]
        for name, f in arms.items()
    ]
    blank = ["–"] * (2 + len(further))
    rows.append(["real", f"{real['frechet']:.1f}", "–", f"{real['memorisation']:.2f}", *blank])
    return Table(
        f"{fraction} of the training images ({real['images']:,}), {first['steps'][-1]:,} steps, "
        f"{first['samples']:,} images a look against {read['held_out']:,} held-out ones; mean ± "
        f"standard deviation of {len(first['seeds'])} seeds. 'Best' is the best look, the first "
        "left out. 'Real': the training images' distance, and half of the held-out ones' nearness "
        f"with the other half held out. Features: {read['features']} (accuracy "
        f"{read['accuracy']:.1%} on training images).",
        [
            "arm",
            "Frechet distance",
            "best",
            "nearer",
            "gap",
            "gap in deviations",
            *further,
        ],
        rows,
    )


def _best(followed: Followed) -> list[float | None]:
    """The least distance of every seed after the start; None for one that stopped."""
    return [None if None in row else min(row[1:]) for row in followed["measures"]["frechet"]]


def arm_table() -> Table:
    """By which loss the arms are judged, and what they transform."""
    rows = []
    for name, fields in LIMITED.items():
        loss = "relativistic, R1 and R2" if name == R3GAN else "non-saturating"
        rows.append([name, loss, described(GanConfig(**fields)) or "nothing is transformed"])
    return Table("The arms. No discriminator has a norm.", ["arm", "loss", "what it is"], rows)


def _images(name: str, followed: Followed) -> Picture:
    step, images = list(followed["kept"].items())[-1]
    grid = image_grid(np.asarray(images, np.uint8), 10)
    seed = followed["seeds"][0]
    return Picture(grid, alt=f"Images: {name}", caption=f"{name}, seed {seed}, step {int(step):,}")


def _stopped(arms: Arms) -> Sequence[Table]:
    rows = [[name, seed, why] for name, f in arms.items() for seed, why in f["stopped"].items()]
    caption = "Seeds that stopped, since a loss was not finite."
    return [Table(caption, ["arm", "seed", "why"], rows)] if rows else []


def write_pages(out: Path, results: Results) -> None:
    """Write report.html and results.md."""
    sections = sections_of(results)
    pages.write_markdown(out, results, sections)
    pages.write_page(
        out, results, title=QUESTION, sections=sections, timed="Training of each part's arms."
    )
