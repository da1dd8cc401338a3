"""One training step of a narrow SNGAN-32: ours, with native convolutions, in PyTorch; InfoMax's.

    python -m benchmarks.sngan_step
    python -m benchmarks.sngan_step --python-with-torch other/venv/bin/python

Generator width 64, discriminator width 32, batch 64, float32; five discriminator moves and one of
the generator, Adam each. `infomax` is ours with InfoMax-GAN's terms on top. PyTorch runs the same
networks eagerly, with its own spectral norm and activations in place. Every side runs in a process
of its own, in turns, so that drift of the machine falls on all alike; the ratios are of medians
within a round, and the table shows their median over rounds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

WARM_UP, COUNTED = 2, 6
SIDES = ("ours", "infomax", "native", "torch")
BATCH, MOVES, LATENT, GENERATOR_WIDTH, DISCRIMINATOR_WIDTH = 64, 5, 128, 64, 32


def ours(method: str = "sngan", native: bool = False) -> list[float]:
    """Seconds of each step of the project's own SNGAN, or of another method on its networks."""
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

    config = GanConfig(
        method,
        size=32,
        batch_size=BATCH,
        latent=LATENT,
        n_dis=MOVES,
        generator_width=GENERATOR_WIDTH,
        discriminator_width=DISCRIMINATOR_WIDTH,
    )
    gan = build(config)
    params, stats = init(gan)
    mesh = data_mesh()
    step = jit_step(make_step(gan.updates), mesh)
    state = init_state(gan.updates, params, stats)
    images = np.tanh(np.random.default_rng(0).standard_normal((MOVES, BATCH, 32, 32, 3)))
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
    from torch.nn.functional import avg_pool2d, interpolate, relu
    from torch.nn.utils import spectral_norm

    class Up(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.norm_1, self.norm_2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)
            self.conv_1, self.conv_2 = (nn.Conv2d(width, width, 3, 1, 1) for _ in range(2))
            self.shortcut = nn.Conv2d(width, width, 1)

        def forward(self, x):
            h = self.conv_1(_doubled(relu(self.norm_1(x), inplace=True)))
            h = self.conv_2(relu(self.norm_2(h), inplace=True))
            return h + self.shortcut(_doubled(x))

    def _doubled(x):
        return interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    class Down(nn.Module):
        def __init__(self, read, made, *, halves, first=False):
            super().__init__()
            self.halves, self.first = halves, first
            self.conv_1 = spectral_norm(nn.Conv2d(read, made, 3, 1, 1))
            self.conv_2 = spectral_norm(nn.Conv2d(made, made, 3, 1, 1))
            self.shortcut = spectral_norm(nn.Conv2d(read, made, 1)) if halves else None

        def forward(self, x):
            if not self.first:
                x = relu(x)
            h = self.conv_2(relu(self.conv_1(x), inplace=True))
            if not self.halves:
                return h + x
            shortcut = (
                self.shortcut(avg_pool2d(x, 2)) if self.first else avg_pool2d(self.shortcut(x), 2)
            )
            return avg_pool2d(h, 2) + shortcut

    class Generator(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.first = nn.Linear(LATENT, 16 * width)
            self.blocks = nn.Sequential(*(Up(width) for _ in range(3)))
            self.norm, self.last = nn.BatchNorm2d(width), nn.Conv2d(width, 3, 3, 1, 1)

        def forward(self, z):
            x = self.blocks(self.first(z).unflatten(1, (-1, 4, 4)))
            return self.last(relu(self.norm(x), inplace=True)).tanh()

    class Discriminator(nn.Module):
        def __init__(self, width):
            super().__init__()
            self.blocks = nn.Sequential(
                Down(3, width, halves=True, first=True),
                Down(width, width, halves=True),
                Down(width, width, halves=False),
                Down(width, width, halves=False),
            )
            self.logit = spectral_norm(nn.Linear(width, 1))

        def forward(self, x):
            return self.logit(relu(self.blocks(x)).sum((2, 3)))

    g, d = Generator(GENERATOR_WIDTH), Discriminator(DISCRIMINATOR_WIDTH)
    g_optimizer = torch.optim.Adam(g.parameters(), 2e-4, (0.0, 0.9))
    d_optimizer = torch.optim.Adam(d.parameters(), 2e-4, (0.0, 0.9))
    real = torch.randn(MOVES, BATCH, 3, 32, 32).tanh()
    seconds = []
    for _ in range(WARM_UP + COUNTED):
        start = time.perf_counter()
        d.requires_grad_(True)
        for images in real:
            with torch.no_grad():
                fake = g(torch.randn(BATCH, LATENT))
            loss = relu(1 - d(images)).mean() + relu(1 + d(fake)).mean()
            d_optimizer.zero_grad()
            loss.backward()
            d_optimizer.step()
        # The generator's move; the discriminator needs no gradients of its parameters for it.
        d.requires_grad_(False)
        loss = -d(g(torch.randn(BATCH, LATENT))).mean()
        g_optimizer.zero_grad()
        loss.backward()
        g_optimizer.step()
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
        run = {
            "ours": ours,
            "infomax": lambda: ours("infomax-gan"),
            "native": lambda: ours(native=True),
            "torch": pytorch,
        }
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
