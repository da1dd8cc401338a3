"""Resamplers, and the estimator that draws by them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from gan_forensics.anomaly import (
    RESAMPLERS,
    AAEConfig,
    Doping,
    FittedModels,
    GANConfig,
    augment,
    check_settings,
    edge_weights,
    neighbours,
    new_rows,
    resample,
    train_autoencoders,
    train_gans,
)
from gan_forensics.anomaly.augmentation import SETTINGS
from gan_forensics.anomaly.edge import weights_of
from gan_forensics.anomaly.resampling import BETWEEN, TWINNED, rows_of_share
from gan_forensics.anomaly.scaling import fit_scaler

# A few steps bring no codes to their prior.
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
QUICK = {"hidden": (8,), "steps": 15, "batch_size": 16, "random_state": 0}


@pytest.fixture(scope="module")
def models():
    x = np.random.default_rng(5).uniform(size=(80, 3))
    # The networks that Doping builds from QUICK: compiled once for this file.
    config = AAEConfig(3, hidden=(8,), learning_rate=1e-3, batch=16, joined=False)
    (coder,) = train_autoencoders(config, x, seeds=[0], steps=20)
    (gan,) = train_gans(GANConfig(3, latent=2, hidden=(8,)), x, seeds=[0], steps=5)
    return FittedModels(x, coder, coder.encode(x), gan)


@pytest.fixture
def table(rng):
    return rng.uniform(size=(60, 3)) * [1, 1000, 0.01] + [5, -300, 0]


# --- resamplers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in RESAMPLERS if n not in ("none", "smote")])
def test_a_resampler_makes_rows_that_follow_from_the_seed(name, models):
    rows = resample(name, models, 30, rng=np.random.default_rng(1))
    assert rows.shape == (80 if name == "reconstruct_all" else 30, 3)
    assert_array_equal(rows, resample(name, models, 30, rng=np.random.default_rng(1)))
    if name != "reconstruct_all":
        assert (rows != resample(name, models, 30, rng=np.random.default_rng(2))).any()
    assert len(resample(name, models, 0, rng=np.random.default_rng(1))) == 0
    if name != "jitter":
        assert rows.min() >= 0 and rows.max() <= 1


def test_resamplers_do_what_they_say(models):
    x, codes, coder = models.x, models.codes, models.autoencoder
    draw = {n: resample(n, models, 200, rng=np.random.default_rng(1)) for n in RESAMPLERS
            if n != "smote"}  # fmt: skip
    known = {tuple(row) for row in x}
    at_edge = {tuple(row) for row in x[edge_weights(codes) > 0]}
    assert len(draw["none"]) == 0
    assert {tuple(row) for row in draw["duplicate"]} <= known
    assert {tuple(row) for row in draw["edge_duplicate"]} == at_edge
    gaps = np.abs(draw["jitter"] - draw["duplicate"]).mean(0) / x.std(0)
    assert_allclose(gaps, 0.01 * np.sqrt(2 / np.pi), rtol=0.25, atol=0)
    assert_allclose(draw["reconstruct_all"], coder.decode(codes), rtol=0, atol=1e-6)
    decoded = coder.decode(codes[edge_weights(codes) > 0])
    for n in (200, 80, 8):  # more rows than trained, as many, and the usual tenth
        new = resample("doping", models, n, rng=np.random.default_rng(1))
        assert np.abs(new[:, None] - decoded[None]).max(2).min(1).max() < 1e-6
    near = neighbours(x)[0][:, 0]
    for row in draw["interpolation"][:40]:
        # On a segment, the distances to its ends add up to its length.
        detour = np.linalg.norm(row - x, axis=1) + np.linalg.norm(row - x[near], axis=1)
        assert (detour - np.linalg.norm(x - x[near], axis=1)).min() < 1e-9
    with pytest.raises(ValueError, match="one of none, duplicate"):
        resample("magic", models, 3, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="0 or more"):
        resample("prior", models, -1, rng=np.random.default_rng(0))
    for name in ("doping", "plain_gan"):
        with pytest.raises(ValueError, match="needs a trained"):
            resample(name, FittedModels(x), 3, rng=np.random.default_rng(0))


def test_jitter_goes_by_the_deviation_of_each_column(rng):
    models = FittedModels(rng.standard_normal((90, 3)) * [1, 100, 0.01])
    made = (resample(n, models, 400, rng=np.random.default_rng(1)) for n in ("jitter", "duplicate"))
    noise = np.subtract(*made)
    assert_allclose(noise.std(0), 0.01 * models.x.std(0), rtol=0.1, atol=0)


@pytest.mark.parametrize("edge", ["data", ("empirical", 0.2, 0.4)])
def test_latent_interpolation_is_between_codes_at_the_edge_and_their_neighbours(edge, models):
    got = resample("latent_interpolation", models, 9, rng=np.random.default_rng(1), edge=edge)
    z, rng = models.codes, np.random.default_rng(1)
    chosen = rng.choice(len(z), 9, p=weights_of(z, edge))
    gaps = np.linalg.norm(z[:, None] - z[None], axis=2) + 1e9 * np.eye(len(z))
    near, u = z[gaps.argmin(1)][chosen], rng.uniform(size=(9, 1))
    between = models.autoencoder.decode(near + u * (z[chosen] - near))
    assert_allclose(got, between, rtol=0, atol=1e-6)


def test_smote_without_its_extra_names_it(models, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "imblearn", None)
    monkeypatch.setitem(sys.modules, "imblearn.over_sampling", None)
    with pytest.raises(ImportError, match=r"gan_forensics\[imbalanced\]"):
        resample("smote", models, 3, rng=np.random.default_rng(0))


def test_smote_makes_rows_between_training_rows(models, rng):
    pytest.importorskip("imblearn")
    rows = resample("smote", models, 25, rng=rng)
    assert rows.shape == (25, 3)
    assert (rows >= models.x.min(0)).all() and (rows <= models.x.max(0)).all()


@pytest.fixture
def often(models):
    """Most rows are one row, whose codes differ in their last digits, as encoders may make them."""
    x = np.concatenate([models.x, np.repeat(models.x[:1], 400, axis=0)])
    codes = models.autoencoder.encode(x) + 1e-9 * np.random.default_rng(0).uniform(size=(480, 2))
    return FittedModels(x, models.autoencoder, codes)


@pytest.mark.parametrize("method", BETWEEN)
def test_what_lies_between_neighbours_is_no_copy_where_rows_repeat(method, often):
    if method == "smote":
        pytest.importorskip("imblearn")
    whole = {"edge": ("empirical", 0.0, 1.0)} if method == "latent_interpolation" else {}

    def copied(**settings):
        rows = resample(method, often, 60, rng=np.random.default_rng(0), **whole, **settings)
        known = often.x if not whole else often.autoencoder.decode(often.codes)
        gaps = np.abs(rows[:, None] - known[None]).max(2).min(1)
        return (gaps < 1e-7).mean()

    assert copied() < 0.05
    if method in TWINNED:
        assert copied(twins=True) > 0.15
    else:
        with pytest.raises(TypeError, match="twins"):
            copied(twins=True)


def test_smote_is_imbalanced_learns_where_no_row_repeats(models):
    over_sampling = pytest.importorskip("imblearn.over_sampling")
    ours = resample("smote", models, 25, rng=np.random.default_rng(0))
    seed = int(np.random.default_rng(0).integers(2**31))
    rows = np.concatenate([np.zeros((105, 3)), models.x])
    theirs = over_sampling.SMOTE(sampling_strategy={1: 105}, random_state=seed)
    assert_array_equal(theirs.fit_resample(rows, np.repeat([0, 1], [105, 80]))[0][185:], ours)


@pytest.mark.parametrize("method", ["interpolation", "smote"])
def test_between_rows_that_are_all_alike_lies_nothing(method):
    if method == "smote":
        pytest.importorskip("imblearn")
    with pytest.raises(ValueError, match=r"rows that differ, got 1 \(of 9\)"):
        resample(method, FittedModels(np.ones((9, 2))), 3, rng=np.random.default_rng(0))


# --- the estimator ------------------------------------------------------------------------------


def test_originals_come_first_unchanged_and_the_seed_decides_the_rest(table):
    doping = Doping(n_samples=7, **QUICK)
    rows, labels = doping.fit_resample(table)
    assert rows.shape == (67, 3) and labels is None
    assert_array_equal(rows[:60], table)
    assert_array_equal(clone(doping).fit_resample(table)[0], rows)
    # Within the training range, up to the rounding of float32.
    slack = 1e-6 * np.ptp(table, axis=0)
    assert (rows[60:] >= table.min(0) - slack).all() and (rows[60:] <= table.max(0) + slack).all()
    assert_array_equal(Doping(n_samples=0, **QUICK).fit_resample(table)[0], table)


def test_a_share_is_of_the_training_rows_and_never_of_none_of_them(table):
    y = np.repeat([0, 1], [50, 10])
    assert Doping(share=0.5, **QUICK).fit(table).added_ == 30
    assert Doping(share=1, **QUICK).fit(table).added_ == 60
    assert Doping(share=0.5, **QUICK).fit(table, y).added_ == 25
    twice = np.concatenate([table[:50], table[:10]])
    few = Doping(share=0.5, n_samples=1, **QUICK).fit(twice)
    assert (few.added_, few.repeated_) == (1, 10)
    assert len(Doping(**QUICK).fit_resample(table[:4])[0]) == 5
    assert [rows_of_share(0.1, n) for n in (4, 5, 14, 16, 100)] == [1, 1, 1, 2, 10]
    assert rows_of_share(0, 100) == 0


@pytest.fixture
def two_groups(rng):
    """Normal rows around 0, anomalies, of label 1, around 20."""
    x = rng.standard_normal((60, 2))
    x[50:] += 20
    return x, np.repeat([0, 1], [50, 10])


def test_labels_mean_the_same_in_every_method(two_groups):
    x, y = two_groups
    fitted, resampled = (Doping(n_samples=40, **QUICK) for _ in range(2))
    new = fitted.fit(x, y).sample(40)
    rows, labels = resampled.fit_resample(x, y)
    assert_array_equal(rows[60:], new)
    assert_array_equal(labels, [*y, *[0] * 40])
    for doping in (fitted, resampled):
        assert len(doping.codes_) == 50 and doping.normal_label_ == 0
    # No decoder with a sigmoid leaves the range of what it was trained on.
    assert new.max() < 5
    rare = Doping(n_samples=40, anomaly=0, **QUICK)
    rows, labels = rare.fit_resample(x, y)
    assert rare.normal_label_ == 1 and (labels[60:] == 1).all() and rows[60:].min() > 15
    assert Doping(**QUICK).fit(x).normal_label_ is None


def test_labels_that_do_not_tell_are_refused_where_new_rows_are_labelled(two_groups):
    x, _ = two_groups
    even = np.arange(60) % 2
    with pytest.raises(ValueError, match="0 in 30, 1 in 30: none marks 55 %.*anomaly="):
        Doping(**QUICK).fit_resample(x, even)
    with pytest.warns(UserWarning, match="Till then all rows train"):
        doping = Doping(**QUICK).fit(x, even)
    assert doping.normal_label_ is None and len(doping.codes_) == 60
    rows, labels = Doping(anomaly=0, n_samples=3, **QUICK).fit_resample(x, even)
    assert_array_equal(labels[60:], [1, 1, 1])


@pytest.mark.parametrize("method", ["fit", "fit_resample"])
@pytest.mark.parametrize(
    ("y", "settings", "message"),
    [
        (
            np.repeat([0.0, np.nan], [50, 10]),
            {},
            "10 of 60 labels are missing, the first in row 51",
        ),
        (np.zeros(9), {}, r"\[9\] labels for 60 rows"),
        (np.zeros((60, 2)), {}, "one for each"),
        (np.repeat([0, 1], [50, 10]), {"anomaly": "1"}, "anomaly '1' is none of the labels"),
        (np.ones(60), {"anomaly": 1}, "none is normal"),
        (np.repeat([0, 1, 2], 20), {"anomaly": 1}, "leaves 2 labels"),
        (np.repeat([1, 0], [1, 59]), {"anomaly": 0}, "1 rows of label 1 cannot fill"),
        (None, {"anomaly": 1}, "anomaly=1 needs labels"),
    ],
)
def test_labels_that_cannot_be_are_refused(method, y, settings, message, two_groups):
    with pytest.raises(ValueError, match=message):
        getattr(Doping(**QUICK, **settings), method)(two_groups[0], y)


def test_codes_that_miss_their_prior_are_warned_of(table):
    with pytest.warns(ConvergenceWarning, match="do not follow their prior: .*deviations are"):
        doping = Doping(**QUICK).fit(table)
    assert not doping.prior_fit_.matches


ROWS = np.column_stack([np.random.default_rng(7).uniform(size=(40, 3)), np.arange(40) % 5])
# Of every parameter another value than by default, and what else must be given for it to act.
OTHERS = {
    "edge": (("shell", 3.0), {}),
    "method": ("prior", {}),
    "jitter": (5.0, {}),
    "latent_dim": (3, {}),
    "prior_scale": (2.0, {}),
    "hidden": ((9,), {}),
    "steps": (16, {}),
    "batch_size": (17, {}),
    "learning_rate": (1e-2, {}),
    "scale": ("standard", {}),
    "round_integers": (True, {}),
    "random_state": (1, {}),
}


@pytest.fixture(scope="module")
def by_default():
    return Doping(**QUICK).fit(ROWS).sample(20)


@pytest.mark.parametrize("name", OTHERS)
def test_every_parameter_changes_what_is_drawn(name, by_default):
    value, more = OTHERS[name]
    drawn = Doping(**{**QUICK, **more, name: value}).fit(ROWS).sample(20)
    assert drawn.shape == by_default.shape and np.abs(drawn - by_default).max() > 1e-6


def test_draws_follow_from_the_seed_of_the_draw():
    doping = Doping(**QUICK).fit(ROWS)
    assert_array_equal(doping.sample(20), doping.sample(20))
    assert_array_equal(doping.sample(20, seed=5), doping.sample(20, seed=5))
    assert np.abs(doping.sample(20, seed=5) - doping.sample(20)).max() > 1e-6


def test_no_parameter_is_without_a_test():
    # Those that change how many rows are drawn, what trains, and what is refused.
    elsewhere = {"share", "n_samples", "anomaly", "constant_columns"}
    assert {*OTHERS, *elsewhere} == set(Doping().get_params())


def test_images_keep_their_shape_and_their_constant_pixels(rng):
    images = rng.uniform(size=(30, 3, 1, 1)).astype(np.float32)
    images[:, 0] = 0.25
    rows, _ = Doping(n_samples=3, **QUICK).fit_resample(images)
    assert rows.shape == (33, 3, 1, 1) and rows.dtype == np.float32
    assert_array_equal(rows[:30], images)
    assert_array_equal(rows[30:, 0], 0.25)


def test_scales_are_those_of_the_training_rows(table):
    standard = fit_scaler(table, scale="standard")
    assert_allclose(standard(table).mean(0), 0, rtol=0, atol=1e-9)
    assert_allclose(standard(table).std(0), 1, rtol=1e-9, atol=0)
    minmax = fit_scaler(table)(table)
    assert_allclose([minmax.min(0), minmax.max(0)], [[0] * 3, [1] * 3], rtol=0, atol=1e-12)
    assert_array_equal(fit_scaler(table, scale="none")(table), table)
    assert_allclose(standard.undo(standard(table)), table, rtol=1e-12, atol=0)


@pytest.mark.parametrize("scale", ["standard", "none"])
def test_unbounded_decoders_serve_tables_of_any_range(scale, table):
    rows, _ = Doping(n_samples=4, scale=scale, **QUICK).fit_resample(table / table.max(0))
    assert rows.shape == (64, 3) and np.isfinite(rows).all()


@pytest.mark.parametrize("edge", ["data", ("quantile", 0.9, 0.997), ("shell", 2.0)])
def test_latent_spaces_of_other_dimensions_work_with_any_edge(edge, table):
    doping = Doping(n_samples=4, latent_dim=5, edge=edge, **QUICK)
    assert doping.fit_resample(table)[0].shape == (64, 3)
    assert doping.codes_.shape == (60, 5) and len(doping.prior_fit_.spread) == 5


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda x: np.where(x == x[3, 1], np.nan, x), {}, "NaN"),
        (lambda x: np.where(x == x[3, 1], np.inf, x), {}, "infinity"),
        (lambda x: np.column_stack([x, np.ones(60)]), {}, r"columns \[3\] hold a single value"),
        (lambda x: np.ones_like(x), {"constant_columns": "keep"}, "all rows are alike"),
        (lambda x: np.where(x > 0, "red", "blue"), {}, "numeric values"),
        (lambda x: x[:4], {"latent_dim": 5}, "4 rows cannot fill a latent space of 5"),
        (lambda x: x[:1], {}, "1 sample"),
        (lambda x: x[0], {}, "2D array"),
        (lambda x: x, {"edge": ("annulus", 1e6, 2e6)}, "selects no code"),
        (lambda x: x, {"edge": ("quantile", 1.0, 1.0)}, "select nothing"),
        (lambda x: x, {"n_samples": -1}, "n_samples"),
        (lambda x: x, {"n_samples": 1.0}, "n_samples must be a number.*given by share="),
        (lambda x: x, {"n_samples": True}, "n_samples"),
        (lambda x: x, {"share": float("nan")}, "share must be"),
        (lambda x: x, {"share": -0.1}, "share must be"),
        (lambda x: x, {"method": "smote"}, "unknown method"),
        (lambda x: x, {"scale": "log"}, "minmax, standard or none"),
        (lambda x: x, {"constant_columns": "drop"}, "raise or keep"),
        (lambda x: x, {"steps": 0}, "steps must be 1 or more"),
        (lambda x: x, {"method": "prior", "edge": ("shell", 2.0)}, "prior knows no edge"),
        (lambda x: x, {"method": "reconstruct_all", "edge": "prior"}, "knows no edge"),
        (lambda x: x, {"method": "edge_duplicate", "edge": ("shell", 2.0)}, "one of data, band"),
        (lambda x: x, {"method": "prior", "jitter": 0.1}, "jitter is of doping"),
    ],
)
def test_bad_input_is_refused_in_clear_words(change, settings, message, table):
    with pytest.raises(ValueError, match=message):
        Doping(**{**QUICK, **settings}).fit(change(table))


@pytest.mark.parametrize(
    ("edge", "message"),
    [
        (("shell", -1.0), "positive, finite radius"),
        (("annulus", 3, 2), "0 <= low < high"),
        (("band", -1, 2), "0 <= low < high"),
        (("empirical", 0.9, 1.2), "select nothing"),
        (("data", 1.0), "quantile in .0, 1."),
    ],
)
def test_an_edge_that_selects_nothing_is_told_before_training(edge, message, table, monkeypatch):
    monkeypatch.setattr("gan_forensics.anomaly.doping.train_autoencoders", None)
    with pytest.raises(ValueError, match=message):
        Doping(edge=edge, **QUICK).fit(table)


def test_augment_makes_rows_in_the_tables_units(table):
    quick = {"hidden": (8,), "steps": 3, "batch_size": 16}
    for method in ("duplicate", "interpolation", "plain_gan", "doping"):
        settings = quick if method in SETTINGS else {}
        rows = augment(table, 9, method=method, **settings)
        slack = 1e-6 * np.ptp(table, axis=0)
        assert rows.shape == (9, 3)
        assert (rows >= table.min(0) - slack).all() and (rows <= table.max(0) + slack).all()
    with pytest.raises(ValueError, match="unknown method"):
        augment(table, 3, method="magic")
    with pytest.raises(ValueError, match="finite"):
        augment(table * np.nan, 3, method="duplicate")


def test_augment_takes_the_settings_that_act_and_no_others(table):
    """Every setting of the estimator, by method: it acts or is refused."""
    apart = {"share", "n_samples", "anomaly", "method", "random_state", "round_integers"}
    named = set(Doping().get_params()) - apart
    for method in RESAMPLERS:
        for setting in named:
            given = {setting: Doping().get_params()[setting]}
            if setting in SETTINGS.get(method, ()):
                check_settings(method, **given)
            else:
                with pytest.raises(ValueError, match=f"{method} takes no {setting}"):
                    augment(table, 3, method=method, **given)
    assert SETTINGS["plain_gan"] == ("hidden", "steps", "batch_size")
    with pytest.raises(ValueError, match="features, latent, batch and hidden"):
        augment(table, 3, method="plain_gan", hidden=(0,))
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        augment(table, 3, method="plain_gan", steps=0)


def test_every_setting_of_a_plain_gan_acts(table):
    quick = {"hidden": (8,), "steps": 3, "batch_size": 16}
    usual = augment(table, 9, method="plain_gan", **quick)
    for changed in ({"hidden": (9,)}, {"steps": 4}, {"batch_size": 17}, {"seed": 1}):
        other = augment(table, 9, method="plain_gan", **{**quick, **changed})
        assert (other != usual).any(), changed


@pytest.mark.parametrize("method", ["jitter", "interpolation", "plain_gan", "doping"])
def test_augment_rounds_columns_of_whole_numbers_with_every_method(method, table):
    whole = np.column_stack([np.round(100 * table[:, 0]), table[:, 1]])
    settings = {"hidden": (8,), "steps": 3, "batch_size": 16} if method in SETTINGS else {}
    rows, rounded = (
        augment(whole, 20, method=method, round_integers=round_integers, **settings)
        for round_integers in (False, True)
    )
    assert (rows[:, 0] != np.round(rows[:, 0])).any()
    assert_array_equal(rounded[:, 0], np.round(rows[:, 0]))
    assert_array_equal(rounded[:, 1], rows[:, 1])


def test_new_rows_stay_in_the_range_that_was_observed(rng):
    amounts = np.where(rng.uniform(size=200) < 0.6, 0, rng.gamma(2, 30, 200).round(2))
    x = np.column_stack([amounts, rng.integers(18, 90, 200), np.full(200, 7.0)])
    made = new_rows(x, 900, method="jitter")
    assert (made.rows >= x.min(0)).all() and (made.rows <= x.max(0)).all()
    # Half of the zeros were drawn below 0 and are zeros again; the others are not.
    zeros = (made.rows[:, 0] == 0).sum()
    assert zeros <= made.beyond[0] and 200 < made.beyond[0] < 340 and made.beyond[2] == 0
    assert made.beyond[0] == zeros + (made.rows[:, 0] == x[:, 0].max()).sum()
    rounded = new_rows(x, 900, method="jitter", round_integers=True).rows[:, 1]
    assert (rounded == rounded.round()).all() and 18 <= rounded.min() <= rounded.max() <= 89
    for method in ("duplicate", "interpolation"):
        made = new_rows(x, 400, method=method)
        assert (made.rows >= x.min(0)).all() and (made.rows <= x.max(0)).all()
        assert not made.beyond.any()
    copies = {tuple(row) for row in new_rows(x, 99, method="duplicate").rows}
    assert copies <= {tuple(row) for row in x}


@pytest.mark.slow
def test_what_a_decoder_without_bounds_makes_beyond_the_range_is_counted(rng):
    x = rng.normal(size=(200, 3))
    settings = {"hidden": (8,), "steps": 3, "scale": "standard", "prior_scale": 1.0}
    wide = new_rows(x, 400, method="prior", **settings)
    outside = (wide.rows < x.min(0)) | (wide.rows > x.max(0))
    assert_array_equal(wide.beyond, outside.sum(0))
