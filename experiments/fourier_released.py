"""What released sheets and checkpoints show: how spectra end, and who passes (Chandrasegaran 2021).

    python -m experiments.fourier_released SHEETS --out runs/released
    python -m experiments.fourier_released CHECKPOINTS --real tfds:celeb_a --out runs/released

    input                              time (2 CPU cores)
    a sheet of nine tiles of 128x128   under a second each
    a checkpoint, 1000 images 128x128  about a minute each, and the detectors

SHEETS_OR_CHECKPOINTS is a folder (or a file) of PNG sheets of 3x3 tiles of 128x128, of PyTorch
checkpoints (.pt, .pth, .ckpt with the extra `torch`; .safetensors; .npz), or of both, whose names
say the GAN family and set-up: dcgan/N.1.5.png, celeba_lsgan_BASELINE.pt. What was taken for what is
printed, and what was not.

Of sheets: the decay exponent and the end of the curve of every tile. Of checkpoints: the same of
images drawn by --seed, and the bypass table: detectors are trained on --real images against those
of BASELINE of the same family, and say how much of every set-up they call generated.

Expected, for the released sheets of CelebA: mean exponent of BASELINE and Z.1.5 above 4, of N.1.5
and B.1.5 below -0.2 (`fourier_published.RELEASED_SAMPLES`). Rates of the paper's table 2 are not
repeated here: they are in the paper alone.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from tyro.conf import Positional, arg

from gan_forensics.cli.entry import guarded, piped
from gan_forensics.data import Rgb, open_source, take
from gan_forensics.data.listing import by_reason
from gan_forensics.files import write_csv
from gan_forensics.report import Section, Table, write_report
from gan_forensics.report.provenance import provenance
from gan_forensics.studies.bypass_cells import Cells, Origin, Training, measure_cells
from gan_forensics.studies.bypass_detectors import find_detector
from gan_forensics.studies.bypass_measure import check_parts
from gan_forensics.studies.bypass_rates import BASELINE, Parts
from gan_forensics.studies.pages import plus_minus
from gan_forensics.studies.released import (
    Released,
    draw,
    find_released,
    order,
    read_generator,
    read_sheet,
    spectral_rows,
)
from gan_forensics.studies.results import write_results
from gan_forensics.studies.runner import as_json, carry_out, command

QUESTION = "What do released sample sheets and checkpoints show?"


@dataclass(frozen=True)
class Experiment:
    """What is measured.

    Attributes:
        folder: sheets (PNG, 3x3 tiles of 128x128), checkpoints, or both; a file's name, or that of
            its folder, says GAN family and set-up: dcgan/N.1.5.png, celeba_lsgan_BASELINE.pt.
        real: source of real images, for the bypass table of checkpoints; cropped to a square and
            resized to the generators' size. Its train part trains detectors, its test part sets
            their thresholds and tests them.
        images: drawn from each checkpoint, and at most as many real ones of each part.
        detectors: FEATURES-CLASSIFIER, or networks, as in fourier_discrepancies.
        train_fraction: share of the images that a detector is trained on.
        runs: independent draws of the detectors' training images.
        seed: of the noise and of the choice of real images.
        out: folder for tiles.csv, bypass.csv, results.json and report.html.
    """

    folder: Annotated[Positional[Path], arg(metavar="SHEETS_OR_CHECKPOINTS")]
    real: str | None = None
    images: int = 1000
    detectors: tuple[str, ...] = ("dzanic-knn", "dzanic-svm", "dzanic-mlp", "durall-knn")
    train_fraction: float = 0.1
    runs: int = 10
    seed: int = 0
    out: Path = Path("runs/fourier-released")


def run(experiment: Experiment) -> dict[str, Any]:
    """Carry it out; returns what is in results.json.

    Raises:
        ValueError: for a folder without released files, files that are not what they are named
            after, and checkpoints without real images.
        FileNotFoundError: for a folder that is not there.
    """
    for name in experiment.detectors:
        find_detector(name)
    if experiment.images < 1:
        raise ValueError(f"--images {experiment.images}: it must be at least 1")
    found, skipped = find_released(experiment.folder)
    found.sort(key=order)
    print("\n".join(account(found, skipped)), flush=True)
    sheets = [each for each in found if each.is_sheet]
    checkpoints = [each for each in found if not each.is_sheet]
    if checkpoints and experiment.real is None:
        raise ValueError(
            f"{len(checkpoints)} checkpoints need real images to be told from: give --real SOURCE, "
            "such as folder:photographs, or leave the checkpoints out"
        )
    # All are read before anything is measured: a file that is not what it says is soon told.
    images = {("sheet", each): read_sheet(each.path) for each in sheets}
    generators = {each: read_generator(each.path, each.tail) for each in checkpoints}
    sizes = {generator.size for generator, _ in generators.values()}
    if len(sizes) > 1:
        raise ValueError(f"checkpoints of sizes {sorted(sizes)}: give those of one size")
    real = _real_parts(experiment, *sizes) if generators else None
    for each, (generator, variables) in generators.items():
        images["drawn", each] = draw(generator, variables, experiment.images, seed=experiment.seed)
    tiles, spectra = [], []
    for (kind, each), some in images.items():
        rows = spectral_rows(some)
        named = {"images": kind, "method": each.method, "tail": each.tail}
        tiles += [{**named, "file": each.path.name, "tile": i, **r} for i, r in enumerate(rows, 1)]
        spectra.append({**named, **_means(rows, each.path)})
    bypass, missing = [], []
    if real is not None:
        drawn = {each: some for (kind, each), some in images.items() if kind == "drawn"}
        bypass, missing = _bypass(experiment, real, drawn)
    results = {
        "finding": finding(spectra, bypass, missing),
        "taken": [
            {"file": str(e.path), "method": e.method, "tail": e.tail, "sheet": e.is_sheet}
            for e in found
        ],
        "skipped": {str(path): reason for path, reason in skipped.items()},
        "spectra": spectra,
        "bypass": bypass,
        "protocol": _protocol(experiment, real),
    }
    out = experiment.out
    write_csv(out / "tiles.csv", tiles)
    if bypass:
        write_csv(out / "bypass.csv", bypass)
    results = write_results(out, as_json(results), tables_of(results, tiles))
    sections = [Section("How the spectra end", [decay_table(spectra)])]
    if bypass:
        sections.append(Section("Who is caught", [bypass_table(bypass)]))
    sections.append(Section("What was read", account(found, skipped)))
    lead = results["finding"]
    write_report(out / "report.html", title=QUESTION, lead=lead, sections=sections)
    return results


def tables_of(
    results: Mapping[str, Any], tiles: Sequence[Mapping[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Flat rows: files by how their spectra end; tiles; detectors. Sheets have no seed."""
    seeds = {"sheet": None, "drawn": results["protocol"].get("seed")}
    rows = [{"seed": seeds[row["images"]], **row} for row in results["spectra"]]
    return {"rows": rows, "tiles": [*tiles], "detectors": results["bypass"]}


def account(found: Sequence[Released], skipped: dict[Path, str]) -> list[str]:
    """What was taken for what, and what was not taken, in lines."""
    lines = [
        f"{each.path.name}: {'sheet' if each.is_sheet else 'checkpoint'} of {each.method} "
        f"{each.tail}"
        for each in found
    ]
    for reason, paths in by_reason(skipped).items():
        names = ", ".join(Path(path).name for path in paths[:5])
        more = f" and {len(paths) - 5} more" if len(paths) > 5 else ""
        lines.append(f"skipped, {reason}: {names}{more}")
    return lines


def finding(spectra: Sequence[dict], bypass: Sequence[dict], missing: Sequence[str]) -> str:
    """The numbers, a line for each family."""
    lines = []
    for kind, method in dict.fromkeys((row["images"], row["method"]) for row in spectra):
        rows = [row for row in spectra if (row["images"], row["method"]) == (kind, method)]
        ends = ", ".join(f"{r['tail']} {r['exponent']:.1f} and {r['curve_end']:.2f}" for r in rows)
        lines.append(f"{method} ({kind}), mean exponent and end of the curve: {ends}.")
    for method in dict.fromkeys(row["method"] for row in bypass):
        rows = [row for row in bypass if row["method"] == method]
        rows = [row for row in rows if row["detector"] == rows[0]["detector"]]
        rates = ", ".join(f"{row['tail']} {row['detected']:.0%}" for row in rows)
        lines.append(
            f"{method}: {rows[0]['detector']} trained on {BASELINE} calls generated: {rates} (real "
            f"images called real: {1 - rows[0]['false_alarms']:.0%})."
        )
    lines += [f"{method}: no detectors, {BASELINE} is not among its files." for method in missing]
    return "\n".join(lines)


def decay_table(spectra: Sequence[dict]) -> Table:
    """Means over images."""
    return Table(
        "Exponent b of the decay fit with its first and last magnitude (Dzanic et al. 2020, as "
        "released; a rising spectrum has b > 0), and the last value of the min-max curve of 8-bit "
        "gray (Durall et al. 2020). Means ± deviations over images; each is in tiles.csv.",
        ["images", "exponent b", "end of curve", "first", "last", "images measured"],
        [
            [
                f"{row['method']} {row['tail']} ({row['images']})",
                plus_minus(row["exponent"], row["exponent_std"]),
                plus_minus(row["curve_end"], row["curve_end_std"]),
                row["start"],
                row["end"],
                row["count"],
            ]
            for row in spectra
        ],
    )


def bypass_table(bypass: Sequence[dict]) -> Table:
    """Detection beside the false alarms of the same detectors."""
    columns = ["detector", "called generated", "at 5 % false alarms", "AUC"]
    columns += ["real images called generated", "at 5 %", "images", "real ones", "trained on"]
    names = ("detected", "detected_at_5", "auc", "false_alarms", "false_alarms_at_5")
    return Table(
        "Share of images called generated by detectors trained on real against BASELINE images of "
        "the same family, at their own boundary and at a threshold of 5 % false alarms; means over "
        "draws of the training images. A detection rate means nothing without the false alarms.",
        ["images", *columns],
        [
            [f"{row['method']} {row['tail']}", row["detector"]]
            + [row[name] for name in (*names, "n_fake", "n_real", "n_train")]
            for row in bypass
        ],
    )


def _means(rows: Sequence[dict[str, float]], path: Path) -> dict[str, Any]:
    known = [row for row in rows if np.isfinite(row["exponent"])]
    if not known:
        raise ValueError(f"{path}: not one of {len(rows)} images has a spectrum; all are flat")
    found: dict[str, Any] = {"count": len(known)}
    for name in ("exponent", "start", "end", "curve_end"):
        values = np.array([row[name] for row in known])
        found |= {name: float(values.mean()), f"{name}_std": float(values.std())}
    return found


def _real_parts(experiment: Experiment, size: int) -> Parts:
    """Real images, drawn by the seed; half of the test part sets thresholds."""
    assert experiment.real is not None
    parts = []
    for split in ("train", "test"):
        source = Rgb(open_source(experiment.real, size=size, split=split))
        order = np.random.default_rng(experiment.seed).permutation(len(source))
        parts.append(take(source, order[: experiment.images])["image"])
    train, test = parts
    real = Parts(train, test[: len(test) // 2], test[len(test) // 2 :])
    check_parts(experiment.real, real)
    return real


def _bypass(experiment: Experiment, real: Parts, drawn: dict[Released, Any]):
    """A row for each family with a BASELINE, detector and set-up; and families without."""
    assert experiment.real is not None
    data = experiment.real
    # Gray generators make one channel.
    images = {
        Origin(data, each.method, each.tail, experiment.seed): np.repeat(some, 3, -1)
        if some.shape[-1] == 1
        else some
        for each, some in drawn.items()
    }
    methods = list(dict.fromkeys(each.method for each in drawn))
    known = [m for m in methods if Origin(data, m, BASELINE, experiment.seed) in images]
    trainings = [Training(data, method, BASELINE, experiment.seed) for method in known]
    cells = Cells([], [])
    by_features: dict[str, list[str]] = {}
    for name in experiment.detectors:
        by_features.setdefault(find_detector(name).features or name, []).append(name)
    for names in by_features.values() if known else ():
        some = measure_cells(
            names, trainings, lambda training, origin: training.method == origin.method,
            {data: real}, images, train_fraction=experiment.train_fraction, runs=experiment.runs,
        )  # fmt: skip
        cells = Cells(cells.fake + some.fake, cells.real + some.real)
    alarms = {(cell.detector, cell.training.method): cell for cell in cells.real}
    rows = []
    for cell in cells.fake:
        real_cell = alarms[cell.detector, cell.training.method]
        row = {"method": cell.origin.method, "detector": cell.detector, "tail": cell.origin.tail}
        row |= {name: getattr(cell, name) for name in ("detected", "detected_at_5", "auc")}
        row |= {name: getattr(real_cell, name) for name in ("false_alarms", "false_alarms_at_5")}
        rows.append(row | {"n_fake": cell.n, "n_real": real_cell.n, "n_train": real_cell.n_train})
    # The first detector asked for comes first, and set-ups stay together.
    rows.sort(key=lambda r: (methods.index(r["method"]), experiment.detectors.index(r["detector"])))
    return rows, [method for method in methods if method not in known]


def _protocol(experiment: Experiment, real: Parts | None) -> dict[str, Any]:
    facts: dict[str, Any] = {"folder": str(experiment.folder), **provenance()}
    if real is not None:
        names = ("real", "images", "detectors", "train_fraction", "runs", "seed")
        facts |= {name: getattr(experiment, name) for name in names}
        facts |= {f"real images, {name}": len(part) for name, part in real._asdict().items()}
        facts["drawn"] = "running batch statistics; floor(255 (0.5 x + 0.5))"
    return facts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it from the command line."""
    experiment = tyro.cli(
        Experiment, prog=command("fourier_released"), description=QUESTION,
        args=arguments,
    )  # fmt: skip
    if code := guarded(lambda: carry_out(experiment, run)):
        sys.exit(code)


if __name__ == "__main__":
    piped(main)
