"""The 68-landmark network of face-api.js, read from its own weight files and run in JAX.

The files `face_landmark_68_model-weights_manifest.json` and `face_landmark_68_model.bin` come with
the npm package `@vladmandic/face-api` (MIT licence). The network (Mühler, face-api.js, 2018): four
blocks of four 3x3 convolutions, the first of each with stride 2, all but the very first depthwise
separable, each sum of the outputs so far through a ReLU; then the mean of 7x7 and a linear layer.
The weights are stored as bytes: value = minimum + scale * byte.
"""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, UInt8

from gan_forensics.files import check_file_in, listed, read_bytes, read_json, shown

MANIFEST = "face_landmark_68_model-weights_manifest.json"
SIDE = 112
_CHANNELS = (32, 64, 128, 256)
# Of ImageNet's pictures, red, green, blue.
_MEAN = (122.782, 117.001, 104.298)
_LARGEST_MANIFEST = 1 << 20  # bytes
Weights = dict[str, np.ndarray]


def shapes() -> dict[str, tuple[int, ...]]:
    """The shape of every array of the network by its name in the manifest, in its order."""
    found: dict[str, tuple[int, ...]] = {}
    before = 3
    for block, channels in enumerate(_CHANNELS):
        for layer in range(4):
            name = f"dense{block}/conv{layer}"
            if before == 3:
                found[f"{name}/filters"] = (3, 3, 3, channels)
            else:
                found[f"{name}/depthwise_filter"] = (3, 3, before, 1)
                found[f"{name}/pointwise_filter"] = (1, 1, before, channels)
            found[f"{name}/bias"] = (channels,)
            before = channels
    return {**found, "fc/weights": (before, 136), "fc/bias": (136,)}


def read_weights(path: Path | str) -> Weights:
    """The weights as float32, from the manifest's path or from its folder.

    Nothing in the files is executed; sizes are checked before anything is allocated.

    Raises:
        FileNotFoundError: the manifest or the file that it names is missing.
        ValueError: it is no such manifest, of another network, or the file has another size.
    """
    path = Path(path)
    manifest = path / MANIFEST if path.is_dir() else path
    check_file_in(manifest, f"the weights' manifest, {MANIFEST}")
    try:
        (group,) = read_json(manifest, most=_LARGEST_MANIFEST)
        (name,) = group["paths"]
        entries = {entry["name"]: _entry(entry) for entry in group["weights"]}
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"{manifest}: not a manifest of face-api's 68-landmark network; give {MANIFEST}"
        ) from error
    wanted = shapes()
    if {key: shape for key, (shape, *_) in entries.items()} != wanted:
        odd = sorted(map(str, entries.keys() ^ wanted.keys()))[:3] or ["shapes"]
        raise ValueError(
            f"{manifest}: weights of another network ({listed(odd)} differ); "
            f"give {MANIFEST} of the full network, not of the tiny one"
        )
    if not isinstance(name, str) or name != Path(name).name or name in ("", ".", ".."):
        raise ValueError(f"{manifest}: it names no plain file beside it ({shown(name)})")
    data = manifest.with_name(name)
    check_file_in(data, "the file of weights that the manifest names")
    size = sum(math.prod(shape) * width for shape, width, *_ in entries.values())
    if data.stat().st_size != size:
        raise ValueError(
            f"{data}: {data.stat().st_size} bytes where the manifest counts {size}; copy or "
            "download it again"
        )
    content, at, weights = read_bytes(data, most=size), 0, {}
    for key, (shape, width, scale, minimum) in entries.items():
        kind = np.uint8 if width == 1 else np.dtype("<f4")
        stored = np.frombuffer(content, kind, math.prod(shape), at).reshape(shape)
        weights[key] = (stored * scale + minimum).astype(np.float32)
        at += stored.nbytes
    if not all(np.isfinite(array).all() for array in weights.values()):
        raise ValueError(f"{data}: weights that are no numbers; copy or download it again")
    return weights


def _entry(entry: dict) -> tuple[tuple[int, ...], int, float, float]:
    """Shape, bytes a number, scale and minimum of an array."""
    shape = tuple(entry["shape"])
    if entry["dtype"] != "float32" or any(type(side) is not int for side in shape):
        raise ValueError("only float32 arrays")
    if "quantization" not in entry:
        return shape, 4, 1.0, 0.0
    stored = entry["quantization"]
    if stored["dtype"] != "uint8":
        raise ValueError("only bytes")
    scale, minimum = float(stored["scale"]), float(stored["min"])
    if not (math.isfinite(scale) and math.isfinite(minimum)):
        raise ValueError("numbers that are none")
    return shape, 1, scale, minimum


def landmarks(
    weights: Weights, crops: UInt8[Array, "b 112 112 3"] | UInt8[np.ndarray, "b 112 112 3"]
) -> Float[Array, "b 68 2"]:
    """Landmarks of square crops of faces, RGB in [0, 255].

    Returns:
        x and y of the iBUG points as shares of the crop's side: 0 is its left (upper) edge, 1 its
        right (lower) one.
    """
    x = (jnp.asarray(crops, jnp.float32) - jnp.array(_MEAN)[None, None, None]) / 255
    for block in range(4):
        outputs: list[Array] = []
        for layer in range(4):
            y = _convolution(weights, f"dense{block}/conv{layer}", x, stride=1 if layer else 2)
            outputs.append(y if layer else jax.nn.relu(y))
            # The first output alone is its own sum: it is not negative.
            x = jax.nn.relu(sum(outputs[1:], outputs[0]))
    x = x.mean((1, 2))
    x = jnp.matmul(x, weights["fc/weights"], precision="highest") + weights["fc/bias"][None]
    return x.reshape(-1, 68, 2)


def _convolution(weights: Weights, name: str, x: Array, *, stride: int) -> Array:
    dims = ("NHWC", "HWIO", "NHWC")
    if f"{name}/filters" in weights:
        kernel, groups = weights[f"{name}/filters"], 1
    else:
        depthwise = weights[f"{name}/depthwise_filter"]
        kernel, groups = depthwise.transpose(0, 1, 3, 2), depthwise.shape[2]
    x = jax.lax.conv_general_dilated(
        x,
        jnp.asarray(kernel),
        (stride, stride),
        "SAME",
        dimension_numbers=dims,
        feature_group_count=groups,
        precision="highest",
    )
    if groups > 1:
        pointwise = weights[f"{name}/pointwise_filter"][0, 0]
        x = jnp.einsum("bhwc,cd->bhwd", x, pointwise, precision="highest")
    return x + weights[f"{name}/bias"][None, None, None]
