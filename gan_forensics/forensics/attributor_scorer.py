"""What an attributor makes of image files: which generator made each, as far as it knows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_forensics.data.decoding import Header
from gan_forensics.forensics.attribution import Attributor
from gan_forensics.forensics.attribution_model import Outputs

NONE = "none of these"


@dataclass(frozen=True)
class AttributorScorer:
    """An attributor as `score_stream.score_shard` takes it.

    Attributes:
        model: what tells.
        sha256: of its file, which names its results.
    """

    model: Attributor
    sha256: str

    @property
    def identity(self) -> dict[str, Any]:
        """What results rest on."""
        return {
            "attributor": self.model.method,
            "detector_sha256": self.sha256,
            "sources": list(self.model.names),
        }

    @property
    def columns(self) -> dict[str, str]:
        """The verdict, the probability of "generated", those of the sources, and knownness."""
        sources = {f"p_{name}": "double" for name in self.model.names}
        return {"verdict": "string", "generated": "double", **sources, "known": "double"}

    def check(self, header: Header) -> None:
        """Refuse an image of another size than the model's (ValueError)."""
        self.model.check_shape((header.height, header.width, 3))

    def prepared(self, pixels: Any) -> Any:
        """The image as the model sees it; ValueError refuses flat ones."""
        return self.model.prepared(pixels)

    def judge(self, given: list[tuple[Any, Header]]) -> Sequence[tuple[Any, Outputs]]:
        """Each image as the model saw it, and what the model says of it."""
        images = [image for image, _ in given]
        outputs = self.model.model.outputs(np.stack(images))
        return [(image, outputs.rows([place])) for place, image in enumerate(images)]

    def cells(self, found: tuple[Any, Outputs], header: Header | None = None) -> dict[str, Any]:
        """The cells of an image that the model says something of."""
        model, (_, outputs) = self.model, found
        probabilities = model.probabilities(outputs)[0]
        unknown = bool(model.none_of_these(outputs)[0])
        return {
            "verdict": NONE if unknown else model.names[int(probabilities.argmax())],
            "generated": float(1 - probabilities[model.real_index]),
            **{f"p_{n}": float(p) for n, p in zip(model.names, probabilities, strict=True)},
            "known": float(model.knownness(outputs)[0]),
        }
