"""A teacher or a student of images as one Update."""

from typing import Any

import flax.linen as nn
import optax
from jaxtyping import PyTree

from gan_forensics.distill.architectures import inputs_of
from gan_forensics.distill.losses import objective
from gan_forensics.train import Aux, Update, supervised_update

NETWORK, TEACHER = "classifier", "teacher"


def sgd(
    learning_rate: optax.ScalarOrSchedule, *, momentum: float = 0.9, weight_decay: float = 1e-4
) -> optax.GradientTransformation:
    """SGD of the released recipes: decay of all parameters joins the gradient, then momentum.

    Example:
        >>> import numpy as np
        >>> optimizer = sgd(0.1)
        >>> optimizer.init({"w": np.zeros(2)}) is not None
        True
    """
    return optax.chain(
        optax.add_decayed_weights(weight_decay), optax.sgd(learning_rate, momentum=momentum)
    )


def classifier_update(
    arch: str,
    network: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    temper_student: bool = True,
) -> Update:
    """The one move of a classifier, with or without logits of a teacher in its batches.

    Args:
        arch: the network's name, which says how it reads images.
        network: made by `make_classifier`.
        optimizer: of all parameters.
        temper_student: as for `tempered_divergence`.

    Batches have "image" [b, h, w, c] in [-1, 1] and what `objective` asks for. Only shapes are
    compiled in: one step serves every smoothing, temperature and weight.

    Example:
        >>> from gan_forensics.distill import make_classifier
        >>> update = classifier_update("small_cnn", make_classifier("small_cnn", 2), sgd(0.1))
        >>> update.name, update.trains
        ('classifier', ('classifier',))
    """

    def call(network: Any, batch):
        return network(inputs_of(arch, batch["image"]), train=True)

    def loss(logits, batch):
        return objective(logits, batch, temper_student=temper_student)

    return supervised_update(NETWORK, network, loss, optimizer, call=call)


def student_update(
    arch: str,
    network: nn.Module,
    teacher_arch: str,
    teacher: nn.Module,
    optimizer: optax.GradientTransformation,
    *,
    temper_student: bool = True,
) -> Update:
    """The one move of a student whose teacher looks at the very images that it looks at.

    The teacher is the state's network `TEACHER`: frozen, read for inference, so that neither its
    parameters nor its statistics move. Batches have "image" and what `objective` asks for, without
    "teacher".

    Example:
        >>> from gan_forensics.distill import make_classifier
        >>> student, teacher = (make_classifier("small_cnn", 2) for _ in range(2))
        >>> student_update("small_cnn", student, "small_cnn", teacher, sgd(0.1)).name
        'classifier'
    """
    student = classifier_update(arch, network, optimizer, temper_student=temper_student)

    def total(trainable: PyTree, frozen, stats, batch, key, step) -> tuple[Any, Aux]:
        variables = {"params": frozen[TEACHER], **stats[TEACHER]}
        inputs = inputs_of(teacher_arch, batch["image"])
        said = teacher.apply(variables, inputs, train=False)
        own = {NETWORK: stats[NETWORK]}
        return student.loss(trainable, {}, own, {**batch, "teacher": said}, key, step)

    return student._replace(loss=total)
