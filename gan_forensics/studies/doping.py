"""Detectors with and without every augmentation, on one task, paired by seed.

A seed is one adversarial autoencoder and one plain GAN, the draws from them, and the forests that
see those rows. Every augmentation of a seed meets the same networks and forest seeds, so its
difference from "none" is within pairs. Settings (which edge, how many rows) are chosen on
validation rows with networks of their own; the test rows choose nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_forensics.anomaly.aae import AAEConfig, train_autoencoders
from gan_forensics.anomaly.detectors import fit_detector
from gan_forensics.anomaly.edge import Edge
from gan_forensics.anomaly.evaluate import (
    Measured,
    best_over_grid,
    grid_auc,
    measure,
    paired_gain,
    rarity_of,
)
from gan_forensics.anomaly.plain_gan import GANConfig, train_gans
from gan_forensics.anomaly.prior_fits import prior_fit
from gan_forensics.anomaly.resampling import (
    CODING,
    TWINNED,
    FittedModels,
    resample,
    rows_of_share,
)
from gan_forensics.anomaly.scaling import fit_scaler
from gan_forensics.anomaly.tasks import Task
from gan_forensics.data.copies import copies
from gan_forensics.studies.pages import over_seeds, plus_minus

# Forests, whose draws are the noise; the other detectors have none of their own.
RANDOM = "isolation_forest"
# Interpolated rows lie beyond their ends by so much.
_ROUNDING = 1e-9
METRICS = ("auc", "average_precision", "f1", "rare_false_alarms", "false_alarms")
CONTROLS = (
    "none",
    "duplicate",
    "jitter",
    "interpolation",
    "plain_gan",
    "prior",
    "edge_duplicate",
    "latent_interpolation",
    "reconstruct_all",
)


@dataclass(frozen=True)
class CompareConfig:
    """What is compared and how.

    Attributes:
        methods: resamplers, each with the published edge and `share` new rows a training row.
        tuned: resamplers that are compared once more with settings chosen on validation rows.
        detectors: names of `gan_forensics.anomaly.detectors`.
        share: new rows a training row, fixed beforehand.
        shares: to choose from.
        edges: to choose from, for "doping" alone.
        seeds: of autoencoders and GANs: the pairs.
        choosing_seeds: of those that settings are chosen with.
        forests: isolation forests a seed, averaged before pairing.
        hidden: widths of the hidden layers of all networks.
        latent: length of a code.
        prior_scale: deviation of the prior's axes.
        steps: of training.
        learning_rate: of all networks.
        batch: rows a minibatch.
        joined: move the discriminator as published for real tables (see `AAEConfig`).
        twins: whether interpolation may be between copies of a row, as published.

    Example:
        >>> CompareConfig(seeds=(0, 1), steps=200).share
        0.1
    """

    methods: tuple[str, ...] = (*CONTROLS, "doping")
    tuned: tuple[str, ...] = ("duplicate", "prior", "doping")
    detectors: tuple[str, ...] = ("isolation_forest", "one_class_svm", "lof")
    share: float = 0.1
    shares: tuple[float, ...] = (0.1, 0.3)
    edges: tuple[Edge, ...] = (
        "data",
        ("quantile", 0.9, 0.997),
        ("shell", 1.0),
        ("shell", 2.0),
        ("shell", 3.0),
    )
    seeds: tuple[int, ...] = tuple(range(10))
    choosing_seeds: tuple[int, ...] = (1000, 1001, 1002)
    forests: int = 3
    hidden: tuple[int, ...] = (128, 128)
    latent: int = 2
    prior_scale: float = 10.0
    steps: int = 3000
    learning_rate: float = 1e-3
    batch: int = 100
    joined: bool = False
    twins: bool = False


@dataclass(frozen=True)
class Setting:
    """One way to make rows, as it stands in a table."""

    label: str
    method: str
    share: float
    edge: Edge = "data"


def compare(config: CompareConfig, task: Task) -> dict[str, Any]:
    """Measure every detector with every augmentation on a task.

    Returns:
        A JSON-ready object: `task` (sizes, contamination, rows that repeat others), `prior` (how
        well the codes of each seed follow their prior), `chosen` (settings with their validation
        scores), and `rows`, one for each detector and augmentation: means and values by seed of
        every metric, the mean paired difference from "none" with its 95 % interval, the published
        oracle scores, `best_over_grid_f1` and `grid_auc`, and the share of new values outside of
        the range of their column in training, `outside_range`: jitter is left there, as published.

    Raises:
        ValueError: when "none" is not among the methods, or an edge selects nothing.

    Example:
        >>> from gan_forensics.anomaly import make_task
        >>> x, y = np.random.default_rng(0).normal(size=(100, 3)), np.repeat([0, 1], [90, 10])
        >>> config = CompareConfig(("none", "duplicate"), (), detectors=("lof",), seeds=(0, 1))
        >>> results = compare(config, make_task("mine", x + 4 * y[:, None], y, seed=0))
        >>> [(row["augmentation"], len(row["auc_by_seed"])) for row in results["rows"]]
        [('none', 2), ('duplicate', 2)]
    """
    if "none" not in config.methods:
        raise ValueError('methods must hold "none": it is what the others are paired with')
    settings = [Setting(name, name, config.share) for name in config.methods]
    chosen, tried = _choose(config, task) if config.tuned else ([], [])
    settings += chosen
    scaler = fit_scaler(task.train)
    x, test = np.clip(scaler(task.train), 0, 1), scaler(task.test)
    rarity = rarity_of(test, x)
    models = _models(config, x, config.seeds, [s.method for s in settings])
    augmented = {
        setting: [
            _augmented(config, setting, m, seed)
            for seed, m in zip(config.seeds, models, strict=True)
        ]
        for setting in settings
    }
    rows = []
    for detector in config.detectors:
        results = {
            setting: [
                _measured(config, detector, those, seed, test, task, rarity)
                for seed, those in zip(config.seeds, augmented[setting], strict=True)
            ]
            for setting in settings
        }
        control = next(runs for setting, runs in results.items() if setting.method == "none")
        rows += [
            _row(detector, setting, runs, control)
            | {"outside_range": _outside([those[len(x) :] for those in augmented[setting]])}
            for setting, runs in results.items()
        ]
    fits = [
        prior_fit(
            m.codes,  # pyright: ignore[reportArgumentType]
            scale=config.prior_scale,
            losses=m.autoencoder.history["discriminator/both"],
        )
        for m in models
        if m.autoencoder
    ]
    return {
        "task": {
            "name": task.name,
            "note": task.note,
            "columns": int(x.shape[1]),
            "train": len(x),
            "validation_anomalies": len(task.validation),
            "test_normal": int((task.y == 0).sum()),
            "test_anomalies": int(task.y.sum()),
            "contamination": task.contamination,
            "train_repeated": copies(task.train).repeated,
            "test_also_in_train": _also_in_train(task),
        },
        "prior": [
            {
                "seed": seed,
                "centre": fit.centre,
                "spread": list(fit.spread),
                "tail_beyond_0.9": fit.tails[0.9],
                "ks": fit.ks,
                "discriminator_loss": fit.loss,
                "matches": fit.matches,
            }
            for seed, fit in zip(config.seeds, fits, strict=False)
        ],
        "chosen": tried,
        "rows": rows,
    }


def _models(
    config: CompareConfig, x: np.ndarray, seeds: Sequence[int], methods: Sequence[str]
) -> list[FittedModels]:
    """The fitted models of every seed; networks that nobody asks for are not trained."""
    coders: Sequence[Any] = [None] * len(seeds)
    gans: Sequence[Any] = [None] * len(seeds)
    if set(CODING) & set(methods):
        recipe = AAEConfig(
            features=x.shape[1],
            latent=config.latent,
            hidden=config.hidden,
            prior_scale=config.prior_scale,
            learning_rate=config.learning_rate,
            batch=config.batch,
            joined=config.joined,
        )
        coders = train_autoencoders(recipe, x, seeds=seeds, steps=config.steps)
    if "plain_gan" in methods:
        gan = GANConfig(
            x.shape[1],
            hidden=config.hidden,
            learning_rate=config.learning_rate,
            batch=config.batch,
        )
        gans = train_gans(gan, x, seeds=seeds, steps=config.steps)
    return [
        FittedModels(x, coder, None if coder is None else coder.encode(x), gan)
        for coder, gan in zip(coders, gans, strict=True)
    ]


def _also_in_train(task: Task) -> int:
    """Test rows that are copies of training rows: at distance 0 from their nearest one."""
    n = len(task.train)
    found = copies(np.concatenate([task.train, task.test]))
    return int((found.first[found.of[n:]] < n).sum())


def _augmented(
    config: CompareConfig, setting: Setting, models: FittedModels, seed: int
) -> np.ndarray:
    """Training rows of a detector: the originals, then the new ones."""
    rng = np.random.default_rng(seed)
    options: dict[str, Any] = {"edge": setting.edge} if setting.method == "doping" else {}
    if setting.method in TWINNED:
        options["twins"] = config.twins
    n = rows_of_share(setting.share, len(models.x))
    new = resample(setting.method, models, n, rng=rng, **options)
    return np.concatenate([models.x, new])


def _measured(
    config: CompareConfig,
    detector: str,
    x: np.ndarray,
    seed: int,
    test: np.ndarray,
    task: Task,
    rarity: np.ndarray,
) -> list[Measured]:
    """A seed's measurements, one for each of its forests, that see the rows x."""
    return [
        measure(
            fit_detector(
                detector, x, contamination=task.contamination, seed=seed * config.forests + forest
            ),
            test,
            task.y,
            contamination=task.contamination,
            rarity=rarity,
        )
        for forest in range(config.forests if detector == RANDOM else 1)
    ]


def _outside(new: Sequence[np.ndarray]) -> float:
    """The share of new values outside of the range of their column in training, [0, 1]."""
    values = np.concatenate(new)
    return float(((values < -_ROUNDING) | (values > 1 + _ROUNDING)).mean()) if values.size else 0.0


def _row(
    detector: str, setting: Setting, runs: list[list[Measured]], control: list[list[Measured]]
) -> dict[str, Any]:
    """A line of the table."""
    edge = setting.edge if setting.method == "doping" else None
    row: dict[str, Any] = {
        "detector": detector,
        "augmentation": setting.label,
        "share": 0.0 if setting.method == "none" else setting.share,
        "edge": list(edge) if isinstance(edge, tuple) else edge,
    }
    for metric in METRICS:
        values, reference = _by_seed(runs, metric), _by_seed(control, metric)
        row |= over_seeds(metric, values)
        if setting.method != "none" and len(values) > 1:
            row[f"{metric}_gain"] = list(paired_gain(values, reference))
    flat = [run for seed in runs for run in seed]
    row["best_over_grid_f1"], row["best_over_grid_contamination"] = best_over_grid(flat)
    row["grid_auc"] = grid_auc(flat)
    return row


def _by_seed(runs: list[list[Measured]], metric: str) -> list[float]:
    return [float(np.mean([getattr(run, metric) for run in seed])) for seed in runs]


def _choose(config: CompareConfig, task: Task) -> tuple[list[Setting], list[dict[str, Any]]]:
    """Settings with the highest mean average precision of a forest on validation rows."""
    x, y = task.chosen_on
    if not y.any():
        raise ValueError(f"{task.name}: no anomalies to choose settings with")
    scaler = fit_scaler(task.fitted_on)
    rows, held_out = np.clip(scaler(task.fitted_on), 0, 1), scaler(x)
    rarity = rarity_of(held_out, rows)
    models = _models(config, rows, config.choosing_seeds, config.tuned)
    chosen, tried = [], []
    for method in config.tuned:
        settings = [
            Setting(f"{method} (chosen)", method, share, edge)
            for edge in (config.edges if method == "doping" else ("data",))
            for share in config.shares
        ]
        scores = []
        for setting in settings:
            of_seeds = []
            for seed, of_seed in zip(config.choosing_seeds, models, strict=True):
                augmented, a_priori = _augmented(config, setting, of_seed, seed), task.contamination
                fitted = fit_detector(RANDOM, augmented, contamination=a_priori, seed=seed)
                found = measure(fitted, held_out, y, contamination=a_priori, rarity=rarity)
                of_seeds.append(found.average_precision)
            scores.append(float(np.mean(of_seeds)))
        best = int(np.argmax(scores))
        chosen.append(settings[best])
        tried += [
            {
                "method": method,
                "edge": str(setting.edge) if method == "doping" else None,
                "share": setting.share,
                "validation_average_precision": score,
                "chosen": place == best,
            }
            for place, (setting, score) in enumerate(zip(settings, scores, strict=True))
        ]
    return chosen, tried


def summary_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The lines of a comparison as short texts, for a table of a report or a terminal."""
    lines = []
    for row in results["rows"]:
        line = {"detector": row["detector"], "augmentation": row["augmentation"]}
        for metric, heading in (
            ("auc", "AUC"),
            ("average_precision", "AP"),
            ("f1", "F1 a priori"),
            ("rare_false_alarms", "false alarms on rare normals"),
        ):
            line[heading] = plus_minus(row[metric], row[f"{metric}_std"], ".3f")
        for metric, heading in (("average_precision", "AP gain"), ("f1", "F1 gain")):
            line[heading] = interval(row.get(f"{metric}_gain"))
        line["best-over-grid F1 (oracle)"] = f"{row['best_over_grid_f1']:.3f}"
        lines.append(line)
    return lines


def interval(gain: Sequence[float | None] | None) -> str | None:
    """A paired gain with its interval, as text."""
    if not gain:
        return None
    mean, low, high = gain
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" if low is not None else f"{mean:+.3f} [none]"
