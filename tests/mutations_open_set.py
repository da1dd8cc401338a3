# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of calibrated attribution: temperature, open set, verification, dates, and its pages."""

from tests.mutations import Mutation

FORENSICS, REPORT = "gan_forensics/forensics/", "gan_forensics/report/"
TEMPERATURE = f"{FORENSICS}temperature.py", "tests/test_forensics_temperature.py"
OPEN_SET = f"{FORENSICS}open_set.py", "tests/test_forensics_open_set.py"
VERIFICATION = f"{FORENSICS}verification.py", "tests/test_forensics_verification.py"
DATES = "gan_forensics/studies/by_date.py", "tests/test_studies_by_date.py"
PAGE = f"{REPORT}attribution.py", "tests/test_report_attribution.py"
FITTED = f"{REPORT}attribution_fit.py", "tests/test_report_attribution.py"

CHANGES = [
    (TEMPERATURE, "sure = (n + 1) / (n + 2)", "sure = 1.0"),
    (TEMPERATURE, "return 1 / _root(slope, low, high)", "return _root(slope, low, high)"),
    (TEMPERATURE, "np.ceil(confidence * bins).astype(int) - 1", "np.floor(confidence * bins).astype(int)"),
    (TEMPERATURE, "row.n / n * abs(row.accuracy - row.confidence)", "row.n / n * (row.accuracy - row.confidence)"),
    (OPEN_SET, "np.partition(cosine, -k, 1)[:, -k]", "np.partition(cosine, -1, 1)[:, -1]"),
    (OPEN_SET, "gallery.features[copies(gallery.features).first]", "gallery.features"),
    (OPEN_SET, "return -calibrated_threshold(-scores, false_alarms=1 - accepted)", "return float(np.quantile(scores, 1 - accepted))"),
    (OPEN_SET, 'check_scores("image", scores) < threshold', 'check_scores("image", scores) <= threshold'),
    (OPEN_SET, "        if name != real:\n", "        if True:\n"),
    (OPEN_SET, "np.where(right, known, -np.inf)", "known"),
    (OPEN_SET, "float((unknown >= at_95).mean())", "float((unknown > at_95).mean())"),
    (OPEN_SET, "measured_rate(unknown >= threshold)", "measured_rate(unknown > threshold)"),
    (VERIFICATION, "np.mean([source.mean(0) for source in sources], 0)", "gallery.mean(0)"),
    (VERIFICATION, "(pairs.different >= similarity)", "(pairs.different <= similarity)"),
    (VERIFICATION, "if false_match <= WRONG < false_non_match:", "if false_match <= 4 * WRONG < 1:"),
    (VERIFICATION, "rng.choice(len(sources), 2, replace=False)", "rng.choice(len(sources), 2)"),
    (VERIFICATION, "if len(source) >= 2 * (few + many)]", "if len(source) >= few + many]"),
    (VERIFICATION, "bounds=[(None, None), (0, None)]", "bounds=[(None, None), (None, None)]"),
    (DATES, "if date < years[name] <= end", "if date <= years[name] <= end"),
    (DATES, "np.abs(signs[0]).sum(-1) * np.abs(signs[1]).sum(-1)", "signs[0].shape[-1] ** 2 * np.ones_like(signs[0].sum(-1))"),
    (DATES, "for r, f in zip(real, fake, strict=True):\n        scores", "for r, f in zip(fake, real, strict=True):\n        scores"),
    (PAGE, "row.base is not None and not row.none_of_these", "row.base is not None"),
    (PAGE, "np.delete(probabilities, place)", "probabilities"),
    (PAGE, "np.argsort(-probabilities", "np.argsort(probabilities"),
    (FITTED, '("fpr_at_95", max)', '("fpr_at_95", min)'),
    (FITTED, "found.setdefault(group, cell)", "found[group] = cell"),
]  # fmt: skip

MUTATIONS = [Mutation(file, old, new, tests) for (file, tests), old, new in CHANGES]
