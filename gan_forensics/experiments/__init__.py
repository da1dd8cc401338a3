"""The scripts of `experiments/` by the one name that their modules have, also in a clone.

An installed package holds that folder in the place of this file.
"""

from pathlib import Path

__all__ = []

__path__ = [str(Path(__file__).parents[2] / "experiments")]
