"""What a discriminator says of images in one pass: outputs by name, whatever it returns them as."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
from jaxtyping import Array, Float

from gan_forensics.gans.task import Images, Labels

# How a discriminator comes to have an output.
_OTHERWISE = (
    "let the discriminator return a dict with it, {{'logits': ..., {name!r}: ...}}, or call "
    "self.sow('intermediates', {name!r}, x)"
)
_HOW = {
    "rotation": "give a discriminator that returns it, such as "
    "gan_forensics.nn.resgan.Discriminator with rotations=4",
    "trunk": "let it call gan_forensics.nn.heads.sow_trunk(self, x) with the x [b, d] that its "
    "logits are a linear function of; heads of tasks look at it",
}


class DiscriminatorOutput:
    """Images, and what the discriminator made of them in one pass: its outputs by name.

    `output.pooled` is `output["pooled"]`; an output that is called `images` or `labels` is reached
    by the latter alone.
    """

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
                f"{', '.join(self._outputs)}: {_HOW.get(name, _OTHERWISE.format(name=name))}"
            )
        return self._outputs[name]

    def __getattr__(self, name: str) -> Array:
        """One output, as `output[name]`; AttributeError for one that this discriminator lacks."""
        if name.startswith("_"):  # Python's own questions.
            raise AttributeError(name)
        try:
            return self[name]
        except ValueError as error:
            raise AttributeError(str(error)) from None


def named_outputs(outputs: Any) -> dict[str, Array]:
    """The outputs of a discriminator by name, with its logits as [b].

    An array is the logits, of (logits, features) both are; a mapping, a named tuple and a dataclass
    name theirs. Logits [b, 1] are taken as [b].

    Raises:
        ValueError: for anything else, and where there are no logits of this shape.
    """
    named = _by_name(outputs)
    if "logits" not in named:
        raise ValueError(
            f"a discriminator's outputs are {', '.join(named) or 'none'}: one is called 'logits', "
            "with a number [b] for each image"
        )
    logits = named["logits"]
    if logits.ndim == 2 and logits.shape[1] == 1:
        named["logits"] = logits = logits[:, 0]
    if logits.ndim != 1:
        raise ValueError(
            f"a discriminator returned logits {list(logits.shape)}: one number for each image is "
            "needed, [b] or [b, 1] (take the mean over places, or the sum)"
        )
    return named


def _by_name(outputs: Any) -> dict[str, Array]:
    if isinstance(outputs, jax.Array):
        outputs = {"logits": outputs}
    elif hasattr(outputs, "_asdict"):
        outputs = outputs._asdict()
    elif dataclasses.is_dataclass(outputs):
        outputs = {f.name: getattr(outputs, f.name) for f in dataclasses.fields(outputs)}
    elif isinstance(outputs, tuple | list) and len(outputs) == 2:
        outputs = dict(zip(("logits", "features"), outputs, strict=True))
    elif not isinstance(outputs, Mapping):
        size = f" of {len(outputs)}" if isinstance(outputs, tuple | list) else ""
        raise ValueError(
            f"a discriminator returned a {type(outputs).__name__}{size}: return logits [b], "
            "(logits, features), or a dict of outputs by name with 'logits'"
        )
    return {name: value for name, value in outputs.items() if value is not None}
