"""How often each verdict falls on held-out images: of all, by container and by size."""

import numpy as np
import pytest
from PIL import Image

from gan_forensics.data import ArraySource, FileSource, Rows
from gan_forensics.data.sources import Rgb
from gan_forensics.forensics import fit_detector
from gan_forensics.forensics.format_audit import SIZES, size_class
from gan_forensics.forensics.measure import Scored
from gan_forensics.forensics.outcomes import FileKind, file_kinds, outcomes_of
from gan_forensics.forensics.partition import own_groups, parted
from gan_forensics.forensics.prevalence import FEWEST, NO_SIZE
from gan_forensics.forensics.verdicts import Basis
from tests.made_detectors import made_detector


def test_size_classes_go_by_the_longer_side():
    sides = (1, 256, 257, 512, 513, 4096, 4097, 8192, 8193, 10**6)
    found = [size_class(side, 1) for side in sides]
    assert found == [SIZES[i] for i in (0, 0, 1, 1, 2, 4, 5, 5, 6, 6)]
    assert found == [size_class(1, side) for side in sides]
    assert NO_SIZE not in SIZES
    # Photographs of 1, 12 and 48 megapixels are of three classes.
    assert len({size_class(*sides) for sides in ((864, 1152), (3024, 4032), (6048, 8064))}) == 3


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Four files of one class: two PNGs and two JPEGs, one of each of 300 pixels."""
    folder = tmp_path_factory.mktemp("files")
    paths = [folder / name for name in ("a.png", "b.png", "c.jpg", "d.jpg")]
    for path, width in zip(paths, (20, 300, 20, 1000), strict=True):
        Image.new("RGB", (width, 8)).save(path)
    return FileSource(paths)


def test_files_are_known_by_container_and_size_also_the_way_of_a_tier(files):
    small, middle, large = SIZES[0], SIZES[1], SIZES[2]
    containers = "PNG", "PNG", "JPEG", "JPEG"
    sizes = small, middle, small, large
    kinds = [FileKind(*kind) for kind in zip(containers, sizes, strict=True)]
    assert file_kinds(files, "clean") == kinds
    assert file_kinds(Rows(Rgb(files), [3, 0]), "clean") == [kinds[3], kinds[0]]
    assert [kind.size for kind in file_kinds(files, "web")] == [small, middle, small, large]
    hard = file_kinds(files, "hard")
    assert [kind.size for kind in hard] == [small, middle, small, middle]
    assert {kind.container for kind in hard} == {"JPEG"}
    assert file_kinds(ArraySource(image=np.zeros((2, 8, 8, 3), np.uint8)), "clean") is None


def test_each_container_and_size_of_both_classes_has_rates_of_its_own(files):
    # The second photograph has no score; the generated images are two JPEGs.
    scores = np.array([0.0, np.nan, 2.0, 0.0]), np.array([2.0, 0.0])
    scored = Scored.known("none", scores, None, (np.arange(4), np.arange(2)))
    sources = files, Rows(files, [2, 3])
    found = outcomes_of(scored, Basis(1.0, {}), "clean", sources)
    told = {one.among: (one.false_alarms, one.detected) for one in found}
    counts = {name: [(rate.events, rate.n) for rate in both] for name, both in told.items()}
    assert counts == {
        "": [(1, 3), (1, 2)], "JPEG": [(1, 2), (1, 2)], SIZES[0]: [(1, 2), (1, 1)],
        SIZES[2]: [(0, 1), (0, 1)],
    }  # fmt: skip
    assert all(one.real_unsure.events == one.fake_unsure.events == 0 for one in found)
    # Groups stay with their images.
    groups = np.array([7, 7, 7, 8]), np.array([1, 2])
    grouped = Scored.known("none", scores, groups, (np.arange(4), np.arange(2)))
    found = outcomes_of(grouped, Basis(1.0, {}), "clean", sources)
    (jpeg,) = (one for one in found if one.among == "JPEG")
    assert (jpeg.false_alarms.groups, jpeg.false_alarms.rate) == (2, 0.5)


def test_all_three_verdicts_count_as_a_detector_gives_them():
    detector = made_detector()
    basis = Basis(detector.threshold, detector.calibrators)
    rng = np.random.default_rng(1)
    scores = rng.normal(0, 1, 300), rng.normal(3, 1, 200)
    source = ArraySource(image=np.zeros((1, 8, 8, 3), np.uint8))
    (found,) = outcomes_of(Scored.known("web", scores, None), basis, "web", (source, source))
    for of, called, unsure in (
        (scores[0], found.false_alarms, found.real_unsure),
        (scores[1], found.detected, found.fake_unsure),
    ):
        said = [basis.judge(score, "web").verdict for score in of]
        assert called.events == said.count("generated") and called.n == len(of)
        assert unsure.events == said.count("unsure") > 0


def test_a_fit_keeps_them_for_every_tier_of_the_images_that_it_measures_on():
    rng = np.random.default_rng(0)
    real, fake = (
        rng.integers(0, top, (n, 8, 8, 3), np.uint8) for top, n in ((200, 100), (240, 110))
    )
    made = fit_detector(real, fake, features="pixels", classifier="logistic")
    shares = {"calibrate": 0.2, "measure": 0.2, "reference": 0.2}
    rows = parted(*own_groups(100, 110), shares=shares,
                  fake_shares={"measure": 0.2, "reference": 0.2}, seed=0)  # fmt: skip
    basis = Basis(made.threshold, made.calibrators)
    for tier in made.calibration.tiers:
        (found,) = tier.outcomes
        assert (found.among, found.false_alarms.n, found.detected.n) == ("", 20, 22)
        assert found.detected.n >= FEWEST
    clean = made.calibration.tiers[0].outcomes[0]
    said = [basis.judge(s, "clean").verdict for s in made.score(fake[rows[1]["measure"]])]
    assert clean.detected.events == said.count("generated")
    assert clean.fake_unsure.events == said.count("unsure")
