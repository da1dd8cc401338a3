"""Dist-GAN's networks in float64, one tap of a kernel at a time, as TensorFlow's graph makes them.

A `Graph` gives out variables by name, as `tf.get_variable` does, and remembers what it gave: the
weights of a network are what its forward asked for, under the names of the authors' code.
"""

import numpy as np


class Graph:
    """Drawn variables by TensorFlow name, in the order in which they were made."""

    def __init__(self, seed=0):
        """Start without variables."""
        self.arrays, self._rng, self._scope, self._counts = {}, np.random.default_rng(seed), "", {}

    def network(self, name):
        """Begin the network of that name, anew: layers are counted within a network."""
        self._scope, self._counts = f"{name}/{name}", {}
        return self

    def variable(self, name, shape, scale, middle=0.0):
        """The variable, drawn when first asked for."""
        name = f"{self._scope}/{name}"
        if name not in self.arrays:
            self.arrays[name] = middle + scale * self._rng.standard_normal(shape).clip(-2, 2)
        return self.arrays[name]

    def numbered(self, scope):
        """The name of the next layer of a kind: Conv, Conv_1, Conv_2, ..."""
        count = self._counts[scope] = self._counts.get(scope, -1) + 1
        return f"{scope}_{count}" if count else scope

    # --- slim's layers, and those of the residual networks ------------------------------------

    def conv(self, x, out, k, s, *, norm=False):
        """slim.conv2d."""
        name = self.numbered("Conv")
        kernel = self.variable(f"{name}/weights", (k, k, x.shape[-1], out), _scale(k, x))
        return self._shifted(convolved(x, kernel, s), name, norm)

    def tconv(self, x, out, k, *, norm=False):
        """slim.conv2d_transpose of stride 2."""
        name = self.numbered("Conv2d_transpose")
        kernel = self.variable(f"{name}/weights", (k, k, out, x.shape[-1]), 2 * _scale(k, x))
        return self._shifted(transposed(x, kernel, 2), name, norm)

    def dense(self, x, out, *, norm=False):
        """The authors' flatten_fully_connected."""
        name = self.numbered("flatten_fully_connected") + "/fully_connected"
        x = x.reshape(len(x), -1)
        kernel = self.variable(f"{name}/weights", (x.shape[1], out), _scale(1, x))
        return self._shifted(x @ kernel, name, norm)

    def _shifted(self, y, name, norm):
        if norm:
            return self.norm(y, f"{name}/BatchNorm")
        return y + self.variable(f"{name}/biases", y.shape[-1:], 0.1)

    def norm(self, x, name):
        """Batch norm by the statistics of the batch."""
        beta = self.variable(f"{name}/beta", x.shape[-1:], 0.1)
        gamma = self.variable(f"{name}/gamma", x.shape[-1:], 0.1, 1.0)
        axes = tuple(range(x.ndim - 1))
        return gamma * (x - x.mean(axes)) / np.sqrt(x.var(axes) + 1e-5) + beta

    def named_conv(self, x, out, k, s, name):
        """The convolution of the residual networks."""
        kernel = self.variable(f"{name}/w", (k, k, x.shape[-1], out), _scale(k, x))
        return convolved(x, kernel, s) + self.variable(f"{name}/biases", (out,), 0.1)

    def linear(self, x, out, name):
        """The dense layer of the residual networks."""
        kernel = self.variable(f"{name}/Matrix", (x.shape[1], out), _scale(1, x))
        return x @ kernel + self.variable(f"{name}/bias", (out,), 0.1)


def _scale(k, x):
    return (k * k * x.shape[-1]) ** -0.5


def _sides(size, k, s):
    total = max((-(-size // s) - 1) * s + k - size, 0)
    return total // 2, total - total // 2


def convolved(x, kernel, s):
    """Cross-correlation, padded so that the result has ceil(size / s) places ("SAME")."""
    k = kernel.shape[0]
    h, w = (-(-size // s) for size in x.shape[1:3])
    x = np.pad(x, ((0, 0), _sides(x.shape[1], k, s), _sides(x.shape[2], k, s), (0, 0)))
    y = np.zeros((len(x), h, w, kernel.shape[3]))
    for u in range(k):
        for v in range(k):
            y += x[:, u : u + s * (h - 1) + 1 : s, v : v + s * (w - 1) + 1 : s] @ kernel[u, v]
    return y


def transposed(x, kernel, s):
    """y[s i + u - p] += kernel[u] x[i] for a kernel [k, k, out, in], of s times the side."""
    (b, h, w, _), k = x.shape, kernel.shape[0]
    p = _sides(s * h, k, s)[0]
    y = np.zeros((b, s * h + k, s * w + k, kernel.shape[2]))
    for u in range(k):
        for v in range(k):
            y[:, u : u + s * h : s, v : v + s * w : s] += x @ kernel[u, v].T
    return y[:, p : p + s * h, p : p + s * w]


def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0)


def leaky(x, leak=0.2):
    """max(x, leak x)."""
    return np.maximum(x, leak * x)


def sigmoid(x):
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-x))


# --- networks: dim is the authors' name for the width of a network ------------------------------


def dcgan_encoder(g, x, latent, dim, times, act):
    """Of all three data sets."""
    x = act(g.conv(x, dim, 5, 2))
    for i in range(1, times):
        x = act(g.conv(x, dim * 2**i, 5, 2, norm=True))
    return g.dense(x, latent)


def dcgan_discriminator(g, x, dim, times):
    """Logits and features, of all three data sets."""
    x = leaky(g.conv(x, dim, 5, 2))
    for i in range(1, times):
        x = leaky(g.conv(x, dim * 2**i, 5, 2, norm=True))
    return g.dense(x, 1), x


def dcgan_generator(g, z, channels, dim, times, start):
    """Of CIFAR-10 and CelebA."""
    first = dim * 2 ** (times - 1)
    x = relu(g.dense(z, start * start * first, norm=True)).reshape(-1, start, start, first)
    for i in range(times - 2, -1, -1):
        x = relu(g.tconv(x, dim * 2**i, 5, norm=True))
    return sigmoid(g.tconv(x, channels, 5))


def mnist_generator(g, z, channels, dim):
    """With a dense layer from 8x8 to 7x7."""
    x = relu(g.dense(z, 16 * dim * 4, norm=True)).reshape(-1, 4, 4, dim * 4)
    x = relu(g.tconv(x, dim * 2, 5, norm=True))
    x = relu(g.dense(x, 49 * 2 * dim)).reshape(-1, 7, 7, 2 * dim)
    x = relu(g.tconv(x, dim, 5, norm=True))
    return sigmoid(g.tconv(x, channels, 5))


def sngan_encoder_stl(g, x, latent, dim):
    """ReLU first, then leaky of slope 0.1."""
    x = relu(g.conv(x, dim * 2, 3, 1))
    for i in (4, 8, 16):
        x = leaky(g.conv(x, dim * i, 4, 2, norm=True), 0.1)
    return g.dense(x, latent)


def sngan_generator(g, z, channels, dim, start):
    """No norm behind the dense layer."""
    x = relu(g.dense(z, start * start * dim * 16)).reshape(-1, start, start, dim * 16)
    for i in (8, 4, 2):
        x = relu(g.tconv(x, dim * i, 4, norm=True))
    return sigmoid(g.conv(x, channels, 3, 1))


def sngan_discriminator(g, x, dim, leak):
    """Seven convolutions with bias."""
    layers = [(1, 3, 1), (1, 4, 2), (2, 3, 1), (2, 4, 2), (4, 3, 1), (4, 4, 2), (8, 3, 1)]
    for times, k, s in layers:
        x = leaky(g.conv(x, dim * times, k, s), leak)
    return g.dense(x, 1), x


def stacked_encoder(g, x, latent, dim):
    """Bias and no norm."""
    for i in (1, 2, 4, 8):
        x = relu(g.conv(x, dim * i, 5, 2))
    return g.dense(x, latent)


def stacked_generator(g, z, channels, dim):
    """With a crop from 8x8 to 7x7."""
    x = relu(g.dense(z, 16 * dim * 8, norm=True)).reshape(-1, 4, 4, dim * 8)
    x = relu(g.tconv(x, dim * 4, 5, norm=True))[:, :7, :7]
    x = relu(g.tconv(x, dim * 2, 5, norm=True))
    x = relu(g.tconv(x, dim, 5, norm=True))
    return sigmoid(g.conv(x, channels, 5, 1))


def stacked_discriminator(g, x, dim):
    """Bias and no norm."""
    for i in (1, 2, 4):
        x = leaky(g.conv(x, dim * i, 5, 2))
    return g.dense(x, 1), x


def _twice(x):
    return x.repeat(2, 1).repeat(2, 2)


def _mean(x):
    return (x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]) / 4


def resnet_encoder(g, x, latent, widths):
    """Pre-activation blocks with norm and mean pooling."""
    x = g.named_conv(x, widths[0], 3, 1, "e_conv0")
    for i, out in enumerate(widths[1:], 1):
        block, y = f"e_block{i}", x
        y = g.named_conv(leaky(g.norm(y, f"{block}/bn0")), out, 3, 1, f"{block}/conv1")
        y = g.named_conv(leaky(g.norm(y, f"{block}/bn1")), out, 3, 1, f"{block}/conv2")
        x = _mean(g.named_conv(x, out, 1, 1, f"{block}/conv3")) + _mean(y)
    return g.linear(leaky(g.norm(x, "e_bn")).reshape(len(x), -1), latent, "Linear")


def resnet_generator(g, z, channels, widths, start):
    """Blocks with norm and repetition."""
    x = g.linear(z, start * start * widths[0], "g_linear0").reshape(-1, start, start, widths[0])
    for i, out in enumerate(widths[1:], 1):
        block, y = f"g_block{i}", x
        y = _twice(relu(g.norm(y, f"{block}/bn0")))
        y = g.named_conv(y, out, 3, 1, f"{block}/conv1")
        y = g.named_conv(relu(g.norm(y, f"{block}/bn1")), out, 3, 1, f"{block}/conv2")
        x = g.named_conv(_twice(x), out, 1, 1, f"{block}/conv3") + y
    return sigmoid(g.named_conv(relu(g.norm(x, "g_bn")), channels, 3, 1, "g_conv_last"))


def resnet_discriminator(g, x, widths, halvings):
    """Blocks without norm and with learned halving; the logit is of the sum over places."""
    block, c = "d_optimized_block1", x.shape[-1]
    y = relu(g.named_conv(x, widths[0], 3, 1, f"{block}/conv1"))
    y = g.named_conv(y, widths[0], 3, 1, f"{block}/conv2")
    y = g.named_conv(y, widths[0], 1, 2, f"{block}/o_dsample_1")
    x = g.named_conv(x, c, 1, 2, f"{block}/o_dsample_2")
    x = y + g.named_conv(x, widths[0], 1, 1, f"{block}/conv3")
    for i, out in enumerate(widths[1:], 2):
        block, halve, before = f"d_block{i}", i <= halvings, x.shape[-1]
        y = g.named_conv(relu(x), out, 3, 1, f"{block}/conv1")
        y = g.named_conv(relu(y), out, 3, 1, f"{block}/conv2")
        if halve:
            y = g.named_conv(y, out, 1, 2, f"{block}/d_dsample_1")
        if halve or before != out:
            x = g.named_conv(x, out, 1, 1, f"{block}/conv3")
        if halve:
            x = g.named_conv(x, out, 1, 2, f"{block}/d_dsample_2")
        x = x + y
    x = relu(x)
    return g.linear(x.sum((1, 2)), 1, "linear_out"), x
