"""Images on a canvas of zeros: the same logits as by themselves."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.nn.canvas import apply_on_canvas
from gan_forensics.nn.efficientnet import efficientnet
from gan_forensics.nn.initial import initial_variables
from gan_forensics.nn.npr import nearest_residual
from gan_forensics.nn.resnet import BasicBlock, ResNet, resnet_small
from gan_forensics.nn.small_classifier import SmallClassifier

NETWORKS = {
    "a stem with a pool, as ResNet-50": ResNet((1, 2), (2, 3), 1, 7, 2, True),
    "resnet_small": resnet_small(width=2),
    "NPR's residual": ResNet((0,), (2,), 1, 3, 2, front=nearest_residual),
    "a basic block on a pool": ResNet((1,), (2,), 1, 3, 2, block=BasicBlock),
    "efficientnet": efficientnet(0.15, 0.3, divisor=2),
}


# Those of most layers compile for as long as the others together.
SLOW = dict.fromkeys(("efficientnet", "resnet_small"), pytest.mark.slow)


@pytest.mark.parametrize("name", [pytest.param(n, marks=SLOW.get(n, ())) for n in NETWORKS])
def test_logits_on_a_canvas_are_those_of_the_images_by_themselves(name, rng):
    network = NETWORKS[name]
    side = network.stride
    # Drawn on the host: compiling the network to draw them takes as long as the rest of the test.
    variables = initial_variables(
        network, jax.random.key(0), jnp.zeros((1, side, side, 3)), train=False
    )
    # Biases and statistics that are not 0, with which zeros do not stay zeros.
    variables = jax.tree.map(
        lambda a: np.asarray(a) + 0.1 * np.abs(rng.normal(size=a.shape)).astype(np.float32),
        variables,
    )
    # Odd and even at every stage, and one that fills the canvas.
    sides = [
        (2 * side, 2 * side),
        (side, side + 1),
        (2 * side - 1, side + 3),
        (side + 2, min(side + 5, 2 * side)),
    ]
    canvas = np.full((4, 2 * side, 2 * side, 3), 7, np.float32)  # what lies beyond does not matter
    expected = []
    apply = jax.jit(partial(network.apply, train=False))
    for i, (h, w) in enumerate(sides):
        canvas[i, :h, :w] = rng.normal(size=(h, w, 3))
        alone = apply(variables, canvas[i : i + 1, :h, :w])
        expected.append(np.asarray(alone)[0])
    found = jax.jit(lambda x, n: apply_on_canvas(network, variables, x, n))(canvas, np.array(sides))
    # Sums over other shapes of arrays are rounded otherwise.
    assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())
    assert np.ptp(expected) > 1e-2 * np.abs(expected).max()


def test_what_a_canvas_would_change_is_refused():
    x, sides = np.zeros((1, 16, 16, 3), np.float32), np.array([[9, 9]])
    with pytest.raises(ValueError, match="SmallClassifier is not known"):
        apply_on_canvas(SmallClassifier(3), {}, x, sides)
    with pytest.raises(ValueError, match="16x12 pixels: its sides must be multiples .* 8"):
        apply_on_canvas(resnet_small(), {}, x[:, :, :12], sides)


def test_image_that_memory_does_not_suffice_for_is_refused_by_its_size(monkeypatch):
    from gan_forensics.forensics import canvases
    from gan_forensics.forensics.neural import make_network

    monkeypatch.setattr(canvases, "free_memory", lambda: 4 * 2**30)
    network = make_network("resnet_small", {})
    canvases.check_memory(network, 1200, 1600)
    with pytest.raises(ValueError, match=r"3000x4000 pixels take the network some 12 GiB, and 4.0"):
        canvases.check_memory(network, 3000, 4000)


def test_memory_that_is_free_respects_the_limit_of_the_process(monkeypatch):
    import resource

    from gan_forensics.runtime.free_memory import free_memory

    whole = free_memory()
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**31 + 2**20, -1))
    assert free_memory() == 0 < whole
    monkeypatch.setattr(resource, "getrlimit", lambda which: (2**62, -1))
    assert free_memory() > 0
