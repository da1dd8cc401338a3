"""Rules and networks against zennit, where it is installed (the package never imports it)."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.testing import assert_allclose

from gan_forensics.explain import composites, relevance, rules
from gan_forensics.nn.conv import convolve
from tests.probe_networks import probe

zennit_rules = pytest.importorskip("zennit.rules")
zennit_layer = pytest.importorskip("zennit.layer")
torch = pytest.importorskip("torch")

PAIRS = {
    "epsilon": (partial(rules.epsilon, epsilon=0.25), ("Epsilon", {"epsilon": 0.25})),
    "z plus": (rules.z_plus, ("ZPlus", {})),
    "alpha 2 beta 1": (rules.alpha_beta, ("AlphaBeta", {"alpha": 2, "beta": 1})),
    "gamma": (rules.gamma, ("Gamma", {"gamma": 0.25})),
    "w square": (rules.w_square, ("WSquare", {"zero_params": "bias"})),
    "flat": (rules.flat, ("Flat", {"zero_params": "bias"})),
    "box": (partial(rules.box, low=-2, high=3), ("ZBox", {"low": -2.0, "high": 3.0})),
}


@pytest.mark.parametrize("name", PAIRS)
def test_rule_of_a_convolution_is_zennits(name, rng):
    ours, (theirs, options) = PAIRS[name]
    a, w, b, r = (rng.normal(size=s) for s in ((2, 6, 5, 4), (3, 3, 4, 6), (6,), (2, 3, 3, 6)))
    layer = torch.nn.Conv2d(4, 6, 3, 2, 1).double()
    layer.weight.data = torch.from_numpy(w.transpose(3, 2, 0, 1).copy())
    layer.bias.data = torch.from_numpy(b)
    x = torch.from_numpy(a.transpose(0, 3, 1, 2).copy()).requires_grad_()
    if name == "box":
        options = {key: torch.full_like(x, value) for key, value in options.items()}
    hook = getattr(zennit_rules, theirs)(**options).register(layer)
    (expected,) = torch.autograd.grad(layer(x), x, torch.from_numpy(r.transpose(0, 3, 1, 2).copy()))
    hook.remove()
    linear = partial(convolve, strides=2, padding=1)
    with jax.enable_x64(True):
        result = jax.jit(partial(ours, linear))(*map(jnp.asarray, (a, w, b, r)))
    expected = expected.numpy().transpose(0, 2, 3, 1)
    assert_allclose(np.asarray(result), expected, rtol=1e-8, atol=1e-9 * abs(expected).max())


def conv(kernel, bias=None, stride=1):
    """A convolution of a Flax kernel [kh, kw, in, out], padded as "SAME" where that is even."""
    kernel = np.asarray(kernel).transpose(3, 2, 0, 1)
    made, read, k, _ = kernel.shape
    layer = torch.nn.Conv2d(
        read, made, k, stride, 0 if stride > 1 else k // 2, bias=bias is not None
    )
    return filled(layer.double(), kernel, bias)


def dense(params, shape=None):
    """A product of a Flax kernel, of a map [h, w, c] where it reads one."""
    kernel = np.asarray(params["kernel"])
    if shape:
        kernel = kernel.reshape(*shape, -1).transpose(2, 0, 1, 3).reshape(len(kernel), -1)
    layer = torch.nn.Linear(*kernel.shape).double()
    return filled(layer, kernel.T, params["bias"])


def norm(params, stats):
    # What zennit merges keeps its epsilon beside a variance of 1: it goes into the variance.
    layer = torch.nn.BatchNorm2d(len(params["scale"]), eps=0).double()
    layer.running_mean = torch.from_numpy(np.array(stats["mean"]))
    layer.running_var = torch.from_numpy(np.array(stats["var"]) + 1e-5)
    return filled(layer, params["scale"], params["bias"])


def filled(layer, weight, bias):
    layer.weight.data = torch.from_numpy(np.array(weight))
    if bias is not None:
        layer.bias.data = torch.from_numpy(np.array(bias))
    return layer


def vgg_twin(params, stats):
    layers = []
    for i in range(4):
        layers += [conv(**params[f"Conv_{i}"]), torch.nn.ReLU()]
        if i % 2:
            layers.append(torch.nn.MaxPool2d(2))
    layers += [torch.nn.Flatten(), dense(params["Dense_0"], (2, 2, 8)), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, dense(params["Dense_1"]))


def resnet_twin(params, stats):
    numbers = iter(range(6))

    def unit(stride=1):
        i = next(numbers)
        batch = norm(params[f"BatchNorm_{i}"], stats[f"BatchNorm_{i}"])
        layer = conv(**params[f"Conv_{i}"], stride=stride)
        if layer.kernel_size == (3, 3) and stride == 2:
            # Flax's "SAME" pads an even side behind alone.
            return [torch.nn.ZeroPad2d((0, 1, 0, 1)), layer, batch]
        return [layer, batch]

    class Block(torch.nn.Module):
        def __init__(self, stride, short):
            super().__init__()
            self.branch = torch.nn.Sequential(*unit(stride), torch.nn.ReLU(), *unit())
            self.short = torch.nn.Sequential(*(unit(stride) if short else []))
            self.sum, self.relu = zennit_layer.Sum(), torch.nn.ReLU()

        def forward(self, x):
            return self.relu(self.sum(torch.stack([self.short(x), self.branch(x)], -1)))

    stem = [*unit(), torch.nn.ReLU()]
    blocks = [Block(1, False), Block(2, True)]
    head = [torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), dense(params["Dense_0"])]
    return torch.nn.Sequential(*stem, *blocks, *head)


COMPOSITES = {
    "epsilon": (composites.epsilon_everywhere(1e-6), ("Epsilon", {})),
    "z plus": (composites.Composite(conv=partial(rules.z_plus, epsilon=1e-6)), ("ZPlus", {})),
}


@pytest.mark.parametrize("name, twin", [("VGG", vgg_twin), ("ResNet, batch norm", resnet_twin)])
@pytest.mark.parametrize("rule", COMPOSITES)
@pytest.mark.parametrize("boxed", [False, True], ids=["plain", "boxed"])
def test_relevance_of_a_network_is_zennits(name, twin, rule, boxed):
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import SpecialFirstLayerMapComposite
    from zennit.rules import Epsilon, Norm, Pass, ZBox
    from zennit.types import Activation, AvgPool, Convolution, Linear

    p = probe(name, dtype=np.float64)
    composite, (theirs, options) = COMPOSITES[rule]
    network = twin(p.parameters["params"], p.parameters.get("batch_stats")).eval()
    x = torch.from_numpy(p.x.transpose(0, 3, 1, 2).copy()).requires_grad_()
    inner = getattr(zennit_rules, theirs)(**options)
    low, high = torch.full_like(x, -1), torch.full_like(x, 1)
    hooks = SpecialFirstLayerMapComposite(
        layer_map=[
            (Activation, Pass()), (zennit_layer.Sum, Norm()), (AvgPool, Norm()),
            (Convolution, inner), (Linear, Epsilon()),
        ],
        first_map=[(Convolution, ZBox(low, high) if boxed else inner)],
        canonizers=[SequentialMergeBatchNorm()],
    )  # fmt: skip
    with hooks.context(network) as hooked:
        y = hooked(x)
        start = torch.zeros_like(y)
        start[:, 0 if p.start is None else 1] = 1
        (expected,) = torch.autograd.grad(y, x, start)
    if boxed:
        composite = composite._replace(first=partial(rules.box, low=-1, high=1))
    read = {"start": p.start, "composite": composite, "range": None if boxed else p.range}
    with jax.enable_x64(True):
        run = jax.jit(lambda x: relevance(p.function, p.parameters, x, **read))
        found = jax.tree.map(np.asarray, run(jnp.asarray(p.x)))
    assert_allclose(found.logits, y.detach().numpy(), rtol=1e-9)
    expected = expected.numpy().transpose(0, 2, 3, 1)
    assert_allclose(found.image, expected, rtol=1e-5, atol=1e-7 * abs(expected).max())
