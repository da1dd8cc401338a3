"""Maps of what decided: the derivative of the gated logit with the gate held constant."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.ndimage import uniform_filter

from gan_forensics.explain import composites
from gan_forensics.forensics import attribution_networks as networks
from gan_forensics.forensics.attribution_map import has_maps, source_maps
from gan_forensics.forensics.attribution_networks import NETWORKS, NeuralModel
from gan_forensics.nn.attribution import AttributionNetwork
from gan_forensics.nn.resnet import ResNet

SIDE = 8


@pytest.fixture
def model(monkeypatch):
    def tiny(classes, side, settings):
        return AttributionNetwork(ResNet((1,), (2,), None, 3, 1, stem_pool=False), classes, 4)

    monkeypatch.setitem(NETWORKS, "repmix", NETWORKS["repmix"]._replace(make=tiny))
    choices = {"compound": True}
    network = NETWORKS["repmix"].make(3, SIDE, choices)
    variables = networks.start(network, 3, SIDE)
    # A gate that depends on the image, as that of a trained network does.
    variables["params"]["detect"]["kernel"] = 3 * variables["params"]["detect"]["kernel"]
    return NeuralModel("repmix", 3, 1, SIDE, choices, variables)


def test_maps_agree_with_finite_differences_of_the_logit_under_a_constant_gate(model):
    attributor = SimpleNamespace(model=model, method="repmix")
    images = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    outputs, sources = model.outputs(images), np.array([2, 1])
    tiny = composites.epsilon_everywhere(1e-7)
    found = source_maps(attributor, list(images), outputs, sources, composite=tiny)  # pyright: ignore
    said = jax.jit(lambda x: model.network.apply(model.variables, x, train=False))
    step = 1e-2
    for image, source, one, logits in zip(images, sources, found, outputs.logits, strict=True):
        x = np.float32(image / 127.5 - 1)
        moves = step * np.eye(x.size, dtype=np.float32).reshape(-1, *x.shape)
        up, down = (said(jnp.asarray(x + sign * moves)) for sign in (1, -1))
        here = said(x[None])
        gate = np.asarray(jax.nn.softmax(here.detection))[0, 0 if source == model.real else 1]
        slope = (np.asarray(up.sources - down.sources)[:, source] / (2 * step)).reshape(x.shape)
        expected = uniform_filter(x.size / 3 * gate * (x * slope).sum(-1), 5, mode="reflect")
        assert_allclose(one.relevance, expected, rtol=0, atol=0.02 * np.abs(expected).max())
        assert_allclose(one.score, logits[source], rtol=1e-6)
        # With the gate let go, the derivative is another one.
        gates = [
            np.asarray(jax.nn.softmax(s.detection))[:, 0 if source == model.real else 1]
            for s in (up, down)
        ]
        free = [
            g * np.asarray(s.sources)[:, source] for g, s in zip(gates, (up, down), strict=True)
        ]
        other = ((free[0] - free[1]) / (2 * step)).reshape(x.shape)
        loose = uniform_filter(x.size / 3 * (x * other).sum(-1), 5, mode="reflect")
        assert np.abs(loose - expected).max() > 0.05 * np.abs(expected).max()


def test_what_is_no_residual_network_has_no_maps():
    made = SimpleNamespace(model=object(), method="prnu")
    assert not has_maps(made)  # pyright: ignore
    with pytest.raises(ValueError, match="prnu is no network whose evidence can be drawn"):
        source_maps(made, [], None, np.array([]))  # pyright: ignore
