"""The inspector: one image or a folder of them, and what can be said of each, as a page.

It computes nothing of its own: what is shown are findings of the floors below.
"""

__all__: list[str] = []
