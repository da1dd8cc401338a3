"""The stages of an inspection, in the order in which they are shown and worked off.

Those of `FIRST` are what is to be seen within seconds; the others follow.
"""

from gan_forensics.inspector.findings import Stage
from gan_forensics.inspector.stages_attribution import attribution
from gan_forensics.inspector.stages_provenance import provenance
from gan_forensics.inspector.stages_relevance import relevance
from gan_forensics.inspector.stages_views import spectrum

FIRST: dict[str, Stage] = {
    "provenance": provenance,
    "spectrum": spectrum,
}
LATER: dict[str, Stage] = {
    "attribution": attribution,
    "relevance": relevance,
}
