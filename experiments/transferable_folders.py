"""Published detectors on the published test images: ForenSynths from a folder, weights from a file.

    DIR/progan/<class>/0_real/*.png, DIR/progan/<class>/1_fake/*.png, DIR/biggan/0_real/... ,

as the test sets of Wang et al. (CVPR 2020) unpack; channels are ranked on the first 50 generated
images of each class of ProGAN's validation set, resized to 224, and tested on whole images.
"""

from pathlib import Path
from typing import Any

import numpy as np

from gan_forensics.data import list_images, load_image, resize
from gan_forensics.forensics.detectors import load_detector
from gan_forensics.forensics.neural import NeuralDetector
from gan_forensics.forensics.neural_parts import OnDemand
from gan_forensics.forensics.neural_training import published_variables
from gan_forensics.studies.transferable import probe_colour, rank_features, silence

PER_CLASS, RANKED_SIZE = 50, 224


def measure_folders(experiment: Any) -> list[dict[str, Any]]:
    """A row of measurements for each detector that weights are given of.

    Args:
        experiment: with `forensynths`, `progan_val`, `weights`, `robust_weights`, `arch`, `draws`,
            `confidence`.

    Raises:
        ValueError: without validation images or weights, and for folders without 0_real or 1_fake.
        FileNotFoundError: for folders or files that are not there.
    """
    if experiment.progan_val is None or experiment.weights is None:
        raise ValueError("--forensynths needs --progan-val and --weights too")
    tests = {
        folder.name: (files(folder, "0_real"), files(folder, "1_fake"))
        for folder in sorted(Path(experiment.forensynths).iterdir())
        if folder.is_dir() and not folder.name.startswith(".")
    }
    if not tests:
        raise ValueError(f"{experiment.forensynths} holds no folders of test images")
    ranked = OnDemand(
        first_of_each_class(experiment.progan_val), lambda path: to_ranked_size(load_image(path))
    )
    rows = []
    for variant, path in (("base", experiment.weights), ("robust", experiment.robust_weights)):
        if path is None:
            continue
        detector = read_detector(experiment.arch, path)
        ranking = rank_features(detector, ranked, confidence=experiment.confidence)
        row = {"variant": variant, "seed": None, **ranking.summary(), "silenced": [], "colour": []}
        for name, (real, fake) in tests.items():
            # Every test set has real images of its own.
            row["silenced"] += silence(
                detector, ranking, real, {name: fake}, draws=experiment.draws
            )
            row["colour"] += probe_colour(detector, ranking, real, {name: fake})
        rows.append(row)
    return rows


def read_detector(arch: str, path: Path) -> NeuralDetector:
    """A detector file of ours, or published weights, whose threshold is probability 1/2."""
    if path.suffix == ".npz":
        found = load_detector(path)
        if not isinstance(found, NeuralDetector):
            raise ValueError(f"{path} is a spectral detector, which has no channels")
        return found
    variables = published_variables(arch, path)
    last = variables["params"]["_fc" if arch == "efficientnet_b0" else "fc"]
    if last["bias"].shape != (1,):
        raise ValueError(
            f"{path} has {last['bias'].shape[0]} logits: a detector has one; this is the body of "
            "another classifier"
        )
    return NeuralDetector(arch, variables, facts={"weights": path.name})


def files(folder: Path, kind: str) -> OnDemand:
    """The images below `folder` that lie in a folder called 0_real or 1_fake."""
    found = [path for path in list_images(folder).images if kind in path.parts]
    if not found:
        raise ValueError(f"{folder} has no images in folders called {kind}")
    return OnDemand(found, load_image)


def first_of_each_class(folder: Path) -> list[Path]:
    """The first generated images of each class, by name."""
    classes: dict[Path, list[Path]] = {}
    for path in files(folder, "1_fake").things:
        classes.setdefault(path.parent, []).append(path)
    return [path for paths in classes.values() for path in paths[:PER_CLASS]]


def to_ranked_size(image: np.ndarray) -> np.ndarray:
    """As the released code in effect does: resized, the border kept; smaller ones stay."""
    return image if min(image.shape[:2]) < RANKED_SIZE else resize(image, RANKED_SIZE)
