"""Further heads on the trunk of a discriminator, as networks of their own.

A discriminator says what its logits are a linear function of by `sow_trunk`, which costs nothing
where nobody asks. Heads are linear, with spectral norm where the discriminator has it.
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.initial import glorot
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32
from gan_forensics.nn.spectral_norm import Dense, SNDense

TRUNK, PROJECTION = "trunk", "projection"


def sow_trunk(
    discriminator: nn.Module,
    trunk: Float[Array, "b d"],
    projection: Float[Array, " b"] | None = None,
) -> None:
    """Leave in the collection "intermediates" what a discriminator's logits are made of.

    Args:
        discriminator: whose call this is.
        trunk: what its logits are a linear function of.
        projection: of a conditional one, what the labels add to the logits.
    """
    discriminator.sow("intermediates", TRUNK, trunk)
    if projection is not None:
        discriminator.sow("intermediates", PROJECTION, projection)


class ClassHead(Network):
    """Features to class logits, one linear layer.

    Attributes:
        classes: how many.
        spectral_norm: whether its kernel is divided by its largest singular value.
    """

    classes: int
    spectral_norm: bool = False

    @nn.compact
    def __call__(self, features: Float[Array, "b d"], *, train: bool) -> Float[Array, "b classes"]:
        """Logits of the classes, in float32 or better."""
        return _linear(self.classes, self.spectral_norm, "linear", features, train)


class LogitHeads(Network):
    """A bank of linear heads of one logit each; head k looks at the k-th features alone.

    Attributes:
        heads: how many.
        spectral_norm: whether each kernel is divided by its norm.
    """

    heads: int
    spectral_norm: bool = False

    @nn.compact
    def __call__(
        self, features: Float[Array, "heads b d"], *, train: bool
    ) -> Float[Array, "heads b"]:
        """The logits of every head for its own features.

        Raises:
            ValueError: for features of another number of heads.
        """
        if features.ndim != 3 or len(features) != self.heads:
            raise ValueError(
                f"{self.heads} heads look at features [{self.heads}, b, d], got "
                f"{list(features.shape)}"
            )
        return jnp.stack(
            [
                _linear(1, self.spectral_norm, f"head_{k}", features[k], train)[:, 0]
                for k in range(self.heads)
            ]
        )


def _linear(outputs: int, spectral_norm: bool, name: str, features, train: bool):
    kernel_init = glorot()
    if spectral_norm:
        made = SNDense(outputs, kernel_init=kernel_init, name=name)(features, train=train)
    else:
        made = Dense(outputs, kernel_init=kernel_init, name=name)(features)
    return at_least_float32(made)
