"""Scoring a folder from end to end beside reading its images and running the network alone.

    python -m benchmarks.scoring [--images 32]

JPEG files of 224x224 pixels, a ResNet-50 of random weights. Ours is what a worker of `detect` does:
headers, digests, decoding, scores, verdicts, a table of rows renamed into place. The limit decodes
the same files with Pillow and runs the compiled network on all of them at once. Sides take turns
call by call.
"""

import io
import tempfile
from functools import partial
from pathlib import Path

from benchmarks import in_turns

SIDE = 224


def ours(images: int) -> in_turns.Call:
    """A worker's whole work on one shard."""
    from gan_forensics.data.input_shards import shards_of
    from gan_forensics.forensics.detector_scorer import DetectorScorer
    from gan_forensics.forensics.score_stream import score_shard
    from gan_forensics.forensics.verdicts import basis_of
    from gan_forensics.runtime import keep_scratch_memory

    keep_scratch_memory()
    detector, folder = _detector(), tempfile.TemporaryDirectory()
    place = Path(folder.name)
    _write(place / "images", images)
    (shard,) = shards_of([place / "images"]).shards
    scorer = DetectorScorer(detector, basis_of(detector))
    calls = iter(range(10_000))

    def call(folder=folder):  # which lasts for as long as the call
        score_shard(shard, scorer, place / str(next(calls)))

    return call


def limit(images: int) -> in_turns.Call:
    """Decoding and the network."""
    import jax
    import numpy as np
    from PIL import Image

    from gan_forensics.nn.imagenet import normalise
    from gan_forensics.runtime import keep_scratch_memory

    keep_scratch_memory()
    detector = _detector()
    variables = jax.device_put(detector.variables)
    files = _files(images)

    @jax.jit
    def score(variables, images):
        x = normalise(images.astype(np.float32) / np.float32(255))
        return detector.network.apply(variables, x, train=False)

    def call():
        stack = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
        np.asarray(score(variables, stack))

    return call


def _detector():
    from gan_forensics.forensics.neural import NeuralDetector
    from gan_forensics.forensics.neural_training import DetectorConfig, initial_variables

    params, statistics = initial_variables(DetectorConfig(arch="resnet50", seed=0))
    return NeuralDetector("resnet50", {"params": params, **statistics})


def _files(images: int) -> list[bytes]:
    """JPEG files of textures with the spectrum of photographs."""
    from PIL import Image

    from gan_forensics.data import power_law_textures

    files = []
    for texture in power_law_textures(images, SIDE, exponent=1.2, seed=0):
        file = io.BytesIO()
        Image.fromarray(texture).save(file, "JPEG", quality=90)
        files.append(file.getvalue())
    return files


def _write(folder: Path, images: int) -> None:
    folder.mkdir()
    for i, file in enumerate(_files(images)):
        (folder / f"{i:04}.jpg").write_bytes(file)


def main() -> None:
    """Race both and print the table."""
    parser = in_turns.arguments(__doc__, "torch", rounds=4)
    parser.add_argument("--images", type=int, default=32)
    given = parser.parse_args()
    sides = {"ours": partial(ours, given.images), "limit": partial(limit, given.images)}
    in_turns.table(in_turns.race("scoring", sides, (), given).seconds)


if __name__ == "__main__":
    main()
