"""`gan-forensics`: for people with images and weights. Heavy imports happen inside the commands."""

from gan_forensics.cli.entry import guarded, main

__all__ = [
    "guarded",
    "main",
]
