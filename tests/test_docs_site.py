"""What the documentation is made of: pages of packages and papers, results, formulas, the guide."""

import doctest
import re
from importlib import import_module

import pytest
from docutils import nodes
from sphinx.application import Sphinx

from docs.extensions import api, made, mathematics, papers
from gan_forensics import explain, forensics
from gan_forensics.data import carriers
from gan_forensics.files import write_json
from gan_forensics.forensics import DetectorClassifier, verdicts
from gan_forensics.forensics.likelihood_ratios import INCONCLUSIVE, VERBAL_SCALE
from gan_forensics.studies import EXPERIMENTS
from tests.markdown import ROOT
from tests.small_results import write_small_results

GUIDE = (ROOT / "docs" / "analysts.md").read_text(encoding="utf-8")
RESULTS = (ROOT / "experiments" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [api, made, mathematics, papers])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


# --- pages of papers ------------------------------------------------------------------------------


def test_every_section_of_results_stands_on_one_page():
    _, sections = papers.split_sections(RESULTS)
    assert list(papers.SECTIONS) == sorted(EXPERIMENTS) == list(EXPERIMENTS)
    text = papers.what_remains(RESULTS) + "".join(papers.measured(n, sections) for n in EXPERIMENTS)
    for head, body in sections.items():
        assert text.count(f"## {head}{body}") == 1
    rest = re.findall("^## (.*)", papers.what_remains(RESULTS), re.MULTILINE)
    assert rest == ["Papers", "What the `paper` presets cost"]


def test_a_heading_that_is_renamed_is_named():
    with pytest.raises(ValueError, match="0 sections that begin with 'Which augmentation leaves'"):
        papers.measured("dag", {"Other": ""})


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_page_has_its_question_its_presets_and_what_was_measured(name):
    module = import_module(f"gan_forensics.experiments.{name}")
    _, sections = papers.split_sections(RESULTS)
    text = papers.page(name, sections)
    assert text.startswith(f"# {EXPERIMENTS[name][0].upper()}")
    assert f"*{(module.__doc__ or '').splitlines()[0]}*\n\n    python -m experiments." in text
    here = papers.measured(name, sections).strip()
    assert here in text and "{results}" not in text
    # The page holds what the docstring refers to.
    assert not here or "experiments/README.md" not in text.replace(here, "")
    for preset, (said, _) in getattr(module, "PRESETS", {}).items():
        assert f"- `{preset}`: {said}" in text
    assert ("\n| out | runs/" in text) == hasattr(module, "PRESETS")


def test_results_are_found_by_the_folders_that_presets_write_into(tmp_path):
    (out,) = write_small_results(tmp_path, ["doping"])
    (tmp_path / "other").mkdir()
    write_json(tmp_path / "other" / "results.json", {})
    assert papers.found_results(tmp_path) == {"doping": [papers.Found("smoke", out)]}
    text = papers.page("doping", papers.split_sections(RESULTS)[1], [papers.Found("smoke", out)])
    assert text.endswith(f"## Your results\n\n### Preset `smoke`\n\n```{{results}} {out}\n```\n")


def test_no_two_presets_write_into_one_folder():
    modules = [import_module(f"gan_forensics.experiments.{name}") for name in EXPERIMENTS]
    assert len(papers.default_folders()) == sum(len(getattr(m, "PRESETS", " ")) for m in modules)


@pytest.mark.parametrize(
    ("folder", "said"), [("gone", "is no folder"), ("", "such as doping-smoke")]
)
def test_a_folder_without_results_is_refused(folder, said, tmp_path):
    with pytest.raises((FileNotFoundError, ValueError), match=said):
        papers.found_results(tmp_path / folder)


# --- results and formulas on a page ---------------------------------------------------------------

HOSTILE = "<script>x</script> [a](https://b.example) ${x}$ `c` \x1b[31m"


def built(folder, text):
    """The HTML of a page of its own, and what Sphinx complains of."""
    source = folder / "source"
    source.mkdir()
    (source / "index.md").write_text(text, encoding="utf-8")
    said = folder / "said"
    names = ("mathematics", "results")
    settings = {
        "extensions": ["myst_parser", *(f"docs.extensions.{name}" for name in names)],
        "html_math_renderer": "mathml",
        "html_theme": "basic",
    }
    with said.open("w", encoding="utf-8") as complaints:
        app = Sphinx(
            source, None, folder / "html", folder / "trees", "html", settings, None, complaints
        )
        app.build()
    page = folder / "html" / "index.html"
    return page.read_text(encoding="utf-8"), said.read_text(encoding="utf-8")


def test_results_are_letters_and_long_tables_are_cut(tmp_path):
    out = tmp_path / "doping-smoke"
    out.mkdir()
    rows = [{"seed": seed, "arm|x": HOSTILE, "auc": 0.123456, "b\u202e": 1} for seed in range(50)]
    protocol = {"data": {"name": HOSTILE}}
    content = {"tables": {"rows": rows}, "finding": HOSTILE, "protocol": protocol}
    write_json(out / "results.json", content)
    text, said = built(tmp_path, f"# A\n\n```{{results}} {out}\n```\n\n```{{math}}\nx^2\n```\n")
    assert said == ""
    body = text[text.index("<h1>") : text.index("</section>")]
    assert "<script" not in body and 'b.example"' not in body and "\x1b" not in body
    assert body.count("&lt;script&gt;x&lt;/script&gt;") == 42  # the finding, 40 rows, the protocol
    assert "rows (40 of 50 rows shown)" in body and "0.1235" in body and "arm|x" in body
    assert "data.name" in body and 'download="" href="_downloads/' in body
    assert "\u202e" not in body and 'display="block"' in body
    assert "<msup>" in body and "cdn" not in text and "MathJax" not in text


def test_what_is_no_result_and_no_formula_is_named(tmp_path):
    write_json(tmp_path / "results.json", {"tables": 3})
    text = f"# A\n\n```{{results}} {tmp_path}\n```\n\n```{{math}}\n\\nonsense{{x}}\n```\n"
    _, said = built(tmp_path, text)
    assert "these are no results of an experiment" in said
    assert r"the formula '\\nonsense{x}' cannot be read" in said


# --- docstrings -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "drawn"),
    [
        (["|a| and `b|c` and x_"], [r"\|a\| and ``b|c`` and x\_"]),
        (["`as_images`s of", "`data.blur`."], [r"`as_images`\ s of", "`data.blur`."]),
        (["Args:", "    a_: x * y."], ["Args:", r"    a\_: x \* y."]),
        (["Example:", "    >>> a * b_", "    `*`"], ["Example:", "    >>> a * b_", "    `*`"]),
        (["- a:", "", "    b*"], ["- a:", "", r"    b\*"]),
        (["====  ====", "`a`  b|c", "====  ===="], ["====  ====", "`a`  b|c", "====  ===="]),
        (["Say:", "", "    a *", "", "    b |"], ["Say:", "", "::", "", "    a *", "", "    b |"]),
    ],
)
def test_nothing_in_docstrings_is_markup_but_what_is_meant(lines, drawn):
    assert api.as_rst(lines) == drawn


def test_constants_are_told_by_what_they_hold():
    lines: list[str] = []
    api._read(Sphinx, "module", "gan_forensics.forensics", forensics, None, lines)
    assert ".. py:data:: FEATURES" in lines and "   FEATURES" not in lines
    assert any(line.startswith("   By name: ``durall``, ``unmasking``") for line in lines)
    assert "   ``SpectralDetector``, ``NeuralDetector``." in lines
    assert "   fit_detector" in lines and "   account" not in lines
    api._read(Sphinx, "module", "gan_forensics.explain", explain, None, lines)
    assert "   rules" in lines  # a module has its own


def test_what_others_add_to_classes_is_left_out():
    def left_out(of):
        return api._is_left_out(Sphinx, "class", "", of, False, None)

    assert left_out(verdicts.Verdict.why) and left_out(DetectorClassifier.set_score_request)
    assert left_out(DetectorClassifier.fit) is None and left_out(3) is None


def test_fields_are_called_as_in_docstrings():
    name, body = nodes.field_name("", "Variables"), nodes.paragraph("", "", nodes.Text(" -- "))
    body += nodes.Text("Variables -- of all")
    document = nodes.document("", nodes.document)
    document += nodes.field("", name, nodes.field_body("", body))
    api._with_our_words(Sphinx, document)
    assert (name.astext(), body.astext()) == ("Attributes", ": Variables -- of all")


# --- the guide says what the code does ------------------------------------------------------------


def test_the_guide_has_the_verbal_scale():
    rows = re.findall(r"^\| from ([\d,]+) \| to 1/([\d,]+) \| (.+?) \|$", GUIDE, re.MULTILINE)
    assert all(up == down for up, down, _ in rows)
    assert [(float(up.replace(",", "")), said) for up, _, said in rows] == list(VERBAL_SCALE)
    assert f"| 1/{INCONCLUSIVE:g} to {INCONCLUSIVE:g} | | {verdicts.NEAR_1} |" in GUIDE


def test_the_guide_has_every_reason_for_unsure():
    reasons = (verdicts.NEAR_1, verdicts.CONTRADICTION, f"{verdicts.TURNED}...", verdicts.OUTSIDE)
    table = GUIDE.partition("## When it says unsure")[2].partition("\n\nA picture")[0]
    assert re.findall(r"^\| (.+?) \|", table, re.MULTILINE)[1:] == list(reasons)


def test_the_guide_has_the_tiers():
    rows = dict(re.findall(r"^\| (clean|web|hard) \| (.+) \|$", GUIDE, re.MULTILINE))
    assert list(rows) == list(carriers.TIERS)
    tiers = [carriers.tier_of(quality) for quality in range(1, 101)]
    for tier, longest in carriers.LONGEST.items():
        first, last = tiers.index(tier) + 1, 100 - tiers[::-1].index(tier)
        said = f"up to {last}" if first == 1 else f"{first} to {last}"
        assert f"at most {longest} pixels" in rows[tier] and rows[tier].endswith(f"quality {said}")


def test_every_document_is_on_the_site():
    start = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    folder = ROOT / "docs"
    pages = [*folder.glob("*.md"), *folder.glob("notebooks/*.ipynb"), *ROOT.glob("*.md")]
    pages += [ROOT / name / "README.md" for name in ("benchmarks", "experiments")]
    listed = re.findall(r"^(?:.* <)?([\w./]+?)>?$", start, re.MULTILINE)
    known = {(folder / name).resolve() for name in listed}
    missing = [path for path in pages if path.with_suffix("") not in known]
    assert [path for path in missing if path.name != "index.md"] == []
