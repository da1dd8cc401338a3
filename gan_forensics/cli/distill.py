"""`gan-forensics distill`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from gan_forensics.cli.checks import not_given
from gan_forensics.cli.distributed import Distributed
from gan_forensics.files import say, tell

# As in `gan_forensics.distill.classifier_config`, which loads JAX.
Arch = Literal[
    "small_cnn",
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "efficientnet_b0",
    "efficientnet_pytorch_b0",
]
Augment = Literal["none", "flip", "imagenet", "cub"]

# Epochs of students, as published; everything else of training is by default as for teachers.
EPOCHS = 200


@dataclass(frozen=True)
class Distill:
    """Train a student on what a teacher says of images: knowledge distillation.

    The loss is T^2 KL(softmax(teacher / T) || softmax(student / T)), and true labels count only as
    far as --hard-weight says. For a teacher that was trained with label smoothing T = 1 is advised
    (Chandrasegaran et al., ICML 2022). The teacher must know the classes of the data, in the same
    order: a file of weights with other classes is no teacher, but `train classifier --weights FILE`
    makes one of it. Where images are not augmented the teacher looks at them once, else at every
    step at those that the student sees; the report says which. Both are tested.

    Try it:

    $ gan-forensics distill --teacher runs/classifier-resnet18-0.1 --data folder:birds
    --student mobilenet_v2 --temperature 1

    $ gan-forensics distill --teacher resnet50.pth --teacher-arch resnet50 --data folder:imagenet
    --size 224 --student resnet18 --temperature 2

    The same with --resume goes on.
    """

    teacher: Path
    """A run folder of `train classifier` or `distill`, of which the chosen epoch is taken, or
    PyTorch weights as torchvision names them."""
    data: str
    """Images with labels, as for `train classifier`."""
    student: Arch
    """The network that learns."""
    temperature: float = 1.0
    """T, of teacher and student."""
    teacher_arch: Arch | None = None
    """The network of a teacher that is a file of weights."""
    hard_weight: float = 0.0
    """Share of the loss that true labels have, at least 0 and below 1."""
    untempered_student: bool = False
    """Read the student at 1 instead of T, as Mueller et al. (NeurIPS 2019) are reported to do."""
    label_smoothing: float | None = None
    """Of the true labels, where they have a share. By default 0."""
    test: str | None = None
    """Source whose images test, all of them; by default the test split of the data."""
    split: Literal["train", "all"] | None = None
    """train (by default), or all: nothing is held out for a test."""
    size: int | None = None
    """Side of the images; by default the teacher's, or that of the data."""
    resize: int | None = None
    """Side before crops of --size; by default 8/7 of it where --augment crops."""
    width: int | None = None
    """Channels of the first stage of small_cnn (16), resnet18 (64) or mobilenet_v2 (32)."""
    epochs: int = EPOCHS
    """In all."""
    batch_size: int | None = None
    """Images a minibatch. By default 256."""
    learning_rate: float | None = None
    """Before it falls. By default 0.1."""
    decay_every: int | None = None
    """Epochs between falls of the rate to a tenth; by default two fifths of all (80 of 200)."""
    warm_up: int | None = None
    """Epochs in which the rate grows; by default a fortieth of all (5 of 200)."""
    weight_decay: float | None = None
    """Of all parameters. By default 1e-4; published for fine-grained classes: 1e-3."""
    augment: Augment | None = None
    """Of training images, as for `train classifier`; none below 64 pixels, else imagenet."""
    weights: str | None = None
    """What the student starts from: PyTorch weights, or a run folder of the same network; another
    number of classes makes a new last layer."""
    validation: float | None = None
    """Share of the train split that chooses the epoch. By default 0.1."""
    select_on: Literal["validation", "test"] | None = None
    """What chooses the epoch; test, as released, makes the number of that epoch too good."""
    seed: int | None = None
    """Of initialisation, order, augmentation and the validation part. By default 0."""
    precision: Literal["float32", "tf32", "bfloat16"] | None = None
    """Of training; by default the backend's own."""
    out: Path | None = None
    """Run folder; by default runs/student-<student>-T<temperature>."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    tensorboard: bool = False
    """Write TensorBoard events too (extra `tensorboard`)."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, or leave them out of training and testing, and say so."""
    hosts: Distributed = Distributed()

    def __call__(self) -> None:
        """Run it."""
        self.hosts.join(self)
        from gan_forensics.distill import (
            ClassifierConfig,
            Distillation,
            distill,
            make_classifier,
        )
        from gan_forensics.distill.classifier_results import sentences
        from gan_forensics.files import check_folder_out
        from gan_forensics.report import report_run
        from gan_forensics.runtime import is_first

        run = self.out or Path("runs") / f"student-{self.student}-T{self.temperature:g}"
        check_folder_out(run)
        names = {field.name for field in fields(ClassifierConfig)} & vars(self).keys()
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        config = ClassifierConfig(arch=self.student, **given)
        how = Distillation(self.temperature, self.hard_weight, self.untempered_student)
        if not self.hard_weight:
            not_given(
                "of true labels, and --hard-weight is 0", label_smoothing=self.label_smoothing
            )
        make_classifier(config.arch, 2, width=config.width)
        results = distill(
            config,
            run,
            self.teacher,
            how,
            teacher_arch=self.teacher_arch,
            follow_links=self.follow_links,
            on_bad_image=self.on_bad_image,
            say=say,
            resume=self.resume,
            tensorboard=self.tensorboard,
        )
        if not is_first():
            return
        tell(*sentences(results))
        if advice := results["distillation"].get("advice"):
            tell(f"Note: {advice}.")
        tell(f"Open {report_run(run)}.")
