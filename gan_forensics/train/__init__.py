"""One engine for every learner: updates, states, steps, and `fit`.

Knows nothing of GANs, images or text.
"""

from gan_forensics.train.checkpoint import CheckpointError, Checkpoints
from gan_forensics.train.learner import Learner, from_config, load_state, process_batches
from gan_forensics.train.log import read_metrics
from gan_forensics.train.loop import Cadence, InterruptedRunError, NonFiniteLossError, fit
from gan_forensics.train.plateau import Plateau
from gan_forensics.train.run_folder import RunFolderError, read_config
from gan_forensics.train.seeds import train_seeds
from gan_forensics.train.supervised import supervised_update
from gan_forensics.train.update import (
    Aux,
    TrainState,
    Update,
    init_state,
    make_step,
    minibatches_per_step,
)

__all__ = [
    "Aux",
    "Cadence",
    "CheckpointError",
    "Checkpoints",
    "fit",
    "from_config",
    "init_state",
    "InterruptedRunError",
    "Learner",
    "load_state",
    "make_step",
    "minibatches_per_step",
    "NonFiniteLossError",
    "Plateau",
    "process_batches",
    "read_config",
    "read_metrics",
    "RunFolderError",
    "supervised_update",
    "train_seeds",
    "TrainState",
    "Update",
]
