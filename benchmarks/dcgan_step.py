"""One training step of a 64x64 DCGAN: ours, with XLA's native convolutions, and in PyTorch.

    python -m benchmarks.dcgan_step
    python -m benchmarks.dcgan_step --python-with-torch other/venv/bin/python

Width 32, latent 128, batch 64, float32; generator then discriminator, Adam each. Every side runs in
a process of its own, in turns, so that drift of the machine falls on all alike; the ratios are of
medians within a round, and the table shows their median over rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

WARM_UP, COUNTED = 3, 12
SIDES = ("ours", "native", "torch")


def ours(native: bool = False) -> list[float]:
    """Seconds of each step of the project's own DCGAN."""
    import jax
    import numpy as np

    from gan_forensics.train import (
        data_mesh,
        init_state,
        jit_step,
        keep_scratch_memory,
        make_step,
        to_mesh,
    )

    if native:
        # As it would be without nn.conv: XLA's own convolutions and their derivatives.
        from gan_forensics.nn import conv_kernels as kernels

        kernels.convolve = lambda x, w, g: kernels._convolve_native(x, w, g=g)
        kernels.input_adjoint = lambda y, w, g, image: kernels._input_adjoint_native(
            y, w, g=g, image=image
        )
    else:
        keep_scratch_memory()
    from gan_forensics.gans import GanConfig, build, init

    gan = build(GanConfig("dcgan", size=64, width=32))
    params, stats = init(gan)
    mesh = data_mesh()
    step = jit_step(make_step(gan.updates), mesh)
    state = init_state(gan.updates, params, stats)
    images = np.tanh(np.random.default_rng(0).standard_normal((1, 64, 64, 64, 3)))
    batches = to_mesh({"image": images.astype(np.float32)}, mesh)
    key, seconds = jax.random.key(0), []
    for _ in range(WARM_UP + COUNTED):
        start = time.perf_counter()
        state, metrics = step(state, batches, key)
        jax.block_until_ready((state, metrics))
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def pytorch() -> list[float]:
    """Seconds of each step of the same networks and losses in PyTorch, eager."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    def generator():
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(128, 256, 4, 1, 0, bias=False),
            nn.BatchNorm2d(256),
            nn.ReLU(),
        ]
        for channels in (256, 128, 64):
            layers += [
                nn.ConvTranspose2d(channels, channels // 2, 4, 2, 1, bias=False),
                nn.BatchNorm2d(channels // 2),
                nn.ReLU(),
            ]
        return nn.Sequential(*layers, nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh())

    def discriminator():
        layers: list[nn.Module] = [nn.Conv2d(3, 32, 4, 2, 1), nn.LeakyReLU(0.2)]
        for channels in (32, 64, 128):
            layers += [
                nn.Conv2d(channels, 2 * channels, 4, 2, 1, bias=False),
                nn.BatchNorm2d(2 * channels),
                nn.LeakyReLU(0.2),
            ]
        return nn.Sequential(*layers, nn.Conv2d(256, 1, 4, 1, 0))

    g, d = generator(), discriminator()
    g_optimizer = torch.optim.Adam(g.parameters(), 1e-4, (0.5, 0.999))
    d_optimizer = torch.optim.Adam(d.parameters(), 1e-4, (0.5, 0.999))
    real = torch.randn(64, 3, 64, 64).tanh()
    seconds = []
    for _ in range(WARM_UP + COUNTED):
        start = time.perf_counter()
        # The generator's move; the discriminator needs no gradients of its parameters for it.
        d.requires_grad_(False)
        logits = d(g(torch.randn(64, 128, 1, 1)))
        loss = bce(logits, torch.ones_like(logits))
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
        d.requires_grad_(True)
        with torch.no_grad():
            fake = g(torch.randn(64, 128, 1, 1))
        r, f = d(real), d(fake)
        loss = bce(r, torch.ones_like(r)) + bce(f, torch.zeros_like(f))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()
        seconds.append(time.perf_counter() - start)
    return seconds[WARM_UP:]


def main() -> None:
    """Run the sides in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python-with-torch", default=sys.executable)
    parser.add_argument("--side", choices=SIDES, help="run one side and print its seconds")
    arguments = parser.parse_args()
    if arguments.side:
        run = {"ours": ours, "native": lambda: ours(native=True), "torch": pytorch}
        print(json.dumps(run[arguments.side]()))
        return
    medians: dict[str, list[float]] = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side in SIDES:
            python = arguments.python_with_torch if side == "torch" else sys.executable
            command = [python, __file__, "--side", side]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode == 0:
                seconds = json.loads(result.stdout.splitlines()[-1])
                medians[side].append(statistics.median(seconds))
            elif side != "torch":
                sys.exit(result.stderr)
    print(f"{'side':8} {'ms a step':>10} {'speed of ours / side':>22}")
    for side, values in medians.items():
        if not values:
            print(f"{side:8} {'not installed':>10}")
            continue
        ratios = [v / o for v, o in zip(values, medians["ours"], strict=True)]
        print(
            f"{side:8} {1000 * statistics.median(values):10.0f} {statistics.median(ratios):10.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
