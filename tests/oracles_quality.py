"""Slow references for the quality area, written from the formulas and from the published names."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# --- the FID Inception network, on NCHW float64 arrays and a PyTorch state dict -----------------


def _windows(x, kernel, stride, padding, fill=0.0):
    (ph, pw), (kh, kw) = padding, kernel
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    return sliding_window_view(x, (kh, kw), axis=(2, 3))[:, :, ::stride, ::stride]


def _conv(state, name, x, *, stride=1, padding=(0, 0)):
    """Convolution, batch norm with eps 0.001 from running statistics, ReLU."""
    weight = state[f"{name}.conv.weight"].astype(np.float64)
    windows = _windows(x, weight.shape[2:], stride, padding)
    y = np.einsum("nihwkl,oikl->nohw", windows, weight, optimize=True)
    mean, var, scale, bias = (
        state[f"{name}.bn.{part}"].astype(np.float64)[None, :, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return np.maximum((y - mean) / np.sqrt(var + 1e-3) * scale + bias, 0)


def _average_pool(x):
    total = _windows(x, (3, 3), 1, (1, 1)).sum((-1, -2))
    return total / _windows(np.ones_like(x), (3, 3), 1, (1, 1)).sum((-1, -2))


def _max_pool(x, stride, padding=0):
    return _windows(x, (3, 3), stride, (padding, padding), -np.inf).max((-1, -2))


def _chain(state, block, x, *units):
    """Units (name, padding) one after the other."""
    for name, padding in units:
        x = _conv(state, f"{block}.{name}", x, padding=padding)
    return x


def _concatenate(*maps):
    return np.concatenate(maps, axis=1)


def _inception_a(state, name, x):
    return _concatenate(
        _chain(state, name, x, ("branch1x1", (0, 0))),
        _chain(state, name, x, ("branch5x5_1", (0, 0)), ("branch5x5_2", (2, 2))),
        _chain(
            state,
            name,
            x,
            ("branch3x3dbl_1", (0, 0)),
            ("branch3x3dbl_2", (1, 1)),
            ("branch3x3dbl_3", (1, 1)),
        ),
        _chain(state, name, _average_pool(x), ("branch_pool", (0, 0))),
    )


def _inception_b(state, name, x):
    double = _chain(state, name, x, ("branch3x3dbl_1", (0, 0)), ("branch3x3dbl_2", (1, 1)))
    return _concatenate(
        _conv(state, f"{name}.branch3x3", x, stride=2),
        _conv(state, f"{name}.branch3x3dbl_3", double, stride=2),
        _max_pool(x, 2),
    )


def _inception_c(state, name, x):
    return _concatenate(
        _chain(state, name, x, ("branch1x1", (0, 0))),
        _chain(
            state,
            name,
            x,
            ("branch7x7_1", (0, 0)),
            ("branch7x7_2", (0, 3)),
            ("branch7x7_3", (3, 0)),
        ),
        _chain(
            state,
            name,
            x,
            ("branch7x7dbl_1", (0, 0)),
            ("branch7x7dbl_2", (3, 0)),
            ("branch7x7dbl_3", (0, 3)),
            ("branch7x7dbl_4", (3, 0)),
            ("branch7x7dbl_5", (0, 3)),
        ),
        _chain(state, name, _average_pool(x), ("branch_pool", (0, 0))),
    )


def _inception_d(state, name, x):
    seven = _chain(
        state,
        name,
        x,
        ("branch7x7x3_1", (0, 0)),
        ("branch7x7x3_2", (0, 3)),
        ("branch7x7x3_3", (3, 0)),
    )
    return _concatenate(
        _conv(
            state, f"{name}.branch3x3_2", _chain(state, name, x, ("branch3x3_1", (0, 0))), stride=2
        ),
        _conv(state, f"{name}.branch7x7x3_4", seven, stride=2),
        _max_pool(x, 2),
    )


def _inception_e(state, name, x, pooled):
    three = _chain(state, name, x, ("branch3x3_1", (0, 0)))
    double = _chain(state, name, x, ("branch3x3dbl_1", (0, 0)), ("branch3x3dbl_2", (1, 1)))
    return _concatenate(
        _chain(state, name, x, ("branch1x1", (0, 0))),
        _chain(state, name, three, ("branch3x3_2a", (0, 1))),
        _chain(state, name, three, ("branch3x3_2b", (1, 0))),
        _chain(state, name, double, ("branch3x3dbl_3a", (0, 1))),
        _chain(state, name, double, ("branch3x3dbl_3b", (1, 0))),
        _chain(state, name, pooled, ("branch_pool", (0, 0))),
    )


def inception(state, x):
    """(pool3, logits, logits without bias) of prepared images [b, 3, h, w]."""
    x = _conv(state, "Conv2d_1a_3x3", np.asarray(x, np.float64), stride=2)
    x = _conv(state, "Conv2d_2a_3x3", x)
    x = _max_pool(_conv(state, "Conv2d_2b_3x3", x, padding=(1, 1)), 2)
    x = _conv(state, "Conv2d_4a_3x3", _conv(state, "Conv2d_3b_1x1", x))
    x = _max_pool(x, 2)
    for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
        x = _inception_a(state, name, x)
    x = _inception_b(state, "Mixed_6a", x)
    for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
        x = _inception_c(state, name, x)
    x = _inception_d(state, "Mixed_7a", x)
    x = _inception_e(state, "Mixed_7b", x, _average_pool(x))
    x = _inception_e(state, "Mixed_7c", x, _max_pool(x, 1, 1))
    pool3 = x.mean((2, 3))
    unbiased = pool3 @ state["fc.weight"].astype(np.float64).T
    return pool3, unbiased + state["fc.bias"], unbiased


def resize_like_tensorflow_1(image, size):
    """Bilinear with corners at the top left, one output pixel after the other; [h, w, c]."""
    h, w, c = image.shape
    out = np.zeros((size, size, c))
    for i in range(size):
        for j in range(size):
            y, x = i * h / size, j * w / size
            top, left = int(y), int(x)
            below, right = min(top + 1, h - 1), min(left + 1, w - 1)
            dy, dx = y - top, x - left
            upper = image[top, left] * (1 - dx) + image[top, right] * dx
            lower = image[below, left] * (1 - dx) + image[below, right] * dx
            out[i, j] = upper * (1 - dy) + lower * dy
    return out


# --- metrics --------------------------------------------------------------------------------------


def frechet_by_sqrtm(mean1, cov1, mean2, cov2):
    """The textbook formula with a general matrix square root."""
    import scipy.linalg

    root = scipy.linalg.sqrtm(cov1 @ cov2)
    return float(((mean1 - mean2) ** 2).sum() + np.trace(cov1 + cov2 - 2 * np.real(root)))


def mmd2(x, y):
    """Unbiased MMD^2 with the cubic kernel, a pair at a time."""

    def k(a, b):
        return (np.dot(a, b) / len(a) + 1) ** 3

    n, m = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    yy = sum(k(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (n * m)


def prdc(real, fake, k):
    """Precision, recall, density, coverage from all distances, a point at a time."""

    def radius(points, i):
        others = [np.linalg.norm(points[i] - p) for j, p in enumerate(points) if j != i]
        return sorted(others)[k - 1]

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, j) for j in range(len(fake))]
    distance = np.array([[np.linalg.norm(r - f) for f in fake] for r in real])
    in_real = distance <= np.array(real_radii)[:, None]
    in_fake = distance <= np.array(fake_radii)[None, :]
    return {
        "precision": float(in_real.any(0).mean()),
        "recall": float(in_fake.any(1).mean()),
        "density": float(in_real.sum(0).mean() / k),
        "coverage": float(in_real.any(1).mean()),
    }


def inception_score(p, splits):
    scores = []
    for i in range(splits):
        part = p[i * len(p) // splits : (i + 1) * len(p) // splits]
        marginal = part.mean(0)
        kl = [
            sum(a * np.log(a / b) for a, b in zip(row, marginal, strict=True) if a) for row in part
        ]
        scores.append(np.exp(np.mean(kl)))
    return float(np.mean(scores)), float(np.std(scores))
