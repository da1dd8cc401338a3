"""Published numbers on last upsamplings, and ours beside them where the same thing was measured."""

from collections.abc import Mapping
from typing import Any

from gan_forensics.report import Section, Table

METHODS = ("dcgan", "lsgan", "wgan-gp")

# FID on CelebA at 128x128 (pytorch-fid's Inception weights): README of the code released with
# Chandrasegaran et al., CVPR 2021. A second README there has 74.06 for LSGAN N.1.3.
FID = {
    "BASELINE": (88.60, 73.26, 60.60),
    "N.1.5": (87.52, 70.69, 48.69),
    "Z.1.5": (69.14, 60.29, 47.73),
    "B.1.5": (84.65, 78.66, 52.18),
    "N.1.7": (90.80, 73.09, 60.11),
    "Z.1.7": (71.45, 59.55, 43.10),
    "B.1.7": (79.92, 76.33, 55.28),
    "N.1.3": (93.54, 74.07, 58.35),
    "Z.1.3": (65.46, 61.45, 56.91),
    "B.1.3": (76.04, 81.97, 58.55),
    "N.3.5": (73.63, 78.31, 55.47),
    "Z.3.5": (68.41, 66.27, 57.59),
    "B.3.5": (80.89, 72.29, 54.84),
}

# Mean and deviation of the decay exponent, and mean last value of the min-max curve, of the nine
# sample images per GAN and tail that were released with the same code (CelebA, 128x128).
RELEASED_SAMPLES = {
    ("dcgan", "BASELINE"): (7.1, 0.7, 0.21),
    ("dcgan", "Z.1.5"): (5.2, 0.6, 0.14),
    ("dcgan", "N.1.5"): (-1.9, 0.8, 0.02),
    ("dcgan", "B.1.5"): (-1.1, 2.1, 0.02),
    ("lsgan", "BASELINE"): (7.3, 0.8, 0.17),
    ("lsgan", "Z.1.5"): (5.0, 1.5, 0.13),
    ("lsgan", "N.1.5"): (-1.8, 0.9, 0.03),
    ("lsgan", "B.1.5"): (-0.3, 1.1, 0.03),
    ("wgan-gp", "BASELINE"): (4.8, 1.2, 0.12),
    ("wgan-gp", "Z.1.5"): (6.5, 1.8, 0.16),
    ("wgan-gp", "N.1.5"): (-2.0, 1.3, 0.02),
    ("wgan-gp", "B.1.5"): (-1.1, 1.5, 0.01),
}


def published_sections(results: Mapping[str, Any]) -> list[Section]:
    """Sections for the end of a study's page."""
    return [Section("Published numbers", [_preface(results), decay_beside(results), fid_table()])]


def _preface(results: Mapping[str, Any]) -> str:
    facts = results["protocol"]
    return (
        "Chandrasegaran et al. (CVPR 2021) report that BASELINE and Z tails are detected and that "
        "N and B tails pass, for all three GANs; the rates of their table 2 are not repeated here."
        f"\n\nThe published columns below are of CelebA faces at 128x128, ours of {facts['data']} "
        f"at {facts['size']}x{facts['size']}. Data and size both move these numbers: unless they "
        "agree, compare signs and orders, not values. Real images end their curve at about 0.03 in "
        "the published figure."
    )


def decay_beside(results: Mapping[str, Any]) -> Table:
    """Exponents and ends of curves of the released samples beside ours."""
    ours = {(row.get("method"), row.get("tail")): row for row in results["exponents"]}
    keys = list(RELEASED_SAMPLES) + [key for key in ours if key not in RELEASED_SAMPLES]
    rows = []
    for method, tail in keys:
        row, theirs = ours.get((method, tail)), RELEASED_SAMPLES.get((method, tail))
        rows.append(
            [
                f"{method} {tail}" if method else "real",
                f"{theirs[0]:.1f} ± {theirs[1]:.1f}" if theirs else None,
                f"{row['exponent']:.1f} ± {row['exponent_std']:.1f}" if row else None,
                f"{theirs[2]:.2f}" if theirs else None,
                f"{row['curve_end']:.2f}" if row else None,
            ]
        )
    return Table(
        "Decay exponent b and last value of the min-max curve: the nine released sample images of "
        "each GAN (measured by this project) beside ours; means ± deviations over images",
        ["images", "b, released samples", "b, ours", "end of curve, released", "end, ours"],
        rows,
    )


def fid_table() -> Table:
    """The published FIDs, without a column of ours."""
    return Table(
        "Published FID, CelebA 128x128, smaller is better. There is no column of ours: this study "
        "does not compute the FID. Zero insertion has the best FIDs and the worst spectra.",
        ["tail", *METHODS],
        [[tail, *values] for tail, values in FID.items()],
    )
