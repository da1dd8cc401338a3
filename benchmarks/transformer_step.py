"""One training step of the published small Transformer: ours, and in PyTorch, eager and compiled.

    python -m benchmarks.transformer_step
    python -m benchmarks.transformer_step --python-with-torch other/venv/bin/python

Two layers each of width 256, 1,000 tokens, 16 pairs of 24 tokens, dropout 0.3, label smoothing 0.1,
Adam, float32. PyTorch has its own fused attention. Sides take turns step by step.
"""

from functools import partial

from benchmarks import in_turns

VOCABULARY, ROWS, TOKENS = 1000, 16, 24
LAYERS, WIDTH, FEED_FORWARD, HEADS, DROPOUT, SMOOTHING = 2, 256, 1024, 4, 0.3, 0.1


def ours() -> in_turns.Call:
    """A step of the project's own translator."""
    import jax
    import numpy as np

    from gan_forensics.distill.translator import NETWORK, update_of
    from gan_forensics.nn.initial import initial_variables
    from gan_forensics.nn.transformer import Transformer
    from gan_forensics.runtime import (
        data_mesh,
        jit_step,
        keep_scratch_memory,
        random_key,
        replicated,
        to_mesh,
    )
    from gan_forensics.train import init_state, make_step

    keep_scratch_memory()
    network = Transformer(VOCABULARY, LAYERS, WIDTH, FEED_FORWARD, HEADS, DROPOUT)
    rng, mesh = np.random.default_rng(0), data_mesh()
    source, target = rng.integers(4, VOCABULARY, (2, ROWS, TOKENS)).astype(np.int32)
    variables = initial_variables(network, random_key(0), source, target, train=False)
    updates = (update_of(network, 5e-4, 4000),)
    state = init_state(updates, {NETWORK: variables["params"]}, {})
    state = jax.device_put(state, replicated(mesh))
    alpha = np.full(ROWS, SMOOTHING, np.float32)
    batch = {"source": source[None], "target": target[None], "alpha": alpha[None]}
    step, batch = jit_step(make_step(updates), mesh), to_mesh(batch, mesh)
    key = jax.device_put(random_key(0), replicated(mesh))

    def call():
        nonlocal state
        state, metrics = step(state, batch, key)
        jax.block_until_ready((state, metrics))

    return call


def pytorch(compiled: bool = False) -> in_turns.Call:
    """A step of the same network and loss in PyTorch, eager or compiled."""
    import torch
    from torch import nn
    from torch.nn.functional import (
        cross_entropy,
        dropout,
        linear,
        pad,
        relu,
        scaled_dot_product_attention,
    )

    in_turns.on_the_gpu()

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))

        def forward(self, x, seen, causal=False):
            q, k, v = (
                y.unflatten(-1, (HEADS, -1)).transpose(1, 2)
                for y in (self.query(x), self.key(seen), self.value(seen))
            )
            found = scaled_dot_product_attention(q, k, v, is_causal=causal)
            return self.out(found.transpose(1, 2).flatten(2))

    class Layer(nn.Module):
        def __init__(self, *, decodes):
            super().__init__()
            self.attention = Attention()
            self.source_attention = Attention() if decodes else None
            self.up, self.down = nn.Linear(WIDTH, FEED_FORWARD), nn.Linear(FEED_FORWARD, WIDTH)
            self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2 + decodes))

        def forward(self, x, encoded=None):
            x = self.norms[0](x + dropout(self.attention(x, x, encoded is not None), DROPOUT))
            if encoded is not None:
                x = self.norms[2](x + dropout(self.source_attention(x, encoded), DROPOUT))
            return self.norms[1](x + dropout(self.down(relu(self.up(x))), DROPOUT))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(VOCABULARY, WIDTH)
            self.encoder = nn.ModuleList(Layer(decodes=False) for _ in range(LAYERS))
            self.decoder = nn.ModuleList(Layer(decodes=True) for _ in range(LAYERS))
            angles = torch.arange(TOKENS)[:, None] / 1e4 ** torch.linspace(0, 1, WIDTH // 2)
            self.register_buffer("places", torch.cat([angles.sin(), angles.cos()], 1))

        def embedded(self, tokens):
            return dropout(WIDTH**0.5 * self.embedding(tokens) + self.places, DROPOUT)

        def forward(self, source, target):
            encoded = self.embedded(source)
            for layer in self.encoder:
                encoded = layer(encoded)
            x = self.embedded(pad(target[:, :-1], (1, 0), value=1))
            for layer in self.decoder:
                x = layer(x, encoded)
            return linear(x, self.embedding.weight)

    network = Network()
    adam = torch.optim.Adam(network.parameters(), 5e-4, (0.9, 0.98))
    if compiled:
        network = in_turns.compiled(network)
    source, target = torch.randint(4, VOCABULARY, (2, ROWS, TOKENS))

    def call():
        logits = network(source, target)
        loss = cross_entropy(logits.flatten(0, 1), target.flatten(), label_smoothing=SMOOTHING)
        adam.zero_grad()
        loss.backward()
        adam.step()

    return call


def main() -> None:
    """Race the sides and print the table."""
    given = in_turns.arguments(__doc__, "torch", rounds=30).parse_args()
    sides = {
        "ours": ours,
        in_turns.TORCH: pytorch,
        in_turns.COMPILED: partial(pytorch, compiled=True),
    }
    in_turns.table(in_turns.race("transformer_step", sides, in_turns.PYTORCH, given).seconds)


if __name__ == "__main__":
    main()
