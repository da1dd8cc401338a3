"""A few steps of one game of each kind, for any number of processes: a program for tests.

python -m tests.process_games KIND FILE.npz COORDINATOR PROCESSES INDEX

Process 0 writes what should not depend on the number of processes: every gradient and every loss
of every step, and the last state. The optimisers are SGD and keep the gradient that they saw last;
Adam's first step would turn rounding into differences of the size of the rate.
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gan_forensics.cli.entry import guarded
from gan_forensics.data import ArraySource, Augmentation
from gan_forensics.forensics.neural import init_variables, make_network
from gan_forensics.forensics.neural_training import detector_update
from gan_forensics.gans import GanConfig, build
from gan_forensics.quality import FeatureMoments
from gan_forensics.quality.moments import over_processes
from gan_forensics.runtime import join
from gan_forensics.train import Cadence, Learner, fit, process_batches

# So small a rate that the players who move later in a step do it at nearly the same parameters.
BATCH, STEPS, RATE = 16, 3, 1e-4


def kept(rate: float) -> optax.GradientTransformation:
    """SGD whose state is the last gradient."""
    return optax.GradientTransformation(
        lambda params: jax.tree.map(jnp.zeros_like, params),
        lambda gradient, _, params=None: (jax.tree.map(lambda x: -rate * x, gradient), gradient),
    )


def gan(method: str, **settings):
    """The learner and the data of a GAN."""
    made = build(GanConfig(method, batch_size=BATCH, **settings)).learner
    return made, {"flip": True}


def detector():
    """A classifier with batch norm; images are blurred and compressed on their way."""
    network = make_network("resnet_small", {"width": 4})

    def init(seed):
        variables = dict(init_variables(network, jax.random.key(seed)))
        return {"detector": variables.pop("params")}, {"detector": variables}

    augmentation = Augmentation(blur=0.5, jpeg=0.5, crop=12, flip=0.5, encoders=("pillow",))
    learner = Learner("detector", {}, (detector_update(network),), init)
    return learner, {"transform": augmentation.transform}


residual = {"size": 32, "generator_width": 8, "discriminator_width": 8, "n_dis": 2}
GAMES = {
    "two players, spectral norm": lambda: gan("sngan", augment="diffaugment", **residual),
    "two players, batch norm": lambda: gan("dcgan", size=16, width=4, latent=8, channels=3),
    "three players": lambda: gan("dist-gan", size=32, width=8, decay_steps=10),
    "pairwise": lambda: gan("gn-gan", size=32, width=8, decay_steps=10),
    "InfoNCE": lambda: gan("infomax-gan", **residual),
    "detector": detector,
}


def named(tree, first: str) -> dict[str, np.ndarray]:
    """The arrays of a tree by name."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        f"{first}/{jax.tree_util.keystr(path, simple=True, separator='/')}": np.asarray(leaf)
        for path, leaf in leaves
    }


def main(kind: str, to: str, coordinator: str, processes: str, index: str) -> None:
    """Make the steps and write what they made."""
    if int(processes) > 1:
        join(coordinator, int(processes), int(index))
    learner, options = GAMES[kind]()
    learner = learner._replace(
        updates=tuple(u._replace(optimizer=kept(RATE)) for u in learner.updates)
    )
    rng = np.random.default_rng(0)
    side = 16 if "batch norm" in kind or kind == "detector" else 32
    source = ArraySource(
        image=rng.integers(0, 256, (50, side, side, 3), np.uint8), label=np.arange(50) % 2
    )
    found = {}

    def keep(state, metrics):
        step = int(state.step)
        found.update({f"loss/{step}/{name}": np.array(value) for name, value in metrics.items()})
        found.update(named(state.opt, f"gradient/{step}"))

    batches = process_batches(source, batch_size=BATCH, seed=1, **options)
    state = fit(learner, batches, cadence=Cadence(STEPS), seed=1, every={1: keep}, progress=False)
    batches.close()
    found.update(named((state.params, state.stats), "state"))
    # Features of which every process has seen some.
    features = rng.standard_normal((40, 3)).astype(np.float32) + 10
    moments = FeatureMoments.zero(3).update(features[int(index) :: int(processes)])
    found.update(named(over_processes(moments), "moments"))
    if not int(index):
        np.savez(Path(to), **found)


if __name__ == "__main__":
    sys.exit(guarded(lambda: main(*sys.argv[1:])))
