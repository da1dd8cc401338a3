"""Mutations of the plots and of the page's section of likelihood ratios."""

from tests.mutations import Mutation

R = "gan_forensics/report"
PLOTS = "tests/test_report_evidence_plots.py"
QUESTIONS = "tests/test_report_evidence.py"

MUTATIONS = [
    Mutation(
        f"{R}/evidence_plots.py",
        'for side in ("left", "right")',
        'for side in ("right", "left")',
        PLOTS,
    ),
    Mutation(f"{R}/evidence_plots.py", "(1 - from_1, ", "(from_1, ", PLOTS),
    Mutation(f"{R}/evidence_plots.py", 'drawstyle="steps-pre"', 'drawstyle="steps-post"', PLOTS),
    Mutation(
        f"{R}/evidence_plots.py",
        "tippett(real_log10_lr, fake_log10_lr, weights=weights)",
        "tippett(real_log10_lr, fake_log10_lr)",
        PLOTS,
    ),
    Mutation(
        f"{R}/evidence_plots.py", "np.clip(curves.log10_lr, left, right)", "curves.log10_lr", PLOTS
    ),
    Mutation(f"{R}/evidence_plots.py", "axvspan(-near, near", "axvspan(0, near", PLOTS),
    Mutation(
        f"{R}/evidence_plots.py", "enumerate(bounds or ())", "enumerate((bounds or ())[:1])", PLOTS
    ),
    Mutation(
        f"{R}/evidence_plots.py", '(y == -np.inf, low, "v")', '(y == np.inf, low, "v")', PLOTS
    ),
    Mutation(f"{R}/evidence_plots.py", ", x[0] - 1)", ", -1e9)", PLOTS),
    Mutation(f"{R}/evidence_plots.py", "np.minimum(curves.stated, 3.0)", "curves.stated", PLOTS),
    Mutation(
        f"{R}/evidence_plots.py", "(curves.pav, PHOTOGRAPH", "(curves.neutral, PHOTOGRAPH", PLOTS
    ),
    Mutation(
        f"{R}/evidence.py",
        "if tier.separates is False:\n",
        "if False:\n",
        QUESTIONS,
    ),
    Mutation(f"{R}/evidence.py", "if tier.separates is False]", "if tier.separates]", QUESTIONS),
    Mutation(
        f"{R}/evidence.py",
        "if groups < len(scores) else",
        "if groups > len(scores) else",
        QUESTIONS,
    ),
    Mutation(
        f"{R}/evidence.py",
        "max(after, key=lambda m: m.false",
        "min(after, key=lambda m: m.false",
        QUESTIONS,
    ),
    Mutation(
        f"{R}/evidence.py",
        "min(after, key=lambda m: m.detected",
        "max(after, key=lambda m: m.detected",
        QUESTIONS,
    ),
    Mutation(f"{R}/evidence.py", "hit.n - hit.events} of", "hit.events} of", QUESTIONS),
    Mutation(
        f"{R}/evidence.py",
        "{1 - hit.high:.1%} to",
        "{1 - hit.low:.1%} to",
        QUESTIONS,
    ),
    Mutation(
        f"{R}/evidence.py",
        'text = f"{fitted}{word} from {shown(facts[name])}."',
        'text = f"{fitted}{word} from {facts[name]}."',
        QUESTIONS,
    ),
    Mutation(f"{R}/evidence.py", "if is_number(count)", "if True", QUESTIONS),
    Mutation(
        f"{R}/evidence.py",
        '"none" if tier.name == "clean" else tier.name\n',
        '"none" if tier.name == "web" else tier.name\n',
        QUESTIONS,
    ),
    Mutation(f"{R}/evidence.py", 'f"{unmeasured(false_alarms)}. {_OWN} only: "', '""', QUESTIONS),
]
