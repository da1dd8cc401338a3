"""The stages of an inspection, in the order in which they are worked off.

Those of `FIRST` are what is to be seen within seconds; the others follow.
"""

from gan_forensics.inspector.findings import Stage
from gan_forensics.inspector.stages_attribution import attribution
from gan_forensics.inspector.stages_file import aids, file
from gan_forensics.inspector.stages_provenance import provenance
from gan_forensics.inspector.stages_relevance import relevance
from gan_forensics.inspector.stages_verdict import carriers, tiles, verdict
from gan_forensics.inspector.stages_views import spectrum

FIRST: dict[str, Stage] = {
    "provenance": provenance,
    "file": file,
    "verdict": verdict,
    "spectrum": spectrum,
}
LATER: dict[str, Stage] = {
    "carriers": carriers,
    "tiles": tiles,
    "attribution": attribution,
    "relevance": relevance,
    "aids": aids,
}
# In the order in which they are shown.
SHOWN = (
    "provenance", "verdict", "carriers", "tiles", "spectrum", "attribution", "relevance", "file",
    "aids",
)  # fmt: skip
