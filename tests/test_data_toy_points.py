"""Toy worlds, and points of one's own, as sources."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats

from gan_forensics.data import account, open_source
from gan_forensics.data.sources import ArraySource, rows_of_split
from gan_forensics.data.toy_points import WORLDS, world_of

GAUSSIANS = {"toy:grid9": 9, "toy:grid25": 25, "toy:plus": 13, "toy:sine": 12}


def points(name, **options):
    source = open_source(name, **options)
    assert isinstance(source, ArraySource)
    return source.arrays


@pytest.mark.parametrize(("name", "modes"), GAUSSIANS.items())
def test_points_lie_around_the_centres_that_are_published(name, modes):
    world = WORLDS[name]
    assert world.centres is not None and world.centres.shape == (modes, 2)
    found = points(name)
    assert found["point"].dtype == np.float32 and found["label"].dtype == np.int32
    assert len(found["point"]) == (4000 if modes in (12, 13) else 2000) * modes
    assert_array_equal(np.bincount(found["label"]), [len(found["label"]) / modes] * modes)
    offset = (found["point"] - world.centres[found["label"]]) / 0.05
    assert_allclose(offset.mean(0), 0, rtol=0, atol=5 / len(offset) ** 0.5)
    assert_allclose(offset.std(0), 1, rtol=0, atol=5 / len(offset) ** 0.5)


def test_centres_by_hand():
    def rows(name):
        centres = WORLDS[name].centres
        assert centres is not None
        return {tuple(np.round(c, 4)) for c in centres}

    assert rows("toy:grid9") == {(x, y) for x in (-2, 0, 2) for y in (-2, 0, 2)}
    assert rows("toy:grid25") == {(x, y) for x in range(-4, 5, 2) for y in range(-4, 5, 2)}
    assert rows("toy:plus") == {(x, y) for x in range(-3, 4) for y in range(-3, 4) if not x * y}
    half, long = 0.5, 0.866
    left = {(-1 + x, y) for x, y in ((-long, half), (-half, long), (0, 1), (half, long))}
    right = {(1 - x, -y) for x, y in ((-long, half), (-half, long), (0, 1), (half, long))}
    ends = {(-1 + long, half), (0, 0), (2, 0), (1 - long, -half)}
    assert rows("toy:sine") == {(round(x, 4), y) for x, y in left | right | ends}


def test_scale_is_a_constant_above_the_largest_coordinate():
    expected = {"grid9": 2.18, "grid25": 4.18, "plus": 3.18, "sine": 2.18}
    for name, scale in expected.items():
        assert WORLDS[f"toy:{name}"].scale == pytest.approx(scale, rel=1e-12)
    assert WORLDS["toy:line"].scale is None


def test_the_line_is_normal_around_four_and_has_no_labels():
    found = points("toy:line")
    assert list(found) == ["point"] and found["point"].shape == (10_000, 1)
    assert stats.kstest(found["point"][:, 0], stats.norm(4, 1).cdf).pvalue > 0.01


@pytest.mark.parametrize("name", WORLDS)
def test_a_longer_draw_begins_with_the_shorter_one(name):
    short, long = points(f"{name}?n=40"), points(f"{name}?n=100")
    for key in short:
        assert_array_equal(long[key][:40], short[key])
    assert not (points(f"{name}?n=40&seed=1")["point"] == short["point"]).any()


def test_modes_share_the_points_equally_in_random_order():
    label = points("toy:grid9?n=95")["label"]
    counts = np.bincount(label)
    assert counts.min() == 10 and counts.max() == 11
    turns = label[:90].reshape(10, 9)
    assert len(np.unique(turns, axis=0)) == 10


def test_splits_are_those_of_every_source():
    every = points("toy:plus?n=200")["point"]
    for split in ("train", "test"):
        found = points("toy:plus?n=200", split=split)["point"]
        assert_array_equal(found, every[rows_of_split(range(200), split)])
    source = open_source("toy:plus?n=200", split="train")
    assert account.taken(source).startswith(f"{len(source)} of 200 points train")
    assert account.facts(source)["points"] == len(source)


def test_a_world_is_known_by_its_name():
    assert world_of("toy:sine?n=3") is WORLDS["toy:sine"]
    assert world_of("toy:powerlaw") is world_of("npz:toy:sine") is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("toy:grid9?n=0", "n must be at least 1"),
        ("toy:line?seed=-1", "seed at least 0"),
        ("toy:line?n=many", "of type int"),
        ("toy:line?sigma=1", "it may be n, seed"),
    ],
)
def test_faulty_options_are_one_line(name, says):
    with pytest.raises(ValueError, match=says) as caught:
        open_source(name)
    assert "\n" not in str(caught.value)


def test_points_have_no_size():
    with pytest.raises(ValueError, match="size=8: size and crop are for images"):
        open_source("toy:grid9", size=8)


# --- points of one's own ------------------------------------------------------------------------


def test_points_of_an_archive_are_a_source(tmp_path, rng):
    path = tmp_path / "a.npz"
    own = rng.normal(size=(40, 3))
    np.savez(path, point=own, label=np.arange(40) % 4)
    found = points(f"npz:{path}", split="test")
    rows = rows_of_split(range(40), "test")
    assert found["point"].dtype == np.float32
    assert_array_equal(found["point"], own[rows].astype(np.float32))
    assert_array_equal(found["label"], rows % 4)


@pytest.mark.parametrize(
    ("point", "says"),
    [
        (np.array([[0.0, 1], [np.nan, 0], [0, np.inf], [1, 1]]), "2 of 4 points are not finite"),
        (np.array([[1e300, 0]]), "1 of 1 points are not finite"),
        (np.zeros(5), r"\[n, d\]"),
        (np.zeros((0, 2)), r"\[n, d\]"),
        (np.array([["a", "b"]]), r"must be numbers"),
        (np.zeros((2, 2), complex), r"must be numbers"),
        (np.array([[{}]], dtype=object), "point holds object values"),
    ],
)
def test_unfit_points_are_refused_by_file(tmp_path, point, says):
    np.savez(tmp_path / "a.npz", point=point)
    with pytest.raises(ValueError, match=says) as caught:
        open_source(f"npz:{tmp_path / 'a.npz'}")
    assert "a.npz" in str(caught.value)


def test_points_beside_images_and_labels_of_another_number_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", point=np.zeros((2, 2)), x=np.zeros((2, 4, 4), np.uint8))
    with pytest.raises(ValueError, match="points and, under x, images"):
        open_source(f"npz:{tmp_path / 'a.npz'}")
    np.savez(tmp_path / "a.npz", point=np.zeros((2, 2)), y=np.zeros(3, int))
    with pytest.raises(ValueError, match="the 2 examples need 2 integers"):
        open_source(f"npz:{tmp_path / 'a.npz'}")
