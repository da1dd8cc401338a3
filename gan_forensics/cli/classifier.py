"""`gan-forensics train classifier`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gan_forensics.cli.distributed import Distributed
from gan_forensics.cli.process import tell_next
from gan_forensics.cli.train import options_of
from gan_forensics.distill import ClassifierConfig, make_classifier, train_classifier
from gan_forensics.distill.classifier_results import sentences
from gan_forensics.files import check_folder_out, say, tell
from gan_forensics.report import report_run
from gan_forensics.runtime import is_first

Options: Any = options_of(ClassifierConfig, without=("channels", "classes", "label_names"))


@dataclass(frozen=True)
class TrainClassifier:
    """Train a classifier of images, with label smoothing or without: the teacher of `distill`.

    A part of the train split is held out and chooses the epoch; the test images are read once, at
    the end, at the last epoch and at the chosen one: top-1, top-5, cross-entropy, calibration. By
    default the recipe of ImageNet: 90 epochs, batches of 256, a rate of 0.1 that falls to a tenth
    every 30 epochs. Small data want smaller batches.

    Try it:

    $ gan-forensics train classifier --data samples:digits --batch-size 64 --epochs 30

    $ gan-forensics train classifier --data folder:birds --size 224 --arch resnet50
    --weights resnet50.pth --learning-rate 0.01 --augment cub --label-smoothing 0.1

    The same with --resume goes on.
    """

    classifier: Options = field(default_factory=Options)  # pyright: ignore[reportInvalidTypeForm]
    """The network, its data and its training."""
    out: Path | None = None
    """Run folder; by default runs/classifier-<arch>-<label smoothing>."""
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
        config = ClassifierConfig(**vars(self.classifier))
        make_classifier(config.arch, 2, width=config.width)
        run = self.out or Path("runs") / f"classifier-{config.arch}-{config.label_smoothing:g}"
        check_folder_out(run)
        results = train_classifier(
            config,
            run,
            follow_links=self.follow_links,
            on_bad_image=self.on_bad_image,
            say=say,
            resume=self.resume,
            tensorboard=self.tensorboard,
        )
        if not is_first():
            return
        tell(*sentences(results))
        tell(f"Open {report_run(run)}.")
        tell_next(
            *("distill", "--teacher", run, "--data", config.data),
            *("--student", "small_cnn", "--temperature", 1),
        )
