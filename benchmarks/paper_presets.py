"""What the `paper` presets train, and what that costs, from shapes alone: nothing is run.

    python -m benchmarks.paper_presets [EXPERIMENT ...]

Prints a Markdown table with a row for each network and game that a preset trains. Operations are
those of the mathematics, counted on the trace of the step (`gan_forensics.train.cost`). Memory is
that of one of 8 devices: all parameters and optimisers, gradients twice (a device's own, and their
sum), and an eighth of the batch and of what is computed from it; about an upper bound, like the
count that it is made of. Hours are those of
one accelerator that does `RATE` operations a second, which is what one step was measured at: small
networks do far fewer, and take longer.

Networks that judge or measure (small classifiers, Inception) are not trained by the presets'
recipes and are left out.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gan_forensics.train import Learner
from gan_forensics.train.cost import StepCost, step_cost

DEVICES = 8
# Operations a second, counted as here: an SNGAN-32 of published widths makes 2.05e12 a step, which
# took 25 ms on one H100 in float32 with TF32 products.
RATE = 2.05e12 / 25e-3
# Training images.
CELEBA, IMAGENET, CUB = 162_770, 1_281_167, 5994
# Presets that train no network.
WITHOUT_TRAINING = {
    "face_tracking": "fits the pose of a wireframe by Gaussians; no network",
    "transferable_features": "explains published weights on whole images; trains nothing",
}

Batch = Mapping[str, jax.ShapeDtypeStruct]


class Job(NamedTuple):
    """One network or game that a preset trains.

    Attributes:
        experiment: its module.
        name: within it.
        make: -> the learner, and the shapes of a minibatch.
        steps: of a training; None where they follow from data that are not known here.
        trainings: of this cost, over arms, seeds and data.
    """

    experiment: str
    name: str
    make: Callable[[], tuple[Learner, Batch]]
    steps: int | None
    trainings: int


def jobs() -> list[Job]:
    """The jobs of all presets."""
    return [job for experiment in EXPERIMENTS.values() for job in experiment()]


def resized(batch: Batch, examples: int) -> Batch:
    """The shapes of a minibatch of so many examples; a mixture of images is one."""
    whole = min(x.shape[0] for x in batch.values())
    return {
        name: jax.ShapeDtypeStruct((x.shape[0] * examples // whole, *x.shape[1:]), x.dtype)
        for name, x in batch.items()
    }


def on_one_device(cost: StepCost) -> int:
    """Bytes on one of the devices, from above: with gradients of its own and their sum."""
    divided = sum(cost.memory[name] for name in ("batch", "activations", "working"))
    return cost.total - divided + math.ceil(divided / DEVICES) + cost.memory["gradients"]


def _floats(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def _integers(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def _gan(made: Any) -> tuple[Learner, Batch]:
    """The learner of a GAN or its config."""
    from gan_forensics.gans import GanConfig, build
    from gan_forensics.gans.offered import abstract_batch

    if isinstance(made, GanConfig):
        made = build(made)
    points = made.config.dimensions or 2
    shape = made.config.shape if made.game.data == "image" else (points,)
    return made.learner, abstract_batch(made.game, shape, made.config.batch_size)


def _dag() -> Iterator[Job]:
    from gan_forensics.experiments import dag, dag_plane, dag_published

    preset = dag.PRESETS["paper"][1]
    plane, published = preset.leak2d, preset.published
    for arm in plane.arms:

        def points(arm: str = arm):
            return _gan(dag_plane.plane_gan(arm, batch_size=plane.batch_size))

        yield Job("dag", f"points, {arm}", points, plane.steps, len(plane.seeds))
    for policy in published.policies:

        def images(policy: str = policy):
            return _gan(dag_published.policy_config(policy, data="tfds:cifar10"))

        trainings = len(published.fractions) * len(published.seeds)
        yield Job("dag", f"SNGAN 32x32, {policy}", images, published.steps, trainings)


def _doping() -> Iterator[Job]:
    from gan_forensics.anomaly.aae import AAEConfig, aae_learner
    from gan_forensics.experiments import doping

    preset = doping.PRESETS["paper"][1]
    toys, compare = preset.toys, preset.compare

    def toy():
        config = AAEConfig(2, hidden=toys.hidden, output="linear", start=toys.start, joined=False)
        return aae_learner(config), {"x": _floats(100, 2), "prior": _floats(100, 2)}

    def table():
        config = AAEConfig(
            21, compare.latent, compare.hidden, batch=compare.batch, joined=compare.joined
        )
        batch = {"x": _floats(compare.batch, 21), "prior": _floats(compare.batch, compare.latent)}
        return aae_learner(config), {**batch, "half": _integers(compare.batch)}

    trainings = len(toys.worlds) * len(toys.variants) * len(toys.seeds)
    yield Job("doping", "autoencoder of toy worlds", toy, toys.steps, trainings)
    tables = len(preset.odds_tables) + len(preset.tables)
    yield Job(
        "doping", "autoencoder of 21 columns", table, None, tables * len(compare.seeds)
    )  # fmt: skip


def _fourier() -> Iterator[Job]:
    from gan_forensics.experiments import fourier_discrepancies, plateau_schedule
    from gan_forensics.studies.bypass import gan_configs

    study = fourier_discrepancies.PRESETS["paper"][1].study
    firsts = {config.method: config for config in reversed(gan_configs(study).values())}
    for method in study.methods:

        def images(method: str = method):
            return _gan(firsts[method])

        steps = plateau_schedule.EPOCHS[method] * (CELEBA // study.batch_size)
        trainings = len(study.tails) * len(study.seeds)
        yield Job("fourier_discrepancies", f"{method} 128x128", images, steps, trainings)


def _gn_gan() -> Iterator[Job]:
    from gan_forensics.experiments import gn_gan, gn_gan_arms
    from gan_forensics.gans import GanConfig

    preset = gn_gan.PRESETS["paper"][1]
    plane, stacks = preset.grid25, preset.stacked
    on_plane = GanConfig(
        "dist-gan",
        data="toy:grid25",
        width=plane.width,
        n_dis=plane.n_dis,
        batch_size=plane.batch_size,
    )
    on_stacks = GanConfig(
        "dist-gan",
        data=f"stacked:{stacks.digits}",
        size=28,
        architecture="stacked",
        batch_size=stacks.batch_size,
    )
    for title, config, part in (("points", on_plane, plane), ("stacks 28x28", on_stacks, stacks)):
        for group in part.groups:
            _, arms = gn_gan_arms.groups(config)[group]

            def game(config: Any = config, group: str = group):
                return _gan(gn_gan_arms.groups(config)[group].gan)

            arms = [name for name in arms if name not in gn_gan.ONLY_ON_GRID9]
            trainings = len(arms) * len(part.seeds)
            yield Job("gn_gan", f"{title}, {group}", game, part.steps, trainings)


def _infomax() -> Iterator[Job]:
    from gan_forensics.experiments import infomax_encoder, infomax_gan, infomax_published
    from gan_forensics.gans import LOSSES, infomax_loss
    from gan_forensics.gans.optimizers import adam

    preset = infomax_gan.PRESETS["paper"][1]
    parts = {"asked for diversity": preset.diversity, "that forgets": preset.forgetting}
    for name, part in parts.items():

        def encoder(part: Any = part):
            half = part.batch_size // 2

            def loss(seen):
                judged = LOSSES["hinge"].discriminator(seen.logits[:half], seen.logits[half:])
                return judged + infomax_loss(seen.p, seen.q)

            two = np.zeros((2, 32, 32, 3), np.float32)
            data = infomax_encoder.Labelled(two, np.zeros(2, np.int32))
            network = infomax_encoder.encoder(part.width, part.critics)
            learner = infomax_encoder.encoder_learner(network, loss, adam(2e-4), data)
            return learner, {"image": _floats(part.batch_size, 32, 32, 3)}

        # The classes of CIFAR-10 follow each other.
        steps = part.steps * (10 if part is preset.forgetting else 1)
        yield Job("infomax_gan", f"encoder {name}", encoder, steps, len(part.seeds))
    alike: dict[tuple[str, int, int, int], list[str]] = {}
    for name in preset.published.recipes:
        recipe = infomax_published.RECIPES[name]
        for method in preset.published.methods:
            alike.setdefault((method, recipe.size, recipe.n_dis, recipe.steps), []).append(name)
    for (method, size, n_dis, steps), names in alike.items():

        def images(method: str = method, name: str = names[0]):
            return _gan(infomax_published.recipe_config(name, method, 0))

        title = f"{method} {size}x{size}, n_dis {n_dis} ({', '.join(names)})"
        trainings = len(names) * len(preset.published.seeds)
        yield Job("infomax_gan", title, images, steps, trainings)


def _classifiers() -> Iterator[Job]:
    from gan_forensics.distill.classifier_build import learner_of
    from gan_forensics.distill.classify import Classifier
    from gan_forensics.experiments import label_smoothing_distillation
    from gan_forensics.experiments import label_smoothing_distillation_published as recipes

    preset = label_smoothing_distillation.PRESETS["paper"][1].published
    settings = replace(preset, weights=Path("weights"))
    for name in settings.recipes:
        images, classes = {"imagenet": (IMAGENET, 1000), "cub": (CUB, 200)}[name]
        epoch = images // settings.batch_size
        teacher = recipes.teacher_config(name, 0.0, settings, Path("runs"))
        students = [
            recipes.student_config(name, arch, settings) for arch in recipes.RECIPES[name].students
        ]
        for config, taught in [(teacher, False), *((student, True) for student in students)]:

            def network(config: Any = config, taught: bool = taught, classes: int = classes):
                filled = replace(
                    config, classes=classes, channels=3, decay_every=30, warm_up=config.warm_up or 0
                )
                beside = Classifier(recipes.TEACHER, classes, {}) if taught else None
                b, side = config.batch_size, recipes.SIZE
                told = ("alpha", "temperature", "soft_weight") if taught else ("alpha",)
                batch = {"image": _floats(b, side, side, 3), "label": _integers(b)}
                return learner_of(filled, 1, beside), batch | {n: _floats(b) for n in told}

            who = f"student {config.arch}" if taught else f"teacher {config.arch}"
            trainings = len(settings.alphas) * (len(settings.temperatures) if taught else 1)
            steps = (config.epochs or 0) * epoch
            title = f"{who} 224x224, {name}"
            yield Job("label_smoothing_distillation", title, network, steps, trainings)


def _repmix() -> Iterator[Job]:
    from gan_forensics.experiments import repmix
    from gan_forensics.forensics.attribution_networks import NETWORKS
    from gan_forensics.forensics.attribution_training import attributor_learner, images_mixed

    settings = repmix.PRESETS["paper"][1].attributors
    side = settings.size
    for arm in settings.arms:
        config = settings.config(arm, 0)
        if config.method not in NETWORKS:
            continue

        def network(config: Any = config):
            plane = np.ones((side, side, 3), np.float32)
            inputs = {"mean": plane, "std": plane} if config.method == "dct-cnn" else {}
            images = images_mixed(config)
            b = config.batch_size // images
            batch = {
                "image": _floats(b * images, side, side, 3),
                "label": _integers(b, images),
                "weight": _floats(b, images),
            }
            # Seven generators and photographs.
            return attributor_learner(
                config, 8, real=0, side=side, inputs=inputs, epoch=1
            ), batch  # fmt: skip

        yield Job("repmix", f"{arm} 224x224", network, None, len(settings.seeds))


def _self_supervised() -> Iterator[Job]:
    from gan_forensics.experiments import self_supervised_gan, self_supervised_published

    preset = self_supervised_gan.PRESETS["paper"][1]
    parts = {"8x8": preset.digits, "28x28, K/4": preset.stacked, "28x28, K/2": preset.stacked_k2}
    for title, part in parts.items():
        for arm in part.arms:

            def stacks(part: Any = part, arm: str = arm):
                return _gan(part.gan(arm))

            name = f"stacks {title}, {arm}"
            yield Job("self_supervised_gan", name, stacks, part.steps, len(part.seeds))
    alike: dict[tuple[Any, ...], list[tuple[str, str]]] = {}
    for name, arm in self_supervised_published.pairs():
        recipe = self_supervised_published.RECIPES[name]
        key = (arm, recipe.size, recipe.architecture, recipe.steps)
        alike.setdefault(key, []).append((name, arm))
    for (arm, size, architecture, steps), pairs in alike.items():

        def images(pair: tuple[str, str] = pairs[0]):
            return _gan(self_supervised_published.recipe_config(*pair))

        title = f"{arm} {size}x{size}, {architecture} ({', '.join(name for name, _ in pairs)})"
        trainings = len(pairs) * len(preset.published.seeds)
        yield Job("self_supervised_gan", title, images, steps, trainings)


def _stargan() -> Iterator[Job]:
    from gan_forensics.experiments import stargan
    from gan_forensics.gans import build_stargan

    preset = stargan.PRESETS["paper"][1]

    def game():
        config = replace(preset.gan, channels=3, decay_steps=preset.steps)
        b, labels = config.batch_size, len(config.attributes)
        batch = {"image": _floats(b, config.size, config.size, 3)}
        batch |= {name: _floats(b, labels) for name in ("attributes", "targets")}
        return build_stargan(config).learner, batch

    trainings = len(preset.upsamplings) * len(preset.seeds)
    yield Job("stargan", "StarGAN 128x128", game, preset.steps, trainings)


def _translation() -> Iterator[Job]:
    from gan_forensics.distill.translator import translator_learner
    from gan_forensics.experiments import translation_distillation, translation_distillation_arms

    grid = translation_distillation.PRESETS["paper"][1].grid
    long = 64
    b = grid.recipe.tokens // long
    students = list(translation_distillation_arms.arms(grid))
    by_word = sum(kind in ("word", "matched") for kind, *_ in students)

    def transformer(taught: bool):
        batch = {name: _integers(b, long) for name in ("source", "target")}
        told = ("alpha", "temperature", "soft_weight") if taught else ("alpha",)
        batch |= {name: _floats(b) for name in told}
        if taught:
            batch["top_index"] = _integers(b, long, grid.top_k)
            batch["top_logit"] = _floats(b, long, grid.top_k)
        return translator_learner(grid.recipe, grid.pieces), batch

    sources = len(grid.sources) * len(grid.seeds)
    others = len(students) - by_word + len(grid.alphas)
    kinds = {"Transformer": (False, others), "Transformer, by word": (True, by_word)}
    for name, (taught, count) in kinds.items():
        title = f"{name}, {b} sentences of {long} tokens"
        made = partial(transformer, taught)
        yield Job("translation_distillation", title, made, grid.steps, sources * count)


EXPERIMENTS: dict[str, Callable[[], Iterator[Job]]] = {
    "dag": _dag,
    "doping": _doping,
    "fourier_discrepancies": _fourier,
    "gn_gan": _gn_gan,
    "infomax_gan": _infomax,
    "label_smoothing_distillation": _classifiers,
    "repmix": _repmix,
    "self_supervised_gan": _self_supervised,
    "stargan": _stargan,
    "translation_distillation": _translation,
}


def row(job: Job) -> list[str]:
    """The cells of a job."""
    learner, batch = job.make()
    cost = step_cost(learner, batch)
    hours = None if job.steps is None else cost.flops * job.steps / RATE / 3600
    return [
        job.experiment,
        job.name,
        _figures(sum(cost.parameters.values()) / 1e6),
        str(min(x.shape[0] for x in batch.values())),
        _figures(cost.flops / 1e9, digits=4),
        _figures(on_one_device(cost) / 2**20),
        "by the data" if job.steps is None else f"{job.steps:,}",
        "" if hours is None else _hours(hours),
        str(job.trainings),
        "" if hours is None else _hours(hours * job.trainings),
    ]


def _figures(value: float, *, digits: int = 3) -> str:
    return f"{float(f'{value:.{digits}g}'):,}".removesuffix(".0")


def _hours(value: float) -> str:
    return "< 0.01" if value < 0.01 else _figures(value)


HEAD = [
    "experiment", "what", "parameters, M", "batch", "GFLOP a step", "MiB on each of 8", "steps",
    "hours", "trainings", "hours, all",
]  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT")
    asked = parser.parse_args().experiments
    if unknown := sorted(set(asked) - {*EXPERIMENTS, *WITHOUT_TRAINING}):
        parser.error(f"unknown {', '.join(unknown)}: choose from {', '.join(EXPERIMENTS)}")
    print(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    for job in jobs():
        if not asked or job.experiment in asked:
            print(f"| {' | '.join(row(job))} |", flush=True)
    for name, why in WITHOUT_TRAINING.items():
        print(f"| {name} | {why} |{' |' * (len(HEAD) - 2)}", flush=True)


if __name__ == "__main__":
    main()
