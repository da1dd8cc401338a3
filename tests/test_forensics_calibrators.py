"""Calibrators: chosen by cost, bounded by what supports them, and plain numbers."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.forensics import likelihood_ratios as lr
from gan_forensics.forensics.calibrators import (
    FEWEST,
    KINDS,
    _bounded,
    _folds,
    check_reference,
    fit_calibrator,
    read_calibrator,
)


def scores(n=60, m=40, seed=0, apart=2.0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1, n), rng.normal(apart, 1, m)


@pytest.fixture(scope="module")
def fitted():
    return fit_calibrator(*scores())


def of_kind(kind):
    real, fake = scores()
    weights = np.ones(len(real)), np.ones(len(fake))
    model, lower, upper = _bounded(KINDS[kind], (real, fake), weights)
    made = fit_calibrator(real, fake)
    return replace(made, kind=kind, model=model, lower=lower, upper=upper)


def test_bounds_beyond_what_the_reference_images_support_are_refused(fitted):
    for change in ({"upper": fitted.upper + 1e-3}, {"lower": fitted.lower - 1e-3}):
        with pytest.raises(ValueError, match="its calibrator states log10 LRs from .* support"):
            read_calibrator(*replace(fitted, **change).as_record())
    narrow = replace(fitted, upper=fitted.upper / 2, offset=3.0)
    assert read_calibrator(*narrow.as_record()).upper == fitted.upper / 2


def test_more_kernels_than_are_ever_fitted_are_refused(monkeypatch):
    made = of_kind("kernel density")
    few = KINDS["kernel density"]._replace(most=len(made.real_scores))
    monkeypatch.setitem(KINDS, "kernel density", few)
    with pytest.raises(ValueError, match="too many reference images for kernel density"):
        read_calibrator(*made.as_record())


def test_the_kind_of_least_cost_is_taken(fitted):
    assert set(fitted.costs) == set(KINDS)
    assert fitted.kind == min(fitted.costs, key=fitted.costs.get)
    assert fitted.costs[fitted.kind] < 0.8


def test_the_cost_of_a_kind_is_that_of_folds_that_did_not_fit_it(fitted):
    real, fake = scores()
    names = np.arange(len(real)), np.arange(len(fake)) + 1000
    found = [np.empty(len(real)), np.empty(len(fake))]
    for of_real, of_fake in _folds(names, 0):
        rest = real[~of_real], fake[~of_fake]
        model = KINDS["isotonic"].fit(*rest, (np.ones(len(rest[0])), np.ones(len(rest[1]))))
        bounds = lr.elub_bounds(*(KINDS["isotonic"].log10_lr(model, s) for s in rest))
        for out, s, fold in zip(found, (real, fake), (of_real, of_fake), strict=True):
            out[fold] = np.clip(KINDS["isotonic"].log10_lr(model, s[fold]), *bounds)
    expected = fit_calibrator(real, fake, groups=names).costs["isotonic"]
    assert_allclose(lr.cllr(*found), expected, rtol=1e-12)


def test_true_ratios_are_found():
    # Of two normals with one spread and means 0 and 2: ln LR = 2 (s - 1).
    found = fit_calibrator(*scores(3000, 3000))
    at = np.array([0.0, 1.0, 2.0])
    assert_allclose(found.log10_lr(at), 2 * (at - 1) / np.log(10), atol=0.1)
    assert "kernel density" not in found.costs  # of so many it is not tried


def test_no_ratio_exceeds_what_the_reference_images_support(fitted):
    far = fitted.log10_lr([-1e9, 1e9, np.nan])
    assert_array_equal(far[:2], [fitted.lower, fitted.upper])
    assert np.isnan(far[2])
    assert -np.log10(41) <= fitted.lower < 0 < fitted.upper <= np.log10(61)


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibrator_is_plain_numbers(kind):
    made = of_kind(kind)
    again = read_calibrator(*made.as_record())
    at = np.linspace(-5, 5, 50)
    assert_array_equal(again.log10_lr(at), made.log10_lr(at))
    assert again.costs == made.costs and again.kind == kind
    assert_array_equal(again.fake_scores, made.fake_scores)


@pytest.mark.parametrize("kind", KINDS)
def test_an_offset_is_subtracted_from_scores(kind):
    made = of_kind(kind)
    moved = read_calibrator(*replace(made, offset=1.5).as_record())
    at = np.linspace(-2, 4, 20)
    assert_array_equal(moved.log10_lr(at), made.log10_lr(at - 1.5))


@pytest.mark.parametrize("kind", KINDS)
def test_ratios_rise_with_scores_that_part_the_classes(kind):
    real, fake = scores(apart=20)
    made = KINDS[kind].fit(real, fake, (np.ones(len(real)), np.ones(len(fake))))
    with np.errstate(invalid="ignore"):
        found = np.clip(KINDS[kind].log10_lr(made, np.linspace(-1e3, 1e3, 400)), -50, 50)
    # Also far outside of what was seen, where the wider of two normals would win.
    assert (np.diff(found) >= -1e-9).all() and found[0] < -1 and found[-1] > 1


def test_densities_are_those_of_the_nearest_score_beyond_all():
    made = of_kind("kernel density")
    most = max(made.real_scores.max(), made.fake_scores.max())
    raw = KINDS["kernel density"].log10_lr(made.model, np.array([most, most + 5]))
    assert raw[0] == raw[1]


def test_crops_of_a_photograph_count_as_one(fitted):
    real, fake = scores()
    groups = np.repeat(np.arange(len(real)), 3), np.arange(len(fake)) + 1000
    crops = fit_calibrator(np.repeat(real, 3), fake, groups=groups)
    assert_allclose(sum(crops.real_weights), 60)
    assert_allclose([crops.lower, crops.upper], [fitted.lower, fitted.upper], atol=0.02)
    for kind in ("kernel density", "isotonic"):
        one = KINDS[kind].fit(real, fake, fitted.weights)
        many = KINDS[kind].fit(np.repeat(real, 3), fake, crops.weights)
        at = np.linspace(-1, 3, 9)
        with np.errstate(divide="ignore"):
            assert_allclose(*(KINDS[kind].log10_lr(model, at) for model in (one, many)))
    # In folds too: the same folds, fitted and judged with a vote for each group.
    uneven = np.repeat(real, 1 + np.arange(len(real)) % 3)
    of = np.repeat(np.arange(len(real)), 1 + np.arange(len(real)) % 3)
    alone = fit_calibrator(real, fake, groups=(np.arange(len(real)), groups[1]))
    assert_allclose(
        fit_calibrator(uneven, fake, groups=(of, groups[1])).costs["isotonic"],
        alone.costs["isotonic"],
        rtol=1e-12,
    )
    with pytest.raises(ValueError, match="9 groups of photographs are too few"):
        check_reference(real, fake, (np.arange(60) % 9, np.arange(40)))


def test_a_group_lies_in_one_fold():
    real, fake = np.arange(30) // 3, np.arange(24) // 2 + 5  # some groups have both classes
    seen = {}
    for fold, masks in enumerate(_folds((real, fake), 0)):
        for names, mask in zip((real, fake), masks, strict=True):
            assert mask.any() and not mask.all()
            for name in names[mask]:
                assert seen.setdefault(name, fold) == fold


def test_equal_seeds_give_equal_calibrators(fitted):
    assert fit_calibrator(*scores()).costs == fitted.costs
    assert fit_calibrator(*scores(), seed=1).costs != fitted.costs


def test_a_class_without_spread_has_no_densities():
    found = fit_calibrator(np.zeros(20), np.linspace(1, 2, 20))
    assert "kernel density" not in found.costs
    assert found.log10_lr([0.0])[0] < 0 < found.log10_lr([1.5])[0]


@pytest.mark.parametrize(
    "real, fake, message",
    [
        ([], np.ones(20), "no photographs among the reference images"),
        (np.ones(20), [], "no generated images among the reference images"),
        (np.arange(9.0), np.arange(20.0), f"9 photographs are too few .* at least {FEWEST}"),
        (np.arange(20.0), np.arange(9.0), "9 generated images are too few"),
        (np.full(20, 3.0), np.full(20, 3.0), "all reference images have the score 3"),
        (np.append(np.arange(20.0), np.nan), np.arange(20.0), "1 of 21 real scores are NaN"),
        (np.arange(20.0), np.append(np.arange(20.0), np.inf), "1 of 21 scores of generated images"),
    ],
)
def test_what_no_calibrator_can_be_fitted_to_is_one_line(real, fake, message):
    with pytest.raises(ValueError, match=message) as error:
        fit_calibrator(real, fake)
    assert "\n" not in str(error.value)


def spoilt(change, kind="isotonic"):
    facts, arrays = of_kind(kind).as_record()
    arrays = dict(arrays)
    change(facts, arrays)
    return facts, arrays


@pytest.mark.parametrize(
    "change, kind",
    [
        (lambda f, a: f.update(kind="magic"), "isotonic"),
        (lambda f, a: f.update(kind=["isotonic"]), "isotonic"),
        (lambda f, a: f.update(lower=1.0), "isotonic"),
        (lambda f, a: f.update(upper=float("nan")), "isotonic"),
        (lambda f, a: f.update(offset=None), "isotonic"),
        (lambda f, a: f.update(costs={"magic": 1.0}), "isotonic"),
        (lambda f, a: f.pop("seed"), "isotonic"),
        (lambda f, a: a.pop("real_scores"), "isotonic"),
        (lambda f, a: a.update(more=np.zeros(1)), "isotonic"),
        (lambda f, a: a.update(real_scores=a["real_scores"][:-1]), "isotonic"),
        (lambda f, a: a.update(real_weights=0 * a["real_weights"]), "isotonic"),
        (lambda f, a: a.update(fake_scores=np.float32(a["fake_scores"])), "isotonic"),
        (lambda f, a: a["model/scores"].__setitem__(0, np.nan), "isotonic"),
        (lambda f, a: a.update({"model/scores": a["model/scores"][::-1]}), "isotonic"),
        (lambda f, a: a.update({"model/probability": a["model/probability"] + 1}), "isotonic"),
        (lambda f, a: a.update({"model/slope": np.zeros(2)}), "logistic"),
        (lambda f, a: a.update({"model/real_width": np.zeros(())}), "kernel density"),
        (lambda f, a: a.update({"model/fake_share": np.zeros(3)}), "kernel density"),
    ],
)
def test_records_that_are_no_calibrator_are_one_line(change, kind):
    with pytest.raises(ValueError, match="its? .*calibrator") as error:
        read_calibrator(*spoilt(change, kind))
    assert "\n" not in str(error.value)
