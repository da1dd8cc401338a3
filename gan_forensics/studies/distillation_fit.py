"""Training classifiers and students in memory, for studies whose cells differ in data alone.

Images lie in memory as they are: nothing is augmented, so that a teacher's logits are computed once
for all its students. Smoothing, temperature and the teacher's logits are data of a batch, hence one
compiled step serves teachers, students, students without a teacher, and every temperature. The
number of steps does not depend on how many images there are, nor does anything that is compiled.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import numpy as np
import optax
from jaxtyping import Float, Int, PyTree

from gan_forensics.distill.classifier_learner import NETWORK, sgd
from gan_forensics.distill.losses import objective
from gan_forensics.nn.initial import initial_variables
from gan_forensics.runtime import jit, random_key
from gan_forensics.train import TrainState, Update, init_state, make_step, supervised_update

# Images that are read at once.
CHUNK = 500

Selection = Literal["last", "validation", "test"]
SELECTIONS: tuple[Selection, ...] = get_args(Selection)


class Examples(NamedTuple):
    """Images, or vectors, and their classes.

    Attributes:
        image: float32; images in [-1, 1].
        label: 0 to classes - 1.
    """

    image: Float[np.ndarray, "n *d"]
    label: Int[np.ndarray, " n"]


class Task(NamedTuple):
    """What is learnt from, what chooses, and what is read once at the end."""

    train: Examples
    validation: Examples
    test: Examples
    classes: int


class Classifier(NamedTuple):
    """A network, and the same without its last layer.

    Attributes:
        network: images -> logits, called with `train`.
        trunk: images -> what the last layer reads, of the whole network's variables.
        head: name of the last layer, which is linear.
    """

    network: nn.Module
    trunk: nn.Module
    head: str = "fc"


@dataclass(frozen=True)
class Recipe:
    """SGD with momentum, whose rate falls to a tenth twice.

    Attributes:
        steps: of training.
        looks: at the validation part, evenly spread over the steps, the last at the end.
        batch_size: examples a minibatch; what is left of an epoch is dropped.
        learning_rate: at the start.
        decays: shares of the steps after which the rate falls.
        momentum: of SGD.
        weight_decay: of all parameters.
    """

    steps: int
    looks: int = 10
    batch_size: int = 128
    learning_rate: float = 0.05
    decays: tuple[float, ...] = (0.4, 0.8)
    momentum: float = 0.9
    weight_decay: float = 1e-4

    def optimizer(self) -> optax.GradientTransformation:
        """The optimiser."""
        falls = {round(share * self.steps): 0.1 for share in self.decays}
        schedule = optax.piecewise_constant_schedule(self.learning_rate, falls)
        return sgd(schedule, momentum=self.momentum, weight_decay=self.weight_decay)


class Lesson(NamedTuple):
    """What a cell learns from, beside the images.

    Attributes:
        alpha: smoothing of the labels, where there is no teacher.
        teacher: its logits on the training images, from which alone a student learns.
        temperature: at which both are read.
    """

    alpha: float = 0.0
    teacher: Float[np.ndarray, "n k"] | None = None
    temperature: float = 1.0


class Trained(NamedTuple):
    """A network at the end of training, and at the looks that were chosen.

    Attributes:
        variables: selection -> variables.
        accuracy: "validation", or "test" where that chose -> accuracy at every look.
    """

    variables: Mapping[Selection, PyTree]
    accuracy: Mapping[Selection, list[float]]


def fit_cells(
    classifier: Classifier,
    recipe: Recipe,
    task: Task,
    lessons: Sequence[Lesson],
    *,
    seed: int,
    select: Sequence[Selection] = ("last", "validation"),
    batched: bool = False,
) -> list[Trained]:
    """Train a network once for every lesson, from the same start, on the same minibatches.

    Args:
        classifier: what is trained; compiled once for a recipe and a shape of images.
        recipe: how.
        task: on what.
        lessons: one for each cell.
        seed: of the start and the order.
        select: which variables are kept: those at the end, at the look with the best accuracy on
            the validation part, or on the test part. The test part is not read otherwise.
        batched: whether cells are one batch under `vmap`; otherwise one follows another, which for
            convolutions is faster on CPUs. Batched, a number of cells is a shape.

    Raises:
        ValueError: for steps that the looks do not divide, fewer examples than a minibatch, and
            lessons whose logits are not one row for each training example.
    """
    _check(recipe, task, lessons)
    order = _order(len(task.train.label), recipe, seed)
    advance = _program(classifier.network, recipe, batched)
    runs = [list(lessons)] if batched else [[lesson] for lesson in lessons]
    trained = []
    for run in runs:
        start, count = _start(classifier.network, recipe, task, seed), len(run)
        if batched:
            start = jax.tree.map(lambda x, n=count: np.stack([x] * n), start)
        cells = [_Kept(select) for _ in run]
        for state in _looks(advance, start, task, run, order, recipe, batched=batched, seed=seed):
            for place, cell in enumerate(cells):
                one = jax.tree.map(lambda x, i=place: x[i], state) if batched else state
                cell.look(classifier, _variables(one), task)
        trained += [Trained(cell.variables, cell.accuracy) for cell in cells]
    return trained


class _Kept:
    """What is kept of a cell while it trains."""

    def __init__(self, select: Sequence[Selection]) -> None:
        self.select = select
        self.variables: dict[Selection, PyTree] = {}
        # The validation part is looked at in any case: temperatures are chosen on it.
        self.accuracy: dict[Selection, list[float]] = {
            name: [] for name in ("validation", "test") if name in {*select, "validation"}
        }

    def look(self, classifier: Classifier, variables: PyTree, task: Task) -> None:
        for name, seen in self.accuracy.items():
            part = task.test if name == "test" else task.validation
            logits, _ = read(classifier, variables, part.image)
            seen.append(float((logits.argmax(-1) == part.label).mean()))
            if name in self.select and seen[-1] > max(seen[:-1], default=-1.0):
                self.variables[name] = variables
        if "last" in self.select:
            self.variables["last"] = variables


def read(
    classifier: Classifier, variables: PyTree, image: Float[np.ndarray, "n *d"]
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n d"]]:
    """Logits and what the last layer reads, for inference, of any number of images."""
    features = []
    for first in range(0, len(image), CHUNK):
        part = image[first : first + CHUNK]
        padded = np.zeros((CHUNK, *image.shape[1:]), np.float32)
        padded[: len(part)] = part
        features.append(np.asarray(_reader(classifier.trunk)(variables, padded))[: len(part)])
    head = variables["params"][classifier.head]
    together = np.concatenate(features)
    return together @ np.asarray(head["kernel"]) + np.asarray(head["bias"]), together


def _check(recipe: Recipe, task: Task, lessons: Sequence[Lesson]) -> None:
    if recipe.looks < 1 or recipe.steps % recipe.looks:
        raise ValueError(f"{recipe.looks} looks do not divide {recipe.steps} steps evenly")
    n = len(task.train.label)
    if n < recipe.batch_size:
        raise ValueError(f"{n} training examples are fewer than a batch of {recipe.batch_size}")
    for lesson in lessons:
        if lesson.teacher is not None and lesson.teacher.shape != (n, task.classes):
            raise ValueError(
                f"a teacher's logits must be [{n}, {task.classes}], a row for each training "
                f"example, got {list(lesson.teacher.shape)}"
            )


def _order(n: int, recipe: Recipe, seed: int) -> Int[np.ndarray, "steps b"]:
    """Which examples are in which minibatch: each once an epoch."""
    rng, b = np.random.default_rng((seed, 32)), recipe.batch_size
    epochs = -(-recipe.steps // (n // b))
    whole = [rng.permutation(n)[: n // b * b].reshape(-1, b) for _ in range(epochs)]
    return np.concatenate(whole)[: recipe.steps]


def _start(network: nn.Module, recipe: Recipe, task: Task, seed: int) -> TrainState:
    shape = jax.ShapeDtypeStruct((1, *task.train.image.shape[1:]), np.float32)
    variables = dict(initial_variables(network, random_key(seed), shape, train=False))
    params = {NETWORK: variables.pop("params")}
    return init_state((_update(network, recipe),), params, {NETWORK: variables})


def _looks(
    advance: Callable[..., TrainState],
    state: TrainState,
    task: Task,
    lessons: Sequence[Lesson],
    order: Int[np.ndarray, "steps b"],
    recipe: Recipe,
    *,
    batched: bool,
    seed: int,
) -> Iterator[TrainState]:
    """The state at every look; what came before it is lost."""
    key = random_key(seed)
    for rows in order.reshape(recipe.looks, -1, recipe.batch_size):
        shared = {"image": task.train.image[rows], "label": task.train.label[rows].astype(np.int32)}
        taught = [_taught(lesson, rows, task.classes) for lesson in lessons]
        cells = jax.tree.map(lambda *x: np.stack(x), *taught) if batched else taught[0]
        state = advance(state, shared, cells, key)
        yield state


def _taught(lesson: Lesson, rows: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    """The part of a segment's minibatches that is a cell's own."""
    if lesson.teacher is None:
        teacher, weight = np.zeros((*rows.shape, classes)), 0.0
    else:
        teacher, weight = lesson.teacher[rows], 1.0
    numbers = {"alpha": lesson.alpha, "temperature": lesson.temperature, "soft_weight": weight}
    filled = {name: np.full(rows.shape, value, np.float32) for name, value in numbers.items()}
    return {"teacher": teacher.astype(np.float32), **filled}


def _variables(state: TrainState) -> PyTree:
    """A copy on the host, which outlives the state."""
    return jax.tree.map(np.array, {"params": state.params[NETWORK], **state.stats[NETWORK]})


@functools.cache
def _update(network: nn.Module, recipe: Recipe) -> Update:
    return supervised_update(NETWORK, network, objective, recipe.optimizer())


@functools.cache
def _program(network: nn.Module, recipe: Recipe, batched: bool) -> Callable[..., TrainState]:
    """All steps up to the next look, compiled."""
    step = make_step((_update(network, recipe),))

    def advance(state: TrainState, shared: PyTree, cell: PyTree, key: Any) -> TrainState:
        def move(state, batch):
            return step(state, jax.tree.map(lambda x: x[None], batch), key)[0], None

        return jax.lax.scan(move, state, {**shared, **cell})[0]

    if batched:
        return jax.jit(jax.vmap(advance, in_axes=(0, None, 0, None)), donate_argnums=0)
    return jit(advance, donate_argnums=0)


@functools.cache
def _reader(trunk: nn.Module) -> Callable[..., Any]:
    return jit(lambda variables, image: trunk.apply(variables, image, train=False))
