"""The documentation: its pages, its notebooks, and what `make docs` makes a site of them with."""
