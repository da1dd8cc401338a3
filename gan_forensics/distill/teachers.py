"""Teachers: from a run folder or a file of published weights, and what they say of images."""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32

from gan_forensics.data import Source, Transform, take
from gan_forensics.data.pipeline import Batch
from gan_forensics.data.sources import describe
from gan_forensics.distill.architectures import architecture
from gan_forensics.distill.classifier_build import load_classifier
from gan_forensics.distill.classifier_config import ClassifierConfig, Distillation
from gan_forensics.distill.classifier_data import check_names
from gan_forensics.distill.classify import Classifier
from gan_forensics.distill.published import published_variables

ADVICE = (
    "the teacher was trained with label smoothing: T = 1 is the advised temperature "
    "(students of such teachers are reported to confuse similar classes at higher ones)"
)


def open_teacher(path: str | Path, *, arch: str | None = None) -> Classifier:
    """The classifier of a run folder, at the epoch that was chosen, or of a file of weights.

    Args:
        path: a run folder of `train classifier` or `distill`, or PyTorch weights as torchvision
            names them.
        arch: the network of a file of weights.

    Raises:
        FileNotFoundError: when there is nothing.
        ValueError: for a file without its arch, a folder with one, and as `load_classifier` and
            `published_variables`.

    Example:
        >>> teacher = open_teacher("resnet50.pth", arch="resnet50")  # doctest: +SKIP
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such run folder or file of weights; train one with: gan-forensics train "
            "classifier"
        )
    if path.is_dir():
        if arch is not None:
            raise ValueError(
                f"{path} is a run folder, which says its network: leave teacher_arch out"
            )
        return load_classifier(path)
    if arch is None:
        raise ValueError(f"{path} is a file of weights: say of which network, with teacher_arch")
    return published_classifier(arch, path)


def published_classifier(arch: str, path: str | Path) -> Classifier:
    """A network with the weights of a PyTorch file, read without running code in it.

    Raises:
        ValueError: for an architecture without published names, or weights of another one.
    """
    variables, classes = published_variables(arch, path)
    return Classifier(arch, classes, variables)


def check_teacher(teacher: Classifier, config: ClassifierConfig, *, name: str) -> None:
    """Refuse a teacher of other classes or images than a config that is filled in has.

    Raises:
        ValueError: saying what differs.
    """
    if teacher.classes != config.classes:
        raise ValueError(
            f"the teacher {name} has {teacher.classes} classes, {config.data} has "
            f"{config.classes}: a student learns the teacher's classes. A new last layer has "
            "nothing to teach; start a teacher from these weights first, with: gan-forensics train "
            "classifier --weights"
        )
    check_names(f"the teacher {name}", teacher.label_names, config.data, config.label_names)
    if teacher.channels is not None and teacher.channels != config.channels:
        if not architecture(teacher.arch).normalised:
            raise ValueError(
                f"the teacher {name} was trained on images of {teacher.channels} channels, "
                f"{config.data} has {config.channels}: give it images as it knows them"
            )
    if teacher.size not in (None, config.size):
        raise ValueError(
            f"the teacher {name} was trained on images of side {teacher.size}, these are of side "
            f"{config.size}: give size {teacher.size}"
        )


LOGITS = {
    "cached": "computed once, before training (no augmentation)",
    "recomputed": "recomputed at every step, on the augmented images that the student sees",
}


def lesson_facts(
    teacher: Classifier, how: Distillation, *, name: str, cached: bool
) -> dict[str, Any]:
    """What a run folder keeps of a teacher and of how it is learned from, and compares."""
    return {
        **vars(how),
        "teacher": name,
        "teacher_arch": teacher.arch,
        "teacher_width": teacher.width,
        "teacher_digest": teacher.digest,
        "teacher_label_smoothing": teacher.label_smoothing,
        "teacher_logits": "cached" if cached else "recomputed",
    }


def in_words(facts: dict[str, Any]) -> dict[str, Any]:
    """The same for reports: with the advice on the temperature, where that is another."""
    smoothing = facts["teacher_label_smoothing"]
    said = {
        **facts,
        "teacher_label_smoothing": "not known" if smoothing is None else smoothing,
        "teacher_logits": LOGITS[facts["teacher_logits"]],
    }
    return said | ({"advice": ADVICE} if smoothing and facts["temperature"] > 1 else {})


class Taught:
    """A source whose examples carry the logits of a teacher, under "teacher"."""

    def __init__(self, source: Source, logits: Float32[np.ndarray, "n classes"]):
        self.source, self.logits = source, logits
        if hasattr(source, "take"):
            self.take = lambda rows: {**take(source, rows), "teacher": logits[rows]}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        return {**self.source[index], "teacher": self.logits[index]}

    def describe(self, index: int) -> str:
        """Name the example as the source does."""
        return describe(self.source, index)


def with_settings(smoothing: float, how: Distillation | None, crops: Transform | None) -> Transform:
    """The `transform` of training batches: crops, and the numbers that `objective` reads."""

    def apply(batch: Batch, drawn: Batch) -> Batch:
        batch = batch if crops is None else crops.apply(batch, drawn)
        batch = {key: batch[key] for key in ("image", "label", "teacher") if key in batch}
        numbers = {"alpha": smoothing}
        if how is not None:
            numbers |= {"temperature": how.temperature, "soft_weight": 1 - how.hard_weight}
        count = len(batch["label"])
        return {**batch, **{k: np.full(count, v, np.float32) for k, v in numbers.items()}}

    return Transform(apply) if crops is None else crops._replace(apply=apply)
