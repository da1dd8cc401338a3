"""Reports: figures from arrays, and self-contained HTML pages from figures, tables and runs."""

from gan_forensics.report.blocks import Facts, Link, Picture, Section, Table
from gan_forensics.report.evidence_plots import ece_figure, pav_figure, tippett_figure
from gan_forensics.report.html import write_report
from gan_forensics.report.plots import (
    Bar,
    bars_figure,
    losses_figure,
    spectra_figure,
    stored_curves,
)
from gan_forensics.report.run import report_run, table_of

__all__ = [
    "Bar",
    "bars_figure",
    "ece_figure",
    "Facts",
    "Link",
    "losses_figure",
    "pav_figure",
    "Picture",
    "report_run",
    "Section",
    "spectra_figure",
    "stored_curves",
    "Table",
    "table_of",
    "tippett_figure",
    "write_report",
]
