"""The comparison of augmentations: paired, repeatable, blind to the test rows."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from gan_forensics.anomaly import AAEConfig, GANConfig, make_task, toy_world
from gan_forensics.studies.doping import CompareConfig, _models, compare, summary_rows

SMALL = CompareConfig(
    methods=("none", "duplicate", "doping"), tuned=("doping",), detectors=("isolation_forest",),
    shares=(0.1,), edges=("data", ("shell", 2.0)), seeds=(0, 1), choosing_seeds=(8, 9), forests=1,
    hidden=(8,), steps=10, batch=16,
)  # fmt: skip


def small_task():
    x, y = toy_world("B", n=200, anomalies=20, seed=0)
    return make_task("B", x, y, seed=0)


def test_a_comparison_is_paired_repeatable_and_json():
    results = compare(SMALL, small_task())
    assert json.loads(json.dumps(results)) == json.loads(json.dumps(compare(SMALL, small_task())))
    rows = {row["augmentation"]: row for row in results["rows"]}
    assert list(rows) == ["none", "duplicate", "doping", "doping (chosen)"]
    gain = np.subtract(rows["doping"]["auc_by_seed"], rows["none"]["auc_by_seed"])
    assert rows["doping"]["auc_gain"][0] == pytest.approx(gain.mean())
    assert "auc_gain" not in rows["none"] and len(results["prior"]) == 2
    assert [tried["chosen"] for tried in results["chosen"]].count(True) == 1
    assert len(summary_rows(results)) == 4
    with pytest.raises(ValueError, match="none"):
        compare(CompareConfig(methods=("doping",)), small_task())


def test_test_rows_choose_nothing_and_train_nothing():
    task = small_task()
    other = replace(task, test=np.random.default_rng(1).permutation(task.test) * 3 + 1)
    a, b = compare(SMALL, task), compare(SMALL, other)
    assert a["chosen"] == b["chosen"] and a["prior"] == b["prior"]
    assert a["rows"] != b["rows"]


def test_the_settings_that_were_chosen_are_those_that_are_measured():
    """ "doping" has the published edge; "doping (chosen)" the one that won on validation rows."""

    def pair(edge, share):
        config = replace(SMALL, edges=(edge,), shares=(share,))
        rows = {row["augmentation"]: row for row in compare(config, small_task())["rows"]}
        return rows["doping"], rows["doping (chosen)"]

    published, chosen = pair("data", SMALL.share)
    assert chosen == {**published, "augmentation": "doping (chosen)"}
    for edge, share in ((("shell", 3.0), SMALL.share), ("data", 0.5)):
        published, chosen = pair(edge, share)
        assert chosen["edge"] == (list(edge) if isinstance(edge, tuple) else edge)
        assert chosen["share"] == share
        assert chosen["auc_by_seed"] != published["auc_by_seed"]


def test_the_best_setting_on_validation_rows_is_chosen():
    config = replace(SMALL, tuned=("doping", "duplicate"), shares=(0.1, 0.5))
    results = compare(config, small_task())
    for method, settings in (("doping", 4), ("duplicate", 2)):
        tried = [t for t in results["chosen"] if t["method"] == method]
        best = max(tried, key=lambda t: t["validation_average_precision"])
        assert len(tried) == settings and [t for t in tried if t["chosen"]] == [best]
        (row,) = [r for r in results["rows"] if r["augmentation"] == f"{method} (chosen)"]
        assert row["share"] == best["share"]


def test_a_row_is_what_its_seeds_and_forests_give_by_hand():
    settings = {"methods": ("none", "duplicate"), "tuned": (), "share": 0.5, "forests": 2}
    config, task = replace(SMALL, seeds=(3, 5), **settings), small_task()
    (none, row) = compare(config, task)["rows"]
    low, size = task.train.min(0), np.ptp(task.train, axis=0)
    x, test = (task.train - low) / size, (task.test - low) / size
    by_hand = []
    for seed in (3, 5):
        again = x[np.random.default_rng(seed).integers(len(x), size=round(0.5 * len(x)))]
        forests = [
            IsolationForest(random_state=2 * seed + i).fit(np.concatenate([x, again]))
            for i in range(2)
        ]
        by_hand.append(np.mean([roc_auc_score(task.y, -f.score_samples(test)) for f in forests]))
    assert_allclose(row["auc_by_seed"], by_hand, rtol=0, atol=1e-12)
    assert none["auc_by_seed"] != row["auc_by_seed"]
    assert (none["share"], row["share"]) == (0, 0.5)


def test_every_setting_of_the_networks_reaches_them():
    common = {"hidden": (9,), "learning_rate": 1e-2, "batch": 17}
    of_codes = {"latent": 3, "prior_scale": 2.0, "joined": True}
    config = CompareConfig(steps=4, **common, **of_codes)
    x = np.random.default_rng(0).uniform(size=(30, 3))
    (models,) = _models(config, x, (0,), ("prior", "plain_gan"))
    assert models.autoencoder and models.gan and models.codes is not None
    assert models.autoencoder.config == AAEConfig(3, **common, **of_codes)
    assert models.gan.config == GANConfig(3, **common)
    assert len(models.autoencoder.history["discriminator/both"]) == 4
    assert models.codes.shape == (30, 3)
    (models,) = _models(config, x, (0,), ("none", "duplicate"))
    assert models.autoencoder is None and models.gan is None
