"""The stages of an inspection, in the order in which they are shown and worked off.

Those of `FIRST` are what is to be seen within seconds; the others follow.
"""

from gan_forensics.inspector.findings import Stage
from gan_forensics.inspector.stages_file import aids, file
from gan_forensics.inspector.stages_views import spectrum

FIRST: dict[str, Stage] = {
    "file": file,
    "spectrum": spectrum,
}
LATER: dict[str, Stage] = {
    "aids": aids,
}
