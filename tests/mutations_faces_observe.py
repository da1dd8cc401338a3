# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of what the face tracker sees: descriptors and rendered views."""

from tests.mutations import Mutation

FACES = "gan_forensics/faces/"
SIFT = f"{FACES}sift.py", "tests/test_faces_observe.py -k 'port or opencv'"
OBSERVE = f"{FACES}observe.py", "tests/test_faces_observe.py"
RENDER = f"{FACES}render.py", "tests/test_faces_render.py"

CHANGES = [
    (SIFT, "jnp.round(points).astype(jnp.int32)", "points.astype(jnp.int32)"),
    (SIFT, "-angle % 360", "angle % 360"),
    (SIFT, "pad = 2 * radius + 1", "pad = radius"),
    (SIFT, "down * jnp.cos(turn)).ravel()", "down).ravel()"),
    (SIFT, "jnp.minimum(histograms, 0.2 * norm)", "jnp.minimum(histograms, 0.2)"),
    (SIFT, 'mode="reflect"', 'mode="symmetric"'),
    (SIFT, "taps[1:].sum()", "taps.sum()"),
    (SIFT, "if image.dtype != np.uint8:", "if False:"),
    (SIFT, "if not keypoints:", "if False:"),
    (SIFT, "size, angle, octave=0)", "size, -1, octave=0)"),
    (OBSERVE, "_FLAT = 0.1", "_FLAT = 10.0"),
    (OBSERVE, "_FLAT = 0.1", "_FLAT = 1e-30"),
    (OBSERVE, "across >= along, jnp.where(right > 0, 0, 4)", "across >= along, jnp.where(right > 0, 4, 0)"),
    (OBSERVE, "jnp.where(up > 0, 1, 7)", "jnp.where(up > 0, 7, 1)"),
    (OBSERVE, "straight = magnitude - diagonal", "straight = magnitude"),
    (OBSERVE, "for axis in (1, 0)]", "for axis in (0, 1)]"),
    (OBSERVE, "_weights(maps, jnp.round(points), size, 1)", "_weights(maps, points, size, 1)"),
    (OBSERVE, "gauss = jnp.exp(away * away / -8)", "gauss = jnp.exp(away * away / -4)"),
    (OBSERVE, "- bins * away / 4", "+ bins * away / 4"),
    (OBSERVE, "slopes = by_value[..., None] * slopes + by_norm[..., None] * of_norm[:, None]", "slopes = by_value[..., None] * slopes"),
    (OBSERVE, "by_u, by_v = sums[:, :4, 4:], sums[:, 4:, :4]", "by_v, by_u = sums[:, :4, 4:], sums[:, 4:, :4]"),
    (OBSERVE, "return (length - 1 - stride * (count - 1)) / 2, count", "return 0.0, count"),
    (OBSERVE, "0.99997726", "0.99"),
    (RENDER, "values = jnp.concatenate([depth[:, None], texture_uv - uv], 1)", "values = jnp.concatenate([-depth[:, None], texture_uv - uv], 1)"),
    (RENDER, "area = ab[1] * ac[0] - ab[0] * ac[1]", "area = ab[0] * ac[1] - ab[1] * ac[0]"),
    (RENDER, "more[0] | (same[0] & (more[1] | (same[1] & more[2])))", "more[0] | same[0]"),
    (RENDER, "left = jnp.clip(low[0], 0, width - window[1])", "left = low[0]"),
    (RENDER, "16 * np.ceil((span + 2) / 16)", "16 * np.ceil(span / 32)"),
    (RENDER, "16 * np.ceil((span + 2) / 16)", "span + 2"),
    (RENDER, "background.shape, extent[::-1]", "background.shape, extent"),
    (RENDER, ">= -_EDGE", ">= 0.05"),
    (RENDER, "normals = jnp.einsum(", "faces = faces / jnp.linalg.norm(faces, axis=-1, keepdims=True)\n    normals = jnp.einsum("),
    (RENDER, "jnp.maximum(jnp.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)", "jnp.linalg.norm(normals, axis=-1, keepdims=True)"),
    (RENDER, "u, v = jnp.clip(u, 0, width - 1), jnp.clip(v, 0, height - 1)", "pass"),
    (RENDER, "if not (np.isfinite(uv).all() and", "if not (True or"),
]  # fmt: skip
MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
