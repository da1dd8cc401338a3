"""The published residual GANs from their state dicts, as drawn: NCHW, slow, nothing fused.

Written from the description in Lee and Town (arXiv 2005.02494) and the names of mimicry's weights;
a state dict is name -> array. Everything is differentiable; `moved` collects the buffers that a
training pass changes.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

# First map of the generator, its blocks, discriminator blocks, how many of those halve.
TINY = {
    32: ((4, 8), [8, 8, 8], [8, 8, 8, 8], 2),
    48: ((6, 16), [8, 4, 2], [1, 2, 4, 8, 16], 4),
    64: ((4, 16), [8, 4, 2, 1], [1, 2, 4, 8, 16], 5),
    128: ((4, 16), [16, 8, 4, 2, 1], [1, 2, 4, 8, 16, 16], 5),
}


def convolution(name, out, read, taps, *, spectral, bias=True):
    return linear(name, out, read, taps, taps, spectral=spectral, bias=bias)


def linear(name, out, *rest, spectral, bias=True):
    shapes = {f"{name}.bias": (out,)} if bias else {}
    if not spectral:
        return {f"{name}.weight": (out, *rest), **shapes}
    vectors = {f"{name}.weight_u": (out,), f"{name}.weight_v": (math.prod(rest),)}
    return {f"{name}.weight_orig": (out, *rest), **vectors, **shapes}


def norm(name, features, classes):
    running = {f"running_{part}": (features,) for part in ("mean", "var")}
    if classes:
        inner = {f"{name}.bn.{part}": shape for part, shape in running.items()}
        return {f"{name}.embed.weight": (classes, 2 * features), **inner}
    running |= {"weight": (features,), "bias": (features,)}
    return {f"{name}.{part}": shape for part, shape in running.items()}


def attention(channels):
    shapes: dict = {"attn_block.gamma": ()}
    for part, out, read in (
        ("theta", channels // 8, channels),
        ("phi", channels // 8, channels),
        ("g", channels // 2, channels),
        ("o", channels, channels // 2),
    ):
        shapes |= convolution(f"attn_block.{part}", out, read, 1, spectral=True, bias=False)
    return shapes


def block(name, read, hidden, out, *, shortcut, spectral):
    shapes = convolution(f"{name}.c1", hidden, read, 3, spectral=spectral)
    shapes |= convolution(f"{name}.c2", out, hidden, 3, spectral=spectral)
    if shortcut:
        shapes |= convolution(f"{name}.c_sc", out, read, 1, spectral=spectral)
    return shapes


def generator_state(size, *, latent=5, classes=0, spectral=False, attends=False, seed=0):
    (start, read), made, _, _ = TINY[size]
    shapes = linear("l1", read * start**2, latent, spectral=spectral)
    for i, out in enumerate(made, 2):
        name = f"block{i}"
        shapes |= block(name, read, out, out, shortcut=True, spectral=spectral)
        shapes |= norm(f"{name}.b1", read, classes) | norm(f"{name}.b2", out, classes)
        read = out
    if attends:
        shapes |= attention({32: 8, 128: 4}[size])
    last = len(made) + 2
    shapes |= norm(f"b{last}", read, 0)
    return draw(shapes | convolution(f"c{last}", 3, read, 3, spectral=spectral), seed)


def discriminator_blocks(size, names, *, spectral):
    _, _, made, halvings = TINY[size]
    shapes, read = {}, 3
    for i, (name, out) in enumerate(zip(names, made, strict=True)):
        hidden = out if i == 0 else read
        shortcut = i < halvings or read != out
        shapes |= block(name, read, hidden, out, shortcut=shortcut, spectral=spectral)
        read = out
    return shapes, read


def discriminator_state(
    size, *, spectral=True, rotation=False, classes=0, attends=False, own_heads=False, seed=1
):
    blocks = len(TINY[size][2])
    names = [f"block{i}" for i in range(1, blocks + 1)]
    shapes, features = discriminator_blocks(size, names, spectral=spectral)
    if attends:
        shapes |= attention(8)
    heads = {f"l{blocks + 1}": (1, True), "l_y": (4 if rotation else classes, rotation)}
    for name, (out, bias) in heads.items():
        if not out:
            continue
        if own_heads:
            shapes |= linear(name, out, features, spectral=False, bias=bias)
            shapes |= {f"{name}.sn_u": (1, out), f"{name}.sn_sigma": (1,)}
        else:
            shapes |= linear(name, out, features, spectral=spectral, bias=bias)
    return draw(shapes, seed)


def infomax_state(size, width, seed=2):
    blocks = len(TINY[size][2])
    names = [f"local_feat_blocks.{i}" for i in range(blocks - 1)] + ["global_feat_blocks.0"]
    shapes, pooled = discriminator_blocks(size, names, spectral=True)
    shapes |= linear("linear", 1, pooled, spectral=True)
    local = TINY[size][2][-2]
    for side, read, ones in (("local", local, (1, 1)), ("global", pooled, ())):
        for part, out in (("a", read), ("b", width), ("sc", width)):
            shapes |= linear(f"{side}_nrkhs_{part}", out, read, *ones, spectral=True)
    return draw(shapes, seed)


def draw(shapes, seed):
    rng = np.random.default_rng(seed)
    state = {}
    for name, shape in shapes.items():
        noise = rng.normal(size=shape).clip(-2, 2).astype(np.float32)
        around_one = name.endswith("running_var") or (name.endswith(".weight") and len(shape) == 1)
        state[name] = np.asarray(1 + 0.3 * noise if around_one else 0.3 * noise, np.float32)
    for name in [name for name in state if name.endswith("weight_orig")]:
        # One step from random vectors: neither unrelated to W, when sigma may be 0, nor converged.
        matrix = state[name].reshape(len(state[name]), -1)
        v = matrix.T @ state[name[:-4] + "u"]
        state[name[:-4] + "v"] = v / np.linalg.norm(v)
        u = matrix @ v
        state[name[:-4] + "u"] = u / np.linalg.norm(u)
    return state


# Forward passes ---------------------------------------------------------------------------------


class Pass:
    """One pass over a state dict."""

    def __init__(self, state, *, train, preact="relu"):
        self.state, self.train, self.preact = state, train, preact
        self.moved = {}

    def weight(self, name):
        state = self.state
        if f"{name}.weight_orig" in state:
            w = state[f"{name}.weight_orig"]
            matrix = w.reshape(w.shape[0], -1)
            u, v = state[f"{name}.weight_u"], state[f"{name}.weight_v"]
            if self.train:
                u, v = iterated(matrix, u)
                self.moved |= {f"{name}.weight_u": u, f"{name}.weight_v": v}
        elif f"{name}.sn_u" in state:
            w = state[f"{name}.weight"]
            matrix = w.reshape(w.shape[0], -1)
            u, v = iterated(matrix, state[f"{name}.sn_u"][0])
            if self.train:
                self.moved[f"{name}.sn_u"] = u[None]
        else:
            return state[f"{name}.weight"]
        return w / jnp.einsum("o,or,r->", u, matrix, v)

    def conv(self, name, x):
        w = self.weight(name)
        pad = [(w.shape[2] // 2,) * 2] * 2
        y = jax.lax.conv_general_dilated(x, w, (1, 1), pad)
        if f"{name}.bias" in self.state:
            y = y + self.state[f"{name}.bias"].reshape(1, -1, 1, 1)
        return y

    def linear(self, name, x):
        return x @ self.weight(name).T + self.state[f"{name}.bias"].reshape(1, -1)

    def norm(self, name, x, labels):
        state = self.state
        if f"{name}.embed.weight" in state:
            scale, shift = jnp.split(state[f"{name}.embed.weight"][labels], 2, axis=1)
            name = f"{name}.bn"
        else:
            scale, shift = state[f"{name}.weight"][None], state[f"{name}.bias"][None]
        if self.train:
            mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3))
            count = x.size / x.shape[1]
            for part, new in (("mean", mean), ("var", var * count / (count - 1))):
                old = state[f"{name}.running_{part}"]
                self.moved[f"{name}.running_{part}"] = 0.9 * old + 0.1 * new
        else:
            mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        mean, var = mean.reshape(1, -1, 1, 1), var.reshape(1, -1, 1, 1)
        y = (x - mean) / jnp.sqrt(var + 1e-5)
        return y * scale[:, :, None, None] + shift[:, :, None, None]

    def attention(self, x):
        b, c, h, w = x.shape
        flat = lambda y: y.reshape(b, y.shape[1], -1)  # noqa: E731
        theta = flat(self.conv("attn_block.theta", x))
        phi, g = (flat(max_pool(self.conv(f"attn_block.{part}", x))) for part in ("phi", "g"))
        scores = jnp.einsum("bcq,bck->bqk", theta, phi)
        scores = jnp.exp(scores - scores.max(-1, keepdims=True))
        weights = scores / scores.sum(-1, keepdims=True)
        found = jnp.einsum("bqk,bck->bcq", weights, g).reshape(b, c // 2, h, w)
        return x + self.state["attn_block.gamma"] * self.conv("attn_block.o", found)

    def generator_block(self, name, x, labels):
        h = self.conv(f"{name}.c1", upsample(relu(self.norm(f"{name}.b1", x, labels))))
        h = self.conv(f"{name}.c2", relu(self.norm(f"{name}.b2", h, labels)))
        return h + self.conv(f"{name}.c_sc", upsample(x))

    def discriminator_block(self, name, x, *, first, halves):
        pool = mean_pool if halves else lambda y: y
        if first:
            h = pool(self.conv(f"{name}.c2", relu(self.conv(f"{name}.c1", x))))
            return h + self.conv(f"{name}.c_sc", pool(x))
        h = pool(self.conv(f"{name}.c2", relu(self.conv(f"{name}.c1", relu(x)))))
        if self.preact == "relu":
            x = relu(x)
        if any(key.startswith(f"{name}.c_sc") for key in self.state):
            x = pool(self.conv(f"{name}.c_sc", x))
        return h + x

    def generator(self, size, z, labels=None):
        (start, channels), made, _, _ = TINY[size]
        x = self.linear("l1", z).reshape(-1, channels, start, start)
        for i in range(2, len(made) + 2):
            x = self.generator_block(f"block{i}", x, labels)
            if "attn_block.gamma" in self.state and x.shape[2] == {32: 16, 128: 32}[size]:
                x = self.attention(x)
        last = len(made) + 2
        return jnp.tanh(self.conv(f"c{last}", relu(self.norm(f"b{last}", x, None))))

    def features(self, size, x, names=None):
        """(local, activated last map before pooling)."""
        _, _, made, halvings = TINY[size]
        names = names or [f"block{i}" for i in range(1, len(made) + 1)]
        local = x
        for i, name in enumerate(names):
            local = relu(x) if self.preact == "relu" else x
            x = self.discriminator_block(name, x, first=i == 0, halves=i < halvings)
            if "attn_block.gamma" in self.state and i == 1:
                x = self.attention(x)
        return local, relu(x)

    def logits(self, name, pooled, labels=None):
        logits = self.linear(name, pooled)[:, 0]
        if labels is not None:
            logits = logits + (self.weight("l_y")[labels] * pooled).sum(1)
        return logits


def iterated(matrix, u):
    matrix = jax.lax.stop_gradient(matrix)
    v = matrix.T @ u
    v = v / jnp.linalg.norm(v)
    u = matrix @ v
    return u / jnp.linalg.norm(u), v


def relu(x):
    return jnp.where(x > 0, x, 0)


def upsample(x):
    b, c, h, w = x.shape
    return jax.image.resize(x, (b, c, 2 * h, 2 * w), "bilinear")


def mean_pool(x):
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def max_pool(x):
    corners = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
    return jnp.maximum(jnp.maximum(*corners[:2]), jnp.maximum(*corners[2:]))
