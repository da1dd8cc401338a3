import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.sharding import NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.gans.adaptive_augment import (
    NOTHING,
    AdaptiveProbability,
    Changes,
    adaptive_augment,
    drawn_changes,
    recoloured,
    warped,
)
from gan_forensics.runtime import data_mesh

N = 2000


@jax.jit
def augmented_and_drawn(images, key, p):
    """The images that come out, and the changes that were drawn for them."""
    return adaptive_augment(images, key, p), drawn_changes(key, images.shape, p)


def drawn(key, p):
    """Changes of N images of 8 x 8 pixels, by name."""
    changes = augmented_and_drawn(np.zeros((N, 8, 8, 3), np.float32), key, p)[1]
    return {name: np.asarray(value) for name, value in changes._asdict().items()}


def images_of(rng, *shape):
    return rng.uniform(-1, 1, shape).astype(np.float32)


def changes_of(n, **changes):
    """The same changes for each of n images, everything else being left alone."""
    return Changes(*(np.full(n, v, np.float32) for v in NOTHING._replace(**changes)))


@pytest.mark.parametrize("channels", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_images_without_a_change_are_returned_bit_by_bit(rng, getkey, channels):
    images, key = images_of(rng, N, 8, 8, channels), getkey()
    for other in (key, getkey()):
        assert_array_equal(augmented_and_drawn(images, other, 0.0)[0], images)

    some, changes = augmented_and_drawn(images, key, 0.06)
    seen = dict(zip(Changes._fields, zip(changes, NOTHING, strict=True), strict=True))
    if channels == 1:
        del seen["hue"], seen["saturation"]
    none = np.all([drawn == neutral for drawn, neutral in seen.values()], axis=0)
    assert_array_equal((np.asarray(some) == images).all((1, 2, 3)), none)
    assert 0.4 < none.mean() < 0.7

    whole = np.asarray(augmented_and_drawn(images, key, 1.0)[0])
    assert np.isfinite(whole).all() and (whole != images).any((1, 2, 3)).all()


def test_each_change_comes_with_its_probability(getkey):
    p = 0.3
    # A flip, turn or shift that is drawn may be none: up to 1 pixel of 8, rounded, is 0 or not.
    expected = dict.fromkeys(Changes._fields, p) | {
        "flip": p / 2,
        "turns": p * 3 / 4,
        "luma_flip": p / 2,
        "down": p / 2,
        "right": p / 2,
        "turn_before": 1 - (1 - p) ** 0.5,
        "turn_after": 1 - (1 - p) ** 0.5,
    }
    changed = {k: v != getattr(NOTHING, k) for k, v in drawn(getkey(), p).items()}
    rates = {k: v.mean() for k, v in changed.items()}
    assert_allclose(list(rates.values()), list(expected.values()), rtol=0, atol=0.035)
    assert_allclose((changed["turn_before"] | changed["turn_after"]).mean(), p, atol=0.035)
    assert_array_equal(changed["drift_down"], changed["drift_right"])
    assert_allclose((changed["down"] | changed["right"]).mean(), p * 3 / 4, atol=0.035)
    # What one change draws says nothing of another.
    table = np.corrcoef([v for k, v in changed.items() if k not in ("right", "drift_right")])
    assert np.abs(table - np.eye(13)).max() < 0.1


def test_strengths_are_the_published_ones(getkey):
    strengths = drawn(getkey(), 1.0)
    for name, deviation in {"scale": 0.2, "stretch": 0.2, "contrast": 0.5, "saturation": 1}.items():
        logs = np.log2(strengths[name])
        assert_allclose([logs.mean() / deviation, logs.std() / deviation], [0, 1], atol=0.08)
    for name, deviation in {"drift_down": 1, "drift_right": 1, "brightness": 0.2}.items():
        values = strengths[name] / deviation
        assert_allclose([values.mean(), values.std()], [0, 1], atol=0.08)
    for name in ("turn_before", "turn_after", "hue"):
        angles = strengths[name]
        assert_allclose(np.quantile(angles, [0, 0.5, 1]), [-np.pi, 0, np.pi], atol=0.2)
    for name in ("down", "right"):
        assert_array_equal(np.unique(strengths[name]), [-1, 0, 1])
    assert_array_equal(np.unique(strengths["turns"]), np.arange(4))
    assert_array_equal(np.unique(strengths["flip"] + strengths["luma_flip"]), np.arange(3))


@pytest.mark.slow
def test_only_square_images_make_quarter_turns(getkey):
    assert not drawn_changes(getkey(), (N, 32, 16, 1), 1.0).turns.any()


def test_moves_to_whole_pixels_are_exact(rng):
    x = images_of(rng, 4, 8, 8, 3)
    move = jax.jit(warped)
    assert_array_equal(move(x, changes_of(4, flip=1)), x[:, :, ::-1])
    turns = changes_of(4)._replace(turns=np.arange(4, dtype=np.float32))
    turned = [np.rot90(image, k) for k, image in enumerate(x)]
    assert_array_equal(move(x, turns), np.stack(turned))
    reflected = np.pad(x, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="reflect")
    shifted = move(x, changes_of(4, down=2, right=-1))
    assert_array_equal(shifted, reflected[:, 0:8, 3:11])
    # The flip comes first, then the quarter turn, then the shift.
    both = move(x, changes_of(4, flip=1, turns=1, down=2))
    turned = np.rot90(x[:, :, ::-1], 1, (1, 2))
    assert_array_equal(both[:, 2:], turned[:, :6])


def warped_slowly(image, c):
    """With a 3 x 3 matrix for each move, on (x, y) with y up, from the published order."""
    h, w, _ = image.shape

    def scaled(a, b):
        return np.diag([a, b, 1.0])

    def turned(angle):
        cosine, sine = np.cos(angle), np.sin(angle)
        return np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]])

    def shifted(x, y):
        return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])

    forward = np.eye(3)
    for step in (
        scaled(1 - 2 * c.flip, 1),
        turned(c.turns * np.pi / 2),
        shifted(c.right, -c.down),
        scaled(c.scale, c.scale),
        turned(c.turn_before),
        scaled(c.stretch, 1 / c.stretch),
        turned(c.turn_after),
        shifted(c.drift_right, -c.drift_down),
    ):
        forward = step @ forward
    rows, columns = np.mgrid[:h, :w]
    ends = np.stack([columns - (w - 1) / 2, (h - 1) / 2 - rows, np.ones((h, w))])
    x, y, _ = np.einsum("ij,jhw->ihw", np.linalg.inv(forward), ends)
    places = [(h - 1) / 2 - y, x + (w - 1) / 2]
    planes = [
        scipy.ndimage.map_coordinates(plane, places, order=1, mode="mirror")
        for plane in np.moveaxis(image.astype(float), 2, 0)
    ]
    return np.stack(planes, axis=2)


@pytest.mark.parametrize("size", [(8, 8), (7, 10)])
def test_all_moves_together_are_the_published_matrix(rng, size):
    images = images_of(rng, 6, *size, 3)
    changes = Changes(
        flip=np.array([1, 0, 1, 0, 0, 1]),
        turns=np.array([0, 1, 2, 3, 0, 1]) * (size[0] == size[1]),
        down=np.array([1, 0, -1, 1, 0, 0]),
        right=np.array([0, 1, 1, 0, 0, -1]),
        scale=rng.uniform(0.7, 1.4, 6),
        turn_before=rng.uniform(-3, 3, 6),
        stretch=rng.uniform(0.7, 1.4, 6),
        turn_after=rng.uniform(-3, 3, 6),
        drift_down=rng.normal(size=6),
        drift_right=rng.normal(size=6),
    )
    each = [Changes(*(np.broadcast_to(c, 6)[i] for c in changes)) for i in range(6)]
    expected = np.stack([warped_slowly(*of) for of in zip(images, each, strict=True)])
    assert_allclose(jax.jit(warped)(images, changes), expected, rtol=0, atol=2e-5)


def coloured_slowly(image, c):
    """With the published matrices on (red, green, blue, 1)."""
    axis = np.array([1, 1, 1, 0]) / np.sqrt(3)
    grey, whole = np.outer(axis, axis), np.eye(4)
    shift = np.eye(4)
    shift[:3, 3] = c.brightness
    skew = np.zeros((4, 4))
    skew[:3, :3] = np.cross(np.eye(3), axis[:3])
    turn = whole + np.sin(c.hue) * skew + (1 - np.cos(c.hue)) * skew @ skew
    matrix = np.diag([c.contrast] * 3 + [1]) @ shift
    matrix = (whole - 2 * grey * c.luma_flip) @ matrix
    if image.shape[-1] == 1:
        row = matrix[:3].mean(0)
        return image * row[:3].sum() + row[3]
    matrix = (grey + (whole - grey) * c.saturation) @ turn @ matrix
    return image @ matrix[:3, :3].T + matrix[:3, 3]


@pytest.mark.parametrize("channels", [1, 3])
def test_all_colours_together_are_the_published_matrix(rng, channels):
    images = images_of(rng, 5, 4, 4, channels)
    changes = Changes(
        brightness=rng.normal(size=5),
        contrast=rng.uniform(0.5, 2, 5),
        luma_flip=np.array([0, 1, 0, 1, 1]),
        hue=rng.uniform(-3, 3, 5),
        saturation=rng.uniform(0, 3, 5),
    )
    each = [Changes(*(np.broadcast_to(c, 5)[i] for c in changes)) for i in range(5)]
    expected = np.stack([coloured_slowly(*of) for of in zip(images, each, strict=True)])
    assert_allclose(jax.jit(recoloured)(images, changes), expected, rtol=0, atol=2e-5)
    if channels == 1:
        coloured_only = recoloured(images, changes_of(5, hue=2.0, saturation=0.3))
        assert_array_equal(coloured_only, images)


@pytest.mark.slow
def test_gradients_are_transposes_and_batches_may_be_split(rng, getkey):
    images, slopes = images_of(rng, 2, 8, 8, 8, 3)
    key = getkey()

    @jax.jit
    def both(images, slopes):
        made, back = jax.vjp(lambda x: adaptive_augment(x, key, 0.5), images)
        return made, back(slopes)[0]

    made, back = both(images, slopes)
    linear = made - augmented_and_drawn(np.zeros_like(images), key, 0.5)[0]
    products = [(a * b).sum((1, 2, 3)) for a, b in ((linear, slopes), (images, back))]
    assert_allclose(*products, rtol=1e-4, atol=1e-3)

    sharding = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
    split, _ = augmented_and_drawn(jax.device_put(images, sharding), key, 0.5)
    assert_allclose(split, made, rtol=0, atol=1e-5)
    assert split.sharding.is_equivalent_to(sharding, 4)


def test_other_channels_are_refused(getkey):
    with pytest.raises(ValueError, match=r"one channel or three .* got \[2, 8, 8, 4\]"):
        adaptive_augment(np.zeros((2, 8, 8, 4)), getkey(), 0.5)


def followed(module, batches, stats=None):
    """The statistics after each batch of logits, as the discriminator's step leaves them."""
    stats = stats or module.init(jax.random.key(0), batches[0], train=True)
    step = jax.jit(
        lambda stats, logits: module.apply(
            {"params": {}, **stats}, logits, train=True, mutable=list(stats)
        )
    )
    history = []
    for logits in batches:
        p, stats = step(stats, logits)
        assert p == stats["adaptive"]["p"]
        history.append({name: float(value) for name, value in stats["adaptive"].items()})
    return history


def test_nothing_is_counted_before_training_and_without_it():
    module, logits = AdaptiveProbability(), np.ones(64, np.float32)
    stats = module.init(jax.random.key(0), logits, train=True)
    assert list(stats) == ["adaptive"]
    assert stats["adaptive"] == {"p": 0, "r": 0, "signs": 0, "count": 0, "batches": 0}
    types = {name: value.dtype for name, value in stats["adaptive"].items()}
    assert types == dict.fromkeys(["p", "r", "signs"], jnp.float32) | dict.fromkeys(
        ["count", "batches"], jnp.int32
    )
    stats["adaptive"]["p"] = jnp.float32(0.25)
    p, after = module.apply(stats, logits, train=False, mutable=["adaptive"])
    assert p == 0.25 and after == stats


def test_the_probability_is_adjusted_by_the_published_rule():
    """By hand, of 10 logits a batch, two batches an adjustment: 20 images of 100 move p by .2."""
    module = AdaptiveProbability(target=0.6, kimg=0.1, interval=2, limit=0.8)
    high, low = np.ones(10, np.float32), np.full(10, -3, np.float32)
    mixed = np.array([2] * 9 + [-1], np.float32)  # r = .8
    half = np.array([2] * 8 + [0, 0], np.float32)  # r = .8: zeros count as images, for neither side
    batches = [high, high, low, high, mixed, mixed, half, half] + [high] * 6 + [low] * 12
    history = followed(module, batches)
    rs = [0, 1, 1, 0, 0, 0.8, 0.8, 0.8, 0.8] + [1] * 5 + [1] + [-1] * 11
    assert_allclose([h["r"] for h in history], rs, rtol=1e-6)
    after = [0.2, 0.0, 0.2, 0.4, 0.6, 0.8, 0.8] + [0.6, 0.4, 0.2, 0, 0, 0]
    assert_allclose([h["p"] for h in history[1::2]], after, rtol=1e-5, atol=1e-7)
    assert_allclose([h["p"] for h in history[2::2]], after[:-1], rtol=1e-5, atol=1e-7)
    assert [h["count"] for h in history] == [10, 0] * 13
    assert [h["batches"] for h in history] == [1, 0] * 13
    assert [h["signs"] for h in history[:3]] == [10, 0, -10]


def test_a_short_run_at_the_published_speed_hardly_augments():
    (last,) = followed(AdaptiveProbability(), [np.ones(64, np.float32)] * 40)[-1:]
    assert 0.0051 <= last["p"] <= 0.0052 and last["r"] == 1


def test_logits_of_a_split_batch_and_of_bfloat16_are_all_counted():
    logits = jnp.ones((1024, 1), jnp.bfloat16)
    sharding = NamedSharding(data_mesh(jax.devices()[:4]), PartitionSpec("data"))
    (first,) = followed(AdaptiveProbability(), [jax.device_put(logits, sharding)])
    assert first["signs"] == first["count"] == 1024 and first["batches"] == 1
