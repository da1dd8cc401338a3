"""Published numbers of universal detectors and their transferable forensic features.

Wang et al. (CVPR 2020) and Chandrasegaran et al. (ECCV 2022), from the tables in the READMEs that
were released with their code, in per cent.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gan_forensics.report import Section, Table

TESTED = ("progan", "stylegan2", "stylegan", "biggan", "cyclegan", "stargan", "gaugan")

# Accuracy and AP of ResNet-50 with blur and JPEG (0.5): cropped to 224, and whole; then (0.1).
WANG = {
    "progan": (100, 100, 100, 100, 100, 100, 100, 100),
    "stylegan": (73.4, 98.5, 77.5, 99.3, 87.1, 99.6, 90.2, 99.8),
    "biggan": (59.0, 88.2, 59.5, 90.4, 70.2, 84.5, 71.2, 86.0),
    "cyclegan": (80.8, 96.8, 84.6, 97.9, 85.2, 93.5, 87.6, 94.9),
    "stargan": (81.0, 95.4, 84.7, 97.5, 91.7, 98.2, 94.6, 99.0),
    "gaugan": (79.3, 98.1, 82.9, 98.8, 78.9, 89.5, 81.4, 90.8),
    "crn": (87.6, 98.9, 97.8, 100, 86.3, 98.2, 86.3, 99.8),
    "imle": (94.1, 99.5, 98.8, 100, 86.2, 98.4, 86.3, 99.8),
    "seeingdark": (78.3, 92.7, 93.9, 99.6, 90.3, 97.2, 98.1, 99.8),
    "san": (50.0, 63.9, 50.0, 62.8, 50.5, 70.5, 50.0, 68.6),
    "deepfake": (51.1, 66.3, 50.4, 63.1, 53.5, 89.0, 50.7, 84.5),
    "stylegan2": (68.4, 98.0, 72.4, 99.1, 84.4, 99.1, 86.9, 99.5),
    "whichfaceisreal": (63.9, 88.8, 75.2, 100, 83.6, 93.2, 91.6, 99.8),
}

# AP, accuracy on real, accuracy on generated images at the calibrated threshold, by `TESTED`.
SILENCED = {
    ("resnet50", "none"): "100/100/100 99.1/95.5/95.0 99.3/96.0/95.6 90.4/83.9/85.1 "
    "97.9/93.4/92.6 97.5/94.0/89.3 98.8/93.9/96.4",
    ("resnet50", "top"): "69.8/99.4/3.2 55.3/89.4/11.3 56.6/90.6/13.7 55.4/86.4/18.3 "
    "61.2/91.4/17.4 72.6/89.4/35.9 71.0/95.0/18.8",
    ("resnet50", "random"): "100/99.9/96.1 98.6/89.4/96.9 98.7/91.4/96.1 88.0/79.4/85.1 "
    "96.6/81.0/96.2 97.0/88.0/91.7 98.7/91.9/97.1",
    ("resnet50", "low"): "100/100/100 99.1/95.6/95.0 99.3/96.0/95.6 90.4/83.9/85.1 "
    "97.9/93.4/92.6 97.5/94.0/89.3 98.8/93.9/96.4",
    ("efficientnet_b0", "none"): "100/100/100 95.9/95.2/85.4 99.0/96.1/94.3 84.4/79.7/75.9 "
    "97.3/89.6/93.0 96.0/92.8/85.5 98.3/94.1/94.4",
    ("efficientnet_b0", "top"): "50.0/100/0 54.5/94.3/7.0 52.1/97.3/2.6 53.5/97.4/3.8 "
    "47.5/100/0 50.0/100/0 46.2/100/0",
    ("efficientnet_b0", "random"): "100/99.9/100 96.5/91.9/89.8 99.2/91.2/97.5 84.5/59.4/89.1 "
    "96.9/82.6/95.8 96.7/82.5/93.3 98.1/87.8/96.2",
    ("efficientnet_b0", "low"): "100/100/100 95.3/88.7/88.3 98.9/90.8/96.1 83.5/70.8/80.8 "
    "96.6/85.2/94.1 95.4/91.0/85.4 98.1/91.2/96.4",
}

# AP in colour and in gray, by `TESTED`. For EfficientNet the released table repeats the StyleGAN
# column under StyleGAN2, against its own table of silenced channels: left out.
GRAY = {
    "ResNet-50": "100/99.9 99.1/89.1 99.3/96.7 90.4/75.2 97.9/84.2 97.5/89.2 98.8/97.6",
    "colour-robust ResNet-50": "100/100 98.5/98.0 99.5/99.6 89.9/87.6 96.6/91.1 96.2/95.4 "
    "99.5/99.4",
    "EfficientNet-B0": "100/99.9 - 99.0/91.0 84.4/68.4 97.3/86.5 96.0/91.8 98.3/93.7",
    "colour-robust EfficientNet-B0": "100/100 - 98.1/98.8 82.3/81.0 95.7/91.3 95.9/94.8 99.0/98.8",
}


def published_sections(rows: Sequence[Mapping[str, Any]] = (), arch: str = "") -> list[Section]:
    """The published tables; ours of `silence` beside theirs where a source has a published name."""
    return [
        Section(
            "Published numbers",
            [
                "Chandrasegaran et al. (ECCV 2022) and Wang et al. (CVPR 2020): detectors trained "
                "on ProGAN images of 20 kinds of things, 256x256, with blur and JPEG (0.5), tested "
                "on whole images of ForenSynths. Compare signs and orders with small experiments, "
                "values only with the same images.",
                silenced_table(rows, arch),
                gray_table(),
                wang_table(),
            ],
        )
    ]


def silenced_table(rows: Sequence[Mapping[str, Any]] = (), arch: str = "") -> Table:
    """AP / real / fake accuracy with channels silenced; where measured, ours after an arrow."""
    ours = {(row["source"], row["silenced"]): row for row in rows}
    lines = []
    for (name, silenced), text in SILENCED.items():
        cells = []
        for source, cell in zip(TESTED, text.split(), strict=True):
            row = ours.get((source, silenced)) if name == arch else None
            cells.append(f"{cell} -> {_ours(row)}" if row else cell)
        lines.append([name, silenced, *cells])
    return Table(
        "AP / accuracy on real / on generated images in per cent, at the threshold that is best "
        "for the test images; 114 of 26,560 channels silenced in ResNet-50, 27 of 21,008 in "
        "EfficientNet-B0. After an arrow: measured here.",
        ["network", "silenced", *TESTED],
        lines,
    )


def gray_table() -> Table:
    """AP in colour and gray."""
    return Table(
        "AP in per cent, in colour / in gray",
        ["network", *TESTED],
        [[name, *text.split()] for name, text in GRAY.items()],
    )


def wang_table() -> Table:
    """Wang et al.'s base detector."""
    kinds = [f"{p}, {c}" for p in ("(0.5)", "(0.1)") for c in ("224", "whole")]
    columns = [f"{measure} {kind}" for kind in kinds for measure in ("accuracy", "AP")]
    return Table(
        "Accuracy at probability 1/2 and AP in per cent of ResNet-50, blur and JPEG with the "
        "probability in brackets; centre crops of 224 pixels, or whole images",
        ["images", *columns],
        [[name, *values] for name, values in WANG.items()],
    )


def _ours(row: Mapping[str, Any]) -> str:
    names = ("average_precision", "real_accuracy_calibrated", "fake_accuracy_calibrated")
    return "/".join(f"{100 * row[name]:.1f}" if name in row else "–" for name in names)
