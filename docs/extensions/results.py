"""The directive `results FOLDER`: what lies in the results.json of an experiment.

It makes nodes, never text that is read as markup again: whatever stands in the file is shown as
letters.
"""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from gan_forensics.files import escaped
from gan_forensics.report.html import format_cell
from gan_forensics.report.limits import MOST_CELL, MOST_COLUMNS, MOST_NAME, cut_said, page_text
from gan_forensics.report.run import flatten
from gan_forensics.studies import read_results

# Rows of a table that the page shows; the file has all.
MOST_ROWS = 40
# Facts of the protocol.
MOST_FACTS = 100


class ResultsDirective(SphinxDirective):
    """Finding, tables and protocol of an experiment's results, and the files themselves."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self) -> list[nodes.Node]:
        """The nodes.

        Raises:
            ExtensionError: for a folder without results of an experiment, naming it.
        """
        folder = Path(self.arguments[0])
        try:
            found = read_results(folder)
        except (OSError, ValueError) as error:
            raise self.error(str(error)) from error
        self.env.note_dependency(str(folder / "results.json"))
        made: list[nodes.Node] = [nodes.paragraph("", _text(found.finding))]
        for name in found.tables:
            rows = found.rows(name)
            columns = [*(rows[0] if rows else ())][:MOST_COLUMNS]
            cells = [[row[column] for column in columns] for row in rows[:MOST_ROWS]]
            caption = cut_said(name, rows=(len(cells), len(rows)))
            made.append(_table(columns, cells, caption))
        protocol = found.extras.get("protocol")
        if isinstance(protocol, dict):
            facts = list(flatten(protocol).items())
            caption = cut_said("protocol", settings=(min(MOST_FACTS, len(facts)), len(facts)))
            made.append(_table(["setting", "value"], facts[:MOST_FACTS], caption))
        return [*made, self._files(folder)]

    def _files(self, folder: Path) -> nodes.Node:
        """Links to copies of the files, which the site carries."""
        items = []
        for name, what in (("results.json", "all rows"), ("report.html", "the report")):
            if (folder / name).is_file():
                target = "/" + os.path.relpath(folder / name, self.env.srcdir)
                link = addnodes.download_reference(
                    "", "", reftarget=target, refdoc=self.env.docname
                )
                link += nodes.literal("", name)
                items.append(
                    nodes.list_item("", nodes.paragraph("", "", link, nodes.Text(f": {what}")))
                )
        return nodes.bullet_list("", *items)


def _text(value: str, most: int = MOST_CELL * 20) -> nodes.Text:
    return nodes.Text(page_text(value, most))


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]], caption: str) -> nodes.table:
    """A table whose cells are letters."""
    group = nodes.tgroup("", *(nodes.colspec(colwidth=1) for _ in columns), cols=len(columns))
    group += nodes.thead("", _row([nodes.Text(escaped(name[:MOST_NAME])) for name in columns]))
    body = [_row([_text(format_cell(value), MOST_CELL) for value in row]) for row in rows]
    group += nodes.tbody("", *body)
    return nodes.table("", nodes.title("", escaped(caption)), group)


def _row(cells: Sequence[nodes.Text]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))


def setup(app: Sphinx) -> dict[str, bool]:
    """Sphinx calls it."""
    app.add_directive("results", ResultsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
