"""A learner: a game, how its networks start, and what it was made from.

`gan_forensics.train.fit` trains any learner into a run folder, `load_state` reads any run folder,
and `gan_forensics.train.seeds` trains many seeds of one at once. A GAN, a detector, a classifier
and an autoencoder are learners; what makes one from its config lives with its area.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jax

from gan_forensics.data import Batches, Source
from gan_forensics.files import refuse_links, say, shown
from gan_forensics.runtime import Precision, data_mesh, random_key, replicated
from gan_forensics.train.average import needs_correction, without_start
from gan_forensics.train.checkpoint import CheckpointError, Checkpoints
from gan_forensics.train.run_folder import RunFolderError, read_config
from gan_forensics.train.update import Networks, TrainState, Update, init_state

Made = TypeVar("Made")


class Learner(NamedTuple):
    """All that decides what training does, beside the data and the seed.

    Attributes:
        kind: what it is, "gan" for instance: the name of its config in run folders.
        config: JSON-able; saved, and compared when a run goes on.
        updates: the game.
        init: seed -> initial (parameters, statistics) by network name.
        average: names of networks of which a moving average is kept.
        average_decay: its decay, between 0 and 1.
        precision: of products in steps; by default the backend's own.

    Example:
        >>> import jax.numpy as jnp
        >>> import optax
        >>> from gan_forensics.train import Aux, Learner, Update
        >>> def loss(trainable, frozen, stats, batch, key, step):
        ...     miss = trainable["line"]["slope"] * batch["x"] - batch["y"]
        ...     return (miss**2).mean(), Aux({}, {})
        >>> update = Update("line", ("line",), loss, optax.sgd(0.5))
        >>> learner = Learner(
        ...     "line", {}, (update,), init=lambda seed: ({"line": {"slope": jnp.zeros(())}}, {})
        ... )
        >>> learner.start(seed=0)
        TrainState(step=0, line 1 parameters)
    """

    kind: str
    config: Mapping[str, Any]
    updates: tuple[Update, ...]
    init: Callable[[int], tuple[Networks, Networks]]
    average: tuple[str, ...] = ()
    average_decay: float = 0.999
    precision: Precision | None = None

    def __repr__(self) -> str:
        return f"Learner({self.kind!r}, updates {', '.join(u.name for u in self.updates)})"

    def start(self, seed: int) -> TrainState:
        """The state before the first step."""
        return init_state(self.updates, *self.init(seed), average=self.average)


def process_batches(source: Source, *, batch_size: int, seed: int, **options: Any) -> Batches:
    """This process's part of endless minibatches; `options` go to `gan_forensics.data.Batches`.

    Args:
        source: where the examples are.
        batch_size: examples a minibatch, over all processes.
        seed: of order and augmentation.
        options: further ones.

    Raises:
        ValueError: as `Batches`.

    Example:
        >>> import numpy as np
        >>> from gan_forensics.data import ArraySource
        >>> images = np.zeros((10, 8, 8, 3), np.uint8)
        >>> batches = process_batches(ArraySource(image=images), batch_size=4, seed=0)
        >>> batch = next(batches)
        >>> batch["image"].shape, str(batch["image"].dtype)
        ((4, 8, 8, 3), 'float32')
        >>> batches.close()
    """
    shard = (jax.process_index(), jax.process_count())
    return Batches(source, batch_size=batch_size, seed=seed, shard=shard, **options)


def from_config(run: Path | str, kind: str, make: Callable[[dict[str, Any]], Made]) -> Made:
    """What `make` makes of the config of a run folder, whoever wrote that.

    Args:
        run: the run folder.
        kind: of its learner.
        make: from the config to a learner, or what holds one. It allocates nothing.

    Raises:
        RunFolderError: when the folder is no run folder of that kind, or its config cannot be used.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from gan_forensics.gans import GanConfig
        >>> with tempfile.TemporaryDirectory() as run:
        ...     _ = Path(run, "config.json").write_text('{"gan": {"method": "dcgan", "size": 32}}')
        ...     from_config(Path(run), "gan", lambda saved: GanConfig(**saved)).shape
        (32, 32, 3)
    """
    run = Path(run)
    saved = read_config(run, kind)
    try:
        return make(saved)
    except RunFolderError:
        raise
    # A config may hold anything, and what is made of it raises as much.
    except Exception as error:
        # What Python says of a value that has not the type it should have helps nobody.
        odd = isinstance(error, AttributeError)
        reason = "a setting of another type" if odd else shown(error) or type(error).__name__
        raise RunFolderError(
            f"{shown(run)} was not written by this version of gan_forensics ({reason}): train it "
            "again"
        ) from error


def load_state(run: Path | str, learner: Learner, *, best: str | None = None) -> TrainState:
    """The state of a run's newest whole checkpoint.

    Nothing in the folder is changed, so that a run can be looked at while it trains.

    Args:
        run: the run folder.
        learner: made from the folder's own config (`read_config`).
        best: a metric that the run kept its best checkpoint by: that one.

    Raises:
        CheckpointError: when the run has no checkpoint that can be read.
        RunFolderError: when its config asks for arrays that cannot be.
        ValueError: when it holds links, pipes or devices.

    Example:
        >>> from pathlib import Path
        >>> from gan_forensics.gans import GanConfig, build
        >>> from gan_forensics.train import load_state, read_config
        >>> run = Path("runs/digits")
        >>> gan = build(GanConfig(**read_config(run, "gan")))  # doctest: +SKIP
        >>> load_state(run, gan.learner)  # doctest: +SKIP
        TrainState(step=20, discriminator 725, generator 17 k parameters)
    """
    run = Path(run)
    refuse_links(run)
    random_key(0)  # What it refuses of JAX's settings is not to be blamed on the run.
    try:
        shapes = jax.eval_shape(lambda: learner.start(0))
    # Sizes that a config gives may overflow anywhere; nothing is allocated before they are known.
    except Exception as error:
        reason = shown(error) or type(error).__name__
        raise RunFolderError(
            f"{shown(run)}: its config asks for what cannot be ({reason}): train it again"
        ) from error
    # Of many processes each has the state for itself: what follows need not be done by all.
    sharding = replicated(data_mesh(jax.local_devices()))
    template = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes
    )
    restored = None
    if (run / "checkpoints").is_dir():
        checkpoints = Checkpoints(run, best=best, read_only=True)
        try:
            restored = checkpoints.restore(template)
        finally:
            checkpoints.close()
    if restored is None:
        raise CheckpointError(f"{shown(run)} holds no checkpoint yet: train it first")
    state, record = restored
    return without_older_start(learner, state, record, lambda: learner.init(_seed(learner))[0])


def without_older_start(
    learner: Learner, state: TrainState, record: Any, start: Callable[[], Networks]
) -> TrainState:
    """A state that was read, with averages as they are kept now.

    Earlier versions kept averages that hold a^t of the initial draw after t steps: it is drawn
    again and taken out, which is said.

    Args:
        learner: what the state is of.
        state: as it was read.
        record: what was kept beside it.
        start: the parameters that the run began with, by network name.
    """
    step, decay = int(state.step), learner.average_decay
    if not state.average or not step or not needs_correction(record):
        return state
    say(
        f"step {step} was written by an earlier version, whose average of decay {decay:g} is "
        f"{decay**step:.2%} initial draw: that is taken out"
    )
    began = start()
    average = {
        name: without_start(mean, began[name], decay=decay, step=step)
        for name, mean in state.average.items()
    }
    return dataclasses.replace(state, average=average)


def _seed(learner: Learner) -> int:
    """The seed of a run whose config holds it."""
    seed = learner.config.get("seed")
    if type(seed) is not int:
        raise RunFolderError(
            f"a {learner.kind} whose config has no seed to draw the start of its average by "
            f"(seed is {shown(repr(seed))}): train it again"
        )
    return seed
