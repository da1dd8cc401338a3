"""Planes of three classes: what moves points and what does not, and the fitted mean and axes."""

import numpy as np
import pytest
from scipy.stats import ortho_group
from sklearn.decomposition import PCA

from gan_forensics.distill import qr_pca, template_plane

D = 12


@pytest.fixture
def given(rng):
    groups = [rng.normal(size=(n, D)) + rng.normal(size=D) for n in (9, 7, 8)]
    return groups, rng.normal(size=(3, D)), rng.normal(size=3)


def same_but_for_signs(a, b):
    for i in range(a.shape[1]):
        gap = min(np.abs(a[:, i] - b[:, i]).max(), np.abs(a[:, i] + b[:, i]).max())
        assert gap < 1e-10, f"axis {i} differs by {gap}"


def slow(groups, rows, biases):
    """The published script's steps, with scikit-learn's PCA."""
    w = np.stack([np.append(row, b) for row, b in zip(rows, biases, strict=True)])
    q = np.linalg.qr(w.T)[0]
    points = [np.column_stack([g, np.ones(len(g))]) @ q for g in groups]
    centroids = np.stack([p.mean(0) for p in points])
    return PCA(2).fit(np.concatenate([*points, centroids])), q


def test_the_plane_is_the_pca_of_points_and_centroids_and_serves_other_features(given, rng):
    groups, rows, biases = given
    plane = qr_pca(groups, rows, biases)
    pca, q = slow(groups, rows, biases)
    other = rng.normal(size=(5, D))
    for features in (*groups, other):
        extended = np.column_stack([features, np.ones(len(features))])
        same_but_for_signs(plane.points(features), pca.transform(extended @ q))
    # Of training alone: features that are shifted are shifted in the plane.
    shift = rows[0]
    moved = plane.points(other + shift) - plane.points(other)
    assert np.ptp(moved, axis=0).max() < 1e-10 and np.abs(moved).max() > 0.1


def test_the_basis_is_orthonormal_spans_the_rows_and_shortens_distances(given):
    groups, rows, biases = given
    plane = qr_pca(groups, rows, biases)
    np.testing.assert_allclose(plane.basis.T @ plane.basis, np.eye(3), atol=1e-12)
    extended = np.column_stack([rows, biases])
    np.testing.assert_allclose(extended @ plane.basis @ plane.basis.T, extended, atol=1e-12)
    np.testing.assert_allclose(plane.axes @ plane.axes.T, np.eye(2), atol=1e-12)
    features = np.concatenate(groups)
    points = plane.points(features)
    far = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert (far <= np.linalg.norm(features[:, None] - features[None], axis=-1) + 1e-12).all()


def test_a_rotation_of_the_features_basis_moves_no_point(given, rng):
    groups, rows, biases = given
    turn = ortho_group.rvs(D, random_state=0)
    turned = [g @ turn for g in groups]
    features = np.concatenate(groups)
    plain, rotated = qr_pca(groups, rows, biases), qr_pca(turned, rows @ turn, biases)
    np.testing.assert_allclose(rotated.points(features @ turn), plain.points(features), atol=1e-10)
    np.testing.assert_allclose(
        template_plane(features @ turn, rows @ turn), template_plane(features, rows), atol=1e-10
    )


def test_what_is_orthogonal_to_the_rows_changes_nothing(given, rng):
    groups, rows, biases = given
    away = rng.normal(size=D)
    away -= rows.T @ np.linalg.solve(rows @ rows.T, rows @ away)
    features = np.concatenate(groups)
    plane = qr_pca(groups, rows, biases)
    np.testing.assert_allclose(plane.points(features + away), plane.points(features), atol=1e-10)
    np.testing.assert_allclose(
        template_plane(features + away, rows), template_plane(features, rows), atol=1e-10
    )


def test_the_template_plane_measures_the_triangle_of_rows_truly(given):
    _, rows, _ = given
    points = template_plane(rows, rows)
    for i, j in ((0, 1), (0, 2), (1, 2)):
        wanted = np.linalg.norm(rows[i] - rows[j])
        assert np.linalg.norm(points[i] - points[j]) == pytest.approx(wanted, rel=1e-12)
    assert points[0, 1] == pytest.approx(points[1, 1])  # w_b - w_a is the first axis
    assert points[1, 0] > points[0, 0] and points[2, 1] > points[0, 1]


def test_what_spans_no_plane_is_refused(given):
    groups, rows, biases = given
    line = np.stack([rows[0], 2 * rows[0], 3 * rows[0]])
    with pytest.raises(ValueError, match="lie on one line"):
        template_plane(groups[0], line)
    with pytest.raises(ValueError, match=r"need the rows \[3, d\]"):
        template_plane(groups[0], rows[:2])
    with pytest.raises(ValueError, match=r"features must be \[n, 12\]"):
        template_plane(groups[0][:, :5], rows)
    with pytest.raises(ValueError, match="three classes"):
        qr_pca(groups[:2], rows, biases)
    with pytest.raises(ValueError, match=r"classes \[1\] of the three have no features"):
        qr_pca([groups[0], groups[1][:0], groups[2]], rows, biases)
