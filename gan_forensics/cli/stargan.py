"""`gan-forensics train stargan`."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from gan_forensics.cli.checks import at_least
from gan_forensics.cli.distributed import Distributed
from gan_forensics.cli.process import tell_next
from gan_forensics.cli.train import options_of
from gan_forensics.files import check_folder_out, say, tell
from gan_forensics.gans import StarGanConfig, build_stargan, train_stargan
from gan_forensics.report import report_run
from gan_forensics.runtime import is_first
from gan_forensics.train import Cadence

Options: Any = options_of(StarGanConfig, without=())


@dataclass(frozen=True)
class TrainStarGan:
    """Train one network that translates images between domains (Choi et al., CVPR 2018).

    A domain is what an image has or has not: the colour of hair, glasses, a texture. Your images
    come as a folder with a subfolder for each domain, or as a list, CSV with a column `path` and
    one of 1 and 0 for each attribute. By default: Adam with a learning rate of 0.0001 and betas 0.5
    and 0.999, 5 moves of the discriminator a step, as published, for 128x128 images.

    Try it:

    $ gan-forensics train stargan --data folder:images_by_domain --size 64 --out runs/mine

    $ gan-forensics train stargan --data list:faces.csv --attributes blond dark glasses
    --exclusive blond dark --size 128

    $ gan-forensics train stargan --size 32 --width 16 --blocks 2 --learning-rate 5e-4 --steps 800

    The same with --resume goes on.
    """

    gan: Options = field(default_factory=Options)  # pyright: ignore[reportInvalidTypeForm]
    """The networks and their training."""
    steps: int = 40_000
    """Steps of the whole run, resumed parts included; each has --n-dis moves of the discriminator,
    so that the published run has 40000."""
    out: Path | None = None
    """Run folder; by default runs/stargan-<upsampling>-<size>."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    checkpoint_every: int = 500
    """Steps between checkpoints, beside the one at the end; 0 for none between."""
    sample_every: int = 500
    """Steps between grids of translations, beside the one at the end; 0 for none between."""
    tensorboard: bool = False
    """Write TensorBoard events too (extra `tensorboard`)."""
    follow_links: bool = False
    """Follow links, and paths of lists, that leave their folder."""
    on_bad_image: Literal["stop", "skip"] = "stop"
    """At a file that cannot be used: stop, or put another image of the data in its place; how often
    is said at the end. A run that stopped goes on with --resume --on-bad-image skip."""
    hosts: Distributed = Distributed()

    def __call__(self) -> None:
        """Run it."""
        self.hosts.join(self)
        config, cadence = self._checked()
        run = self.out or Path("runs") / f"stargan-{config.upsampling}-{config.size}"
        check_folder_out(run)
        gan, state = train_stargan(
            config,
            run,
            cadence,
            follow_links=self.follow_links,
            on_bad_image=self.on_bad_image,
            say=say,
            resume=self.resume,
            tensorboard=self.tensorboard,
        )
        if not is_first():
            return
        tell(f"{run} is trained up to step {int(state.step)}; open {report_run(run)}.")
        tell("In its grids a row is an image and then its translations:")
        exclusive = gan.config.exclusive or ()
        tell(
            ", ".join(
                name if name in exclusive else f"{name} turned" for name in gan.config.attributes
            )
        )
        tell_next("translate", run, "my_images", "--to", gan.config.attributes[0])

    def _checked(self) -> tuple[StarGanConfig, Cadence]:
        """What is trained and for how long; what cannot be is refused before any data are read."""
        every = {"checkpoint_every": self.checkpoint_every, "sample_every": self.sample_every}
        at_least(1, steps=self.steps)
        at_least(0, **every)
        config = StarGanConfig(**vars(self.gan))
        at_least(0, seed=config.seed)
        # With stand-ins for what the data and the run will say.
        known = config
        if not config.attributes:
            known = replace(known, attributes=config.exclusive or ("any",))
        if config.schedule != "constant" and config.decay_steps is None:
            known = replace(known, decay_steps=self.steps)
        build_stargan(known)
        return config, Cadence(self.steps, **every)
