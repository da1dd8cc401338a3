# ruff: noqa: E501  # texts as they stand in the files
"""Mutations of verdicts, files of scores, validation, recalibration, and their commands."""

from tests.mutations import Mutation

F = "gan_forensics/forensics"
VERDICTS, FILES = "tests/test_forensics_verdicts.py", "tests/test_forensics_score_files.py"
VALID, MOVED = "tests/test_forensics_validation.py", "tests/test_forensics_recalibration.py"
COMMANDS = "tests/test_cli_evidence.py -m 'not slow'"

MUTATIONS = [
    Mutation(
        f"{F}/verdicts.py", "if above != (log10_lr > 0):", "if above and log10_lr < 0:", VERDICTS
    ),
    Mutation(f"{F}/verdicts.py", "(found > threshold) != above", "(found > threshold)", VERDICTS),
    Mutation(f"{F}/verdicts.py", "+ c.offset", "+ 0.0", VERDICTS),
    Mutation(f"{F}/verdicts.py", "c.real_weights,", "np.ones(len(c.real_scores)),", VERDICTS),
    Mutation(
        f"{F}/verdicts.py", "self.thresholds.get(tier, self.threshold)", "self.threshold", VERDICTS
    ),
    Mutation(
        f"{F}/verdicts.py",
        "if self.false_alarms is not None:\n                why",
        "if False:\n                why",
        VERDICTS,
    ),
    Mutation(f"{F}/score_files.py", "sorted(arrays.items())", "arrays.items()", FILES),
    Mutation(f"{F}/score_files.py", "(stated, STATED) if stated else", "", FILES),
    Mutation(
        f"{F}/score_files.py", 'if (score is None) != bool(texts["error"]):', "if False:", FILES
    ),
    Mutation(f"{F}/score_files.py", "abs(found) < 2**1000 and low < found", "low <= found", FILES),
    Mutation(f"{F}/score_files.py", "read_json(path, most=MOST_SCORES)", "read_json(path)", FILES),
    Mutation(f"{F}/validation.py", "fakes = {ALL: names, **fakes}", "pass", VALID),
    Mutation(
        f"{F}/validation.py",
        "measured_rate(scored.fake <= detector",
        "measured_rate(scored.fake > detector",
        VALID,
    ),
    Mutation(
        f"{F}/validation.py",
        "devpav(*ratios, weights=weights)",
        "devpav(*ratios[::-1], weights=weights)",
        VALID,
    ),
    Mutation(
        f"{F}/validation.py",
        "if len(known) < len(reference) or len(known) < 2:",
        "if False:",
        VALID,
    ),
    Mutation(
        f"{F}/validation.py", "found[:, ~seen], int(seen.sum())", "found, int(seen.sum())", VALID
    ),
    Mutation(
        f"{F}/validation.py",
        "np.asarray(groups[place])[~seen]",
        "np.asarray(groups[place])[seen]",
        VALID,
    ),
    Mutation(f"{F}/validation.py", "if found.costs and not found.separates:", "if False:", VALID),
    Mutation(
        f"{F}/evidence.py", "if weights is None else [round(of.sum()) for of in weights]", "", VALID
    ),
    Mutation(f"{F}/recalibration.py", "of.part(h != half)", "of.part(h == half)", MOVED),
    Mutation(
        f"{F}/recalibration.py",
        "key=lambda offset: abs(offset - best)",
        "key=lambda offset: -offset",
        MOVED,
    ),
    Mutation(
        f"{F}/recalibration.py", "weights = real.weights, fake.weights", "weights = None", MOVED
    ),
    Mutation(f"{F}/recalibration.py", "groups=(real.groups, fake.groups)", "groups=None", MOVED),
    Mutation(
        f"{F}/cross_fitting.py",
        "return max(thresholds), setting[0].votes",
        "return thresholds[0], setting[0].votes",
        MOVED,
    ),
    Mutation(f"{F}/recalibration.py", ".offset - old.offset", ".offset", MOVED),
    Mutation(
        f"{F}/recalibration.py", "least = 2 * FEWEST if refit else FEWEST", "least = FEWEST", MOVED
    ),
    Mutation("gan_forensics/cli/score.py", "old.verdict != new.verdict", "False", COMMANDS),
    Mutation(
        f"{F}/detector_scorer.py",
        "with_tier(image, self.tier, ",
        "with_tier(image, None, ",
        COMMANDS,
    ),
    Mutation(
        "gan_forensics/cli/score.py",
        "images.sort(key=lambda image: natural_order(image.path))",
        "images.sort(key=lambda image: image.score or 0)",
        COMMANDS,
    ),
    Mutation("gan_forensics/cli/recalibrate.py", "[*earlier, record]", "[record]", COMMANDS),
    Mutation(
        "gan_forensics/cli/validate.py",
        "groups=of and [some[one.rows]",
        "groups=None and [some[one.rows]",
        COMMANDS,
    ),
    Mutation(
        f"{F}/calibrators.py",
        "found.upper > high + _ROUNDING",
        "False",
        "tests/test_forensics_calibrators.py",
    ),
    Mutation(
        f"{F}/validation.py",
        "measured_rate(ratios[1] < 0, fake)",
        "measured_rate(ratios[1] > 0, fake)",
        VALID,
    ),
    Mutation("gan_forensics/report/recalibration.py", "if made.saved:", "if True:", MOVED),
]
