"""Relevance at all 53 convolutions of ResNet-50 against a plain forward and backward pass.

    python -m benchmarks.relevance
    python -m benchmarks.relevance --python-with-zennit other/venv/bin/python
    python -m benchmarks.relevance --probes --batch 16

Images of 224x224, float32, random weights, beta = 0 composite with the box rule at the pixels. The
plain pass is that of training: logits, and the gradient of their sum in all parameters, batch norm
in inference. Sides take turns pass by pass.
Relevance multiplies in float32 on every backend; on GPUs, `--precision float32` has the plain pass
do so too.
zennit (https://github.com/chr5tphr/zennit) computes the same relevance with hooks on a PyTorch
twin, which is built here. With `--probes` the probe networks of the tests are explained instead, at
32x32, each beside its plain pass in one process.
"""

import statistics
import time
from functools import partial
from typing import get_args

from benchmarks import in_turns
from gan_forensics.runtime import Precision, random_key


def ours(side: str, batch: int, precision: Precision | None = None) -> in_turns.Call:
    """A pass of the project's own ResNet-50."""
    import jax
    import numpy as np

    from gan_forensics.explain import relevance
    from gan_forensics.explain.composites import IMAGENET
    from gan_forensics.nn.initial import initial_variables
    from gan_forensics.nn.resnet import resnet50
    from gan_forensics.runtime import keep_scratch_memory, products

    keep_scratch_memory()
    network = resnet50()
    x = np.random.default_rng(0).uniform(-2, 2.6, (batch, 224, 224, 3)).astype(np.float32)
    shape = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    variables = jax.device_put(initial_variables(network, random_key(0), shape, train=False))

    def plain(variables, x):
        def logit(params):
            return network.apply({**variables, "params": params}, x, train=False).sum()

        return jax.value_and_grad(logit)(variables["params"])

    run = jax.jit(
        plain
        if side == "plain"
        else lambda variables, x: relevance(network, variables, x, range=IMAGENET)
    )

    def call():
        with products(precision):
            jax.block_until_ready(run(variables, x))

    return call


def probes(batch: int, rounds: int, only: list[str] | None, width: int = 16) -> None:
    """Print, for each probe network, the time of relevance over that of a plain pass."""
    import jax
    from flax import nnx

    from gan_forensics.explain import relevance
    from gan_forensics.runtime import keep_scratch_memory
    from tests.probe_networks import NAMES, probe

    keep_scratch_memory()
    print(f"{'network':22} {'plain, ms':>10} {'relevance, ms':>14} {'ratio (quartiles)':>22}")
    for name in only or NAMES:
        p = probe(name, batch=batch, side=32, width=width)
        x, parameters = jax.device_put(p.x), jax.device_put(p.parameters)
        state = nnx.state(p.function) if parameters is None else parameters

        def explained(parameters, x, p=p):
            return relevance(p.function, parameters, x, range=p.range, start=p.start)

        def plain(state, x, p=p):
            return jax.value_and_grad(lambda state: p.call(state, x).sum(), allow_int=True)(state)

        sides = [
            partial(jax.jit(plain), state, x),
            partial(jax.jit(explained), parameters, x),
        ]
        seconds = [[], []]
        for turn in range(in_turns.WARM_UP + rounds):
            for side, values in zip(sides, seconds, strict=True):
                start = time.perf_counter()
                jax.block_until_ready(side())
                if turn >= in_turns.WARM_UP:
                    values.append(time.perf_counter() - start)
        ratios = [b / a for a, b in zip(*seconds, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        plain_ms, ours_ms = (1000 * statistics.median(values) for values in seconds)
        print(
            f"{name:22} {plain_ms:10.2f} {ours_ms:14.2f} {middle:6.2f} ({low:.2f} to {high:.2f})",
            flush=True,
        )


def zennit(batch: int) -> in_turns.Call:
    """A pass of the same composite by zennit, relevance kept at every convolution."""
    import torch
    from torch import nn
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import SpecialFirstLayerMapComposite
    from zennit.layer import Sum
    from zennit.rules import Epsilon, Norm, Pass, ZBox, ZPlus
    from zennit.types import Activation, AvgPool, Convolution, Linear

    in_turns.on_the_gpu()

    from tests.twins_torch import resnet50_twin

    class Added(nn.Module):
        """A sum that zennit knows."""

        def __init__(self):
            super().__init__()
            self.sum = Sum()

        def forward(self, x, y):
            return self.sum(torch.stack([x, y], -1))

    network = resnet50_twin(Added).eval().requires_grad_(False)

    composite = SpecialFirstLayerMapComposite(
        layer_map=[
            (Activation, Pass()),
            (Sum, Norm()),
            (AvgPool, Norm()),
            (Convolution, ZPlus(zero_params="bias")),
            (Linear, Epsilon()),
        ],
        first_map=[(Convolution, ZBox(-2.1179, 2.64, zero_params="bias"))],
        canonizers=[SequentialMergeBatchNorm()],
    )
    kept = []

    def keep(module, inputs, output):
        output.retain_grad()
        kept.append(output)

    x = torch.empty(batch, 3, 224, 224).uniform_(-2, 2.6).requires_grad_()
    composite.register(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(keep)

    def run():
        kept.clear()
        x.grad = None
        network(x).sum().backward()
        assert len(kept) == 53 and all(output.grad is not None for output in kept)

    return run


def main() -> None:
    """Race the sides and print the table."""
    parser = in_turns.arguments(__doc__, "zennit", rounds=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--precision", choices=get_args(Precision), help="of the plain pass")
    parser.add_argument("--probes", action="store_true", help="the tests' small networks instead")
    given = parser.parse_args()
    if given.probes:
        return probes(given.batch, given.rounds, given.only)
    sides = {
        "relevance": partial(ours, "relevance", given.batch),
        "plain": partial(ours, "plain", given.batch, given.precision),
        "zennit": partial(zennit, given.batch),
    }
    in_turns.table(in_turns.race("relevance", sides, ("zennit",), given).seconds)


if __name__ == "__main__":
    main()
