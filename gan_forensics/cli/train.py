"""`gan-forensics train`."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

from tyro.conf import Positional

from gan_forensics.cli.process import start

Method = Literal["dcgan", "lsgan", "wgan-gp", "sngan", "ssgan", "sagan", "cgan-pd", "infomax-gan"]
# Those whose own networks are strided, and have a tail.
STRIDED = ("dcgan", "lsgan", "wgan-gp")


@dataclass(frozen=True)
class Train:
    """Train a GAN on your images; `train detector --help` is about detectors.

    dcgan, lsgan and wgan-gp play with strided networks (--tail, --width), the others with residual
    ones of mimicry (--generator-width, --discriminator-width); --architecture resgan makes dcgan
    and wgan-gp residual too. sagan and cgan-pd are conditional: their data need labels.

    Try it:

    $ gan-forensics train dcgan --data samples:photos --tail N.1.5 --steps 2000

    $ gan-forensics train sngan --data samples:photos --size 32 --generator-width 32
    --discriminator-width 32

    $ gan-forensics train infomax-gan --data folder:my_faces --size 128 --out runs/faces

    $ gan-forensics train infomax-gan --data folder:my_faces --size 128 --out runs/faces --resume
    """

    method: Positional[Method]
    """The game."""
    data: str = "samples:photos"
    """A source: folder:PATH (or just a path), list:FILE.csv, idx:PATH, npz:FILE.npz, tfds:NAME,
    samples:photos|digits|mnist5k|lfw, toy:powerlaw."""
    tail: str = "BASELINE"
    """Last upsampling of a strided generator: BASELINE (transposed convolution),
    {N,Z,B}.1.{3,5,7} or {N,Z,B}.3.5 for nearest, zero insertion, bilinear, then that many
    convolutions of that kernel."""
    size: int = 64
    """Side of the images: for strided networks a power of two, 16 or more; for residual ones 32,
    48, 64 or 128."""
    width: int = 32
    """Channels of strided networks' largest maps."""
    architecture: Literal["", "dcgan", "resgan"] = ""
    """Strided (dcgan) or residual (resgan) networks; by default the method's own."""
    generator_width: int = 0
    """Channels of a residual generator's first maps; 0 for the published width."""
    discriminator_width: int = 0
    """Features of a residual discriminator; 0 for the published width."""
    classes: int = 0
    """Of a conditional GAN; 0 for as many as the data have."""
    latent: int = 128
    """Length of the noise."""
    channels: Literal[1, 3] = 3
    """Channels of the images."""
    batch_size: int = 64
    """Images a minibatch."""
    learning_rate: float = 0.0
    """Of both players; 0 for the method's own."""
    n_dis: int = 0
    """Moves of the discriminator a step, each on fresh images; 0 for the method's own."""
    schedule: Literal["none", "linear"] = "none"
    """Of the learning rates: constant, or linear to 0 at the end of the run."""
    decay_steps: int = 0
    """Steps after which the linear schedule arrives at 0; 0 for all steps of the run."""
    average: float = 0.0
    """Decay of a moving average of the generator, which samples are then drawn with; 0 for none."""
    flip: bool = False
    """Mirror half of the images."""
    steps: int = 5000
    """Steps of the whole run, resumed parts included."""
    seed: int = 2021
    """Of initialisation, data order and noise."""
    out: Path | None = None
    """Run folder; by default runs/<method>-<tail>-<size>, without the tail where it is BASELINE of
    a residual generator."""
    resume: bool = False
    """Go on from the newest checkpoint of the run folder."""
    checkpoint_every: int = 500
    """Steps between checkpoints."""
    sample_every: int = 500
    """Steps between grids of samples."""
    tensorboard: bool = False
    """Write TensorBoard events too (extra `tensorboard`)."""

    def __call__(self) -> None:
        """Run it."""
        start()
        from gan_forensics.gans import GanConfig, train_gan
        from gan_forensics.report import report_run
        from gan_forensics.train import Cadence

        strided = self.method in STRIDED and self.architecture != "resgan"
        name = [self.method, self.tail, self.size] if strided else [self.method, self.size]
        run = self.out or Path("runs") / "-".join(map(str, name))
        own = {field.name for field in fields(self)}
        given = {f.name: getattr(self, f.name) for f in fields(GanConfig) if f.name in own}
        config = GanConfig(**given)
        cadence = Cadence(
            self.steps,
            checkpoint_every=self.checkpoint_every,
            sample_every=self.sample_every,
        )
        train_gan(config, run, cadence, resume=self.resume, tensorboard=self.tensorboard)
        print(f"Trained {run}; open {report_run(run)}.")
        print(f"Next: gan-forensics sample {run} -n 64 --out samples")
