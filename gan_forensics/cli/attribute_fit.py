"""`gan-forensics attribute fit`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from gan_forensics.cli import real_and_fake
from gan_forensics.cli.checks import at_least, not_among, not_given
from gan_forensics.cli.process import progress, tell_next
from gan_forensics.files import listed, say, tell

if TYPE_CHECKING:
    from gan_forensics.data.attributed import Attributed

# The keys of `gan_forensics.forensics.attribution_methods.METHODS`.
Method = Literal[
    "repmix",
    "resnet",
    "yu",
    "dct-cnn",
    "reverse-engineering",
    "prnu",
    "eigenface",
    "eigenface-dct",
    "neighbours",
]


@dataclass(frozen=True)
class AttributeFit:
    """Fit a model of which generator made an image, and measure what it is worth.

    Images lie in folders SOURCE/SEMANTIC/INSTANCE/: who made them, what they show, which training
    of the generator (its seed); SOURCE/SEMANTIC/ and SOURCE/ do as well. One source is real: a
    folder called real, photos or the like, or --real-is. The order of folders never matters: the
    file holds the names. In a list, paths are relative to it and begin with SOURCE/, labels are 0
    (real), 1, 2, ..., dlabel numbers the semantics; columns semantic and instance may follow. About
    200 images are the least. Without a split of their own, three fifths of the images train, a
    fifth sets probabilities and the threshold of "none of these", and a fifth is measured on.

    A generator trained anew with another seed may well not be recognised: give several INSTANCES
    of each, and hold one out with --new-seeds to see it.

    Try it:

    $ gan-forensics attribute fit --data folder:generators --out generators.npz

    $ gan-forensics attribute fit --data folder:benchmark --method resnet --out generators.npz
    --leave-out
    """

    data: str
    """folder:DIR, list:FILE.csv (path,label,dlabel) or a folder of `benchmark build`."""
    out: Path
    """The model file: plain arrays and a JSON header, safe to pass on. Its page lies beside."""
    real_is: str | None = None
    """The source that is real, where its name does not say so."""
    unseen: tuple[str, ...] = ()
    """Semantics that are only measured on, besides a fifth of the others."""
    new_seeds: tuple[str, ...] = ()
    """Instances (training seeds of generators) that are only measured on."""
    size: int | None = None
    """Centre-crop and resize all images to this side, here and in `attribute score`."""
    match_sizes: bool = False
    """Cut the same square out of the middle of all images, here and in `attribute score`."""
    method: Method = "repmix"
    """repmix, its network without mixing (resnet), or a baseline."""
    arch: Literal["resnet_small", "resnet50"] | None = None
    """Body of repmix and resnet; by default resnet_small up to 64 pixels, else resnet50."""
    width: int | None = None
    """Of resnet_small, yu or reverse-engineering: narrower is faster; by default the network's own
    (8, 512, 64)."""
    weights: Path | None = None
    """PyTorch weights that resnet50 starts from, such as torchvision's of ImageNet."""
    epochs: int | None = None
    """Epochs at most; networks stop when held-out images gain nothing. By default 30."""
    batch_size: int | None = None
    """Images a minibatch. By default 64."""
    learning_rate: float | None = None
    """By default the method's own: 1e-4 for resnet50, 1e-3 for resnet_small."""
    robust: bool = True
    """Whether training images go through 15 kinds of corruptions."""
    frost_textures: Path | None = None
    """Folder of photographs of frost, for the corruption of that name; without one, and without the
    package imagecorruptions, its texture is computed."""
    seed: int = 0
    """Of the split, the initialisation, the order, the corruptions."""
    leave_out: bool = False
    """Also fit once without each generator, to measure how well "none of these" is said."""
    run: Path | None = None
    """Run folder of the training; by default beside the model file, as .run."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At files that cannot be read: stop, and name them all, or leave them out. Flat images are
    always left out, and named."""

    def __call__(self) -> None:
        """Run it."""
        from gan_forensics.data.survey import sentences
        from gan_forensics.files import check_file_out, check_folder_out
        from gan_forensics.forensics.attribution import fit_attributor
        from gan_forensics.forensics.attribution_measure import known_parts, measured
        from gan_forensics.forensics.attribution_methods import METHODS
        from gan_forensics.forensics.attribution_open_set import measured_open_set, without
        from gan_forensics.forensics.attribution_parts import check_enough, counts, usable
        from gan_forensics.report.attribution_fit import fitted_page

        at_least(
            1, size=self.size, epochs=self.epochs, batch_size=self.batch_size, width=self.width
        )
        at_least(0, seed=self.seed)
        real_and_fake.check_sizes(self.size, match_sizes=self.match_sizes)
        page, run = self.out.with_suffix(".html"), self.run or self.out.with_suffix(".run")
        for path in (self.out, page):
            check_file_out(path)
        not_among("--out", self.out, the_page_of_the_model=page)
        check_folder_out(run, "--run")
        if not METHODS[self.method].folder:
            not_given(
                f"{self.method} is fitted in one go", run=self.run, resume=self.resume or None
            )
        elif not self.resume and (run / "config.json").exists():
            raise ValueError(
                f"{run} holds a run already: --resume goes on with it, --run names another folder"
            )
        train, held_out, test = self._parts()
        sources = (train.source, held_out.source, test.source)
        preprocessing = real_and_fake.preprocessing_of(
            (self.data,), sources, size=self.size, recode=None, match_sizes=self.match_sizes
        )
        (train, held_out, test), left_out = usable(
            {"to train on": train, "to set probabilities": held_out, "to test": test},
            preprocessing, on_bad_image=self.on_bad_image, progress=progress,
        )  # fmt: skip
        for line in sentences(left_out.get("left_out", {})):
            tell(line)
        side = preprocessing.shape(train.source[0]["image"].shape)[0]
        config = self._config(side)
        for what, images in (("train", train), ("set probabilities", held_out), ("test", test)):
            of = listed([f"{name} {n}" for name, n in counts(images).items()])
            say(f"{len(images.labels)} images {what}: {of}")
        say(f"{train.real} is taken for real")

        def fit(train: "Attributed", held_out: "Attributed", left: str | None):
            trained = METHODS[config.method].folder
            folder = run if left is None else run.with_name(f"{run.name}-without-{left}")
            return fit_attributor(
                train, held_out, config, run=folder if trained else None,
                resume=self.resume or left is not None, preprocessing=preprocessing,
                facts={"data": self.data, "known": known_parts(train)},
            )  # fmt: skip

        for name in train.names:
            if self.leave_out and name != train.real:
                check_enough(without(held_out, name))
        model = fit(train, held_out, None)
        tell(*said_repeated(model.facts["repeated"], len(train.labels), len(held_out.labels)))
        found = measured(
            model, test, model.facts["known"], seed=self.seed, frost_textures=self.textures,
            progress=progress,
        )  # fmt: skip
        facts: dict[str, Any] = {**model.facts, "measured": found, **left_out}
        if self.leave_out:
            facts["open_set"] = measured_open_set(
                train, held_out, test, fit, seed=self.seed, progress=progress
            )
        model = replace(model, facts=facts)
        model.save(self.out)
        tell(*said_cells(found), *said_open_set(facts.get("open_set", {})))
        tell(f"Saved to {self.out}; open {fitted_page(page, model.described())}.")
        tell_next("attribute", "score", "suspects", "--model", self.out)

    @property
    def textures(self) -> str | None:
        """The folder of frost as text."""
        return None if self.frost_textures is None else str(self.frost_textures)

    def _config(self, side: int) -> Any:
        from gan_forensics.data.corruptions import TRAIN_CORRUPTIONS
        from gan_forensics.data.perturbations import at_hand
        from gan_forensics.forensics.attribution_config import AttributionConfig
        from gan_forensics.forensics.attribution_methods import METHODS

        given: dict[str, Any] = {
            "epochs": self.epochs, "batch_size": self.batch_size, "arch": self.arch,
            "learning_rate": self.learning_rate, "width": self.width,
            "weights": None if self.weights is None else str(self.weights),
        }  # fmt: skip
        given = {name: value for name, value in given.items() if value is not None}
        if "arch" in METHODS[self.method].reads:
            given.setdefault("arch", "resnet_small" if side <= 64 else "resnet50")
        if given.get("arch") == "resnet50" and self.weights is None:
            say("resnet50 starts from random weights: with --weights it needs fewer images")
        kinds, line = at_hand(TRAIN_CORRUPTIONS, frost_textures=self.frost_textures)
        given["perturbations"] = kinds if self.robust else ()
        given["frost_textures"] = self.textures
        if line:
            say(line)
        return AttributionConfig(method=self.method, seed=self.seed, **given)

    def _parts(self) -> "tuple[Attributed, Attributed, Attributed]":
        """Images to train on, to set probabilities, to measure on."""
        import numpy as np

        from gan_forensics.data.attributed import BENCHMARK, open_attributed
        from gan_forensics.forensics.attribution_parts import fifths

        folder = Path(self.data.removeprefix("folder:")).expanduser()
        options: dict[str, Any] = {"real_is": self.real_is, "follow_links": self.follow_links}
        if (folder / BENCHMARK).is_file():
            if self.unseen or self.new_seeds:
                raise ValueError(
                    "--unseen and --new-seeds: the benchmark says itself what is held out; leave "
                    "them out"
                )
            train, held_out, test = (
                open_attributed(self.data, split=split, **options)
                for split in ("train", "val", "test")
            )
            return train, held_out, test
        images = open_attributed(self.data, **options)
        for option, names, there in (
            ("--unseen", self.unseen, images.semantics),
            ("--new-seeds", self.new_seeds, images.instances),
        ):
            if missing := sorted(set(names) - set(there)):
                known = listed(sorted(set(there) - {""})) or "none"
                raise ValueError(f"{option} {' '.join(missing)}: there is none; there are {known}")
        apart = np.array([
            s in self.unseen or i in self.new_seeds
            for s, i in zip(images.semantics, images.instances, strict=True)
        ])  # fmt: skip
        train, held_out, test = fifths(images, ~apart, seed=self.seed)
        both = np.sort(np.concatenate([test, np.flatnonzero(apart)]))
        return images.part(train), images.part(held_out), images.part(both)


def said_repeated(found: Mapping[str, int], train: int, held_out: int) -> list[str]:
    """How many images are copies of others, if any are."""
    if not (found["train"] or found["held_out"] or found["held_out_also_in_train"]):
        return []
    return [
        f"{found['train']} of {train} images that train and {found['held_out']} of {held_out} that "
        f"set probabilities repeat another; {found['held_out_also_in_train']} of the latter train "
        "too, so that probabilities may be too sure"
    ]


def said_cells(found: Mapping[str, Any]) -> list[str]:
    """What was measured, a line for each group and condition."""
    words = {
        "clean": "as they are", "trained": "after corruptions as --robust trains on",
        "held-out": "after other corruptions",
    }  # fmt: skip
    lines = []
    for group, conditions in found.items():
        for condition, cell in conditions.items():
            condition = words[condition]
            both = cell["balanced_detection_accuracy"]
            detection = "" if both is None else f", balanced detection {both:.3f} (chance 0.500)"
            lines.append(
                f"{group}, {condition}: attribution {cell['attribution_accuracy']:.3f} (chance "
                f"{1 / len(cell['names']):.3f}){detection}, {cell['n']} images"
            )
    return lines


def said_open_set(found: Mapping[str, Any]) -> list[str]:
    """How well "none of these" is said of each generator that was left out, a line each."""
    lines = []
    for name, scores in found.items():
        # The rates of the rule stand with the score that it goes by.
        rule = next(score for score in scores.values() if score["accepted_known"])
        lines.append(
            f"without {name}: AUROC {rule['auroc']:.3f} (chance 0.500), {rule['fpr_at_95']:.0%} of "
            "its images taken for known where 95 % of known images are"
        )
    return lines
