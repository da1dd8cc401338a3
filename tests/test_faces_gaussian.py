"""Gaussians by eigenpairs against scipy, scikit-learn and closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA, IncrementalPCA

from gan_forensics.faces import gaussian as g

RANDOM = np.random.default_rng(0)
SAMPLES = RANDOM.normal(size=(60, 8)) @ RANDOM.normal(size=(8, 8)) + RANDOM.normal(size=8)
OTHERS = RANDOM.normal(size=(10, 8)) * 3


# Of several observations: a landmark's Gaussian has one at a time.
squared_distances = jax.vmap(g.squared_distance, (None, 0))
log_densities = jax.vmap(g.log_density, (None, 0))


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def learned(samples=SAMPLES, weights=None, **options):
    weights = np.ones(len(samples)) if weights is None else weights
    return g.learn(jnp.asarray(samples), jnp.asarray(weights), **options)


def test_all_eigenpairs_without_a_floor_are_the_samples_own_gaussian():
    found = learned(components=8, floor=0.0)
    mean, covariance = SAMPLES.mean(0), np.cov(SAMPLES.T)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(found.values, np.linalg.eigvalsh(covariance)[::-1], rtol=1e-9)
    dense = found.vectors.T @ jnp.diag(found.values) @ found.vectors
    np.testing.assert_allclose(dense, covariance, rtol=1e-9, atol=1e-12)
    expected = multivariate_normal(mean, covariance)
    np.testing.assert_allclose(log_densities(found, OTHERS), expected.logpdf(OTHERS), rtol=1e-10)


def test_few_eigenpairs_are_probabilistic_pca():
    found = learned(components=3, floor=0.0)
    expected = PCA(3).fit(SAMPLES)
    np.testing.assert_allclose(found.residual, expected.noise_variance_, rtol=1e-9)
    np.testing.assert_allclose(found.values, expected.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(
        log_densities(found, OTHERS), expected.score_samples(OTHERS), rtol=1e-9
    )


def test_the_eigen_form_is_the_dense_inverse():
    found = learned(components=3)
    rest = jnp.eye(8) - found.vectors.T @ found.vectors
    dense = found.vectors.T @ jnp.diag(found.values) @ found.vectors + found.residual * rest
    difference = OTHERS - found.mean[None]
    expected = jnp.einsum("ni,ij,nj->n", difference, jnp.linalg.inv(dense), difference)
    np.testing.assert_allclose(squared_distances(found, OTHERS), expected, rtol=1e-9)


def test_a_floor_adds_its_share_of_the_mean_variance_to_every_variance():
    bare, floored = learned(components=3, floor=0.0), learned(components=3, floor=0.05)
    lift = 0.05 * np.cov(SAMPLES.T).trace() / 8
    np.testing.assert_allclose(floored.values, bare.values + lift, rtol=1e-9)
    np.testing.assert_allclose(floored.residual, bare.residual + lift, rtol=1e-9)


def test_samples_of_no_weight_do_not_count():
    weights = (np.arange(60) % 3 > 0).astype(float)
    found = learned(weights=weights, components=3)
    expected = learned(SAMPLES[weights > 0], components=3)
    for here, there in zip(found, expected, strict=True):
        np.testing.assert_allclose(abs(here), abs(there), rtol=1e-8)


def test_fewer_samples_than_dimensions_give_the_same_eigenpairs():
    few = SAMPLES[:6]
    found = learned(few, components=3, floor=0.0)
    values, vectors = np.linalg.eigh(np.cov(few.T))
    np.testing.assert_allclose(found.values, values[::-1][:3], rtol=1e-9)
    cosines = abs((found.vectors * vectors.T[::-1][:3]).sum(-1))
    np.testing.assert_allclose(cosines, 1, rtol=1e-9)
    np.testing.assert_allclose(found.residual, values[::-1][3:].sum() / 5, rtol=1e-9)


def test_eigenpairs_beyond_the_samples_take_no_part():
    found = learned(SAMPLES[:3], components=5)
    assert np.isfinite(squared_distances(found, OTHERS)).all()
    np.testing.assert_allclose(found.values[2:], found.values[2], rtol=1e-6)


def test_whitening_the_samples_gives_the_identity():
    found = learned(components=8, floor=0.0)
    along, _ = jax.vmap(g.coordinates, (None, 0))(found, SAMPLES)
    np.testing.assert_allclose(
        np.cov((along / jnp.sqrt(found.values)[None]).T), np.eye(8), atol=1e-10
    )


def test_isotropic_keeps_the_total_variance():
    found = learned(components=3)
    same = g.isotropic(found)
    total = found.values.sum() + 5 * found.residual
    np.testing.assert_allclose(same.values.sum() + 5 * same.residual, total, rtol=1e-12)
    difference = ((OTHERS - found.mean[None]) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distances(same, OTHERS), difference / same.residual)


def test_no_rate_changes_nothing_and_the_whole_rate_takes_the_observation():
    found = learned(components=3)
    for here, there in zip(g.update(found, OTHERS[0], jnp.zeros(())), found, strict=True):
        np.testing.assert_array_equal(here, there)
    moved = g.update(found, OTHERS[0], jnp.ones(()))
    along, rest = g.coordinates(found, OTHERS[0])
    np.testing.assert_allclose(moved.mean, OTHERS[0], rtol=1e-12)
    np.testing.assert_allclose(moved.values, along**2, rtol=1e-12)
    np.testing.assert_allclose(moved.residual, rest / 5, rtol=1e-12)
    np.testing.assert_array_equal(moved.vectors, found.vectors)


def test_the_mean_approaches_a_constant_stream_geometrically_and_variances_stay_positive():
    found = start = learned(components=3)
    for _ in range(20):
        found = g.update(found, OTHERS[0], jnp.asarray(0.1))
    expected = OTHERS[0] + 0.9**20 * (start.mean - OTHERS[0])
    np.testing.assert_allclose(found.mean, expected, rtol=1e-10)
    assert (found.values > 0).all() and found.residual > 0
    # An observation at the mean shrinks every variance by the same factor.
    still = g.update(start, start.mean, jnp.asarray(0.1))
    np.testing.assert_allclose(still.values, 0.9 * start.values, rtol=1e-10)
    np.testing.assert_allclose(still.residual, 0.9 * start.residual, rtol=1e-10)


def test_landmarks_are_updated_one_by_one_with_rates_of_their_own():
    found = learned(components=3)
    several = g.Gaussian(*(jnp.stack([part, part]) for part in found))
    moved = g.update(several, jnp.asarray(OTHERS[:2]), jnp.asarray([0.0, 0.3]))
    alone = g.update(found, OTHERS[1], jnp.asarray(0.3))
    for here, unmoved, there in zip(moved, found, alone, strict=True):
        np.testing.assert_allclose(here[0], unmoved, rtol=1e-12)
        np.testing.assert_allclose(here[1], there, rtol=1e-12)


def test_merging_chunks_is_incremental_pca():
    expected = IncrementalPCA(5).fit(SAMPLES[:20])
    found = learned(SAMPLES[:20], components=5, floor=0.0)
    count = jnp.asarray(20.0)
    for start in (20, 40):
        chunk = SAMPLES[start : start + 20]
        expected.partial_fit(chunk)
        found, count = g.merge(found, jnp.asarray(chunk), count=count)
        np.testing.assert_allclose(found.mean, expected.mean_, rtol=1e-9)
        np.testing.assert_allclose(found.values, expected.explained_variance_, rtol=1e-9)
        cosines = abs((found.vectors * expected.components_).sum(-1))
        np.testing.assert_allclose(cosines, 1, rtol=1e-9)
        # No variance is lost: what the kept pairs leave is spread over the other directions.
        total = np.cov(SAMPLES[: start + 20].T).trace()
        np.testing.assert_allclose(found.values.sum() + 3 * found.residual, total, rtol=1e-9)
    assert count == 60


def test_merging_with_all_eigenpairs_is_the_gaussian_of_all_samples():
    found, count = g.merge(
        learned(SAMPLES[:30], components=8, floor=0.0),
        jnp.asarray(SAMPLES[30:]),
        count=jnp.asarray(30.0),
    )
    expected = learned(components=8, floor=0.0)
    np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-9)
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-9)


def test_forgetting_weighs_the_old_samples_less():
    old, new = SAMPLES[:30], SAMPLES[30:]
    found, count = g.merge(
        learned(old, components=8, floor=0.0),
        jnp.asarray(new),
        count=jnp.asarray(30.0),
        forgetting=0.5,
    )
    assert count == 45
    mean = (15 * old.mean(0) + 30 * new.mean(0)) / 45
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10)
    scatter = 0.5 * 29 * np.cov(old.T) + 29 * np.cov(new.T)
    gap = new.mean(0) - old.mean(0)
    scatter += 15 * 30 / 45 * np.outer(gap, gap)
    dense = found.vectors.T @ jnp.diag(found.values) @ found.vectors
    np.testing.assert_allclose(dense, scatter / 44, rtol=1e-8, atol=1e-10)
