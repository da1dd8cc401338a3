"""`gan-forensics train`: a GAN by the name of its method, a detector, a classifier.

The options of a command are those of its config. What trains loads JAX, so the commands are listed
by name, and only the one that is asked for is loaded.
"""

import difflib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from functools import reduce
from operator import or_
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

from tyro.conf import Suppress, subcommand

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.distributed import Distributed
from gan_forensics.cli.process import tell_next
from gan_forensics.files import say, tell

if TYPE_CHECKING:
    from gan_forensics.gans import GanConfig
    from gan_forensics.train import Cadence

TRAIN = """Train a GAN, a classifier, a translator of images or of text, a detector of fakes.

Every method has a --help of its own, with its published recipe.

Try it:

$ gan-forensics train dcgan --data samples:photos --tail N.1.5 --steps 2000

$ gan-forensics train infomax-gan --data folder:my_faces --size 128 --out runs/faces

$ gan-forensics train detector --real photographs --fake generated
"""

# Images and their side for the ambiguity of rotations, which takes some seconds then.
_AMBIGUITY_IMAGES, _AMBIGUITY_SIZE = 2000, 32

# The keys of `gan_forensics.gans.METHODS`.
ABOUT = {
    "dcgan": "convolutions, logistic loss",
    "lsgan": "least squares",
    "wgan-gp": "Wasserstein loss, gradient penalty",
    "sngan": "hinge loss, spectral norm",
    "ssgan": "self-supervised: which rotation",
    "sagan": "attention, with classes",
    "cgan-pd": "classes by projection",
    "infomax-gan": "information kept by InfoNCE",
    "dist-gan": "tied to the data by an autoencoder",
    "gn-gan": "dist-gan with neighbour embedding and gradient matching",
    "rgan": "mode-regularised, on points",
    "mdgan": "mode-regularised with a manifold step, on points",
    "r3gan": "relativistic pairs, two penalties",
    "ss-adversarial": "self-supervised: rotation or fake, matched",
    "ms-gan": "self-supervised: rotation or fake, a multi-class game",
    "ssgan-la": "self-supervised: rotation of real or fake, in the place of the loss",
    "ssgan-la-plus": "ssgan-la beside the loss",
    "multi-head-da": "a head for every rotation, in the place of the loss",
    "ms-dist-gan": "ss-adversarial on dist-gan, as released",
}
METHOD_NAMES = list(ABOUT)
# What has a config and a command of its own.
OTHERS = {
    "stargan": "Train stargan: one network that translates images between domains.",
    "detector": "Train a detector of generated images.",
    "classifier": "Train a classifier of images, a teacher of `distill`.",
    "translator": "Train a translator of sentences, a teacher or a student.",
}


@dataclass(frozen=True)
class TrainGan:
    """Train a GAN on your images; `gan`, a field of the loaded command, is its config."""

    method: Suppress[str]
    steps: int = 5000
    """Steps of the whole run, resumed parts included."""
    out: Path | None = None
    """Run folder; by default runs/<method>-<tail>-<size>, without the tail where networks have
    none, with base and augmentation, and for points runs/<method>-<data>."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder, on the same data; --data may name another
    place that they were moved to."""
    checkpoint_every: int = 500
    """Steps between checkpoints, beside the one at the end; 0 for none between."""
    sample_every: int = 500
    """Steps between grids of samples, beside the one at the end; 0 for none between."""
    tensorboard: bool = False
    """Write TensorBoard events too (extra `tensorboard`)."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At a file that cannot be used: stop, or put another image of the data in its place; how often
    is said at the end. A run that stopped goes on with --resume --on-bad-image skip."""
    dry_run: bool = False
    """Train nothing and write nothing: print the counts of the data, the networks with their
    parameters, operations and memory of a step, and the whole configuration."""
    hosts: Distributed = Distributed()

    def __call__(self) -> None:
        """Run it."""
        self.hosts.join(self)
        config, cadence = self._checked()
        if self.dry_run:
            self._describe(config)
            return
        from gan_forensics.data import has_points
        from gan_forensics.files import check_folder_out
        from gan_forensics.gans import train_gan
        from gan_forensics.report import report_run
        from gan_forensics.runtime import is_first

        run = self.out or Path("runs") / _run_name(config)
        check_folder_out(run)
        goes_on = self.resume and (run / "config.json").exists()
        about = {} if goes_on else self._ambiguity(config)
        _, state = train_gan(
            config,
            run,
            cadence,
            follow_links=self.follow_links,
            on_bad_image=self.on_bad_image,
            say=say,
            about=about,
            resume=self.resume,
            tensorboard=self.tensorboard,
        )
        if not is_first():
            return
        tell(f"{run} is trained up to step {int(state.step)}; open {report_run(run)}.")
        count = 2000 if has_points(config.data) else 64
        tell_next("sample", run, "-n", count, "--out", "samples")

    def _describe(self, config: "GanConfig") -> None:
        """What would be trained, and on what."""
        from gan_forensics.gans import describe
        from gan_forensics.gans.runs import prepared

        links, bad = self.follow_links, self.on_bad_image
        gan, source = prepared(config, self.steps, follow_links=links, on_bad_image=bad, say=tell)
        size = gan.config.batch_size
        minibatches = f"{len(source) / size:.1f} minibatches of {size} go through them once"
        tell(f"{self.steps} steps; {minibatches}", *str(describe(gan)).splitlines())

    def _ambiguity(self, config: "GanConfig") -> dict[str, Any]:
        """How clear the orientation of the images is, before self-supervision by it trains."""
        import numpy as np

        from gan_forensics.data import SkipBad, has_points, open_source, take
        from gan_forensics.gans.methods import method_of
        from gan_forensics.quality import rotation_ambiguity

        if has_points(config.data) or method_of(config).supervision is None:
            return {}
        source = open_source(
            config.data,
            size=min(config.size, _AMBIGUITY_SIZE),
            split=config.split or "train",
            follow_links=self.follow_links,
        )
        if self.on_bad_image == "skip" and not hasattr(source, "take"):
            source = SkipBad(source)
        count = len(source)
        if count < config.batch_size:
            return {}  # which training refuses
        chosen = np.unique(np.linspace(0, count - 1, min(count, _AMBIGUITY_IMAGES)).astype(int))
        try:
            found = rotation_ambiguity(take(source, chosen)["image"], seed=config.seed)
        except ValueError as error:
            say(f"rotation ambiguity of these images: not measured ({error})")
            return {}
        say(
            f"rotation ambiguity of these images: {found.nats:.3f} +- {found.error:.3f} nats (mean "
            f"log C_k on {found.n} held-out images; 0: orientations are clear, and a collapsed "
            "generator gains nothing by self-supervision; -1.386: there is nothing to tell). Turns "
            f"told right: {found.accuracy:.0%}"
        )
        return {"rotation_ambiguity": found._asdict()}

    def _checked(self) -> "tuple[GanConfig, Cadence]":
        """What is trained and for how long; what cannot be is refused before any data are read."""
        from gan_forensics.data import has_points
        from gan_forensics.data.toy_points import world_of
        from gan_forensics.gans import GanConfig, build
        from gan_forensics.gans.building import spans_run
        from gan_forensics.gans.config import POINTS
        from gan_forensics.gans.methods import architecture_of, method_of
        from gan_forensics.train import Cadence

        every = {"checkpoint_every": self.checkpoint_every, "sample_every": self.sample_every}
        at_least(1, steps=self.steps)
        at_least(0, **every)
        config = GanConfig(self.method, **vars(self.gan))  # pyright: ignore
        at_least(0, seed=config.seed)
        # With stand-ins for what the data and the run will say.
        known = config
        if not world_of(config.data) and (has_points(config.data) or config.architecture in POINTS):
            on_line = config.architecture == "small-perceptron"
            known = replace(known, dimensions=config.dimensions or (1 if on_line else 2))
            if architecture_of(known) == "perceptron":
                known = replace(known, point_scale=config.point_scale or 1.0)
        if spans_run(known) and known.decay_steps is None:
            known = replace(known, decay_steps=self.steps)
        if method_of(known).conditional and known.classes is None:
            known = replace(known, classes=2)
        build(known)
        return config, Cadence(self.steps, **every)


def _run_name(config: "GanConfig") -> str:
    """The run folder of a config for which none was named."""
    from gan_forensics.data import has_points
    from gan_forensics.data.toy_points import world_of
    from gan_forensics.gans.methods import architecture_of, method_of

    if has_points(config.data):
        world = world_of(config.data)
        source = world.name if world else Path(config.data).stem
        return f"{config.method}-{source.rpartition(':')[2]}"
    augment = None if config.augment == "none" else config.augment
    name = "-".join(part for part in (config.method, config.base, augment) if part)
    if architecture_of(config) == "dcgan" and not method_of(config).unit:
        return f"{name}-{config.tail}-{config.size}"
    return f"{name}-{config.size}"


def commands(asked: str | None) -> Any:
    """The type of `train`: the command `asked` for with its options, all others by name."""

    def listed(name: str) -> Any:
        what = OTHERS[name] if name in OTHERS else f"Train {name}: {ABOUT[name]}."
        return Annotated[make_dataclass(name, []), subcommand(name, description=what)]

    names = [*METHOD_NAMES, *OTHERS]
    if asked is not None and asked not in names and not asked.startswith("-"):
        (close,) = difflib.get_close_matches(asked, names, n=1, cutoff=0.0)
        say(
            f"gan-forensics: nothing to train is called {asked!r}; did you mean {close}? There are "
            f"{', '.join(names)}"
        )
        sys.exit(2)
    known: Any = None
    for name in names:
        command = _loaded(name) if name == asked else listed(name)
        known = command if known is None else known | command

    def run(self) -> None:
        self.action()

    return make_dataclass(
        "Train", [("action", known)], namespace={"__call__": run, "__doc__": TRAIN}
    )


def _loaded(name: str) -> Any:
    if name == "detector":
        from gan_forensics.cli.detector import TrainDetector

        return Annotated[TrainDetector, subcommand(name, prefix_name=False)]
    if name == "classifier":
        from gan_forensics.cli.classifier import TrainClassifier

        return Annotated[TrainClassifier, subcommand(name, prefix_name=False)]
    if name == "translator":
        from gan_forensics.cli.translator import TrainTranslator

        return Annotated[TrainTranslator, subcommand(name, prefix_name=False)]
    if name == "stargan":
        from gan_forensics.cli.stargan import TrainStarGan

        return Annotated[TrainStarGan, subcommand(name, prefix_name=False)]
    from gan_forensics.gans import GanConfig

    options = options_of(GanConfig, without=("method", "label_names"))
    command = make_dataclass(
        "TrainGan", [("gan", options, field(default_factory=options))], bases=(TrainGan,),
        frozen=True,
    )  # fmt: skip
    return Annotated[
        command,
        subcommand(name, default=command(name), description=_described(name), prefix_name=False),
    ]


def options_of(config: type, *, without: Sequence[str]) -> type:
    """A dataclass of the fields of a config, some apart, with their help.

    Of what may be a function in Python the other types remain.
    """
    own = [(f.name, _typed(f.type), f) for f in fields(config) if f.name not in without]
    return make_dataclass("Options", own, namespace={"__doc__": config.__doc__}, frozen=True)


def _typed(annotation: Any) -> Any:
    """A type without the functions that Python may give."""
    if get_origin(annotation) is not UnionType:
        return annotation
    return reduce(or_, (t for t in get_args(annotation) if get_origin(t) is not Callable))


def _described(method: str) -> str:
    """The help of a method: who published it, the recipe and whose it is, and an example."""
    from gan_forensics.gans.config import POINTS
    from gan_forensics.gans.methods import METHODS

    rows = METHODS[method]
    sources = list(dict.fromkeys(row.recipe_of for row in rows.values()))
    recipes = "; ".join(
        f"{architecture} networks, learning rate {row.recipe.learning_rate:g}, Adam betas "
        f"{row.recipe.betas[0]:g} and {row.recipe.betas[1]:g}, {row.recipe.n_dis} discriminator "
        f"move{'s' if row.recipe.n_dis > 1 else ''} a step"
        + (f", as {row.recipe_of}" if len(sources) > 1 else "")
        for architecture, row in rows.items()
    )
    recipes += "" if len(sources) > 1 else f"; all as {sources[0]}"
    papers = " and ".join(dict.fromkeys(row.paper for row in rows.values()))
    conditional = any(row.conditional for row in rows.values())
    images, points = set(rows) - set(POINTS), set(rows) & set(POINTS)
    what = " or ".join(["your images"] * bool(images) + ["points"] * bool(points))
    examples = []
    if images:
        data = "folder:images_by_class" if conditional else "folder:my_images"
        examples.append(f"{method} --data {data} --size 32 --out runs/mine")
    if points:
        examples.append(f"{method} --data toy:grid9 --out runs/points")
    if any(row.supervision for row in rows.values()) and method != "ms-dist-gan":
        examples.append(f"{method} --base dist-gan --data folder:my_images --size 32")
    elif images and method != "ms-dist-gan":
        examples.append(
            f"{method} --data {'folder:images_by_class' if conditional else 'folder:few_images'} "
            "--size 32 --augment dag --transforms rotation,crop"
        )
    if any(row.bundle for row in rows.values()) and points:
        examples.append(f"{method} --data toy:grid9 --bundle released --out runs/released")
    return (
        f"Train {method} ({papers}) on {what}{', which need labels' if conditional else ''}.\n\n"
        f"By default: {recipes}.\n\nTry it:\n\n"
        + "\n\n".join(f"$ gan-forensics train {example}" for example in examples)
        + "\n\nThe same with --resume goes on."
    )
