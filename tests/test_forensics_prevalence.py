"""The corrected share: closed forms, limits, coverage; and words where rates say nothing."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from gan_forensics.forensics.calibration import Calibration, Outcomes, Tier, measured_rate
from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.forensics.prevalence import (
    ALL,
    Kind,
    corrected_share,
    kinds_of,
    percent,
    shares,
    shares_of,
    why_none,
)
from gan_forensics.forensics.score_files import ScoredImage, ScoredImages
from gan_forensics.forensics.verdicts import Basis
from gan_forensics.report.shares import in_words, share_lines, shares_section
from tests.markdown import ROOT

SIZE = "up to 256 pixels"


def rate(events, n):
    return measured_rate(np.arange(n) < events)


def test_the_share_is_rogan_and_gladens():
    found = corrected_share(2092, 100_000, rate(4, 1000), rate(850, 1000))
    assert found.share == pytest.approx((0.02092 - 0.004) / (0.85 - 0.004), abs=1e-12)
    # A mixture by construction.
    assert corrected_share(
        3 * 80 + 7 * 10, 1000, rate(10, 100), rate(80, 100)
    ).share == pytest.approx(0.3)
    for share, called in ((0.0, 3), (1.0, 99)):
        assert corrected_share(called, 100, rate(5, 100), rate(90, 100)).share == share


@pytest.mark.parametrize(("called", "images"), [(0, 50), (7, 50), (300, 1000), (1000, 1000)])
def test_with_known_rates_the_interval_is_clopper_and_pearsons_put_through_the_equation(
    called, images
):
    f, t, many = 0.01, 0.9, 10**8
    found = corrected_share(called, images, rate_of(f, many), rate_of(t, many))
    exact = rate_interval(called, images)
    wanted = np.clip([(end - f) / (t - f) for end in (exact.low, exact.high)], 0, 1)
    np.testing.assert_allclose(found[1:], wanted, rtol=0, atol=0.003)
    assert found.low <= found.share <= found.high


def rate_of(share, n):
    """A rate of so many images without a list of them."""
    return replace(rate(0, 1), events=round(share * n), n=n, rate=share)


def test_of_any_number_of_images_the_rates_uncertainty_remains():
    rates = rate(0, 20), rate(18, 20)
    widths = [found.high - found.low for found in
              (corrected_share(n // 10, n, *rates) for n in (100, 10**4, 10**8))]  # fmt: skip
    assert widths[0] > widths[1] > 0.9 * widths[2] > 0.05
    # 1e8 images and no false alarm among 20: up to about 14 % of photographs may be called so.
    assert corrected_share(0, 10**8, *rates).high < 1e-7
    assert corrected_share(10**7, 10**8, *rates).low == 0


def test_a_group_counts_as_one_image():
    happened = np.arange(400) < 8
    single = measured_rate(happened)
    grouped = measured_rate(happened, np.arange(400) // 4)
    assert (grouped.rate, grouped.groups) == (single.rate, 100)
    few = corrected_share(500, 5000, grouped, rate(90, 100))
    many = corrected_share(500, 5000, single, rate(90, 100))
    assert few.share == many.share and few.high - few.low > many.high - many.low
    alone = replace(grouped, n=100, events=2, groups=None)
    assert corrected_share(500, 5000, alone, rate(90, 100)) == few


def test_counts_that_cannot_be_and_rates_that_say_nothing_are_refused():
    with pytest.raises(ValueError, match="3 of 2 images cannot be called generated"):
        corrected_share(3, 2, rate(1, 10), rate(9, 10))
    with pytest.raises(ValueError, match="as often as generated images .50.0% .5 of 10"):
        corrected_share(1, 2, rate(5, 10), rate(5, 10))


def coverage(n, m, k, f, t, share, repeats):
    """How often the interval holds the share, by simulation."""
    rng = np.random.default_rng(0)
    held = tried = 0
    for _ in range(repeats):
        called = rng.binomial(n, share * t + (1 - share) * f)
        alarms, hits = rate(rng.binomial(m, f), m), rate(rng.binomial(k, t), k)
        if hits.rate > alarms.rate:
            tried += 1
            found = corrected_share(int(called), n, alarms, hits)
            held += found.low - 1e-12 <= share <= found.high + 1e-12
    return held, tried


def test_the_interval_holds_the_share_as_often_as_it_says():
    held, tried = coverage(1000, 50, 50, 0.04, 0.8, 0.1, repeats=30)
    assert rate_interval(held, tried).high >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("share", [0, 0.001, 0.02, 0.3, 0.98])
@pytest.mark.parametrize(("f", "t"), [(0.004, 0.9), (0.05, 0.6), (0.05, 0.99)])
def test_the_interval_holds_the_share_for_few_and_many_images(f, t, share):
    for n in (100, 10**4, 10**8):
        for m, k in ((20, 20), (50, 50), (500, 100)):
            held, tried = coverage(n, m, k, f, t, share, repeats=100)
            # 90 of a hundred are seen one time in 35 where it holds in 95 % of all cases.
            assert held >= 0.9 * tried, (n, m, held)


# --- where it is stated, and where not ----------------------------------------------------------


def outcomes(among="", alarms=(4, 1000), unsure=(12, 1000), hits=(850, 1000), lost=(50, 1000)):
    return Outcomes(among, rate(*alarms), rate(*unsure), rate(*hits), rate(*lost))


def calibration(*cells, tier="clean", **fields):
    tiers = (Tier(tier, 50, 50, outcomes=cells, **fields),)
    return Calibration(9, 9, 9, None, 0.01, 0, (), tiers)


def kinds(generated, unsure, photograph, tier="clean", container="PNG", outside=False):
    counts = {"generated": generated, "unsure": unsure, "photograph": photograph}
    return {Kind(tier, container, SIZE, outside, name): n for name, n in counts.items()}


def test_the_raw_count_the_expected_false_alarms_and_the_share_stand_beside_each_other():
    some = kinds(412, 1200, 98388)
    every, png, size = shares(some, calibration(outcomes(), outcomes("PNG", hits=(900, 1000))))
    assert (every.name, png.name, size.name) == (ALL, "PNG", SIZE)
    assert (every.images, every.generated, every.unsure) == (100_000, 412, 1200)
    assert every.expected[0] == pytest.approx(400) and every.why == ""
    assert every.expected[1] < 400 < every.expected[2]
    assert every.corrected == corrected_share(412, 100_000, rate(4, 1000), rate(850, 1000))
    assert png.corrected.share < every.corrected.share
    assert size.corrected is None and "up to 256 pixels" in size.why
    assert in_words(every) == (
        "all: 412 of 100,000 called generated, 1,200 unsure; 400 (109 to 1,021) false alarms are "
        "expected if all are photographs, at the detector's 0.4 % (0.11 % to 1 %); corrected share "
        "0.014 % (95 % interval 0 % to 0.36 %)"
    )
    assert [line.split(":")[0] for line in share_lines([every, png, size])] == [ALL, "PNG", SIZE]
    assert len(share_lines([every, every._replace(name="PNG")])) == 1
    untold = every._replace(corrected=None, why="no rates")
    lines = share_lines([untold, untold._replace(name="PNG", images=9, generated=1)])
    assert "no rates" in lines[0] and lines[1].startswith("PNG: 1 of 9 called generated")
    assert "no rates" not in lines[1]


def test_the_example_of_the_documentation_is_computed():
    page = " ".join((ROOT / "docs/scoring.md").read_text(encoding="utf-8").split())
    some = kinds(412_000, 1_300_000, 10**8 - 1_712_000)
    assert in_words(shares(some, calibration(outcomes()))[0]) in page
    for called, n, said in (
        (412_000, 10_000, "ends at {high}"),
        (2_092_000, 1000, "{share} ({low} to {high})"),
    ):
        found = corrected_share(called, 10**8, rate(4 * n // 1000, n), rate(850 * n // 1000, n))
        assert said.format(**{k: percent(v) for k, v in found._asdict().items()}) in page


def test_tiers_have_rates_of_their_own_and_add_up():
    both = calibration(outcomes())
    web = Tier("web", 9, 9, outcomes=(outcomes(alarms=(30, 500), hits=(300, 500)),))
    both = replace(both, tiers=(*both.tiers, web))
    some = kinds(50, 10, 940) | kinds(300, 20, 1680, tier="web")
    found = shares(some, both)[0]
    clean = corrected_share(50, 1000, rate(4, 1000), rate(850, 1000))
    carried = corrected_share(300, 2000, rate(30, 500), rate(300, 500))
    np.testing.assert_allclose(
        found.corrected, (np.array(clean) + 2 * np.array(carried)) / 3, rtol=1e-12
    )
    assert found.expected[0] == pytest.approx(4 + 120)


@pytest.mark.parametrize(
    ("some", "known", "why"),
    [
        (kinds(4, 0, 10), calibration(outcomes()), "fewer than 20 images"),
        (kinds(4, 0, 99, tier="web"), calibration(outcomes()), "103 of tier web: no rates .they w"),
        (kinds(4, 0, 99), calibration(unfit="smaller than it takes"), "rates .smaller than it ta"),
        (kinds(4, 0, 99), None, "not measured in this tier"),
        (
            kinds(4, 0, 99), calibration(outcomes(alarms=(0, 19), unsure=(0, 19))),
            "rest on 19 photographs and 1000 generated images, fewer than 20",
        ),
        (
            kinds(40, 0, 960), calibration(outcomes(alarms=(5, 40), hits=(12, 40))),
            "generated images are not told from photographs: called generated are 17 % to 47 % of",
        ),
        (
            kinds(10, 500, 490), calibration(outcomes()),
            "50 % are unsure, more than a mixture .*0.62 % to 2.1 % of photographs, 3.7 % to 6.5 %",
        ),
        (kinds(100, 0, 9900), calibration(outcomes()), "0 % are unsure, less than a mixture"),
        (kinds(960, 30, 10), calibration(outcomes()), "96 % are called generated, more than"),
        (kinds(1, 120, 9879), calibration(outcomes()), "0.01 % are called generated, less than"),
        (kinds(50, 0, 50, outside=True), calibration(outcomes()), "100 are unlike the files that"),
    ],
)  # fmt: skip
def test_rates_that_do_not_support_a_share_are_words_instead_of_a_number(some, known, why):
    found = shares(some, known)[0]
    assert found.corrected is None and found.expected is None and found.covered == 0
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(found.why)
    assert in_words(found).endswith(f"no corrected share: {found.why}")


def test_what_is_not_covered_is_said_beside_the_share_of_the_rest():
    some = kinds(50, 10, 940) | kinds(9, 9, 9, outside=True) | kinds(1, 2, 30, tier="hard")
    found = shares(some, calibration(outcomes()))[0]
    assert (found.images, found.covered, found.called) == (1060, 1000, 50)
    assert found.corrected == corrected_share(50, 1000, rate(4, 1000), rate(850, 1000))
    assert "27 are unlike the files" in found.why and "33 of tier hard: no rates" in found.why
    line = in_words(found)
    assert "of 1,000 that there are rates of, 50" in line and "not covered: 27 are" in line
    (_, table) = shares_section([found]).blocks
    assert table.rows[0][-2].startswith("5.4 % (95 % interval 3.7 %") and len(table.columns) == 8


def test_the_kinds_of_scored_images_leave_out_what_has_no_score():
    image = ScoredImage(
        "a", "", 1.0, tier="clean", container="PNG", outside="x", height=9, width=300
    )
    some = [image, image, replace(image, height=None), ScoredImage("b", "", error="b: broken")]
    scored = ScoredImages({"name": "d"}, None, {}, Basis(0.5, {}), some).judged()
    names = "257 to 512 pixels", "of unknown size"
    wanted = {
        Kind("clean", "PNG", name, True, "unsure"): n for name, n in zip(names, (2, 1), strict=True)
    }
    assert kinds_of(scored) == Counter(wanted)
    assert shares_of(scored)[0].why.startswith("the detector's file keeps no rates of its verdicts")


def test_rates_of_other_verdicts_are_not_used():
    known = calibration(outcomes())
    assert why_none(known, {}, None, carriers=False) == ""
    assert "thresholds for 2 % false" in why_none(known, {}, 0.02, carriers=False)
    assert "without --carriers" in why_none(known, {}, None, carriers=True)
    bare = replace(known, tiers=(Tier("clean", 1, 1),))
    assert "fit it again" in why_none(bare, {}, None, carriers=False)
    assert "when it was recalibrated" in why_none(bare, {"recalibrated": [1]}, None, carriers=False)
    found = shares(kinds(4, 0, 96), known, why="no rates")
    assert {one.why for one in found} == {"no rates"} and found[0].generated == 4


def test_shares_in_per_cent_keep_two_digits():
    told = [percent(x) for x in (0, 1e-12, 1.234e-7, 0.0004, 0.014567, 0.0956, 0.5, 0.999, 1)]
    assert told == [
        "0 %", "0 %", "0.000012 %", "0.04 %", "1.5 %", "9.6 %", "50 %", "99.9 %", "100 %",
    ]  # fmt: skip
