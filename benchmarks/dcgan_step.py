"""One training step of a 64x64 DCGAN: ours, with XLA's native convolutions, and in PyTorch.

    python -m benchmarks.dcgan_step
    python -m benchmarks.dcgan_step --python-with-torch other/venv/bin/python

Width 32, latent 128, batch 64, float32 or the given precision; generator then discriminator, Adam
each; PyTorch runs eagerly, and by `torch.compile`. Sides take turns step by step.
"""

from functools import partial
from typing import get_args

from benchmarks import in_turns
from gan_forensics.runtime import Precision


def ours(native: bool = False, precision: Precision | None = None) -> in_turns.Call:
    """A step of the project's own DCGAN."""
    from benchmarks.training_step import training_step
    from gan_forensics.gans import GanConfig

    return training_step(GanConfig("dcgan", size=64, width=32, precision=precision), native=native)


def pytorch(compiled: bool = False) -> in_turns.Call:
    """A step of the same networks and losses in PyTorch, eager or with compiled networks."""
    import torch
    from torch import nn
    from torch.nn.functional import binary_cross_entropy_with_logits as bce

    in_turns.on_the_gpu()

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
    if compiled:
        g, d = in_turns.compiled(g), in_turns.compiled(d)
    g_optimizer = torch.optim.Adam(g.parameters(), 1e-4, (0.5, 0.999))
    d_optimizer = torch.optim.Adam(d.parameters(), 1e-4, (0.5, 0.999))
    real = torch.randn(64, 3, 64, 64).tanh()

    def call():
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

    return call


def main() -> None:
    """Race the sides and print the table."""
    parser = in_turns.arguments(__doc__, "torch", rounds=12)
    parser.add_argument("--precision", choices=get_args(Precision), help="of our sides")
    given = parser.parse_args()
    sides = {
        "ours": partial(ours, precision=given.precision),
        "native": partial(ours, native=True, precision=given.precision),
        in_turns.TORCH: pytorch,
        in_turns.COMPILED: partial(pytorch, compiled=True),
    }
    in_turns.table(in_turns.race("dcgan_step", sides, in_turns.PYTORCH, given).seconds)


if __name__ == "__main__":
    main()
