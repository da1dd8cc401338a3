"""Studies: what papers do with several areas at once, and the runner of experiments."""

from gan_forensics.studies.bypass import run_study
from gan_forensics.studies.bypass_measure import StudyConfig, measure
from gan_forensics.studies.bypass_rates import bypass_protocol
from gan_forensics.studies.doping import CompareConfig, compare
from gan_forensics.studies.transferable import Ranking, probe_colour, rank_features, silence
