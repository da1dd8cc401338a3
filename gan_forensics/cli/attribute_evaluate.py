"""`gan-forensics attribute evaluate`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tyro.conf import Positional

from gan_forensics.cli.attribute_fit import said_cells
from gan_forensics.cli.checks import at_least
from gan_forensics.cli.process import progress
from gan_forensics.files import listed, say, tell

if TYPE_CHECKING:
    from gan_forensics.data.attributed import Attributed
    from gan_forensics.forensics.attribution import Attributor


@dataclass(frozen=True)
class AttributeEvaluate:
    """Measure a model on labelled images: what it calls right, clean and corrupted.

    Images of generators, training seeds and contents that the model was fitted on are told from new
    ones by their names; images that it was fitted on are left out. Sources that it does not know
    are refused: `attribute score` gives their images verdicts, and `attribute fit --leave-out`
    measures how often "none of these" is said of an unknown generator.

    Try it:

    $ gan-forensics attribute evaluate generators.npz --data folder:others --out evaluated
    """

    model: Positional[Path]
    """A file of `attribute fit`."""
    data: str
    """Labelled images, as for `attribute fit`."""
    out: Path
    """Folder for results.json and report.html."""
    real_is: str | None = None
    """The source that is real; by default the one of that name in the model."""
    most: int = 500
    """Images of each source and group that are measured on."""
    severities: bool = False
    """Also measure all 19 corruptions at each of their five severities, which takes a while."""
    seed: int = 0
    """Of the choice and of the corruptions."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images are
    always left out, and named."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data.attributed import open_attributed
        from gan_forensics.data.survey import sentences
        from gan_forensics.files import check_folder_out, write_json
        from gan_forensics.forensics.attribution_files import load_attributor
        from gan_forensics.forensics.attribution_measure import measured
        from gan_forensics.forensics.attribution_parts import relabelled, usable
        from gan_forensics.report.attribution_fit import fitted_page

        check_folder_out(self.out)
        at_least(1, most=self.most)
        at_least(0, seed=self.seed)
        model = load_attributor(self.model)
        real = self.real_is or model.real
        images = open_attributed(self.data, real_is=real, follow_links=self.follow_links)
        images = relabelled(images, model.names, model.real)
        (images,), left_out = usable(
            {self.data: images}, model.preprocessing, on_bad_image=self.on_bad_image,
            progress=progress,
        )  # fmt: skip
        for line in sentences(left_out.get("left_out", {})):
            say(line)
        images = self._others(model, images)
        found = measured(
            model, images, model.facts.get("known", {}), most=self.most, seed=self.seed,
            progress=progress,
        )  # fmt: skip
        facts = {**model.described(), "data": self.data, "measured": found, "left_out": {}}
        facts |= left_out
        if self.severities:
            facts["severity"] = self._severities(model, images)
        write_json(self.out / "results.json", {"model": str(self.model), **facts})
        tell(*said_cells(found))
        tell(f"Open {fitted_page(self.out / 'report.html', facts)}.")

    def _others(self, model: "Attributor", images: "Attributed") -> "Attributed":
        """Those that the model was not fitted on; says how many are left out."""
        import numpy as np

        fresh = np.array([
            not model.was_fitted_on(model.prepared(images.source[i]["image"]))
            for i in progress(range(len(images.labels)))
        ])  # fmt: skip
        if not fresh.all():
            say(
                f"{self.data}: {(~fresh).sum()} of {len(fresh)} images are left out: the model was "
                "fitted on them"
            )
        if not fresh.any():
            raise ValueError(f"{self.data}: the model was fitted on all of these images")
        known = set(model.facts.get("known", {}).get("semantics", ())) - {""}
        found = set(images.semantics) - {""}
        if known and found and not known & found:
            say(
                f"none of the contents ({listed(sorted(found))}) is called as one that the "
                f"model was fitted on ({listed(sorted(known))}): all count as unseen"
            )
        return images.part(fresh)

    def _severities(self, model: "Attributor", images: "Attributed") -> dict[str, list[float]]:
        import numpy as np

        from gan_forensics.data.corruptions import CORRUPTIONS
        from gan_forensics.data.perturbations import at_hand
        from gan_forensics.forensics.attribution_measure import against_severity, some_of_each

        kinds, line = at_hand(tuple(CORRUPTIONS))
        if line:
            say(line)
        every = np.ones(len(images.labels), bool)
        rows = some_of_each(images, every, most=self.most, seed=self.seed)
        return against_severity(model, images, rows, progress(kinds))
