"""All doors that images enter by: the usual mistakes, each named in one line at every one of them.

A door is an exported function or method with a parameter of images. `DOORS` holds a call of each,
`EXEMPT` those whose parameter is something else, with the reason.
"""

import importlib
import inspect
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gan_forensics import data, distill, explain, forensics, gans, quality, report, spectra
from gan_forensics.forensics import explanations, place_logits
from gan_forensics.forensics.decisions import Classifier
from gan_forensics.forensics.fitting import _UNFITTED
from gan_forensics.forensics.neural_parts import OnDemand
from gan_forensics.forensics.photograph_relevance import look
from gan_forensics.forensics.spectrum_bands import tiles_of
from gan_forensics.gans.autogan import Simulator
from gan_forensics.studies import transferable

AREAS = ("spectra", "quality", "forensics", "explain", "distill", "gans", "data", "report")
LEVELS = np.random.default_rng(0).integers(0, 256, (5, 8, 9, 3), np.uint8)
LEVELS[0, 0, 0], LEVELS[0, 0, 1] = 0, 255
FEWER = LEVELS[..., :4, :]

# What each mistake does to images, and a word of the line that names it.
BATCH: dict[str, tuple[Any, str]] = {
    "NCHW": (lambda x: x.transpose(0, 3, 1, 2), r"channels come first \(NCHW\)"),
    "no batch axis": (lambda x: x[0], r"axis of images is missing: x\[None\]"),
    "no channel axis": (lambda x: x[..., 0], r"axis of channels is missing: x\[\.\.\., None\]"),
    "[0, 1]": (lambda x: x / 255, r"float64.*range=\(0, 1\)"),
    "int64": (lambda x: x.astype(np.int64), "int64"),
}
ONE: dict[str, tuple[Any, str]] = {
    "CHW": (lambda x: x[0].transpose(2, 0, 1), "channels come first"),
    "a batch": (lambda x: x, "4 axes|range="),
    "no channel axis": (lambda x: x[0, ..., 0], "axis of channels is missing"),
    "[0, 1]": (lambda x: x[0] / 255, r"float64.*range=\(0, 1\)"),
    "int64": (lambda x: x[0].astype(np.int64), "int64"),
}
FLOATS = BATCH | {"[0, 1]": (lambda x: x, "uint8")}

detector = forensics.SpectralDetector(
    "durall",
    "knn",
    (8, 9, 3),
    _UNFITTED,
    0.0,
    None,  # pyright: ignore[reportArgumentType]
)
estimator = forensics.DetectorClassifier()
estimator.detector_ = detector
neural = forensics.NeuralDetector("resnet_small", {})
attributor = forensics.Attributor(*[None] * 4, (8, 9, 3), *[None] * 7)  # pyright: ignore
classifier = distill.Classifier("small_cnn", 2, {})
extractor = quality.as_extractor(lambda images: images.mean((1, 2)))
preprocessing = forensics.Preprocessing(size=4)
identity, rng = lambda x, key: x, np.random.default_rng(0)
nothing: Any = SimpleNamespace()
image_gan = gans.build(gans.GanConfig(size=16, width=2, latent=4))


def curve(images):
    return spectra.mean_curves({"a": images})


# Doors of images [n, h, w, c], uint8.
MANY = {
    "data.image_grid": data.image_grid,
    "data.as_images": data.as_images,
    "data.as_source": data.as_source,
    "data.ArraySource.__init__": lambda x: data.ArraySource(image=x),
    "spectra.autogan_spectrum": spectra.autogan_spectrum,
    "spectra.mean_curves": curve,
    "report.spectra_figure": lambda x: report.spectra_figure({"a": x}),
    "quality.extract": lambda x: quality.extract(extractor, x),
    "quality.FeatureExtractor.__call__": extractor,
    "quality.evaluate_images": lambda x: quality.evaluate_images(LEVELS, x, extractor),
    "quality.evaluate_images, real": lambda x: quality.evaluate_images(x, LEVELS, extractor),
    "quality.Judge.__call__": quality.Judge(extractor, np.zeros(1, int), np.zeros(1, int)),
    "quality.leak_meter": lambda x: quality.leak_meter("a", [identity] * 2, x, LEVELS),
    "quality.measure_leak": lambda x: quality.measure_leak("a", [identity], x, LEVELS, LEVELS),
    "quality.rotation_ambiguity": quality.rotation_ambiguity,
    "quality.transform_classifier": lambda x: quality.transform_classifier(x, [identity] * 2),
    "quality.small_classifier_features": quality.small_classifier_features,
    "forensics.fit_detector": lambda x: forensics.fit_detector(LEVELS, x),
    "forensics.SpectralDetector.score": detector.score,
    "forensics.score_new": lambda x: forensics.score_new(detector, {"photographs": x}),
    "forensics.NeuralDetector.score": neural.score,
    "forensics.DetectorClassifier.fit": lambda x: estimator.fit(x, [0, 1, 0, 1, 0][: len(x)]),
    "forensics.DetectorClassifier.decision_function": estimator.decision_function,
    "forensics.DetectorClassifier.predict": estimator.predict,
    "forensics.Attributor.outputs": attributor.outputs,
    "distill.Classifier.logits": classifier.logits,
    "distill.Classifier.features": classifier.features,
    "gans.fit": lambda x: gans.fit(image_gan, x, steps=1),
    "gans.translate": lambda x: gans.translate(nothing, nothing, x, np.zeros((5, 2))),
    "explain.Relevance.figure": explain.Relevance(*[None] * 4).figure,  # pyright: ignore
    # Not exported by their areas, and called by name in scripts.
    "forensics.explanations.explain": lambda x: explanations.explain(neural, x),
    "forensics.explanations.patches": lambda x: explanations.patches(neural, x, []),
    "forensics.explanations.channel_maxima": lambda x: explanations.channel_maxima(neural, x, []),
    "forensics.place_logits.place_logits": lambda x: place_logits.place_logits(neural, x),
    "gans.autogan.Simulator": Simulator(nothing, 3, nothing),
    "studies.rank_features": lambda x: transferable.rank_features(neural, x),
}
# Doors of one image [h, w, c], uint8.
SINGLE = {
    "data.center_crop": lambda x: data.center_crop(x, 4),
    "data.resize": lambda x: data.resize(x, 4),
    "data.square": lambda x: data.square(x, size=4),
    "data.resize_shorter": lambda x: data.resize_shorter(x, 4),
    "data.blur": lambda x: data.blur(x, 1.0),
    "data.jpeg": lambda x: data.jpeg(x, 90),
    "data.Augmentation.__call__": lambda x: data.Augmentation()(x, rng),
    "forensics.Preprocessing.__call__": preprocessing,
    "forensics.Attributor.prepared": attributor.prepared,
    "distill.Classifier.fitted": classifier.fitted,
    "spectra.dct_picture": spectra.dct_picture,
    "forensics.spectrum_bands.tiles_of": lambda x: tiles_of(x, 4),
    "forensics.photograph_relevance.look": lambda x: look(neural, x),
}
# Doors that gray images [n, h, w] or [h, w] enter by as well.
GRAY = {
    "spectra.dct_features": spectra.dct_features,
    "spectra.log_dct": spectra.log_dct,
    "spectra.pixel_features": spectra.pixel_features,
    "spectra.dzanic_features": spectra.dzanic_features,
    "spectra.unmasking_features": lambda x: spectra.unmasking_features(x, 4),
    "spectra.log_spectrum_curve": spectra.log_spectrum_curve,
}
GRAY_SINGLE = {"data.save_png": lambda x: data.save_png("never.png", x)}
# Doors of floats.
network = (nothing, nothing)
OF_FLOATS = {
    "explain.relevance": lambda x: explain.relevance(*network, x),
    "explain.unit_relevance": lambda x: explain.unit_relevance(*network, x, layer="a", channel=0),
    "explain.guided_grad_cam": lambda x: explain.guided_grad_cam(*network, x, layer="a"),
    "explain.masked_logits": lambda x: explain.masked_logits(*network, x, {}),
    "explain.max_activations": lambda x: explain.max_activations(*network, x),
    "explain.feature_relevance": lambda x: explain.feature_relevance(*network, [x]),
    "explain.find_layers": lambda x: explain.find_layers(*network, x),
    "explain.faithfulness": lambda x: explain.faithfulness(*network, x, range=(-1, 1)),
}


def without(mistakes, *names):
    return {name: mistake for name, mistake in mistakes.items() if name not in names}


CASES = [
    *((name, call, BATCH) for name, call in MANY.items()),
    *((name, call, ONE) for name, call in SINGLE.items()),
    *((name, call, without(BATCH, "no channel axis")) for name, call in GRAY.items()),
    *((name, call, without(ONE, "no channel axis")) for name, call in GRAY_SINGLE.items()),
    *((name, call, FLOATS) for name, call in OF_FLOATS.items()),
    ("data.to_uint8", data.to_uint8, without(BATCH, "NCHW", "no batch axis", "no channel axis")),
    ("data.to_float", data.to_float, {"[0, 1]": BATCH["[0, 1]"], "int64": BATCH["int64"]}),
    ("data.grayscale", data.grayscale, without(ONE, "a batch")),
    ("quality.quantise", lambda x: quality.quantise(x if x.dtype == float else x / 127.5 - 1),
     without(BATCH, "int64")),
    ("spectra.gray_levels", spectra.gray_levels,
     without(BATCH, "no batch axis", "no channel axis")
     | {"no channel axis": (lambda x: x[..., 0], "three channels")}),
    ("spectra.to_gray", spectra.to_gray, without(BATCH, "no channel axis", "[0, 1]")),
    ("spectra.spectral_loss",
     lambda x: spectra.spectral_loss(x, x, mode="differentiable"),
     without(BATCH, "no channel axis")),
    ("spectra.spectral_loss, uint8",
     lambda x: spectra.spectral_loss(x, x, mode="differentiable"), {"uint8": FLOATS["[0, 1]"]}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "call", "mistakes"), CASES, ids=[case[0] for case in CASES])
def test_every_mistake_is_named_in_one_line_at_every_door(name, call, mistakes):
    for mistake, (make, words) in mistakes.items():
        with pytest.raises(ValueError, match=words) as error:
            call(make(LEVELS))
        assert "\n" not in str(error.value), (name, mistake)


# Parameters that look like images and are something else.
EXEMPT = {
    "maps of any kind": {
        "spectra.dct2", "spectra.radial_mean", "explain.heat_map", "explain.bounding_box",
        "explain.Box.crop", "explain.channel_shares", "explain.FeatureRelevance.update",
    },
    "what runs inside of a compiled step, on images or points": {
        "gans.rotated", "gans.Context.augmented", "gans.Context.discriminate",
        "gans.Context.with_slopes", "gans.Context.by_pieces", "gans.Context.logits_at",
        "gans.gradient_penalty", "gans.neighbour_embedding", "gans.taylor_coefficients",
        "gans.taylor_gaps", "distill.inputs_of",
    },
    "features, scores, names or counts": {
        "quality.fid", "quality.kid", "quality.prdc", "quality.polynomial_mmd2",
        "quality.memorisation", "quality.point_scores", "quality.sliced_wasserstein",
        "quality.computable", "forensics.part", "forensics.evaluate_classes",
    },
    "batches that a source gave": {"quality.images_digest"},
    "a function of images": {"quality.as_extractor"},
    "what `outputs` has prepared": {
        "forensics.Attributor.was_fitted_on", "forensics.Model.outputs",
        "forensics.SpectralDetector.extract", "forensics.SpectralDetector.view",
        "forensics.SpectralDetector.middle", "forensics.NeuralDetector.view",
        "forensics.NeuralDetector.middle",
    },
}  # fmt: skip
NAMES = {"X", "image", "images", "samples", "fake", "fakes", "real", "real_train", "real_held_out"}


def axes_of(annotation):
    found = [getattr(annotation, "dim_str", "")]
    for each in getattr(annotation, "__args__", ()):
        found += axes_of(each)
    return found


def takes_images(function):
    return any(
        parameter.name in NAMES or any("h w" in axes for axes in axes_of(parameter.annotation))
        for parameter in inspect.signature(function).parameters.values()
    )


def exported():
    """Exported functions, and methods of exported classes but those that a dataclass is given."""
    for area in AREAS:
        for name, found in vars(importlib.import_module(f"gan_forensics.{area}")).items():
            if name.startswith("_") or not getattr(found, "__module__", "").startswith("gan_f"):
                continue
            if inspect.isfunction(found):
                yield f"{area}.{name}", found
            elif inspect.isclass(found):
                for method, of in vars(found).items():
                    if inspect.isfunction(of) and (method == "__call__" or method[0] != "_"):
                        yield f"{area}.{name}.{method}", of


def test_every_exported_door_is_in_the_table():
    doors = {name for name, of in exported() if takes_images(of)}
    known = {name.partition(",")[0] for name, *_ in CASES}
    exempt = set().union(*EXEMPT.values())
    assert sorted(doors - known - exempt) == []
    assert sorted(exempt - doors) == []


def test_what_is_right_goes_through_the_doors_of_pictures_and_files(tmp_path):
    for row, image in enumerate(LEVELS):
        data.save_png(tmp_path / "a" / f"{row}.png", image)
    folder = tmp_path / "a"
    files = sorted(folder.iterdir())
    for given in (str(folder), files, [Image.open(file) for file in files], jnp.asarray(LEVELS)):
        np.testing.assert_array_equal(spectra.dct_features(given), spectra.dct_features(LEVELS))
        np.testing.assert_array_equal(extractor(given), extractor(LEVELS))
        found = spectra.mean_curves({"a": given})["a"]
        np.testing.assert_array_equal(found.mean, curve(LEVELS)["a"].mean)
    for given in (Image.open(files[0]), files[0], jnp.asarray(LEVELS[0])):
        np.testing.assert_array_equal(data.resize(given, 4), data.resize(LEVELS[0], 4))


def test_a_detector_scores_pictures_files_and_folders_of_any_sizes_that_its_steps_make_one(
    tmp_path,
):
    rings = forensics.FEATURES["durall"](LEVELS[:, :, :8]).shape[1]
    weights = {"weights": np.arange(1.0, rings + 1), "intercept": np.zeros(())}
    model = Classifier("linear", np.zeros(rings), np.ones(rings), weights)
    of_any = replace(
        detector, image_shape=(8, 8, 3), model=model, preprocessing=forensics.Preprocessing(crop=8)
    )
    images = [LEVELS[0], LEVELS[1].repeat(2, 0), LEVELS[2, ..., :1], np.zeros((9, 9, 3), np.uint8)]
    for row, image in enumerate(images):
        data.save_png(tmp_path / "suspects" / f"{row}.png", image)
    files = sorted((tmp_path / "suspects").iterdir())
    scores = of_any.score(images)
    assert len(set(scores[:3])) == 3 and np.isnan(scores[3])
    for given in (str(tmp_path / "suspects"), files, [Image.open(file) for file in files]):
        np.testing.assert_array_equal(of_any.score(given), scores)
    for row, given in enumerate((Image.open(files[0]), files[1], LEVELS[2:3, ..., :1])):
        np.testing.assert_array_equal(of_any.score(given), scores[row : row + 1])
    np.testing.assert_allclose(of_any.score(OnDemand([0, 1], images.__getitem__)), scores[:2])
    for none in (LEVELS[:0], OnDemand([], images.__getitem__)):
        with pytest.raises(ValueError, match="no images"):
            of_any.score(none)
    with pytest.raises(ValueError, match=r"1\.png: images of 16x9 with 3 channels do not fit"):
        replace(of_any, preprocessing=forensics.Preprocessing()).score(
            tmp_path / "suspects" / "1.png"
        )
