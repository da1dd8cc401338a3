"""One training step of a ResNet-50 detector: ours, and in PyTorch, eager and compiled.

    python -m benchmarks.detector_step [--batch 4]
    python -m benchmarks.detector_step --python-with-torch other/venv/bin/python

Images of 224x224, float32, binary cross-entropy on one logit, Adam. Sides take turns step by step.
"""

from functools import partial

from benchmarks import in_turns


def ours(batch: int) -> in_turns.Call:
    """A step of the project's own detector."""
    import jax
    import numpy as np

    from gan_forensics.forensics.neural import make_network
    from gan_forensics.forensics.neural_training import (
        NETWORK,
        DetectorConfig,
        detector_update,
        initial_variables,
    )
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
    config, mesh = DetectorConfig(arch="resnet50", seed=0), data_mesh()
    params, stats = initial_variables(config)
    updates = (detector_update(make_network(config.arch, config.settings)),)
    state = init_state(updates, {NETWORK: params}, {NETWORK: stats})
    state = jax.device_put(state, replicated(mesh))
    images = np.random.default_rng(0).uniform(-1, 1, (1, batch, 224, 224, 3)).astype(np.float32)
    given = to_mesh({"image": images, "label": np.arange(batch)[None] % 2}, mesh)
    step = jit_step(make_step(updates), mesh)
    key = jax.device_put(random_key(0), replicated(mesh))

    def call():
        nonlocal state
        state, metrics = step(state, given, key)
        jax.block_until_ready((state, metrics))

    return call


def pytorch(batch: int, compiled: bool = False) -> in_turns.Call:
    """A step of the same network and loss in PyTorch, eager or compiled."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    in_turns.on_the_gpu()

    from tests.twins_torch import resnet50_twin

    network = resnet50_twin()
    adam = torch.optim.Adam(network.parameters(), 1e-4)
    if compiled:
        network = in_turns.compiled(network)
    images, labels = torch.rand(batch, 3, 224, 224) * 2 - 1, torch.arange(batch) % 2.0

    def call():
        loss = binary_cross_entropy_with_logits(network(images)[:, 0], labels)
        adam.zero_grad()
        loss.backward()
        adam.step()

    return call


def main() -> None:
    """Race the sides and print the table."""
    parser = in_turns.arguments(__doc__, "torch", rounds=5)
    parser.add_argument("--batch", type=int, default=4)
    given = parser.parse_args()
    sides = {
        "ours": partial(ours, given.batch),
        in_turns.TORCH: partial(pytorch, given.batch),
        in_turns.COMPILED: partial(pytorch, given.batch, compiled=True),
    }
    in_turns.table(in_turns.race("detector_step", sides, in_turns.PYTORCH, given).seconds)


if __name__ == "__main__":
    main()
