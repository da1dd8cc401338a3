"""Label smoothing and distillation as one page and as Markdown, and the finding in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan_forensics.experiments.label_smoothing_distillation_published import published_section
from gan_forensics.report import Section
from gan_forensics.studies import distillation_verdicts as verdicts
from gan_forensics.studies import pages
from gan_forensics.studies.distillation_page import sentences, task_section

Results = Mapping[str, Any]
QUESTION = "When does smoothing the teacher help its student?"
NOTE = (
    "Smoothed: labels of alpha. Students learn from their teacher's logits alone, computed once "
    "for each teacher, since nothing is augmented. A difference is settled where its 95 % interval "
    "over seeds leaves 0 out; no correction is made for how many are looked at, and the best cell "
    "is chosen by the same test accuracies that it is judged by, which favours it. An interval "
    "that contains 0 shows no equality: of few seeds it is wide."
)
TRIOS = {"Toy": ("a class", "its sibling", "of another group")}
TRIOS |= {"Fashion-MNIST": ("pullover", "shirt", "ankle boot"), "MNIST-5k": ("4", "9", "0")}
TOY = "The four directions that the toy is expected to show, each judged."
OTHER = "The directions that the toy is expected to show, here for comparison: none was expected."


def finding(results: Results) -> str:
    """What the numbers say in short, task by task."""
    said = list(results["notes"])
    for title, seeds in results["tasks"].items():
        said.append(f"{title}: {verdicts.said_in_short(seeds)}")
    if "published" in results:
        said.append("The published recipes: see their table.")
    return "\n".join(said)


def everything(results: Results) -> str:
    """All verdicts of all tasks, for the terminal."""
    said = ["", *results["notes"]]
    for title, seeds in results["tasks"].items():
        said += [title, *(f"  {sentence}" for sentence in sentences(seeds))]
        rows = verdicts.directions(seeds)
        said += [f"  {row['expected']}: {row['found']}: {row['verdict']}." for row in rows]
    return "\n".join([*said, ""])


def sections_of(results: Results) -> list[Section]:
    """Tables and pictures of every task, and the published numbers."""
    sections = []
    for title, seeds in results["tasks"].items():
        expected = TOY if title == "Toy" else OTHER
        sections.append(task_section(title, seeds, TRIOS[title.split(",")[0]], expected))
    first = Section("How to read this", [NOTE, *results["notes"]])
    return [first, *sections, published_section(results.get("published", ()))]


def write_pages(out: Path, results: Results) -> None:
    """Write report.html and results.md."""
    sections = sections_of(results)
    pages.write_markdown(out, results, sections)
    pages.write_page(
        out,
        results,
        title=QUESTION,
        sections=sections,
        timed="All cells of a task, over its seeds.",
    )
