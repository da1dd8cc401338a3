"""Mutations of `gan_forensics.quality`."""

from tests.mutations import Mutation

METRICS = "tests/test_quality_metrics.py"
FEATURES = "tests/test_quality_features.py"
MODES = "tests/test_quality_modes.py"
POINTS = "tests/test_quality_points.py"
MEMORISATION = "tests/test_quality_memorisation.py"
LEAKS = "tests/test_quality_leaks.py"
Q = "gan_forensics/quality"

MUTATIONS = [
    # Memorisation.
    Mutation(f"{Q}/memorised.py", "0.5, nearest[0] <", "0.0, nearest[0] <", MEMORISATION),
    Mutation(f"{Q}/memorised.py", "rng.permutation(s)[:size]", "s", MEMORISATION),
    # The Frechet distance.
    Mutation(f"{Q}/frechet.py", "- 2 * cross), 0.0)", "- cross), 0.0)", METRICS),
    Mutation(f"{Q}/frechet.py", "/ np.sqrt(n - 1)\n", "/ np.sqrt(n)\n", METRICS),
    Mutation(
        f"{Q}/frechet.py",
        "values = np.linalg.eigvalsh(small @ small.T)\n    return float(np.sqrt(",
        "values = np.linalg.eigvalsh(small @ small.T)\n    return float((",
        METRICS,
    ),
    Mutation(f"{Q}/frechet.py", "if features.startswith(INCEPTION)", "if features", METRICS),
    Mutation(f"{Q}/frechet.py", "if count < d + 1]", "if count < d]", METRICS),
    # The kernel distance.
    Mutation(
        f"{Q}/kernel_distance.py",
        "within - 2 * between / (n * m)",
        "within - 2 * between / (n * n)",
        METRICS,
    ),
    Mutation(
        f"{Q}/kernel_distance.py",
        "/ x.shape[1] + 1) ** 3).sum()) for part",
        "+ 1) ** 3).sum()) for part",
        METRICS,
    ),
    Mutation(
        f"{Q}/kernel_distance.py",
        "fake[rng.choice(len(fake), size, replace=False)]",
        "fake[:size]",
        METRICS,
    ),
    Mutation(
        f"{Q}/kernel_distance.py",
        "in_order(real, order), in_order(fake, order)",
        "real, fake",
        METRICS,
    ),
    Mutation(
        f"{Q}/kernel_distance.py",
        "np.random.default_rng(seed)",
        "np.random.default_rng(0)",
        METRICS,
    ),
    Mutation(
        f"{Q}/kernel_distance.py",
        "scores.std(ddof=1) / np.sqrt(subsets)",
        "scores.std() / np.sqrt(subsets)",
        METRICS,
    ),
    # Precision, recall, density, coverage.
    Mutation(
        f"{Q}/manifolds.py",
        "distances <= fake_radii[None, :]",
        "distances <= real_radii[rows, None]",
        METRICS,
    ),
    Mutation(
        f"{Q}/manifolds.py",
        "covered[rows] = inside.any(1)",
        "covered[rows] = inside.all(1)",
        METRICS,
    ),
    Mutation(f"{Q}/manifolds.py", "in_real_balls.mean() / k", "in_real_balls.mean()", METRICS),
    Mutation(
        f"{Q}/manifolds.py",
        "np.partition(seen, k, axis=1)[:, k]",
        "np.partition(seen, k - 1, axis=1)[:, k - 1]",
        METRICS,
    ),
    Mutation(
        f"{Q}/manifolds.py",
        "real_radii + slack, fake_radii + slack",
        "real_radii, fake_radii",
        METRICS,
    ),
    Mutation(f"{Q}/manifolds.py", "given if of_given else moved", "moved", METRICS),
    Mutation(f"{Q}/manifolds.py", "given if of_given else moved", "given", METRICS),
    Mutation(f"{Q}/manifolds.py", "(real_radii <= slack)", "(real_radii < 0)", METRICS),
    # The inception score.
    Mutation(
        f"{Q}/inception_scores.py",
        "part.mean(0, keepdims=True)",
        "p.mean(0, keepdims=True)",
        METRICS,
    ),
    Mutation(
        f"{Q}/inception_scores.py",
        "p = p[np.random.default_rng(SHUFFLE_SEED).permutation(n)]",
        "pass",
        METRICS,
    ),
    Mutation(f"{Q}/inception_scores.py", "range(splits + 1))", "range(splits))", METRICS),
    # Moments, order, quantisation.
    Mutation(f"{Q}/moments.py", "np.outer(delta, delta * (self.count * share))", "0", METRICS),
    Mutation(f"{Q}/moments.py", "values = values[mask]", "pass", METRICS),
    Mutation(f"{Q}/moments.py", "max(int(self.count) - 1, 1)", "int(self.count)", METRICS),
    Mutation(
        f"{Q}/quantising.py",
        "np.float32(255) + np.float32(0.5)",
        "np.float32(255)",
        f"{METRICS} {FEATURES}",
    ),
    # From images to scores.
    Mutation(
        f"{Q}/extraction.py", "lambda array: array[: len(images)]", "lambda array: array", FEATURES
    ),
    Mutation(
        f"{Q}/extraction.py",
        "{digest[:16]}-{extractor.fingerprint[:16]}.npz",
        "{digest[:16]}.npz",
        FEATURES,
    ),
    Mutation(
        f"{Q}/evaluate.py",
        "scores(found, other, extractor.name, seed)",
        "scores(other, found, extractor.name, seed)",
        FEATURES,
    ),
    Mutation(
        f"{Q}/evaluate.py",
        "scores(found, other, extractor.name, seed)",
        "scores(found, other, extractor.name, 0)",
        FEATURES,
    ),
    Mutation(f"{Q}/evaluate.py", "fewest = min(len(fake)", "fewest = max(len(fake)", FEATURES),
    Mutation(
        f"{Q}/evaluate.py",
        "float(values.mean()), float(values.std())",
        "float(values[0]), float(values.std())",
        FEATURES,
    ),
    Mutation(
        f"{Q}/small_features.py",
        "astype(jnp.float32) / 127.5 - 1)",
        "astype(jnp.float32) / 127.5)",
        FEATURES,
    ),
    # Mode counts.
    Mutation(f"{Q}/modes.py", "(2 * n_modes * counts >= n)", "(2 * n_modes * counts > n)", MODES),
    Mutation(f"{Q}/modes.py", "(2 * n_modes * counts >= n)", "(n_modes * counts >= n)", MODES),
    Mutation(f"{Q}/modes.py", "1 / (p**2).sum()", "1 / (p**2).mean()", MODES),
    Mutation(f"{Q}/modes.py", "np.log(p * n_modes)", "np.log(p * len(p))", MODES),
    Mutation(
        f"{Q}/modes.py", "judge.guesses[rng.choice(rows", "judge.truth[rng.choice(rows", MODES
    ),
    Mutation(
        f"{Q}/modes.py",
        "rng.choice(rng.choice(MODES, count, replace=False), n)",
        "rng.choice(MODES, n)",
        MODES,
    ),
    Mutation(
        f"{Q}/modes.py", "np.moveaxis(images, -1, 1)", "np.moveaxis(images, -1, 1)[:, ::-1]", MODES
    ),
    # Points.
    Mutation(f"{Q}/points.py", "<= radius + _SLACK", "< radius - _SLACK", POINTS),
    Mutation(f"{Q}/points.py", "self.counts >= self.least", "self.counts > self.least", POINTS),
    Mutation(f"{Q}/points.py", "RADIUS = 0.1 * 2**0.5", "RADIUS = 0.1", POINTS),
    Mutation(f"{Q}/points.py", "-(-LEAST * len(points) // SAMPLES)", "LEAST", POINTS),
    Mutation(
        f"{Q}/points.py", "axes /= np.linalg.norm(axes, axis=1, keepdims=True)", "pass", POINTS
    ),
    # Leaks, and the ambiguity of orientations.
    Mutation(
        f"{Q}/leaks.py", "p - q - below, p - q + above", "p - q - above, p - q + below", LEAKS
    ),
    Mutation(f"{Q}/leaks.py", "[:, 0] < chance).reshape", "[:, 0] > chance).reshape", LEAKS),
    Mutation(f"{Q}/leaks.py", "lowest <= 0 for", "lowest <= 1 for", LEAKS),
    Mutation(f"{Q}/leaks.py", "-math.log(len(apply))", "-math.log(2)", LEAKS),
    Mutation(f"{Q}/ambiguity.py", "np.roll(copy, -j, axis=1)", "np.roll(copy, j, axis=1)", LEAKS),
    Mutation(f"{Q}/ambiguity.py", "(ties[:, 0] / ties.sum(1)).mean()", "ties[:, 0].mean()", LEAKS),
    Mutation(
        f"{Q}/ambiguity.py",
        "upright(held_out, best.x)",
        "upright(held_out, 0)",
        f"{LEAKS} -m slow -k by_heart",
    ),
    Mutation(f"{Q}/transforms.py", "random_key(seed), k)", "random_key(0), k)", LEAKS),
]
