"""One training step of a narrow SNGAN-32: ours, with native convolutions, in PyTorch; InfoMax's.

    python -m benchmarks.sngan_step
    python -m benchmarks.sngan_step --python-with-torch other/venv/bin/python
    python -m benchmarks.sngan_step --published --precision bfloat16

Generator width 64, discriminator width 32 (with --published 256 and 128, which is for GPUs), batch
64, float32 or the given precision; five discriminator moves and one of the generator, Adam each.
`infomax` is ours with InfoMax-GAN's terms on top, `infomax-64` the same for images of 64x64 (of
published widths in either case). PyTorch runs the same networks eagerly, with its own spectral norm
and activations in place, and by `torch.compile`. Sides take turns step by step.
"""

from functools import partial
from typing import get_args

from benchmarks import in_turns
from gan_forensics.runtime import Precision

BATCH, MOVES, LATENT = 64, 5, 128
NARROW, PUBLISHED = (64, 32), (256, 128)


def ours(
    method: str = "sngan",
    widths: tuple[int | None, int | None] = NARROW,
    *,
    size: int = 32,
    native: bool = False,
    precision: Precision | None = None,
) -> in_turns.Call:
    """A step of the project's own SNGAN, or of another method on its networks."""
    from benchmarks.training_step import training_step
    from gan_forensics.gans import GanConfig

    config = GanConfig(
        method,
        size=size,
        batch_size=BATCH,
        latent=LATENT,
        n_dis=MOVES,
        generator_width=widths[0],
        discriminator_width=widths[1],
        precision=precision,
    )
    return training_step(config, native=native)


def pytorch(widths: tuple[int, int], compiled: bool = False) -> in_turns.Call:
    """A step of the same networks and losses in PyTorch, eager or with compiled networks."""
    import torch
    from torch import nn
    from torch.nn.functional import avg_pool2d, interpolate, relu
    from torch.nn.utils import spectral_norm

    in_turns.on_the_gpu()

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

    g, d = Generator(widths[0]), Discriminator(widths[1])
    if compiled:
        g, d = in_turns.compiled(g), in_turns.compiled(d)
    g_optimizer = torch.optim.Adam(g.parameters(), 2e-4, (0.0, 0.9))
    d_optimizer = torch.optim.Adam(d.parameters(), 2e-4, (0.0, 0.9))
    real = torch.randn(MOVES, BATCH, 3, 32, 32).tanh()

    def call():
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

    return call


def main() -> None:
    """Race the sides and print the table."""
    parser = in_turns.arguments(__doc__, "torch", rounds=12)
    parser.add_argument("--published", action="store_true", help="the published widths")
    parser.add_argument("--precision", choices=get_args(Precision), help="of our sides")
    given = parser.parse_args()
    widths, exactness = PUBLISHED if given.published else NARROW, {"precision": given.precision}
    sides = {
        "ours": partial(ours, "sngan", widths, **exactness),
        "infomax": partial(ours, "infomax-gan", widths, **exactness),
        "infomax-64": partial(ours, "infomax-gan", (None, None), size=64, **exactness),
        "native": partial(ours, "sngan", widths, native=True, **exactness),
        in_turns.TORCH: partial(pytorch, widths),
        in_turns.COMPILED: partial(pytorch, widths, compiled=True),
    }
    in_turns.table(in_turns.race("sngan_step", sides, in_turns.PYTORCH, given).seconds)


if __name__ == "__main__":
    main()
