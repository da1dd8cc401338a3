"""Classifiers from files of published weights, with small twins in the table's rows."""

import numpy as np
import pytest

from gan_forensics.distill import architectures, published_variables
from gan_forensics.distill.architectures import Architecture, make_classifier
from gan_forensics.nn.efficientnet import Block, EfficientNet
from gan_forensics.nn.mobilenet import MobileNetV2
from gan_forensics.nn.resnet import BasicBlock, ResNet
from tests import oracles_nn

BLOCKS = (Block(3, 1, 1, 4), Block(3, 1, 2, 4))


def small(network, **options):
    return lambda classes, dtype=None: network(**options, classes=classes, dtype=dtype)


TWINS = {
    "resnet18": Architecture(
        small(ResNet, blocks=(1, 1), widths=(2, 3), block=BasicBlock), published="resnet18"
    ),
    "resnet50": Architecture(small(ResNet, blocks=(1,), widths=(2,)), published="resnet50"),
    "mobilenet_v2": Architecture(
        small(MobileNetV2, blocks=BLOCKS, stem=4, head=6), "classifier.1", "mobilenet_v2"
    ),
    "efficientnet_pytorch_b0": Architecture(
        small(EfficientNet, blocks=BLOCKS, stem=4, head=6), "_fc", "efficientnet_b0"
    ),
    "small_cnn": architectures.ARCHITECTURES["small_cnn"],
}


@pytest.fixture(autouse=True)
def twins(monkeypatch):
    monkeypatch.setattr(architectures, "ARCHITECTURES", TWINS)
    monkeypatch.setattr("gan_forensics.distill.published.ARCHITECTURES", TWINS)


def saved(path, arch, changes=None, *, classes=3):
    """A weight file of a twin, and the variables in it."""
    variables = oracles_nn.drawn(make_classifier(arch, classes), (1, 16, 16, 3))
    state = oracles_nn.torch_state(variables) | (changes or {})
    np.savez(path, **state)
    return variables


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet_v2"])
def test_variables_and_classes_are_those_of_the_file(arch, tmp_path):
    variables = saved(tmp_path / "weights.npz", arch, classes=5)
    read, classes = published_variables(arch, tmp_path / "weights.npz")
    assert classes == 5
    last = TWINS[arch].head
    np.testing.assert_array_equal(read["params"][last]["bias"], variables["params"][last]["bias"])


def test_double_precision_is_read_as_single(tmp_path):
    double = np.zeros(3, np.float64)
    saved(tmp_path / "weights.npz", "resnet18", {"fc.bias": double})
    read, _ = published_variables("resnet18", tmp_path / "weights.npz")
    assert read["params"]["fc"]["bias"].dtype == np.float32


def test_weights_of_another_architecture_are_named_with_what_differs(tmp_path):
    path = tmp_path / "weights.npz"
    saved(path, "resnet18")
    with pytest.raises(ValueError) as error:
        published_variables("resnet50", path)
    said, *differ = str(error.value).splitlines()
    assert said == (
        f"{path} holds weights of resnet18, not of resnet50: give that name; what differs:"
    )
    assert "  missing: layer1.0.bn3.bias [8]" in differ
    assert len(differ) == 9 and differ[-1].startswith("  and ")


def test_a_deeper_network_of_the_same_blocks_is_another(tmp_path, monkeypatch):
    path = tmp_path / "weights.npz"
    saved(path, "resnet18")
    deeper = small(ResNet, blocks=(1, 2), widths=(2, 3), block=BasicBlock)
    monkeypatch.setitem(TWINS, "resnet18", Architecture(deeper, published="resnet18"))
    with pytest.raises(ValueError, match="does not hold weights of resnet18") as error:
        published_variables("resnet18", path)
    assert "batch_stats/layer2.1/bn1/mean is missing, should be [3]" in str(error.value)


def test_values_that_are_not_finite_are_refused(tmp_path):
    path = tmp_path / "weights.npz"
    saved(path, "resnet18", {"fc.bias": np.array([0, np.nan, 0], np.float32)})
    with pytest.raises(ValueError, match=r"params/fc/bias holds values that are not finite"):
        published_variables("resnet18", path)


def test_architectures_without_published_weights_and_unknown_ones_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no published weights of small_cnn: choose resnet18 or"):
        published_variables("small_cnn", tmp_path / "weights.npz")
    with pytest.raises(ValueError, match="unknown arch 'alexnet'"):
        published_variables("alexnet", tmp_path / "weights.npz")
    with pytest.raises(FileNotFoundError, match="no weights at"):
        published_variables("resnet18", tmp_path / "weights.npz")
