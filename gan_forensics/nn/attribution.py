"""The network that tells generators apart: a residual body, an embedding, and two heads on it.

Bui et al., "RepMix: Representation Mixing for Robust Attribution of Synthesized Images" (ECCV
2022): ResNet-50, a linear layer to 256 numbers in the place of its last one, and on these a linear
layer for the sources and one for real against generated. Linear layers start as PyTorch's do.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from gan_forensics.nn.initial import torch_uniform
from gan_forensics.nn.network import Network
from gan_forensics.nn.norms import at_least_float32
from gan_forensics.nn.resnet import Between, ResNet

EMBEDDING = 256


class Attribution(NamedTuple):
    """What the network says of images.

    Attributes:
        embedding: e, without activation or normalisation.
        sources: z, a logit for every source.
        detection: d, two logits: of real, of generated.
    """

    embedding: Float[Array, "b e"]
    sources: Float[Array, "b classes"]
    detection: Float[Array, "b 2"]


class AttributionNetwork(Network):
    """Images in [-1, 1], with sides of at least the body's stride, to an `Attribution`.

    Attributes:
        body: a `ResNet` without a last layer (`classes=None`).
        classes: number of sources, the real one included.
        embedding: length of the embedding.
    """

    body: ResNet
    classes: int
    embedding: int = EMBEDDING

    @property
    def stride(self) -> int:
        """The smallest side of images."""
        return self.body.stride

    @property
    def embedding_level(self) -> int:
        """The level of the embedding, behind those of the body: 6 where the body has 4 stages."""
        return len(self.body.blocks) + 2

    @nn.compact
    def __call__(
        self, x: Float[Array, "b h w c"], *, train: bool, between: Between | None = None
    ) -> Attribution:
        """Apply it; `between` as in `ResNet`, with one more level: the embedding."""
        means = self.body(x, train=train, between=between)
        e = self._linear(self.embedding, "embed", means)
        if between is not None:
            e = between(self.embedding_level, e)
        sources, detection = self._linear(self.classes, "sources", e), self._linear(2, "detect", e)
        return Attribution(*map(at_least_float32, (e, sources, detection)))

    def _linear(self, features: int, name: str, x: Float[Array, "b c"]) -> Float[Array, "b f"]:
        start = torch_uniform(x.shape[-1])
        return nn.Dense(
            features, kernel_init=start, bias_init=start, dtype=self.body.dtype, name=name
        )(x)


def sources_network(
    network: AttributionNetwork, variables: Mapping[str, Any]
) -> tuple[ResNet, dict[str, Any]]:
    """The logits z alone, as one `ResNet` with its variables.

    Nothing stands between the embedding and the logits, so that the two linear layers are one:
    z = (m W_e + b_e) W_z + b_z = m (W_e W_z) + (b_e W_z + b_z).
    """
    params = variables["params"]
    embed, sources = params["embed"], params["sources"]
    product = partial(jnp.matmul, precision="highest")
    last = {
        "kernel": product(embed["kernel"], sources["kernel"]),
        "bias": product(embed["bias"], sources["kernel"]) + sources["bias"],
    }
    body = {name: tree.get("body", {}) for name, tree in variables.items()}
    body["params"] = {**body["params"], "fc": last}
    return network.body.clone(classes=network.classes, parent=None, name=None), body
