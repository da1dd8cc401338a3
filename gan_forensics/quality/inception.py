"""Features of the FID Inception network, from weights that the user brings."""

from pathlib import Path

import jax.numpy as jnp

from gan_forensics.files import sha256_of
from gan_forensics.nn.inception import InceptionV3, Resize, inception_input
from gan_forensics.nn.weights import from_file
from gan_forensics.quality.digests import arrays_digest
from gan_forensics.quality.extraction import FeatureExtractor, batched
from gan_forensics.quality.frechet import INCEPTION
from gan_forensics.runtime import Precision, check_precision, computation_dtype

# The start of the SHA-256 of the file that pytorch-fid and torch-fidelity publish.
PUBLISHED = "6726825d"
HOW_TO_GET = (
    "give the weights of the FID Inception network with --weights FILE: "
    "pt_inception-2015-12-05-6726825d.pth (released by pytorch-fid; torch-fidelity's file is the "
    "same) as it is, with the extra `torch`, or its arrays as .npz or .safetensors"
)


def inception_features(
    weights_path: Path | str,
    *,
    resize: Resize = "tensorflow",
    batch_size: int = 32,
    precision: Precision | None = None,
) -> FeatureExtractor:
    """The standard features of FID and KID (pool3, 2048) and logits of the inception score.

    Args:
        weights_path: `.npz`, `.safetensors`, or a PyTorch file (extra `torch`), names as in
            pytorch-fid and torch-fidelity.
        resize: "tensorflow" (the original, and torch-fidelity) or "pytorch-fid".
        batch_size: images at a time.
        precision: "float32", "tf32" or "bfloat16"; by default that of the backend. The published
            values are of float32.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: for a file of another network, an unknown resize or precision.

    Example:
        >>> features = inception_features("inception.npz")  # doctest: +SKIP
    """
    if resize not in ("tensorflow", "pytorch-fid"):
        raise ValueError(f"unknown resize {resize!r}: choose 'tensorflow' or 'pytorch-fid'")
    check_precision(precision)
    variables = from_file("inception_v3_fid", weights_path)
    network = InceptionV3(dtype=computation_dtype(precision) or jnp.float32)

    def apply(variables, images):
        outputs = network.apply(variables, inception_input(images, resize=resize))
        return outputs.pool3, outputs.logits_unbiased  # pyright: ignore

    protocol = {
        "features": "pool3, 2048",
        "logits": "1008, without bias",
        "resize": f"{resize}, to 299x299",
        "dtype": "bfloat16" if precision == "bfloat16" else "float32",
        **({"precision": precision} if precision else {}),
    }
    published = sha256_of(weights_path).startswith(PUBLISHED)
    return FeatureExtractor(
        name=INCEPTION,
        fingerprint=arrays_digest(variables, protocol),
        run=batched(apply, variables, batch_size=batch_size, precision=precision),
        protocol=protocol | {"weights": Path(weights_path).name},
        logits=True,
        warning=""
        if published
        else (
            f"{Path(weights_path).name} is not, byte for byte, the published file "
            f"({PUBLISHED}...): that its weights are the published ones is the user's word"
        ),
    )
