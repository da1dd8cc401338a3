"""What a GAN's images go through on their way to its discriminator, by name.

    name          D: real  D: fake  G: fake
    none
    classical     yes      -        -        each real image by one of the transforms, at random
    diffaugment   yes      yes      yes      colour, translation, cutout; draws of their own
    ada           yes      yes      yes      each transform of a long list, with probability p
    cr            beside   -        -        real images mirrored and shifted: same logits
    bcr           beside   beside   -        and generated ones
    dag           beside   beside   beside   every transform, judged by a head of its own

"beside" leaves the pair of the GAN as it is and adds a term for transformed copies. Classical
augmentation moves the target: the generator learns the transformed images. DiffAugment does so for
transforms that a mixture hides (a quarter turn is one, a small shift is not), ADA as its p goes to
1, DAG for none that can be undone.

Zhao et al. (NeurIPS 2020): DiffAugment; Karras et al. (NeurIPS 2020): ADA; Zhang et al. (ICLR
2020): CR; Zhao et al. (AAAI 2021): bCR; Tran et al. (TIP 2021): DAG.
"""

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array

from gan_forensics.gans.adaptive_augment import AdaptiveProbability, adaptive_augment
from gan_forensics.gans.config import GanConfig
from gan_forensics.gans.context import Context
from gan_forensics.gans.dag import NORMALISATION, WEIGHT, dag_task
from gan_forensics.gans.diff_augment import (
    DIFF_AUGMENT,
    diff_augment,
    random_flip_and_shift,
    random_of,
)
from gan_forensics.gans.task import Augment, Images, Loss, Shown, Task
from gan_forensics.gans.transforms import check_images, policies_of

ADAPTIVE = "augment"  # the network without parameters whose statistics are ADA's
CONSISTENCY = 10.0  # the published weight of CR, and both of bCR
ADA_KIMG = 500.0


class Shows(NamedTuple):
    """Which images an augmentation transforms, and what transforms it has by default."""

    discriminator: tuple[str, ...]
    generator: tuple[str, ...]
    transforms: str | None = None


AUGMENTATIONS: dict[str, Shows] = {
    "none": Shows((), ()),
    "classical": Shows(("real",), (), "flip"),
    "diffaugment": Shows(("real", "generated"), ("generated",), ",".join(DIFF_AUGMENT)),
    "ada": Shows(("real", "generated"), ("generated",)),
    "cr": Shows(("real",), ()),
    "bcr": Shows(("real", "generated"), ()),
    "dag": Shows(("real", "generated"), ("generated",), "rotation"),
}


def augmentation(
    config: GanConfig, tasks: Sequence[Task], *, spectral_norm: bool = False, unit: bool = False
) -> tuple[tuple[Task, ...], Augment | None]:
    """The tasks that an augmentation adds to those of a GAN, and what the discriminator is shown.

    Args:
        config: augment, transforms, dag_weight, dag_normalisation, ada_kimg and size are read.
        tasks: of the GAN; the first is the adversarial loss.
        spectral_norm: of DAG's heads.
        unit: whether the networks see images in [0, 1].

    Raises:
        ValueError: for unknown names, and for a loss that an augmentation cannot go with.
    """
    name = config.augment or "none"
    transforms = transforms_of(config)
    if name == "classical":
        policies = policies_of(transforms)
        check_images(policies, (1, config.size, config.size, 3))
        return (), _shown(lambda im, key: random_of(policies, im, key), ("real",), unit)
    if name == "diffaugment":
        chosen = _diff_augment_policy(transforms)
        return (), _shown(lambda im, key: diff_augment(im, key, chosen), None, unit)
    if name == "ada":
        return (_adaptive_task(config, tasks),), _adaptive(unit)
    if name in ("cr", "bcr"):
        return (consistency_task(fake_weight=CONSISTENCY if name == "bcr" else 0.0),), None
    if name == "dag":
        pair = tasks[0].pair
        if pair is None:
            raise ValueError(
                f"dag judges transformed pairs by the adversarial loss, and that of "
                f"{config.method} says nothing of pairs: choose another method or augmentation"
            )
        policies = policies_of(transforms)
        check_images(policies, (1, config.size, config.size, 3))
        penalty = next((task.penalty for task in tasks if task.penalty), None)
        task = dag_task(
            policies,
            pair,
            weight=config.dag_weight or WEIGHT,
            normalisation=config.dag_normalisation or NORMALISATION,
            penalty=penalty,
            spectral_norm=spectral_norm,
            unit=unit,
        )
        return (task,), None
    return (), None


def transforms_of(config: GanConfig) -> str:
    """The transforms of a config's augmentation, its own or by default.

    Raises:
        ValueError: for an unknown augmentation, and for transforms of one that has none to choose.
    """
    name = config.augment or "none"
    if name not in AUGMENTATIONS:
        (close,) = difflib.get_close_matches(name, AUGMENTATIONS, n=1, cutoff=0.0)
        raise ValueError(
            f"unknown augmentation {name!r}; did you mean {close!r}? There are "
            f"{', '.join(AUGMENTATIONS)}"
        )
    own = AUGMENTATIONS[name].transforms
    if config.transforms is not None and own is None:
        able = ", ".join(n for n, shows in AUGMENTATIONS.items() if shows.transforms)
        raise ValueError(
            f"transforms {config.transforms} are chosen for {able}, not for {name}: leave them out"
        )
    for field, owner in (("ada_kimg", "ada"), ("dag_weight", "dag"), ("dag_normalisation", "dag")):
        if getattr(config, field) is not None and name != owner:
            raise ValueError(f"{field} is of augment {owner}, not of {name}: leave it out")
    if config.transforms is not None and not config.transforms.strip():
        raise ValueError(f"transforms is empty: leave it out for {own}, or give some")
    return config.transforms or own or ""


def described(config: GanConfig) -> str | None:
    """A line on what is transformed for whom, and what is guaranteed; None without augmentation."""
    name = config.augment or "none"
    if name == "none":
        return None
    shows, transforms = AUGMENTATIONS[name], transforms_of(config)
    moves = [
        f"{' and '.join(images)} images in the {player}'s moves"
        for player, images in (
            ("discriminator", shows.discriminator),
            ("generator", shows.generator),
        )
        if images
    ]
    beside = "beside the images as they are, " if name in ("cr", "bcr", "dag") else ""
    line = f"augment {name}{f' ({transforms})' if transforms else ''}: {beside}{', '.join(moves)}"
    if name not in ("classical", "dag"):
        return line
    policies = policies_of(transforms)
    if name == "dag":
        lost = [policy.name for policy in policies if not policy.invertible]
        if lost:
            line += f"; no guarantee for {', '.join(lost)}, which cannot be undone"
        else:
            line += "; all can be undone, so the target stays what it is"
    return line + "".join(f"; {policy.name}: {policy.note}" for policy in policies)


def at_cap(stats: Mapping[str, Any]) -> str | None:
    """A line where ADA's probability has come to its cap; None while it has not."""
    kept = stats.get(ADAPTIVE)
    if not kept or kept["adaptive"]["p"] < AdaptiveProbability.limit:
        return None
    return (
        f"ada: the probability of transforms is at its cap, {AdaptiveProbability.limit:g}: the "
        "discriminator still tells the training images apart (r above the target), and more would "
        "leak into what is generated. Give more images, or stop earlier"
    )


def consistency_task(*, real_weight: float = CONSISTENCY, fake_weight: float = 0.0) -> Task:
    """CR, and with a weight for generated images bCR: mean (D(T x) - D(x))^2, T mirror and shift.

    A term of the discriminator's, with one more pass. Reports "consistency", without weights: that
    of real images, or with both the sum.

    Example:
        >>> consistency_task(fake_weight=10)  # bCR
        Task(discriminator: consistency_task)
    """
    owners: tuple[Shown, ...] = ("real", "fake") if fake_weight else ("real",)

    def discriminator(context: Context) -> Loss:
        copies = []
        for owner in owners:
            images = context.images(owner)  # pyright: ignore[reportArgumentType]
            moved = random_flip_and_shift(images, context.key(f"consistency {owner}"))
            copies.append((moved, context.labels(owner)))  # pyright: ignore[reportArgumentType]
        value, total = jnp.float32(0), jnp.float32(0)
        for owner, judged in zip(owners, context.together(copies), strict=True):
            plain = context.judged(owner)["logits"]  # pyright: ignore[reportArgumentType]
            gap = jnp.square(judged["logits"] - plain).mean()
            value = value + context.weigh(real_weight if owner == "real" else fake_weight) * gap
            total = total + gap
        return Loss(value, {"consistency": total})

    return Task((discriminator,))


def _shown(
    transform: Callable[[Images, Array], Images], owners: tuple[str, ...] | None, unit: bool
) -> Augment:
    """An augmentation of some images, by default of all, with draws of their own."""

    def augment(context: Context, owner: Shown, images: Images) -> Images:
        if owners is not None and owner not in owners:
            return images
        key = context.key(f"augment {owner}")
        return _in_unit(lambda x: transform(x, key), images) if unit else transform(images, key)

    return augment


def _in_unit(transform: Callable[[Images], Images], images: Images) -> Images:
    """A transform of images in [-1, 1], of images in [0, 1]; pixels that it leaves stay equal."""
    wide = 2 * images - 1
    made = transform(wide)
    return jnp.where(made == wide, images, (made + 1) / 2)


def _adaptive(unit: bool) -> Augment:
    def augment(context: Context, owner: Shown, images: Images) -> Images:
        kept = context.statistics(ADAPTIVE)
        p = kept["adaptive"]["p"] if kept else jnp.float32(0)
        key = context.key(f"augment {owner}")
        if unit:
            return _in_unit(lambda x: adaptive_augment(x, key, p), images)
        return adaptive_augment(images, key, p)

    return augment


def _adaptive_task(config: GanConfig, tasks: Sequence[Task]) -> Task:
    pair = tasks[0].pair
    if pair is None or not pair.zero:
        raise ValueError(
            "ada counts how many logits of real images are above 0, and the loss of "
            f"{config.base or config.method} has no such zero between real and fake: choose "
            "diffaugment, or a method with a logistic or hinge loss"
        )

    def discriminator(context: Context) -> Loss:
        p = context.apply(ADAPTIVE, context.real["logits"])
        kept = context.statistics(ADAPTIVE)
        r = kept["adaptive"]["r"] if kept else jnp.float32(0)
        return Loss(jnp.float32(0), {"ada_p": p, "ada_r": r})

    network = AdaptiveProbability(kimg=config.ada_kimg or ADA_KIMG)
    return Task((discriminator,), networks={ADAPTIVE: network})


def _diff_augment_policy(transforms: str) -> tuple[str, ...]:
    chosen = tuple(name.strip() for name in transforms.split(",") if name.strip())
    if unknown := [name for name in chosen if name not in DIFF_AUGMENT]:
        raise ValueError(
            f"diffaugment has no transform {unknown[0]!r}: it has {', '.join(DIFF_AUGMENT)}"
        )
    if not chosen:
        raise ValueError(f"no transforms given, got {transforms!r}: give some, or augment none")
    return chosen
