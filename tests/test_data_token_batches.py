"""Batches by tokens: every pair once an epoch, few shapes, padding, resuming."""

import numpy as np
import pytest

from gan_forensics.data.token_batches import TokenBatches, bucket
from gan_forensics.data.vocabulary import END, PAD


def _pairs(count=203, longest=60, seed=0):
    rng = np.random.default_rng(seed)
    source = [rng.integers(4, 99, rng.integers(1, longest)) for _ in range(count)]
    # The first token names the pair.
    target = [np.r_[4 + row, rng.integers(4, 99, rng.integers(1, longest))] for row in range(count)]
    return source, target


def test_buckets_are_few_and_hold_what_they_are_for():
    lengths = np.arange(1, 500)
    sizes = np.array([bucket(length) for length in lengths.tolist()])
    assert (sizes >= lengths).all() and [*np.unique(sizes)][:8] == [8, 12, 16, 24, 32, 48, 64, 96]
    assert all(bucket(size) == size for size in sizes)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        bucket(0)


def test_each_epoch_deals_every_pair_once_as_it_stands():
    source, target = _pairs()
    batches = TokenBatches(source, target, tokens=512, seed=1, longest=64)
    orders = []
    for _ in range(2):
        seen, filled_up = [], 0
        for batch in (next(batches) for _ in range(batches.batches_per_epoch)):
            size, length = batch["source"].shape
            assert (size, length) in batches.shapes and batch["target"].shape == (size, length)
            assert size % 8 == 0 and size * length <= 512 and batch["source"].dtype == np.int32
            blank = (batch["target"] == PAD).all(1)
            filled_up += blank.any()
            assert ((batch["source"] == PAD).all(1) == blank).all()
            for row in np.flatnonzero(~blank):
                number = batch["target"][row, 0] - 4
                for side, ids in (("source", source[number]), ("target", target[number])):
                    expected = np.r_[ids, END, np.full(length - len(ids) - 1, PAD)]
                    np.testing.assert_array_equal(batch[side][row], expected)
                seen.append(number)
        assert sorted(seen) == list(range(203)) and filled_up <= 1
        orders.append(seen)
    assert orders[0] != orders[1]


def test_a_position_is_taken_up_to_the_very_batch():
    source, target = _pairs()
    first = TokenBatches(source, target, tokens=512, seed=1, longest=64)
    for _ in range(first.batches_per_epoch + 3):
        next(first)
    second = TokenBatches(source, target, tokens=512, seed=1, longest=64)
    second.restore(first.state())
    for _ in range(first.batches_per_epoch):
        np.testing.assert_equal(next(first), next(second))
    other = TokenBatches(source, target, tokens=256, seed=1, longest=64)
    with pytest.raises(ValueError, match="tokens was 512, is 256"):
        other.restore(first.state())


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_batches_of_one_and_its_position(count):
    source, target = _pairs()
    how = {"tokens": 512, "seed": 1, "longest": 64}
    how["extra"] = {"top": [np.full((len(ids) + 1, 2), row) for row, ids in enumerate(target)]}
    whole = TokenBatches(source, target, **how)
    parts = [TokenBatches(source, target, shard=(index, count), **how) for index in range(count)]
    next(whole)
    for part in parts:
        part.restore(whole.state())
    for _ in range(whole.batches_per_epoch):  # among them the one that is filled up
        pieces = [next(part) for part in parts]
        joined = {key: np.concatenate([piece[key] for piece in pieces]) for key in pieces[0]}
        np.testing.assert_equal(next(whole), joined)
    with pytest.raises(ValueError, match=r"1, 2, 4 or 8 processes .* got \(0, 3\)"):
        TokenBatches(source, target, shard=(0, 3), **how)


def test_over_long_pairs_are_counted_and_leave_no_trace():
    source, target = _pairs()
    batches = TokenBatches(source, target, tokens=64, seed=0, longest=16)
    fits = [max(len(s), len(t)) + 1 <= 16 for s, t in zip(source, target, strict=True)]
    assert batches.left_out == 203 - sum(fits) > 0
    dealt = [next(batches) for _ in range(batches.batches_per_epoch)]
    assert sum((batch["target"][:, 0] != PAD).sum() for batch in dealt) == sum(fits)
    # A length that leaves room for fewer than 8 pairs has 8 nevertheless.
    assert (8, 16) in batches.shapes


def test_extra_arrays_follow_their_pair_and_end_in_zeros():
    source, target = _pairs(count=40)
    extra = [np.full((len(ids) + 1, 2), 4 + row, np.float32) for row, ids in enumerate(target)]
    batches = TokenBatches(source, target, tokens=512, seed=0, longest=64, extra={"top": extra})
    for batch in (next(batches) for _ in range(batches.batches_per_epoch)):
        assert (
            batch["top"].shape == (*batch["target"].shape, 2) and batch["top"].dtype == np.float32
        )
        expected = np.where(batch["target"] != PAD, batch["target"][:, :1], 0)
        np.testing.assert_array_equal(batch["top"], np.stack([expected] * 2, -1))


def test_lists_that_do_not_belong_together_are_refused():
    source, target = _pairs(count=9)
    with pytest.raises(ValueError, match="entry for each pair, got .*'source': 8, 'target': 9"):
        TokenBatches(source[1:], target, tokens=64, seed=0, longest=64)
    with pytest.raises(
        ValueError, match="no pair to deal: 9 given, 9 of them longer than longest=1"
    ):
        TokenBatches(source, target, tokens=64, seed=0, longest=1)
    top = [np.zeros((len(ids), 2)) for ids in target]
    with pytest.raises(ValueError, match="top: pair 0 has .* entries, its target and END"):
        TokenBatches(source, target, tokens=64, seed=0, longest=64, extra={"top": top})
    with pytest.raises(ValueError, match="at least 1, got 0 and 64"):
        TokenBatches(source, target, tokens=0, seed=0, longest=64)
