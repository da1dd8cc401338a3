"""The inspector: one image or a folder of them, and what can be said of each, as a page.

It computes nothing of its own: what is shown are findings of the floors below.
"""

from gan_forensics.inspector.findings import Finding, Tools
from gan_forensics.inspector.inspection import Inspection, inspect
from gan_forensics.inspector.report import report_html, report_json, write_reports

__all__ = [
    "Finding",
    "inspect",
    "Inspection",
    "report_html",
    "report_json",
    "Tools",
    "write_reports",
]
