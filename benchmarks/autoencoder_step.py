"""Training steps of DOPING's adversarial autoencoder: ours, and in PyTorch, eager and compiled.

    python -m benchmarks.autoencoder_step
    python -m benchmarks.autoencoder_step --python-with-torch other/venv/bin/python

The published networks, of two hidden layers of 1,000, on 21 columns, batch 100, float32; three
moves a step, the discriminator's twice. A call makes twenty steps, ours as `train_autoencoders`
does, in one loop on the device. Sides take turns call by call.
"""

from functools import partial

from benchmarks import in_turns

COLUMNS, HIDDEN, LATENT, BATCH, STEPS, SCALE = 21, 1000, 2, 100, 20, 10.0


def ours() -> in_turns.Call:
    """Steps of the project's own autoencoder, from the start each time."""
    import numpy as np

    from gan_forensics.anomaly import AAEConfig, train_autoencoders

    config = AAEConfig(COLUMNS, LATENT, (HIDDEN, HIDDEN), batch=BATCH, prior_scale=SCALE)
    x = np.random.default_rng(0).uniform(size=(600, COLUMNS))
    return lambda: train_autoencoders(config, x, seeds=[0], steps=STEPS)


def pytorch(compiled: bool = False) -> in_turns.Call:
    """Steps of the same networks and losses in PyTorch, eager or with compiled networks."""
    import torch
    from torch import nn
    from torch.nn.functional import mse_loss, softplus

    in_turns.on_the_gpu()

    def perceptron(read, made, *last):
        return nn.Sequential(
            nn.Linear(read, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, made), *last,
        )  # fmt: skip

    encoder, decoder = perceptron(COLUMNS, LATENT), perceptron(LATENT, COLUMNS, nn.Sigmoid())
    discriminator = perceptron(LATENT, 1)
    coding, judging = [*encoder.parameters()], [*discriminator.parameters()]
    adams = [
        torch.optim.Adam(parameters, 1e-4, eps=1e-7)
        for parameters in ([*coding, *decoder.parameters()], judging, coding)
    ]
    if compiled:
        encoder, decoder, discriminator = map(in_turns.compiled, (encoder, decoder, discriminator))
    rows = torch.rand(600, COLUMNS)

    def move(adam, loss, parameters=None):
        adam.zero_grad()
        loss.backward(inputs=parameters)
        adam.step()

    def call():
        for _ in range(STEPS):
            x = rows[torch.randint(len(rows), (BATCH,))]
            move(adams[0], mse_loss(decoder(encoder(x)), x))
            prior, order = SCALE * torch.randn(BATCH, LATENT), torch.randperm(2 * BATCH)
            for half in order.chunk(2):
                with torch.no_grad():
                    codes = encoder(x)
                real, fake = discriminator(prior), discriminator(codes)
                losses = torch.cat([softplus(-real), softplus(fake)])
                move(adams[1], losses[half].mean(), judging)
            move(adams[2], softplus(-discriminator(encoder(x))).mean(), coding)

    return call


def main() -> None:
    """Race the sides and print the table."""
    given = in_turns.arguments(__doc__, "torch", rounds=12).parse_args()
    sides = {
        "ours": ours,
        in_turns.TORCH: pytorch,
        in_turns.COMPILED: partial(pytorch, compiled=True),
    }
    in_turns.table(in_turns.race("autoencoder_step", sides, in_turns.PYTORCH, given).seconds)


if __name__ == "__main__":
    main()
