"""The documentation as a site: `make docs` builds it, into build/docs.

The folder that Sphinx reads is that of the repository: README.md and its like are pages as they
stand, and links between them hold here as they do there.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

project = "gan_forensics"
html_title = "gan_forensics"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "docs.extensions.mathematics",
    "docs.extensions.api",
    "docs.extensions.papers",
    "docs.extensions.results",
]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "*.md",
    "experiments/README.md",
    "benchmarks/README.md",
]
exclude_patterns = [".*", "build", "dist", "runs", "gan_forensics", "tests"]

html_theme = "furo"
# Where a server or a folder is opened.
html_extra_path = ["start/index.html"]
html_copy_source = False
# It reads pages anew, which browsers refuse where these are opened from the disk.
html_show_search_summary = False
html_show_copyright = False
html_math_renderer = "mathml"
# Blocks of commands have no language.
highlight_language = "text"
# Two hyphens are the beginning of an option.
smartquotes = False
myst_heading_anchors = 4
# The notebooks are stored without outputs: every page is made by a run.
nb_execution_mode = "force"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

# A name in backticks is a link where it is a name of ours, and code elsewhere.
default_role = "py:obj"
autodoc_preserve_defaults = True
autosummary_generate = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
maximum_signature_line_length = 88
# Each page has a list of its names at the head; hundreds of them beside it cost seconds a page.
toc_object_entries = False
