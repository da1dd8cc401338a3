"""Arms seed by seed: stored, joined, compared in pairs."""

import numpy as np
import pytest
from scipy import stats

from gan_forensics.studies.arms import joined, said_difference, said_settled, stored_seeds


def followed(seed, points, *, stopped=None, samples=2000):
    return {
        "world": "toy:grid9",
        "seeds": [seed],
        "steps": [0, 2],
        "samples": samples,
        "measures": {"points": [points]},
        "kept": {"2": [[float(seed), 0.0]]},
        "stopped": {str(seed): stopped} if stopped else {},
    }


def arm(*ends):
    return joined([followed(seed, [0, end]) for seed, end in enumerate(ends)])


def test_seeds_are_joined_in_order_and_what_is_kept_is_of_the_first():
    whole = joined([followed(0, [0, 5]), followed(3, [1, None], stopped="why")])
    assert whole == {
        **followed(0, [0, 5]),
        "seeds": [0, 3],
        "measures": {"points": [[0, 5], [1, None]]},
        "stopped": {"3": "why"},
    }
    with pytest.raises(ValueError, match="followed twice"):
        joined([followed(0, [0, 5]), followed(0, [0, 5])])
    with pytest.raises(ValueError, match="cannot be joined"):
        joined([followed(0, [0, 5]), followed(1, [0, 5], samples=7)])


def test_a_seed_is_followed_once_and_a_new_one_added(tmp_path):
    done = []

    def follow(seed):
        done.append(seed)
        return followed(seed, [0, seed])

    ask = {"steps": 2}
    first, _ = stored_seeds(tmp_path, "NE, in G's move", ask, (0, 1), follow)
    assert first["measures"] == {"points": [[0, 0], [0, 1]]}
    more, seconds = stored_seeds(tmp_path, "NE, in G's move", ask, (0, 1, 2), follow)
    assert done == [0, 1, 2] and more["seeds"] == [0, 1, 2] and seconds >= 0
    assert sorted(path.name for path in tmp_path.iterdir())[0] == "ne--in-g-s-move-seed0.json"
    stored_seeds(tmp_path, "NE, in G's move", {"steps": 3}, (1,), follow)
    assert done == [0, 1, 2, 1]


def test_what_pairs_of_seeds_allow_is_said():
    base, better, worse = arm(10, 20, 30), arm(15, 26, 34), arm(40, 0, 30)
    said = said_difference({"a": base, "b": better}, "b", "a", "points")
    gains = [5, 6, 4]
    reach = stats.t.ppf(0.975, 2) * np.std(gains, ddof=1) / 3**0.5
    assert said.startswith(
        f"b less a, registered points: +5 (95 % of the mean {5 - reach:+.0f} to {5 + reach:+.0f}, "
        "3 seeds). The interval leaves 0 out"
    )
    said = said_difference({"a": base, "b": worse}, "b", "a", "points")
    assert "The interval holds 0: neither direction is shown" in said
    assert said_difference({"a": arm(1), "b": arm(2)}, "b", "a", "points") == (
        "b less a, registered points: +1 (1 seed): no interval, nothing is shown."
    )
    arms = {"a": base, "b": better, "c": worse}
    assert said_settled(arms, [("b", "a"), ("c", "a")], "points") == (
        "registered points, settled by 3 seeds in 1 of 2 pairs: b less a +5."
    )
    lost = joined([followed(0, [0, None])])
    assert said_difference({"a": lost, "b": arm(2)}, "b", "a", "points").endswith("is left.")
