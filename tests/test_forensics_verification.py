"""Two sets of one generator or of two: verdicts on known clouds, error rates, and refusals."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity

from gan_forensics.forensics.verification import Verifier, _logistic


def clouds(rng, sources, n, *, apart, width=16):
    """Embeddings [sources, n, width] about centres `apart` from a common one far from 0."""
    centres = rng.normal(size=(sources, 1, width))
    centres *= apart / np.linalg.norm(centres, axis=-1, keepdims=True)
    return 50 + centres + rng.normal(0, 1, (sources, n, width)) / width**0.5


@pytest.fixture(scope="module")
def world():
    """A gallery of five sources, and further images of the same."""
    both = clouds(np.random.default_rng(3), 5, 80, apart=3.0)
    gallery, further = both[:, :40], both[:, 40:]
    labels = np.repeat([7, 2, 9, 4, 1], 40)
    return Verifier(gallery.reshape(-1, 16), labels), further


def test_images_of_one_source_are_the_same_and_of_two_different(world):
    verifier, further = world
    for a, b, verdict in ((0, 0, "same"), (2, 2, "same"), (0, 1, "different"), (3, 4, "different")):
        found = verifier.compare(further[a, :1], further[b, 1:2])
        assert found.verdict == verdict, (a, b, found)
        assert (found.probability > 0.9) == (verdict == "same")
        assert verifier.compare(further[b, 1:2], further[a, :1]) == found  # In either order.


def test_the_similarity_is_the_cosine_of_the_centred_means(world):
    verifier, further = world
    a, b = further[0, :3], further[1, :5]
    centre = verifier._centre
    wanted = cosine_similarity([a.mean(0) - centre], [b.mean(0) - centre])[0, 0]
    assert_allclose(verifier.compare(a, b).similarity, wanted, rtol=1e-12)
    # Without the centring all of these would be alike: 50 is far from 0.
    assert cosine_similarity([a.mean(0)], [b.mean(0)])[0, 0] > 0.99 > 0.5 > wanted


def test_more_images_make_it_surer():
    both = clouds(np.random.default_rng(5), 4, 300, apart=0.45)
    verifier = Verifier(both[:, :200].reshape(-1, 16), np.repeat(np.arange(4), 200))
    ones = [verifier.compare(both[0, i : i + 1], both[0, i + 1 : i + 2]) for i in range(200, 299)]
    assert np.mean([one.verdict == "unsure" for one in ones]) > 0.5
    few, many = (
        [verifier.compare(both[0, 200 : 200 + n], both[k, 300 - n :]) for k in (0, 1)]
        for n in (1, 15)
    )
    assert [found.verdict for found in many] == ["same", "different"]
    assert many[0].probability > few[0].probability
    assert many[1].probability < few[1].probability


def test_false_matches_are_as_rare_as_stated(rng):
    """Fresh pairs of single images, of sources that overlap: at most 5 % of either kind."""
    both = clouds(rng, 6, 400, apart=0.8)
    verifier = Verifier(both[:, :200].reshape(-1, 16), np.repeat(np.arange(6), 200))
    further, wrong = both[:, 200:, None], {"same": 0, "different": 0}
    for i in range(600):
        a, b = rng.choice(6, 2, replace=False)
        one, other, third = further[a, i % 200], further[b, i // 3], further[a, (i + 1) % 200]
        wrong["same"] += verifier.compare(one, other).verdict == "same"
        wrong["different"] += verifier.compare(one, third).verdict == "different"
    assert max(wrong.values()) < 0.08 * 600, wrong
    assert min(wrong.values()) > 0.02 * 600, wrong


def test_equal_seeds_give_equal_verdicts(world):
    gallery = clouds(np.random.default_rng(3), 5, 80, apart=3.0)[:, :40].reshape(-1, 16)
    labels, (verifier, further) = np.repeat([7, 2, 9, 4, 1], 40), world
    pair = further[0, :2], further[1, :1]
    assert Verifier(gallery, labels).compare(*pair) == verifier.compare(*pair)
    order = np.random.default_rng(0).permutation(len(labels))
    other = Verifier(gallery[order], labels[order]).compare(*pair)
    assert_allclose(other.similarity, verifier.compare(*pair).similarity)
    assert other.verdict == verifier.compare(*pair).verdict


def test_embeddings_that_say_nothing_leave_it_open(rng):
    gallery, labels = rng.normal(size=(200, 4)), np.repeat([0, 1], 100)
    verifier = Verifier(gallery, labels)
    found = [verifier.compare(*rng.normal(size=(2, 1, 4))) for _ in range(40)]
    assert np.mean([f.verdict == "unsure" for f in found]) > 0.75
    assert_allclose([f.probability for f in found], 0.5, atol=0.15)
    # A set in the centre is like nothing, and that is a number.
    assert verifier.compare(verifier._centre[None], gallery[:1]).similarity == 0


def test_the_regression_is_that_of_scikit_learn(rng):
    same, different = rng.normal(0.5, 0.2, 1000), rng.normal(0.1, 0.2, 1000)
    x = np.concatenate([same, different])[:, None]
    model = LogisticRegression(C=np.inf, tol=1e-8).fit(x, np.repeat([1, 0], 1000))
    wanted = [model.intercept_[0], model.coef_[0, 0]]
    assert_allclose(_logistic(same, different), wanted, rtol=0.03)  # Targets of .999 instead of 1.
    # What is told apart without an error stays finite, and the wrong way round says nothing.
    assert np.isfinite(_logistic(same + 9, different)).all()
    assert _logistic(different, same)[1] == 0


def test_a_gallery_that_is_too_small_is_refused(rng):
    def gallery(*sizes):
        labels = np.repeat(np.arange(len(sizes)), sizes)
        return Verifier(rng.normal(size=(len(labels), 3)), labels)

    for sizes in ((100,), (18, 18), (3,) * 30, (100, 3)):
        with pytest.raises(ValueError, match="at least two sources"):
            gallery(*sizes)
    # 10 + 10 disjoint pairs of single images, and 20 of one image in ten sources each.
    assert gallery(20, 20).largest == 1
    verifier = gallery(200, 200, 30)
    assert verifier.largest == 10  # 200 // 20 twice.
    with pytest.raises(ValueError, match="11 and 11 images are: it allows sets of at most 10"):
        verifier.compare(np.zeros((11, 3)), np.zeros((11, 3)))
    with pytest.raises(ValueError, match="2 numbers|2 and 3 numbers"):
        verifier.compare(np.zeros((1, 2)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="at least one"):
        verifier.compare(np.zeros((0, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="not finite"):
        verifier.compare(np.full((1, 3), np.nan), np.zeros((1, 3)))
    with pytest.raises(ValueError, match="labels"):
        Verifier(np.zeros((4, 3)), np.zeros(3, int))
