"""What tests of networks share: drawn variables, and PyTorch twins built from the tables.

PyTorch is imported inside the functions, as it may be absent.
"""

import jax
import jax.numpy as jnp
import numpy as np


def drawn(module, shape, seed=0):
    """Random variables of a network for an input `shape`: traced only, for speed."""
    variables = jax.eval_shape(
        lambda: module.init(jax.random.key(0), jnp.zeros(shape), train=False)
    )
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        noise = rng.normal(size=leaf.shape).clip(-2, 2).astype(np.float32)
        return 1 + 0.3 * noise if path[-1].key in ("scale", "var") else 0.2 * noise

    return jax.tree_util.tree_map_with_path(draw, dict(variables))


def torch_state(variables, name_of=".".join):
    """The state dict that PyTorch would keep of such variables.

    `name_of` turns the names of the modules down to a layer into the layer's name there.
    """
    state = {}

    def turn(path, leaf):
        *steps, last = (step.key for step in path[1:])
        name = {"kernel": "weight", "scale": "weight", "mean": "running_mean"}.get(last, last)
        name = "running_var" if last == "var" else name
        axes = {4: (3, 2, 0, 1), 2: (1, 0), 1: (0,)}[leaf.ndim]
        state[f"{name_of(steps)}.{name}"] = np.ascontiguousarray(np.transpose(leaf, axes))

    jax.tree_util.tree_map_with_path(turn, variables)
    return state


def torch_outputs(network, state, x):
    """Logits of a PyTorch network with these arrays, [b, h, w, c] in: for inference, for training.

    Its batch statistics move by the latter, as `network.state_dict()` then has them.
    """
    import torch

    state = {name: torch.tensor(array) for name, array in state.items()}
    unread = network.load_state_dict(state, strict=False)
    assert not unread.unexpected_keys
    assert all(name.endswith("num_batches_tracked") for name in unread.missing_keys)
    images = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 3, 1, 2)))
    with torch.no_grad():
        return network.eval()(images).numpy(), network.train()(images).numpy()


def torch_generator(*, size, width, tail, channels=3, latent):
    """The generator as `net`, an nn.Sequential with the names that published weights have."""
    from torch import nn

    n = size.bit_length() - 3
    made = min(width * 2 ** (n - 1), 16 * width)
    blocks = [_block(nn.ConvTranspose2d(latent, made, 4, 1, 0, bias=False), "batch", made)]
    for i in range(n - 1):
        read, made = made, min(width * 2 ** (n - 2 - i), 8 * width)
        blocks.append(_block(nn.ConvTranspose2d(read, made, 4, 2, 1, bias=False), "batch", made))
    net = nn.Sequential(*blocks, *_tail(tail, made, channels), nn.Tanh())
    return nn.ModuleDict({"net": net})


def _tail(name, width, channels):
    from torch import nn

    if name == "BASELINE":
        return [nn.ConvTranspose2d(width, channels, 4, 2, 1)]
    letter, count, kernel = name.split(".")
    count, kernel = int(count), int(kernel)
    upsample = {
        "N": lambda: nn.Upsample(scale_factor=2, mode="nearest"),
        "B": lambda: nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True),
        "Z": _zero_insertion,
    }[letter]()
    outputs = [width] * (count - 1) + [channels]
    return [upsample, *(nn.Conv2d(width, o, kernel, 1, kernel // 2) for o in outputs)]


def _zero_insertion():
    import torch
    from torch import nn

    class ZeroInsertion(nn.Module):
        def forward(self, x):
            y = torch.zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3], dtype=x.dtype)
            y[:, :, ::2, ::2] = x
            return y

    return ZeroInsertion()


def torch_discriminator(*, size, width, norm, channels=3):
    """The discriminator as `net`, likewise."""
    from torch import nn

    made = width
    layers = [nn.Conv2d(channels, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for i in range(1, size.bit_length() - 3):
        read, made = made, min(width * 2**i, 16 * width)
        conv = nn.Conv2d(read, made, 4, 2, 1, bias=norm == "none")
        layers.append(_block(conv, norm, made, nn.LeakyReLU(0.2)))
    return nn.ModuleDict({"net": nn.Sequential(*layers, nn.Conv2d(made, 1, 4, 1, 0))})


def torch_norm(name, features):
    """The normalisation layer `name` in PyTorch."""
    from torch import nn

    return {
        "batch": lambda: nn.BatchNorm2d(features),
        "layer": lambda: nn.GroupNorm(1, features),
        "instance": lambda: nn.InstanceNorm2d(features, affine=True),
        "none": nn.Identity,
    }[name]()


def _block(conv, norm, features, activation=None):
    from torch import nn

    return nn.Sequential(conv, torch_norm(norm, features), activation or nn.ReLU())


def randomise(module, seed):
    """Draw every parameter and running statistic anew, so that none is 0 or 1 by default."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, tensor in module.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        noise = torch.randn(tensor.shape, generator=generator)
        positive = name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight"))
        tensor.copy_(1 + 0.3 * noise.clamp(-2, 2) if positive else 0.2 * noise)
    return module
