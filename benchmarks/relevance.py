"""Relevance at all 53 convolutions of ResNet-50 against a plain forward and backward pass.

    python -m benchmarks.relevance
    python -m benchmarks.relevance --python-with-zennit other/venv/bin/python

Images of 224x224, float32, random weights, beta = 0 composite with the box rule at the pixels. The
plain pass is that of training: logits, and the gradient of their sum in all parameters, batch norm
in inference. Sides run in processes of their own, in turns; ratios are of medians within a round.
zennit (https://github.com/chr5tphr/zennit) computes the same relevance with hooks on a PyTorch
twin, which is built here.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

SIDES = ("relevance", "plain", "zennit")
COUNTED = 4


def ours(side: str, batch: int) -> list[float]:
    """Seconds of each pass of the project's own ResNet-50."""
    import jax
    import numpy as np

    from gan_forensics.explain import relevance
    from gan_forensics.nn.resnet import resnet50
    from gan_forensics.train import keep_scratch_memory

    keep_scratch_memory()
    network = resnet50()
    x = np.random.default_rng(0).uniform(-2, 2.6, (batch, 224, 224, 3)).astype(np.float32)
    shape = jax.ShapeDtypeStruct((1, 64, 64, 3), np.float32)
    variables = jax.jit(
        lambda: network.init(jax.random.key(0), jax.numpy.zeros(shape.shape), train=False)
    )()

    def plain(variables, x):
        def logit(params):
            return network.apply({**variables, "params": params}, x, train=False).sum()

        return jax.value_and_grad(logit)(variables["params"])

    run = jax.jit(
        plain if side == "plain" else lambda variables, x: relevance(network, variables, x)
    )
    start = time.perf_counter()
    run = run.lower(variables, x).compile()
    print(f"compiled in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    return timed(lambda: jax.block_until_ready(run(variables, x)))


def timed(run) -> list[float]:
    """Seconds of each counted call, after one that is not counted."""
    seconds = []
    for _ in range(1 + COUNTED):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]


def zennit(batch: int) -> list[float]:
    """Seconds of each pass of the same composite by zennit, relevance kept at every convolution."""
    import torch
    from torch import nn
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import SpecialFirstLayerMapComposite
    from zennit.layer import Sum
    from zennit.rules import Epsilon, Norm, Pass, ZBox, ZPlus
    from zennit.types import Activation, AvgPool, Convolution, Linear

    def unit(read, made, kernel, stride=1):
        conv = nn.Conv2d(read, made, kernel, stride, kernel // 2, bias=False)
        return [conv, nn.BatchNorm2d(made)]

    class Bottleneck(nn.Module):
        def __init__(self, read, width, stride):
            super().__init__()
            self.branch = nn.Sequential(
                *unit(read, width, 1),
                nn.ReLU(),
                *unit(width, width, 3, stride),
                nn.ReLU(),
                *unit(width, 4 * width, 1),
            )
            same = read == 4 * width
            self.shortcut = (
                nn.Sequential() if same else nn.Sequential(*unit(read, 4 * width, 1, stride))
            )
            self.sum, self.relu = Sum(), nn.ReLU()

        def forward(self, x):
            return self.relu(self.sum(torch.stack([self.branch(x), self.shortcut(x)], -1)))

    layers, read = [*unit(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, (count, width) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512))):
        for i in range(count):
            layers.append(Bottleneck(read, width, 2 if stage and not i else 1))
            read = 4 * width
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(read, 1)]
    network = nn.Sequential(*layers).eval().requires_grad_(False)

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
    with composite.context(network) as explained:
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(keep)

        def run():
            kept.clear()
            x.grad = None
            explained(x).sum().backward()
            assert len(kept) == 53 and all(output.grad is not None for output in kept)

        return timed(run)


def main() -> None:
    """Run the sides in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--python-with-zennit", default=sys.executable)
    parser.add_argument("--side", choices=SIDES, help="run one side and print its seconds")
    arguments = parser.parse_args()
    if arguments.side:
        side, batch = arguments.side, arguments.batch
        print(json.dumps(zennit(batch) if side == "zennit" else ours(side, batch)))
        return
    medians: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side in SIDES:
            python = arguments.python_with_zennit if side == "zennit" else sys.executable
            command = [python, __file__, "--side", side, "--batch", str(arguments.batch)]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode == 0:
                seconds = json.loads(result.stdout.splitlines()[-1])
                medians[side].append(statistics.median(seconds))
            elif side != "zennit":
                sys.exit(result.stderr)
    print(f"{'side':10} {'s a batch':>10} {'time of relevance / side':>26}")
    for side, values in medians.items():
        if not values:
            print(f"{side:10} {'not installed':>10}")
            continue
        ratios = [o / v for v, o in zip(values, medians["relevance"], strict=True)]
        print(
            f"{side:10} {statistics.median(values):10.2f} {statistics.median(ratios):10.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
