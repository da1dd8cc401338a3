"""One training step of a narrow Dist-GAN of 32x32: ours, and in PyTorch, eager and compiled.

    python -m benchmarks.dist_gan_step
    python -m benchmarks.dist_gan_step --python-with-torch other/venv/bin/python

DCGANs of width 32 (published: 128), batch 64, float32; autoencoder, discriminator with its gradient
penalty, then generator, Adam each. Sides take turns step by step.
"""

import math
from functools import partial

from benchmarks import in_turns

WIDTH, BATCH, LATENT, STEPS = 32, 64, 128, 1000


def ours() -> in_turns.Call:
    """A step of the project's own Dist-GAN."""
    from benchmarks.training_step import training_step
    from gan_forensics.gans import GanConfig

    return training_step(
        GanConfig("dist-gan", size=32, width=WIDTH, batch_size=BATCH, decay_steps=STEPS)
    )


def pytorch(compiled: bool = False) -> in_turns.Call:
    """A step of the same networks and losses in PyTorch, eager or with compiled networks."""
    import torch
    from torch import nn
    from torch.nn.functional import softplus

    in_turns.on_the_gpu()

    def halving():
        layers: list[nn.Module] = [nn.Conv2d(3, WIDTH, 5, 2, 2), nn.LeakyReLU(0.2)]
        for read in (WIDTH, 2 * WIDTH):
            norm = nn.BatchNorm2d(2 * read)
            layers += [nn.Conv2d(read, 2 * read, 5, 2, 2, bias=False), norm, nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, nn.Flatten())

    def doubling(read, made):
        return nn.ConvTranspose2d(read, made, 5, 2, 2, 1, bias=made == 3)

    class Discriminator(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.logit = halving(), nn.Linear(64 * WIDTH, 1)

        def forward(self, x):
            features = self.body(x)
            return features, self.logit(features)[:, 0]

    encoder = nn.Sequential(halving(), nn.Linear(64 * WIDTH, LATENT))
    generator = nn.Sequential(
        nn.Linear(LATENT, 64 * WIDTH, bias=False),
        nn.BatchNorm1d(64 * WIDTH),
        nn.ReLU(),
        nn.Unflatten(1, (4 * WIDTH, 4, 4)),
        doubling(4 * WIDTH, 2 * WIDTH),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(),
        doubling(2 * WIDTH, WIDTH),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(),
        doubling(WIDTH, 3),
        nn.Sigmoid(),
    )
    discriminator = Discriminator()
    judging = [*discriminator.parameters()]
    making = [*generator.parameters()]
    coding = [*encoder.parameters(), *making]
    adams = [torch.optim.Adam(p, 2e-4, (0.5, 0.9)) for p in (coding, judging, making)]
    if compiled:
        encoder, generator = in_turns.compiled(encoder), in_turns.compiled(generator)
    # The penalty needs second derivatives, which compiled networks of PyTorch do not have.
    judged = in_turns.compiled(discriminator) if compiled else discriminator
    real = torch.rand(BATCH, 3, 32, 32)
    lambda_w = math.sqrt(LATENT / (64 * WIDTH))

    def noise():
        return torch.rand(BATCH, LATENT) * 2 - 1

    def move(adam, loss, parameters):
        adam.zero_grad()
        loss.backward(inputs=parameters)
        adam.step()

    def call():
        z = noise()
        codes = encoder(real)
        (made, _), (fake, _) = judged(generator(codes)), judged(generator(z))
        distance = ((made - fake).mean() - lambda_w * (codes - z).mean()) ** 2
        move(adams[0], (judged(real)[0] - made).square().mean() + distance, coding)

        with torch.no_grad():
            reconstruction, images = generator(encoder(real)), generator(noise())
        on_real, on_made, on_fake = (judged(x)[1] for x in (real, reconstruction, images))
        # Behind the compiled passes, which tell autograd that statistics moved; eager ones do not.
        alpha = torch.rand(BATCH, 1, 1, 1)
        points = (real + alpha * (images - real)).requires_grad_()
        logits = discriminator(points)[1]
        (slopes,) = torch.autograd.grad(logits.sum(), points, create_graph=True)
        penalty = ((slopes.square().sum((1, 2, 3)).sqrt() - 1) ** 2).mean()
        told = 0.95 * softplus(-on_real).mean() + 0.05 * softplus(-on_made).mean()
        move(adams[1], told + softplus(on_fake).mean() + penalty, judging)

        scores = (judged(x)[1].sigmoid().mean() for x in (real, generator(noise())))
        move(adams[2], (next(scores) - next(scores)).abs(), making)

    return call


def main() -> None:
    """Race the sides and print the table."""
    given = in_turns.arguments(__doc__, "torch", rounds=12).parse_args()
    sides = {
        "ours": ours,
        in_turns.TORCH: pytorch,
        in_turns.COMPILED: partial(pytorch, compiled=True),
    }
    in_turns.table(in_turns.race("dist_gan_step", sides, in_turns.PYTORCH, given).seconds)


if __name__ == "__main__":
    main()
