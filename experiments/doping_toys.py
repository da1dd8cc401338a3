"""DOPING on toy worlds: how far out must the latent shell lie? (Lim et al., ICDM 2018)

Autoencoders with the prior N(0, 5^2 I) are trained on 1000 rows, 5 % of them anomalies; 100 decoded
points of the shell of radius r around the origin join the training set of a forest, which is tested
on 1000 new rows. Pairs share the autoencoder's seed and the forests' seeds.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_forensics.anomaly.aae import AAEConfig, Autoencoder, train_autoencoders
from gan_forensics.anomaly.detectors import fit_detector
from gan_forensics.anomaly.edge import shell
from gan_forensics.anomaly.evaluate import paired_gain
from gan_forensics.anomaly.prior_fits import prior_fit
from gan_forensics.anomaly.toy import Labelled, World, toy_world
from gan_forensics.nn.mlp import Start
from gan_forensics.studies.pages import over_seeds

SCALE, FOREST = 5.0, "isolation_forest"


@dataclass(frozen=True)
class Toys:
    """The sweep.

    Attributes:
        worlds: see `gan_forensics.anomaly.toy`.
        variants: "unlabelled", and "labelled": the discriminator is told which rows are anomalies.
        radii: of the shell; the prior's deviation is 5.
        headline: the radius that is judged, fixed beforehand.
        seeds: of autoencoders: the pairs.
        forests: a seed.
        added: decoded points.
        hidden: widths of the hidden layers.
        steps: of training.
        start: law of the initial kernels; "normal" as published needs its long training.
    """

    worlds: tuple[World, ...] = ("A", "B", "C")
    variants: tuple[str, ...] = ("unlabelled", "labelled")
    radii: tuple[float, ...] = (1, 5, 10, 15, 20, 30, 50, 100)
    headline: float = 10
    seeds: tuple[int, ...] = tuple(range(10))
    forests: int = 3
    added: int = 100
    hidden: tuple[int, ...] = (128, 128)
    steps: int = 4000
    start: Start = "glorot"


def autoencoders(toys: Toys, world: World, variant: str) -> tuple[Labelled, list[Autoencoder]]:
    """The training rows of a world, and an autoencoder for every seed."""
    if variant not in ("unlabelled", "labelled"):
        raise ValueError(f"unknown variant {variant!r}: unlabelled or labelled")
    train = toy_world(world, seed=1)
    config = AAEConfig(
        features=train.x.shape[1],
        hidden=toys.hidden,
        output="linear",
        start=toys.start,
        prior_scale=SCALE,
        learning_rate=1e-3,
        epsilon=1e-8,
        order="sequential",
        joined=False,
        labelled=variant == "labelled",
    )
    labels = 1 - train.y if config.labelled else None
    coders = train_autoencoders(config, train.x, seeds=toys.seeds, steps=toys.steps, labels=labels)
    return train, coders


def shell_rows(coder: Autoencoder, radius: float, n: int, seed: int) -> np.ndarray:
    """Decoded points of a shell around the origin."""
    rng = np.random.default_rng(seed)
    return coder.decode(shell(n, radius=radius, centre=np.zeros(coder.config.latent), rng=rng))


def sweep(toys: Toys, world: World, variant: str) -> dict[str, Any]:
    """AUC of the forest without and with every shell.

    Returns:
        JSON-ready: `world`, `variant`, `none` and `radii` (a row each: mean, deviation and values
        by seed of the AUC, gain over none with its 95 % interval), the seeds' prior fits, and a
        `picture` of the first seed: rows, codes, and shells in both spaces.
    """
    from sklearn.metrics import roc_auc_score

    train, coders = autoencoders(toys, world, variant)
    test = toy_world(world, seed=2)

    def auc(x: np.ndarray, seed: int) -> float:
        seeds = range(seed * toys.forests, (seed + 1) * toys.forests)
        forests = [fit_detector(FOREST, x, contamination=0.05, seed=forest) for forest in seeds]
        return float(np.mean([roc_auc_score(test.y, -f.score(test.x)) for f in forests]))

    none = [auc(train.x, seed) for seed in toys.seeds]
    rows = []
    for radius in toys.radii:
        values = [
            auc(np.concatenate([train.x, shell_rows(coder, radius, toys.added, seed)]), seed)
            for seed, coder in zip(toys.seeds, coders, strict=True)
        ]
        gain = list(paired_gain(values, none)) if len(values) > 1 else None
        rows.append({"radius": float(radius), **over_seeds("auc", values), "gain": gain})
    fits = [prior_fit(c.encode(train.x), scale=SCALE) for c in coders]
    return {
        "world": world,
        "variant": variant,
        "none": over_seeds("auc", none),
        "radii": rows,
        "prior": [
            {"seed": s, "centre": f.centre, "spread": list(f.spread), "ks": f.ks}
            for s, f in zip(toys.seeds, fits, strict=True)
        ],
        "picture": _picture(toys, train, coders[0]),
    }


def _picture(toys: Toys, train: Labelled, coder: Autoencoder) -> dict[str, Any]:
    radii = sorted({min(toys.radii), toys.headline, max(r for r in toys.radii if r <= 4 * SCALE)})
    return {
        "x": np.round(train.x, 3).tolist(),
        "y": train.y.tolist(),
        "codes": np.round(coder.encode(train.x), 3).tolist(),
        "shells": {
            str(r): np.round(shell_rows(coder, r, toys.added, 0), 3).tolist() for r in radii
        },
    }
