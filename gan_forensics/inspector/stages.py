"""The stages of an inspection, in the order in which they are shown and worked off.

Those of `FIRST` are what is to be seen within seconds; the others follow.
"""

from collections.abc import Iterator

from gan_forensics.inspector.findings import Finding, Opened, Stage, Tools
from gan_forensics.inspector.stages_views import spectrum

FIRST: dict[str, Stage] = {
    "spectrum": spectrum,
}
LATER: dict[str, Stage] = {}


def findings(opened: Opened, tools: Tools) -> Iterator[Finding]:
    """What each stage finds, as soon as it is found; stages that do not apply find nothing."""
    for stage in (*FIRST.values(), *LATER.values()):
        found = stage(opened, tools)
        if found is not None:
            yield found
