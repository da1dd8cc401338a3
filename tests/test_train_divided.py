"""Work is divided: what a device does of a compiled step, for each kind of game.

The step is compiled for 1 and for 8 simulated devices and read. Every device has its eighth of the
batch, and does all of what concerns parameters alone (optimisers, spectral norm, moving averages).
The latter is measured: of a step that is linear in its examples, r + b n operations, it is r.
"""

import re
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gan_forensics.anomaly.aae import AAEConfig, aae_learner
from gan_forensics.anomaly.plain_gan import GANConfig, gan_learner
from gan_forensics.distill.classifier_build import learner_of
from gan_forensics.distill.classifier_config import ClassifierConfig
from gan_forensics.distill.classify import Classifier
from gan_forensics.distill.translator import TranslatorConfig, translator_learner
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attribution_networks import NETWORKS
from gan_forensics.forensics.attribution_training import attributor_learner, images_mixed
from gan_forensics.forensics.neural import make_network
from gan_forensics.forensics.neural_config import DetectorConfig
from gan_forensics.forensics.neural_training import detector_update, initial_variables
from gan_forensics.gans import (
    LOSSES,
    METHODS,
    Game,
    Gan,
    GanConfig,
    Recipe,
    StarGanConfig,
    adversarial,
    build,
    build_stargan,
    spectral_task,
)
from gan_forensics.gans.autogan import SimulatorConfig, simulator_learner
from gan_forensics.gans.offered import abstract_batch
from gan_forensics.gans.self_supervised_methods import SUPERVISED
from gan_forensics.runtime import data_mesh
from gan_forensics.train import Learner
from gan_forensics.train.cost import lowered_step

DEVICES = 8
# A number that no map, layer or vocabulary has, so that axes of the whole batch are told by it.
BATCH = 8 * 13


def floats(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def integers(*shape):
    return jax.ShapeDtypeStruct(shape, jnp.int32)


def gan(method, **options):
    config = GanConfig(method, batch_size=BATCH, **options)
    made = build(config)
    return made.learner, abstract_batch(made.game, made.config.shape, BATCH)


def spectral():
    made, loss = build(GanConfig("dcgan", batch_size=BATCH, **STRIDED)), LOSSES["non_saturating"]
    tasks = adversarial(loss), spectral_task(loss, weight=1.0, mode="differentiable")
    game = Game(*made.game.networks.values(), tasks, Recipe(1e-4).players())
    return Gan(made.config, game).learner, abstract_batch(game, made.config.shape, BATCH)


STRIDED = dict(architecture="dcgan", size=16, width=4)
RESIDUAL = dict(architecture="resgan", size=32, generator_width=4, discriminator_width=6)
WIDER = {**RESIDUAL, "generator_width": 12, "discriminator_width": 12}
DIST = dict(architecture="dcgan", size=32, width=4, decay_steps=100)
POINTS = dict(architecture="perceptron", dimensions=2, point_scale=4.0)
LABELLED = dict(classes=10)


def detector(arch, *, side=32, **options):
    config = DetectorConfig(arch, side=side if arch == "dct_cnn" else None, **options)

    def init(_):
        params, stats = initial_variables(config)
        return {"detector": params}, {"detector": stats}

    update = detector_update(make_network(arch, config.settings))
    batch = {"image": floats(BATCH, side, side, 3), "label": integers(BATCH)}
    return Learner("detector", {}, (update,), init), batch


def attributor(method, *, side=32, **options):
    config = AttributionConfig(method, **options)
    images, plane = images_mixed(config), np.ones((side, side, 3), np.float32)
    inputs = {"mean": plane, "std": plane} if method == "dct-cnn" else {}
    batch = {
        "image": floats(BATCH * images, side, side, 3),
        "label": integers(BATCH, images),
        "weight": floats(BATCH, images),
    }
    return attributor_learner(config, 4, real=0, side=side, inputs=inputs, epoch=10), batch


def classifier(arch, *, teacher=None, **options):
    config = ClassifierConfig(
        arch=arch, classes=4, size=32, channels=3, decay_every=10, warm_up=0, **options
    )
    batch = {
        "image": floats(BATCH, 32, 32, 3), "label": integers(BATCH), "alpha": floats(BATCH)
    }  # fmt: skip
    if teacher:
        batch |= {"temperature": floats(BATCH), "soft_weight": floats(BATCH)}
    return learner_of(config, 10, teacher and Classifier(teacher, 4, {}, 8)), batch


def translator(*, taught):
    config = TranslatorConfig(layers=1, width=32, feed_forward=64)
    batch = {"source": integers(BATCH, 16), "target": integers(BATCH, 16), "alpha": floats(BATCH)}
    if taught:
        batch |= {"top_index": integers(BATCH, 16, 4), "top_logit": floats(BATCH, 16, 4)}
        batch |= {"temperature": floats(BATCH), "soft_weight": floats(BATCH)}
    return translator_learner(config, 64), batch


def simulator():
    config = SimulatorConfig(steps=10, width=8, blocks=1, layers=2)
    return simulator_learner(config, (32, 32, 3)), {"image": floats(BATCH, 32, 32, 3)}


def stargan():
    config = StarGanConfig(size=32, attributes=("a", "b"), width=6, blocks=1, channels=3)
    batch = {"image": floats(BATCH, 32, 32, 3)}
    batch |= {name: floats(BATCH, 2) for name in ("attributes", "targets")}
    return build_stargan(config).learner, batch


def autoencoder(**options):
    config = AAEConfig(8, hidden=(64, 64), **options)
    batch = {"x": floats(BATCH, 8), "prior": floats(BATCH, 2)}
    more = {"half": integers(BATCH)} if config.joined else {"label": integers(BATCH)}
    return aae_learner(config), {**batch, **more}


def plain_gan():
    config = GANConfig(8)
    return gan_learner(config), {"x": floats(BATCH, 8), "noise": floats(BATCH, 2, config.latent)}


KINDS = {
    # Every method, each in one architecture.
    "dcgan": lambda: gan("dcgan", **STRIDED),
    "lsgan": lambda: gan("lsgan", **STRIDED),
    "wgan-gp": lambda: gan("wgan-gp", **STRIDED),
    "sngan": lambda: gan("sngan", **RESIDUAL),
    "ssgan": lambda: gan("ssgan", **RESIDUAL),
    "sagan": lambda: gan("sagan", **WIDER, **LABELLED),
    "cgan-pd": lambda: gan("cgan-pd", **RESIDUAL, **LABELLED),
    "infomax-gan": lambda: gan("infomax-gan", **RESIDUAL),
    "dist-gan": lambda: gan("dist-gan", **DIST),
    "gn-gan": lambda: gan("gn-gan", **DIST),
    "rgan": lambda: gan("rgan", **POINTS),
    "mdgan": lambda: gan("mdgan", **POINTS),
    "r3gan": lambda: gan("r3gan", **STRIDED),
    "ms-dist-gan": lambda: gan("ms-dist-gan", **DIST),
    **{
        name: lambda name=name: gan(name, base="dcgan", **STRIDED)
        for name in SUPERVISED
        if name != "ssgan"
    },
    "dcgan of points": lambda: gan("dcgan", **POINTS),
    # Augmentations.
    **{
        f"dcgan, {name}": lambda name=name: gan("dcgan", augment=name, **STRIDED)
        for name in ("classical", "diffaugment", "ada", "cr", "bcr", "dag")
    },
    "wgan-gp, dag": lambda: gan("wgan-gp", augment="dag", **STRIDED),
    "dcgan, spectral loss": spectral,
    # One network alone.
    "detector resnet_small": lambda: detector("resnet_small", width=8),
    "detector npr": lambda: detector("npr", width=8),
    "detector autogan": lambda: detector("autogan", width=8),
    "detector dct_cnn": lambda: detector("dct_cnn"),
    "detector places": lambda: detector("places", width=8),
    "detector efficientnet_b0": lambda: detector("efficientnet_b0"),
    "repmix": lambda: attributor("repmix", arch="resnet_small", width=8),
    "resnet": lambda: attributor("resnet", arch="resnet_small", width=8),
    "yu": lambda: attributor("yu", width=8),
    "dct-cnn": lambda: attributor("dct-cnn"),
    "reverse-engineering": lambda: attributor("reverse-engineering", width=8),
    "classifier": lambda: classifier("small_cnn", width=8),
    "student": lambda: classifier("small_cnn", width=8, teacher="small_cnn"),
    "classifier mobilenet_v2": lambda: classifier("mobilenet_v2"),
    "translator": lambda: translator(taught=False),
    "translator by word": lambda: translator(taught=True),
    # Games of other areas.
    "simulator": simulator,
    "stargan": stargan,
    "autoencoder": autoencoder,
    "autoencoder with labels": lambda: autoencoder(joined=False, labelled=True),
    "gan of tables": plain_gan,
}


# Kinds whose losses compare examples with those of other devices, and what every device is given
# of the whole batch for it. Their work is divided like that of all others.
GATHERED = {
    "infomax-gan": "log-sums of the scores of places, which are its negatives",
    "gn-gan": "codes and features, all pairs of which are compared",
    "ss-adversarial": "images: turned ones are drawn from all without replacement",
    "ms-dist-gan": "images: turned ones are drawn from all without replacement",
    "autoencoder": "a loss of every row: half of them are drawn from all",
}
# XLA makes dense kernels of the gradients of depthwise ones, 960 x 960 x 3 x 3 numbers whatever the
# batch: scratch memory falls, by less.
DEPTHWISE = ("classifier mobilenet_v2", "detector efficientnet_b0")
# In the ordinary suite.
QUICK = ("dcgan of points", "autoencoder")


class Work(NamedTuple):
    """What a device does of a step, and what is on it."""

    flops: float
    scratch: int
    gathered: list[str]
    whole: list[str]


_MADE = re.compile(r"= \(?(\w+)\[([\d,]*)\]\S* ([a-z][\w-]*)\(")


def work(learner, batch, devices):
    compiled = lowered_step(learner, batch, data_mesh(jax.devices()[:devices])).compile()
    made = [
        (kind, f"{kind} {numbers}[{shape}]", shape.split(","))
        for numbers, shape, kind in _MADE.findall(compiled.as_text())
    ]
    return Work(
        compiled.cost_analysis()["flops"],
        compiled.memory_analysis().temp_size_in_bytes,
        [said for kind, said, _ in made if kind.startswith("all-gather")],
        [said for _, said, shape in made if str(BATCH) in shape],
    )


def resized(batch, factor):
    return {k: jax.ShapeDtypeStruct((x.shape[0] // factor, *x.shape[1:]), x.dtype)
            for k, x in batch.items()}  # fmt: skip


def flops_of_parameters(learner, batch):
    """r of r + b n, from the step as it is lowered for the batch and for an eighth of it."""
    one = data_mesh(jax.devices()[:1])
    whole, part = (
        lowered_step(learner, some, one).cost_analysis()["flops"]
        for some in (batch, resized(batch, DEVICES))
    )
    # Pairs of examples make it negative: of those nothing is taken off.
    return max((DEVICES * part - whole) / (DEVICES - 1), 0.0)


def test_every_method_of_gans_and_every_network_that_attributes_is_a_kind():
    assert METHODS.keys() <= KINDS.keys()
    assert NETWORKS.keys() <= KINDS.keys()


@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_the_work_of_a_step_is_divided(kind):
    learner, batch = KINDS[kind]()
    one, many = (work(learner, batch, devices) for devices in (1, DEVICES))
    rest = flops_of_parameters(learner, batch)
    share = DEVICES * (many.flops - rest) / (one.flops - rest)
    print(
        f"{kind}: {one.flops / 1e6:.4g} MFLOP on one device, {rest / one.flops:.2%} of them of "
        f"parameters; {share:.3f} of an eighth of the others on each of {DEVICES}; scratch memory "
        f"{one.scratch / 2**20:.4g} -> {many.scratch / 2**20:.4g} MiB; gathered: {many.gathered}"
    )
    assert share <= 1.1
    # Gradients are whole on every device, its own and their sum.
    params = jax.tree.leaves(jax.eval_shape(lambda: learner.start(0)).params)
    gradients = 2 * sum(x.size * x.dtype.itemsize for x in params)
    assert many.scratch < one.scratch
    if kind not in (*GATHERED, *DEPTHWISE):
        assert many.scratch <= 1.1 / DEVICES * one.scratch + gradients
    assert kind in GATHERED or not many.whole
    # Parameters never are gathered; of the batch what is named.
    assert bool(many.gathered) == (kind in GATHERED)
    for said in many.gathered:
        assert any(int(n) % BATCH == 0 for n in re.findall(r"\d+", said.partition("[")[2])), said
