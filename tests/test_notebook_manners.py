"""What the last line of a cell shows of what we return: one line of words, or a picture."""

import io
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from PIL import Image

from gan_forensics.anomaly.aae import AAEConfig, Autoencoder
from gan_forensics.forensics import evaluate, evaluate_classes, fit_detector
from gan_forensics.forensics.attribution import Attributor
from gan_forensics.forensics.neural import NeuralDetector
from gan_forensics.gans import METHODS, GanConfig, Loss, Task, build
from gan_forensics.gans.game import adversarial
from gan_forensics.gans.losses import LOSSES
from gan_forensics.gans.task import term_name
from gan_forensics.quality import Score
from gan_forensics.report import bars_figure
from gan_forensics.report.plots import Bar
from gan_forensics.runtime.counts import in_short, networks_in_short, parameters
from gan_forensics.train import TrainState, Update


def test_counts_are_short_and_say_no_more_than_they_know():
    counts = (0, 9_999, 10_000, 123_456, 999_499, 999_500, 12_345_678, 1_234_567_890)
    said = ["0", "9,999", "10 k", "123 k", "999 k", "1 M", "12.3 M", "1,235 M"]
    assert [in_short(count) for count in counts] == said
    assert parameters({"a": np.zeros((3, 4)), "b": [jax.ShapeDtypeStruct((5,), float)]}) == 17
    assert networks_in_short({}) == "no parameters"


def _state(step, average=()):
    generator = {"kernel": jnp.zeros((300, 100)), "bias": jnp.zeros(7)}
    params = {"discriminator": {"kernel": jnp.zeros((3, 4))}, "generator": generator}
    return TrainState(step, params, {}, {}, {name: params[name] for name in average})


def test_a_state_says_its_step_and_counts():
    assert repr(_state(jnp.asarray(200))) == (
        "TrainState(step=200, discriminator 12, generator 30 k parameters)"
    )
    assert repr(_state(3, ["generator"])).endswith("30 k parameters; average of generator)")


def test_a_state_without_numbers_has_a_line_too():
    said = []
    state = _state(jnp.asarray(0))
    jax.jit(lambda state: said.append(repr(state)))(state)
    said.append(repr(jax.eval_shape(lambda: state)))
    given = _state(jnp.asarray(0))
    given.step.delete()
    said.append(repr(given))
    assert said == ["TrainState(step=?, discriminator 12, generator 30 k parameters)"] * 3
    assert "step=[5 seeds]" in repr(_state(jnp.zeros(5, int)))
    assert "generator ?" in repr(jax.tree.map(lambda leaf: "sharding", state))


def test_an_update_says_what_it_moves():
    update = Update("critic", ("critic", "head"), lambda *x: x, optax.sgd(1.0), repeats=5)
    assert repr(update) == "Update('critic', trains critic, head, 5 moves a step)"
    assert repr(update._replace(repeats=1)) == "Update('critic', trains critic, head)"


def feature_matching(context):
    return Loss(jnp.zeros(()))


def test_a_task_says_its_terms_by_their_functions():
    def weighed(weight):
        return lambda context: Loss(weight)

    task = Task(generator=(feature_matching, weighed(3), partial(feature_matching)))
    assert repr(task) == "Task(generator: feature_matching, weighed, feature_matching)"
    hinge = adversarial(LOSSES["hinge"])
    assert repr(hinge) == "Task(discriminator: adversarial; generator: adversarial)"
    others = Task(others={"encoder": (feature_matching,)}, networks={"head": None})  # pyright: ignore
    assert repr(others) == "Task(encoder: feature_matching; brings head)"
    assert term_name(np.float32(3)) == "float32"  # pyright: ignore


def test_a_gan_says_its_method_size_and_counts():
    gan = build(GanConfig("dcgan", size=16, width=4, latent=8))
    params, _ = jax.eval_shape(lambda: gan.learner.init(0))
    counts = [f"{n} {parameters(params[n]):,}" for n in ("generator", "discriminator")]
    assert repr(gan) == f"Gan(dcgan of 16x16x3, {', '.join(counts)} parameters)"
    assert repr(gan.learner) == "Learner('gan', updates generator, discriminator)"
    points = build(GanConfig("dcgan", "toy:grid25", architecture="perceptron"))
    assert repr(points).startswith("Gan(dcgan of points of 2 numbers, generator ")


def test_rows_of_the_table_of_methods_are_lines():
    said = repr(METHODS["sngan"]["resgan"])
    assert said.startswith(
        "Method(Miyato et al., ICLR 2018; learning rate 0.0002; betas (0.0, 0.9)"
    )
    assert "; 5 discriminator moves a step)" in said
    lines = [repr(row) for rows in METHODS.values() for row in rows.values()]
    assert all("\n" not in line and "0x" not in line and len(line) < 160 for line in lines)


def test_detectors_say_what_their_threshold_rests_on(rng):
    real, fake = (rng.integers(0, top, (100, 8, 8, 3), np.uint8) for top in (200, 256))
    detector = fit_detector(real, fake, features="durall", classifier="logistic", calibration=0.2)
    said = repr(detector)
    assert said.startswith(
        "SpectralDetector(durall-logistic, images 8x8 with 3 channels, threshold"
    )
    assert (
        "for at most 0.2 false alarms; measured: " in said and "% of 20 real images called" in said
    )
    assert repr(detector.model) == "Classifier(kind='linear')"
    neural = NeuralDetector("npr", {"params": {"kernel": np.zeros((10, 3))}})
    assert repr(neural) == "NeuralDetector(npr, 30 parameters, threshold 0 unseen)"


class Model:
    arrays = {"kernel": np.zeros((300, 100))}


def test_an_attributor_says_its_sources():
    attributor = Attributor(
        ("photos", "a\x1b[2J"), "photos", "repmix", Model(), (64, 32, 3), *[None] * 7  # pyright: ignore
    )  # fmt: skip
    assert repr(attributor) == (
        r"Attributor(repmix, 2 sources: photos, a\x1b[2J; 'photos' is real, images 64x32, "
        "30 k parameters)"
    )


def test_results_say_their_counts_beside_their_numbers():
    score = Score("kid", 0.12345678, 0.01, {"real": 50, "fake": 40}, "random", warning="few")
    assert repr(score) == "Score(kid: 0.12346 ± 0.01; 50 real, 40 fake, see its warning)"
    found = evaluate([0.1, 0.4, 0.2], [0.9, 0.3, 0.8], threshold=0.5)
    assert repr(found) == (
        "DetectionResult(3 real, 3 generated, AUC 0.8889, average precision 0.9167; "
        "fixed: real 1, generated 0.667 called rightly)"
    )
    classes = evaluate_classes(np.eye(2), [0, 1], names=("a", "b"), real="a")
    assert repr(classes) == (
        "ClassesResult(2 images of 2 sources, 'a' is real, attribution accuracy 1, "
        "detection accuracy 1)"
    )


def test_weights_are_left_out_of_lines():
    made = Autoencoder(AAEConfig(features=3), {"encoder": np.zeros(1000)})
    assert repr(made).startswith("Autoencoder(config=AAEConfig(") and "array" not in repr(made)


def test_a_figure_shows_itself_as_a_picture_of_its_size():
    figure = bars_figure([Bar("a $b", 1.0), Bar("b", 2.0)])
    with Image.open(io.BytesIO(figure._repr_png_())) as picture:
        assert picture.format == "PNG"
        assert picture.size == tuple((figure.get_size_inches() * figure.dpi).astype(int))


@pytest.mark.parametrize("folder", ["gan_forensics", "experiments"])
def test_all_figures_are_made_of_the_one_that_shows_itself(folder, request):
    made = {
        path.name
        for path in (request.config.rootpath / folder).rglob("*.py")
        if "matplotlib.figure" in path.read_text(encoding="utf-8")
    }
    assert made <= {"figures.py", "blocks.py", "html.py"}
