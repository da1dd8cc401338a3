"""Relevance by loops over every pair of an input and an output, in float64, from the formulas.

The slow oracle of `gan_forensics.explain`: it shares no code with it. A linear layer is a list of
(output, input, weight); a rule shares the relevance of an output among its inputs:

    epsilon   R_i += a_i w_ij / (z_j + eps sgn z_j) R_j, z_j with its bias       (Bach et al. 2015)
    beta 0    R_i += (a_i w_ij)^+ / sum_i (a_i w_ij)^+ R_j                       (Bach et al. 2015)
    box       q_ij = a_i w_ij - low w_ij^+ - high w_ij^-,
              R_i += q_ij / (sum_i q_ij + eps) R_j                         (Montavon et al. 2017)
    norms     R_i = R_j of the value that was normalised                  (Achtibat et al. 2024)
    softmax   R_i = x_i (R_i - s_i sum_j R_j)                             (Achtibat et al. 2024)
    product   o_j = sum_i a_ji v_i: both factors get a_ji v_i / (2 o_j + eps) R_j      (as there)
"""

import itertools
import math

import numpy as np

Pairs = list[tuple[tuple[int, ...], tuple[int, ...], float]]


def convolution(kernel, side: int, stride: int, pad: int, dilation: int = 1, groups: int = 1):
    """The pairs of a convolution of maps [side, side, in] with a kernel [k, k, in / groups, out].

    Returns:
        (pairs, shape of its output).
    """
    k, _, read, made = kernel.shape
    out = (side + 2 * pad - dilation * (k - 1) - 1) // stride + 1
    pairs: Pairs = []
    for y, x, o in itertools.product(range(out), range(out), range(made)):
        first = o // (made // groups) * read
        for dy, dx, i in itertools.product(range(k), range(k), range(read)):
            row, column = y * stride - pad + dy * dilation, x * stride - pad + dx * dilation
            if 0 <= row < side and 0 <= column < side:
                weight = float(kernel[dy, dx, i, o])
                pairs.append(((y, x, o), (row, column, first + i), weight))
    return pairs, (out, out, made)


def transposed(kernel, side: int, stride: int):
    """The pairs of Flax's ConvTranspose with padding "VALID" and a kernel [k, k, in, out].

    Every input writes its weights, k times k of them, onto the output, `stride` places apart.
    """
    k, _, read, made = kernel.shape
    out = (side - 1) * stride + max(k, stride)
    pairs: Pairs = []
    for y, x, i in itertools.product(range(side), range(side), range(read)):
        for dy, dx, o in itertools.product(range(k), range(k), range(made)):
            # Flax does not flip the kernel: its last row is written first.
            place = (y * stride + k - 1 - dy, x * stride + k - 1 - dx, o)
            pairs.append((place, (y, x, i), float(kernel[dy, dx, i, o])))
    return pairs, (out, out, made)


def product(kernel) -> Pairs:
    """The pairs of a matrix product with a kernel [in, out]."""
    return [((j,), (i,), float(kernel[i, j])) for i, j in np.ndindex(kernel.shape)]


def forward(pairs: Pairs, shape, a, bias):
    """What the layer computes."""
    z = np.zeros(shape) + bias
    for j, i, weight in pairs:
        z[j] += weight * a[i]
    return z


def epsilon(pairs: Pairs, a, bias, r, *, eps: float):
    """LRP-epsilon."""
    z = forward(pairs, r.shape, a, bias)
    result = np.zeros(a.shape)
    for j, i, weight in pairs:
        result[i] += a[i] * weight / (z[j] + (eps if z[j] >= 0 else -eps)) * r[j]
    return result


def beta_zero(pairs: Pairs, a, r):
    """LRP-beta with beta 0."""
    sums = np.zeros(r.shape)
    for j, i, weight in pairs:
        sums[j] += max(a[i] * weight, 0)
    result = np.zeros(a.shape)
    for j, i, weight in pairs:
        if sums[j] > 0:
            result[i] += max(a[i] * weight, 0) / sums[j] * r[j]
    return result


def box(pairs: Pairs, a, r, *, low: float, high: float, eps: float):
    """LRP-zB."""

    def q(i, weight):
        return a[i] * weight - low * max(weight, 0) - high * min(weight, 0)

    sums = np.zeros(r.shape)
    for j, i, weight in pairs:
        sums[j] += q(i, weight)
    result = np.zeros(a.shape)
    for j, i, weight in pairs:
        result[i] += q(i, weight) / (sums[j] + eps) * r[j]
    return result


def folded(kernel, scale, bias, mean, variance, eps: float):
    """The kernel and the bias of a convolution and the batch norm behind it as one layer."""
    kernel, factor = np.array(kernel, float), np.zeros(len(scale))
    for o in range(len(scale)):
        factor[o] = scale[o] / math.sqrt(variance[o] + eps)
        kernel[..., o] *= factor[o]
    return kernel, bias - mean * factor


def normalised(x, groups: int, eps: float):
    """A map [..., c] less its mean, over its deviation: of all places of each group of channels."""
    result, width = np.zeros(x.shape), x.shape[-1] // groups
    for g in range(groups):
        part = x[..., g * width : (g + 1) * width]
        deviation = math.sqrt(((part - part.mean()) ** 2).mean() + eps)
        result[..., g * width : (g + 1) * width] = (part - part.mean()) / deviation
    return result


def softmax(scores):
    """Of each row."""
    result = np.zeros(scores.shape)
    for q, row in enumerate(scores):
        terms = [math.exp(value - max(row)) for value in row]
        result[q] = np.array(terms) / sum(terms)
    return result


def attention(query, key, value, r, *, eps: float):
    """Relevance of query [q, c], key [k, c], value [k, d] where softmax(q k^T) v has r [q, d]."""
    scores = np.array([[sum(a * b for a, b in zip(q, k, strict=True)) for k in key] for q in query])
    weights = softmax(scores)
    found = weights @ value
    r_weights, r_value = np.zeros(weights.shape), np.zeros(value.shape)
    for q, k, d in itertools.product(*map(range, (*weights.shape, value.shape[1]))):
        o = 2 * found[q, d]
        part = weights[q, k] * value[k, d] / (o + (eps if o >= 0 else -eps)) * r[q, d]
        r_weights[q, k] += part
        r_value[k, d] += part
    r_scores = np.zeros(scores.shape)
    for q, k in np.ndindex(scores.shape):
        r_scores[q, k] = scores[q, k] * (r_weights[q, k] - weights[q, k] * r_weights[q].sum())
    r_query, r_key = np.zeros(query.shape), np.zeros(key.shape)
    for q, k, c in itertools.product(*map(range, (*scores.shape, query.shape[1]))):
        s = 2 * scores[q, k]
        part = query[q, c] * key[k, c] / (s + (eps if s >= 0 else -eps)) * r_scores[q, k]
        r_query[q, c] += part
        r_key[k, c] += part
    return r_query, r_key, r_value
