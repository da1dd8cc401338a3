"""The layers that networks share: what they are stands in the files they come from."""

from gan_forensics.nn.attention import SelfAttention
from gan_forensics.nn.norms import BatchNorm, ConditionalBatchNorm, GroupNorm1, InstanceNorm
from gan_forensics.nn.spectral_norm import Dense, SNConv, SNDense, SNEmbed, spectral_norm

__all__ = [
    "BatchNorm",
    "ConditionalBatchNorm",
    "Dense",
    "GroupNorm1",
    "InstanceNorm",
    "SNConv",
    "SNDense",
    "SNEmbed",
    "SelfAttention",
    "spectral_norm",
]
