"""Studies: what papers do with several areas at once, and the runner of experiments."""

from gan_forensics.studies.by_name import EXPERIMENTS, run
from gan_forensics.studies.bypass import run_study
from gan_forensics.studies.bypass_measure import StudyConfig
from gan_forensics.studies.bypass_rates import draw_detectors, rates_of
from gan_forensics.studies.doping import CompareConfig, compare
from gan_forensics.studies.results import Results, read_results
from gan_forensics.studies.transferable import Ranking, probe_colour, rank_features, silence

__all__ = [
    "compare",
    "CompareConfig",
    "draw_detectors",
    "EXPERIMENTS",
    "probe_colour",
    "rank_features",
    "Ranking",
    "rates_of",
    "read_results",
    "Results",
    "run",
    "run_study",
    "silence",
    "StudyConfig",
]
