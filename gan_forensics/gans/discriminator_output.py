"""What a discriminator says of images in one pass: outputs by name, whatever it returns them as."""

from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Float

from gan_forensics.gans.task import Images, Labels

# How a discriminator comes to have an output.
_OTHERWISE = (
    "give a discriminator that returns it, such as gan_forensics.nn.resgan.Discriminator (for "
    "rotation with rotations=4)"
)
_HOW = {
    "trunk": "let it call gan_forensics.nn.heads.sow_trunk(self, x) with the x [b, d] that its "
    "logits are a linear function of; heads of tasks look at it"
}


class DiscriminatorOutput:
    """Images, and what the discriminator made of them in one pass: its outputs by name."""

    def __init__(self, images: Images, labels: Labels, outputs: Any):
        self.images, self.labels = images, labels
        self._outputs = named_outputs(outputs)

    def __contains__(self, name: str) -> bool:
        """Whether this discriminator has an output."""
        return name in self._outputs

    @property
    def features(self) -> Float[Array, "b d"]:
        """What heads of classes look at: all features, or else what the logits are linear in."""
        return self["features" if "features" in self else "trunk"]

    def __getitem__(self, name: str) -> Array:
        """One output.

        Raises:
            ValueError: for one that this discriminator lacks.
        """
        if name not in self._outputs:
            raise ValueError(
                f"a task needs the discriminator's output {name!r}, this one has only "
                f"{', '.join(self._outputs)}: {_HOW.get(name, _OTHERWISE)}"
            )
        return self._outputs[name]


def named_outputs(outputs: Any) -> dict[str, Array]:
    """The outputs of a discriminator by name."""
    if isinstance(outputs, jax.Array):
        outputs = {"logits": outputs}
    elif not isinstance(outputs, Mapping):
        outputs = outputs._asdict()
    return {name: value for name, value in outputs.items() if value is not None}
