"""Mutations of `gan_forensics.explain` and of the pictures that are made of it."""

from tests.mutations import Mutation

E = "gan_forensics/explain"
PAGE = "tests/test_cli_detector.py -k 'evidence or scale'"
CHANNELS = "tests/test_explain_channels.py"
RELEVANCE = "tests/test_explain_relevance.py"
FEATURES = "tests/test_explain_forensic_features.py"
PROBES = "tests/test_explain_probes.py"
CAM = "tests/test_explain_grad_cam.py"
RULES = "tests/test_explain_rules.py"
LRP = "tests/test_explain_lrp.py"
FAITHFUL = "tests/test_explain_faithful.py"
REMOVAL = "tests/test_explain_removal.py"
VIEWS = "tests/test_explain_views.py"
NORMS = "tests/test_explain_spectral_norm.py"
GRAPH = "tests/test_explain_graph.py"

MUTATIONS = [
    # Rules.
    Mutation(f"{E}/rules.py", "alpha=1 + beta, beta=beta", "alpha=1 + beta, beta=0.0", RULES),
    Mutation(
        f"{E}/rules.py",
        "jnp.minimum(-z_minus / jnp.where(z > 0, z, 1), maximum)",
        "-z_minus / jnp.where(z > 0, z, 1)",
        RULES,
    ),
    Mutation(
        f"{E}/rules.py",
        "sides = ((z > 0, up, down, _plus), (z < 0, down, up, _minus))",
        "sides = ((z > 0, up, down, _plus), (z < 0, up, down, _minus))",
        RULES,
    ),
    Mutation(
        f"{E}/rules.py",
        "linear(lowest, _plus(w)) + linear(highest, _minus(w))",
        "linear(lowest, _plus(w)) - linear(highest, _minus(w))",
        RULES,
    ),
    Mutation(
        f"{E}/rules.py", "jnp.where(z >= 0, epsilon, -epsilon)", "epsilon * jnp.ones_like(z)", RULES
    ),
    Mutation(
        f"{E}/composites.py",
        "if first and self.first is not None:",
        "if False:",
        f"{RELEVANCE} -k first_convolution",
    ),
    Mutation(f"{E}/lrp.py", "passed = tuple(x * g for", "passed = tuple(g for", LRP),
    Mutation(f"{E}/lrp.py", "stabilised(2 * z, epsilon)", "stabilised(z, epsilon)", LRP),
    Mutation(f"{E}/lrp.py", "lambda _, r: (r / 2, r / 2)", "lambda _, r: (r, r)", LRP),
    Mutation(f"{E}/lrp.py", "jnp.where(y == 0, 0, x) * (r", "jnp.where(y == 0, 0, y) * (r", LRP),
    # What equations mean.
    Mutation(f"{E}/roles.py", "value.root in other.of:", "value.root == other.root:", GRAPH),
    Mutation(f"{E}/roles.py", "gates.index(min(gates))", "gates.index(max(gates))", GRAPH),
    Mutation(f"{E}/roles.py", "x = shift.inputs[0]", "pass", f"{GRAPH} -k softmax"),
    Mutation(
        f"{E}/roles.py",
        "len(read) == 1 else frozenset[str]()",
        "read else frozenset[str]()",
        f"{GRAPH} -k gate",
    ),
    Mutation(f"{E}/intervals.py", "lows[0] - highs[1]", "lows[0] - lows[1]", f"{GRAPH} -k bounds"),
    Mutation(f"{E}/intervals.py", "part(low, up) +", "part(high, up) +", f"{GRAPH} -k bounds"),
    Mutation(
        f"{E}/tracing.py",
        "theirs = equation if asked is None",
        "theirs = None if asked is None",
        f"{RELEVANCE} -k refused_by_name",
    ),
    Mutation(
        f"{E}/roles.py",
        "frozenset({number}) if shape",
        "frozenset({number}) if shape and not leaves",
        f"{GRAPH} -k biases",
    ),
    # Relevance of networks and units.
    Mutation(
        f"{E}/propagation.py",
        "check_flow(network)",
        "pass",
        "tests/test_explain_refusals.py",
    ),
    Mutation(
        f"{E}/propagation.py",
        "maps * chosen[:, None, None]",
        "maps * chosen[:1, None, None]",
        f"{RELEVANCE} -k 'unit or units'",
    ),
    Mutation(
        f"{E}/propagation.py",
        "chosen = chosen * (which == i)[:, None]",
        "chosen = chosen * 1",
        f"{RELEVANCE} -k 'unit or units'",
    ),
    Mutation(
        f"{E}/propagation.py",
        "back(_start(logits, start))",
        "back(_start(logits, None))",
        f"{RELEVANCE} -k 'without_epsilon or start'",
    ),
    Mutation(
        f"{E}/canonize.py",
        "bias = -other if bias is None else bias - other",
        "bias = other if bias is None else bias + other",
        f"{RELEVANCE} -k 'batch_norm or logits_are'",
    ),
    Mutation(
        f"{E}/canonize.py",
        "bias = None if bias is None else bias * other",
        "pass",
        f"{RELEVANCE} -k 'batch_norm or logits_are'",
    ),
    # Forensic features and their masks.
    Mutation(
        f"{E}/forensic_features.py",
        "positive = xp.maximum(r, 0).sum(space)",
        "positive = r.sum(space)",
        FEATURES,
    ),
    Mutation(f"{E}/forensic_features.py", ">= confidence))", ">= CONFIDENCE))", FEATURES),
    Mutation(
        f"{E}/forensic_features.py",
        "mask = np.arange(size) < len(batch)",
        "mask = np.arange(size) < size",
        FEATURES,
    ),
    Mutation(
        f"{E}/ranking.py",
        "chosen = k + rng.choice(len(ranking) - k, k, replace=False)",
        "chosen = rng.choice(len(ranking), k, replace=False)",
        CHANNELS,
    ),
    Mutation(
        f"{E}/ranking.py",
        "low=channel_masks(ranking[-k:], channels)",
        "low=channel_masks(ranking[k : 2 * k], channels)",
        CHANNELS,
    ),
    Mutation(
        f"{E}/ranking.py",
        "np.random.default_rng(seed)",
        "np.random.default_rng(0)",
        CHANNELS,
    ),
    Mutation(
        f"{E}/ranking.py",
        "key=lambda pair: -pair[0]",
        "key=lambda pair: pair[0]",
        CHANNELS,
    ),
    Mutation(
        f"{E}/ranking.py",
        "enumerate(_SCALES[scale](omega))",
        "enumerate(omega)",
        CHANNELS,
    ),
    Mutation(
        f"{E}/channels.py",
        "= maps.max(tuple(range(1, maps.ndim - 1)))",
        "= jnp.abs(maps).max(tuple(range(1, maps.ndim - 1)))",
        CHANNELS,
    ),
    Mutation(
        f"{E}/channels.py",
        'np.argsort(-maxima, axis=0, kind="stable")',
        'np.argsort(maxima, axis=0, kind="stable")',
        CHANNELS,
    ),
    # Probes and Grad-CAM.
    Mutation(
        f"{E}/probes.py",
        "np.maximum(off - 0.5, 0) if correction else off",
        "np.maximum(off - 0.5, 0)",
        PROBES,
    ),
    Mutation(
        f"{E}/probes.py", "conditional = pvalue <= level", "conditional = pvalue <= LEVEL", PROBES
    ),
    Mutation(f"{E}/probes.py", "kept = colour >= least", "kept = gray >= least", PROBES),
    Mutation(
        f"{E}/probes.py",
        "100 * (medians[0] - medians[1])",
        "100 * (medians[1] - medians[0])",
        PROBES,
    ),
    Mutation(f"{E}/grad_cam.py", "slopes.mean((1, 2), keepdims=True)", "slopes", CAM),
    Mutation(
        f"{E}/grad_cam.py",
        "cam = _scaled(jnp.maximum(weighted, 0))",
        "cam = _scaled(weighted)",
        CAM,
    ),
    Mutation(f"{E}/grad_cam.py", "(named or stage)[-1])", "(named or stage)[0])", CAM),
    Mutation(
        f"{E}/heat_maps.py", "np.percentile(heat, percentile)", "np.percentile(heat, 75)", CAM
    ),
    Mutation(
        f"{E}/heat_maps.py",
        "self.left : self.right + 1 - short",
        "self.left : self.right + 1",
        CAM,
    ),
    Mutation(
        f"{E}/heat_maps.py",
        "positive.max((-2, -1), keepdims=True)",
        "positive.max(keepdims=True)",
        CAM,
    ),
    # The pictures of the page.
    Mutation(
        "gan_forensics/forensics/explanations.py", ", start=lambda logits: logits)", ")", PAGE
    ),
    Mutation(
        "gan_forensics/forensics/explanations.py",
        "np.array(GENERATED), np.array(REAL))",
        "np.array(REAL), np.array(GENERATED))",
        PAGE,
    ),
    Mutation(
        "gan_forensics/forensics/explanations.py",
        "evidence(explanation.relevance, scale)",
        "evidence(explanation.relevance, common_scale([explanation.relevance]))",
        PAGE,
    ),
    # How faithful maps are.
    Mutation(
        f"{E}/removal.py", "removed = gone ^ (kind == 1)", "removed = gone ^ (kind == 2)", REMOVAL
    ),
    Mutation(f"{E}/removal.py", "np.lexsort((draws, -sums)", "np.lexsort((draws, sums)", REMOVAL),
    Mutation(
        f"{E}/removal.py",
        "np.lexsort((draws, -sums), axis=1)",
        "np.argsort(-sums, axis=1, kind='stable')",
        REMOVAL,
    ),
    Mutation(f"{E}/removal.py", 'mode="reflect"', 'mode="constant"', REMOVAL),
    Mutation(
        f"{E}/faithful_results.py",
        "better * (found[m, i] - found[-1, i])",
        "found[m, i] - found[-1, i]",
        FAITHFUL,
    ),
    Mutation(f"{E}/faithful_results.py", "np.std(values, ddof=1)", "np.std(values)", FAITHFUL),
    Mutation(f"{E}/faithful.py", "(found * weights[rows])", "(found * weights[:1])", FAITHFUL),
    Mutation(
        "gan_forensics/report/faithfulness.py", "if gain.low > 0:", "if gain.value > 0:", FAITHFUL
    ),
    Mutation(
        "gan_forensics/forensics/faithful_explanations.py",
        "maps[name] * signs[:, None, None]",
        "maps[name]",
        "tests/test_forensics_explanations.py",
    ),
    Mutation(f"{E}/propagation.py", " if r.shape[-1] > 1}", "}", VIEWS),
    Mutation(
        "gan_forensics/report/relevance.py", "evidence(found, scale)", "evidence(found, 1.0)", VIEWS
    ),
]
