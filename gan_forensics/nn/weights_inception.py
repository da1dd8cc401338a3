"""Table of the FID Inception network, by the names of torchvision's Inception v3.

pytorch-fid (`pt_inception-2015-12-05-6726825d.pth`) and torch-fidelity
(`weights-inception-2015-12-05-6726825d.pth`) publish the TensorFlow weights under these names.
"""

from gan_forensics.nn.inception_layout import CLASSES, FEATURES, kernel_shapes
from gan_forensics.nn.weight_tables import (
    State,
    Table,
    layer_leaves,
    norm_leaves,
)


def inception_v3_fid(state: State) -> Table:
    """`<block>.<unit>.conv` without bias, `<block>.<unit>.bn`, and `fc`; all sizes are fixed."""
    table: Table = {}
    for path, (kh, kw, channels, features) in kernel_shapes():
        name, shape = ".".join(path), (features, channels, kh, kw)
        table |= layer_leaves(f"{name}.conv", path, shape, bias=False)
        table |= norm_leaves(f"{name}.bn", path, features, running=True)
    return table | layer_leaves("fc", "fc", (CLASSES, FEATURES), bias=True)
