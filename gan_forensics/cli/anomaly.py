"""`gan-forensics anomaly`: a detector of anomalies with and without every augmentation."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from gan_forensics.cli.checks import at_least, listed
from gan_forensics.cli.process import guessed, read_table
from gan_forensics.files import tell, write_csv

DetectorName = Literal["isolation_forest", "one_class_svm", "lof"]


@dataclass(frozen=True)
class Anomaly:
    """Measure a detector of anomalies with and without every augmentation.

    Half of the normal rows train; the others and half of the anomalies test; the other anomalies
    are kept back for choosing settings. The anomaly is the label that --anomaly says, else the
    rarer of the two, if it is clearly rarer. Gains are paired by seed.

    Try it:

    $ gan-forensics anomaly table.csv --label fraud

    $ gan-forensics anomaly table.csv --label attack --anomaly 1

    $ gan-forensics anomaly cardio.mat --label y --detector lof --seeds 10 --out cardio
    """

    table: Positional[Path]
    """A .csv file with a header of names, or an .npz or .mat file with rows in X."""
    label: str
    """The column (CSV) or array (others) that says which rows are anomalies."""
    anomaly: str | None = None
    """The label of anomalies; needed where no label marks two thirds of the rows (55 % where it is
    0 of 0 and 1), or where 1 of 0 and 1 does."""
    detector: DetectorName = "isolation_forest"
    """What is measured."""
    contamination: float | None = None
    """The a-priori share of anomalies, which sets the threshold; by default that of the table, at
    most 0.5."""
    share: float = 0.1
    """New rows a training row."""
    seeds: int = 5
    """Networks, and with them pairs."""
    width: int = 64
    """Of the networks' two hidden layers."""
    steps: int = 2000
    """Of training."""
    split_seed: int = 0
    """Of the shuffle before the split; another order of the rows is another split."""
    out: Path = Path("anomaly")
    """Folder for results.json and results.csv."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.anomaly import anomaly_labels, make_task
        from gan_forensics.anomaly.labels import label_spelt
        from gan_forensics.files import check_folder_out, write_json
        from gan_forensics.studies.doping import CompareConfig, compare, summary_rows

        self._check()
        check_folder_out(self.out)
        table = read_table(self.table, self.label)
        assert table.y is not None
        told = None if self.anomaly is None else label_spelt(table.y, self.anomaly)
        labels = anomaly_labels(table.y, anomaly=told)
        task = make_task(
            self.table.stem,
            table.x.reshape(len(table.x), -1),
            labels.y,
            seed=self.split_seed,
            contamination=self.contamination,
        )
        config = CompareConfig(
            tuned=(),
            detectors=(self.detector,),
            share=self.share,
            seeds=tuple(range(self.seeds)),
            hidden=(self.width, self.width),
            steps=self.steps,
        )
        results = compare(config, task)
        anomalies = int(labels.y.sum())
        results["labels"] = {
            "name": self.label,
            "anomaly": labels.anomaly,
            "normal": labels.normal,
            "anomaly_rows": anomalies,
            "normal_rows": len(labels.y) - anomalies,
            "chosen_by": "rarity" if self.anomaly is None else "--anomaly",
        }
        results["table"] = {"file": str(self.table), "read_as": table.read_as}
        lines = summary_rows(results)
        write_json(self.out / "results.json", results)
        write_csv(self.out / "results.csv", lines)
        facts = results["task"]
        tell(
            f"{self.label}: {labels.anomaly} is the anomaly, {anomalies} of {len(labels.y)} rows; "
            f"{labels.normal} is normal{guessed(self.anomaly)}"
        )
        if self.contamination is None and task.contamination < anomalies / len(labels.y):
            tell(
                f"The a-priori share of anomalies is taken as {task.contamination:g}, the most "
                "that detectors take: --contamination sets it"
            )
        tell(
            f"{facts['train']} normal rows train, {facts['test_normal']} test beside "
            f"{facts['test_anomalies']} anomalies; {self.seeds} seeds; {self.detector}.",
            *_copies_said(facts),
            "Means ± deviations; gains over none with 95 % intervals, where they hold (not near 0 "
            "or 1).",
            "",
        )
        tell(f"{'augmentation':22}{'AUC':>16}{'AP':>16}{'F1 a priori':>16}  AP gain")
        for line in lines:
            tell(
                f"{line['augmentation']:22}{line['AUC']:>16}{line['AP']:>16}"
                f"{line['F1 a priori']:>16}  {line['AP gain'] or '–'}"
            )
        outside = {
            row["augmentation"]: f"{row['augmentation']} {row['outside_range']:.2%}"
            for row in results["rows"]
            if row["outside_range"]
        }
        some = listed(outside.values()) if outside else "none"
        tell("", f"New values outside of the range of their column in training: {some}")
        unmatched = sum(not fit["matches"] for fit in results["prior"])
        if unmatched:
            tell("")
            tell(f"{unmatched} of {self.seeds} autoencoders miss their prior; see results.json.")
        tell("", f"{self.out / 'results.json'} and {self.out / 'results.csv'}")

    def _check(self) -> None:
        """Refuse settings that cannot be, before the table is read."""
        at_least(1, width=self.width, steps=self.steps)
        at_least(0, split_seed=self.split_seed)
        if self.seeds < 2:
            raise ValueError(f"--seeds {self.seeds}: two or more make a spread")
        if not 0 < self.share < math.inf:
            raise ValueError(f"--share {self.share:g}: new rows a training row, more than 0")
        if self.contamination is not None and not 0 < self.contamination <= 0.5:
            raise ValueError(
                f"--contamination {self.contamination:g}: a share of anomalies, more than 0 and at "
                "most 0.5"
            )


def _copies_said(facts: dict[str, Any]) -> Iterator[str]:
    """What there is to know of rows that repeat others, if there are any."""
    if repeated := facts["train_repeated"]:
        yield (
            f"{repeated} of {facts['train']} training rows repeat another: neighbours (of lof, "
            f"interpolation) are taken among the {facts['train'] - repeated} that differ."
        )
    if known := facts["test_also_in_train"]:
        tested = facts["test_normal"] + facts["test_anomalies"]
        yield f"{known} of {tested} test rows equal a training row."
