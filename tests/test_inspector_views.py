"""Stages of the inspector: the spectrum beside bands, which generator, what the detector used."""

import hashlib
import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from gan_forensics.data import Header, grayscale, power_law_textures, save_png
from gan_forensics.explain import feature_relevance, rank
from gan_forensics.forensics.attribution import fit_attributor
from gan_forensics.forensics.attribution_config import AttributionConfig
from gan_forensics.forensics.attributor_scorer import NONE, AttributorScorer
from gan_forensics.forensics.explanations import explain, faded
from gan_forensics.forensics.fitting import fit_detector
from gan_forensics.forensics.format_audit import size_class
from gan_forensics.forensics.neural import NeuralDetector, preprocess
from gan_forensics.forensics.photograph_relevance import _filled, closest, deciding, laid_over, look
from gan_forensics.forensics.preprocessing import Preprocessing
from gan_forensics.forensics.spectrum_bands import CODECS, make_bands, tiles_curve, tiles_of
from gan_forensics.forensics.tiles import Tiling, places
from gan_forensics.inspector.findings import Opened, Tools
from gan_forensics.inspector.rendering import fragment
from gan_forensics.inspector.stages_attribution import attribution
from gan_forensics.inspector.stages_relevance import relevance
from gan_forensics.inspector.stages_views import spectrum
from gan_forensics.report.figures import figure_pixels
from gan_forensics.report.spectrum_bands import MOST_BANDS, bands_figure, dct_colours
from gan_forensics.studies.transferable import relevance_settings
from tests.attribution_toys import planted
from tests.test_cli import run
from tests.test_forensics_neural import tiny_architecture, variables  # noqa: F401

HOSTILE = "<script>alert(1)</script>\u202e"
PHOTOGRAPH = power_law_textures(1, 64, exponent=1.2, seed=3)[0]


def opened(pixels=PHOTOGRAPH, container="PNG", quality=None, **more):
    header = Header(*pixels.shape[:2], False, container, "RGB", quality)
    return Opened("a.png", b"", header=header, pixels=pixels, **more)


def page(finding, served=False):
    """The section of the page, and the words of it in one line."""
    asked = []

    def picture(name):
        asked.append(name)
        return f"pictures/{name}.png"

    shown = str(fragment(finding, picture=picture, served=served, id="image-1", private=False))
    assert set(asked) == set(finding.pictures)
    for pixels in finding.pictures.values():
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    json.dumps(finding.facts, allow_nan=False)
    assert "<script" not in shown and "\u202e" not in shown
    assert "style=" not in shown and "onerror" not in shown
    return " ".join(shown.split())


# --- the spectrum ---------------------------------------------------------------------------------


def curves_of(seed, n=8, side=32):
    images = power_law_textures(n, 64, exponent=1.2, seed=seed)
    return [tiles_curve(tiles_of(image, side).gray, "min-max") for image in images]


@pytest.fixture(scope="module")
def bands():
    small, large = size_class(64, 64), size_class(900, 900)
    return make_bands(
        {
            HOSTILE: {(CODECS[0], small): curves_of(1), ("WebP", large): curves_of(1)},
            "progan": {(CODECS[0], small): [0 * curve for curve in curves_of(2)]},
        },
        side=32,
        normalise="min-max",
    )


def test_the_curve_is_compared_with_the_bands_of_its_own_kind_of_file(bands):
    found = spectrum(opened(), Tools(bands=bands))
    curve = tiles_curve(tiles_of(PHOTOGRAPH, 32).gray, "min-max")
    assert_allclose(found.facts["curve"], curve, rtol=0, atol=1e-4)
    assert_allclose(found.facts["frequency"], bands.frequency, rtol=0, atol=1e-4)
    own, other = found.facts["bands"]
    outside = (curve < bands.bands[0].low) | (curve > bands.bands[0].high)
    assert own["outside"] == outside.sum() < own["rings"] == len(curve) and own["images"] == 8
    # The other band is 0 throughout.
    assert (other["above"], other["below"]) == ((curve > 0).sum(), 0)
    shown = page(found)
    assert (
        f"{own['outside']} of {own['rings']} frequencies ({own['expected']} expected, n = 8)"
        in shown
    )
    assert own["expected"] == round(0.3 * own["rings"])
    assert "no verdict" in shown and "&lt;script&gt;" in shown
    again = spectrum(opened(), Tools(bands=bands))
    assert again.facts == found.facts
    assert_array_equal(again.pictures["curve"], found.pictures["curve"])


@pytest.mark.parametrize(
    "given, words",
    [
        (opened(container="JPEG", quality=90), "no bands of files like this one (JPEG of quality"),
        (opened(pasted=True), "the browser encoded this picture anew"),
        (opened(PHOTOGRAPH.repeat(9, 0).repeat(9, 1)), "no bands of files like this one (lossless"),
    ],
)
def test_without_bands_of_its_own_kind_the_curve_stands_alone_and_why_is_said(bands, given, words):
    found = spectrum(given, Tools(bands=bands))
    assert found.facts["bands"] == [] and words in page(found)
    if not given.pasted:
        assert "WebP, longer side 513 to 1024 pixels: 8 of “&lt;script" in page(found)


def test_without_any_bands_the_page_says_how_to_make_some():
    found = spectrum(opened(), Tools())
    # The largest square on the grid of JPEG that fits; 256 pixels are wanted.
    assert found.facts["side"] == 64 and found.facts["tiles"] == 1
    assert "gan-forensics spectrum PHOTOGRAPHS GENERATED --tile 256" in page(found)


def test_images_too_small_for_the_bands_or_for_any_spectrum_are_not_compared(bands):
    larger = replace(bands, side=256)
    found = spectrum(opened(), Tools(bands=larger))
    assert "squares of 256×256 pixels, which this image is too small for" in page(found)
    assert spectrum(replace(opened(), pixels=None), Tools()) is None
    small = spectrum(opened(PHOTOGRAPH[:31]), Tools())
    assert "shorter side of 31 pixels is too little: 32 are needed" in page(small)
    flat = spectrum(opened(np.zeros((40, 40, 3), np.uint8)), Tools())
    assert "No spectrum: a flat image has no spectrum to judge." in page(flat)


def test_figures_draw_few_bands_and_say_so(bands):
    many = [bands.bands[0]._replace(name=f"set {i}") for i in range(MOST_BANDS + 2)]
    figure = bands_figure(bands.frequency, np.array(curves_of(1)[0]), many)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert len(labels) == MOST_BANDS + 1 and "set 0 (n = 8)" in labels
    assert figure.get_supxlabel() == f"{MOST_BANDS} of {MOST_BANDS + 2} bands shown"
    assert figure_pixels(figure).shape == (612, 720, 3)


def test_nyquist_is_marked_where_every_second_pixel_alternates(bands):
    stripes = np.random.default_rng(0).integers(100, 110, (1, 32, 32, 1), np.uint8)
    plain = tiles_curve(stripes, "none")
    stripes[:, :, ::2] += 60
    curve = tiles_curve(stripes, "none")
    figure = bands_figure(bands.frequency, curve, [bands.bands[0]])
    at = [line.get_xdata() for line in figure.axes[0].lines if len(line.get_xdata()) == 2]
    peak = bands.frequency[1:][np.argmax((curve - plain)[1:])]
    assert_allclose(at, [[peak, peak]], rtol=0, atol=1 / 64)  # half a ring
    # The band lies between its own ends.
    (band,) = figure.axes[0].collections
    low, high = bands.bands[0].low, bands.bands[0].high
    ends = band.get_paths()[0].get_extents()
    assert_allclose([ends.y0, ends.y1], [low.min(), high.max()], rtol=1e-6)


def test_a_pattern_of_every_second_pixel_is_bright_in_the_dct():
    gray = np.full((1, 32, 32, 1), 128, np.uint8)
    gray[..., ::2, :] += 9
    gray[0, 3, 5] = 200
    found = dct_colours(gray).astype(int).sum(-1)
    # Across: the last coefficient of the first row.
    assert found[0, -1] > np.percentile(found, 99)


# --- which generator ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    plain = AttributionConfig(method="prnu", perturbations=())
    fitted = fit_attributor(planted(12, seed=0), planted(16, seed=1), plain)
    cell = {"clean": {"n": 40, "attribution_accuracy": 0.9}}
    return replace(fitted, facts={**fitted.facts, "measured": {"seen": cell}})


def tools_of(model):
    return Tools(attributor=("model.npz", AttributorScorer(model, "0")))


def test_generators_are_ranked_as_the_command_scores_them(model):
    image = planted(1, seed=5).source[2]["image"]
    found = attribution(opened(image), tools_of(model))
    probabilities = model.probabilities(model.outputs([image]))[0]
    ranked = {one["name"]: one["probability"] for one in found.facts["ranked"]}
    assert_allclose([ranked[name] for name in model.names], probabilities, rtol=0, atol=1e-4)
    assert list(ranked.values()) == sorted(ranked.values(), reverse=True)
    assert found.facts["verdict"] == next(iter(ranked)) == "sngan"
    shown = page(found)
    assert "most like <strong>sngan</strong>" in shown and "36 of 40 (0.76 to 0.97)" in shown
    assert "48 images that it did not learn from" in shown
    assert shown.index("sngan</li>") < shown.index("none of these (ruled out")
    assert attribution(opened(image), Tools()) is None
    assert attribution(replace(opened(image), pixels=None), tools_of(model)) is None


def test_the_command_asks_the_attributor(model, tmp_path):
    model.save(tmp_path / "m.npz")
    save_png(tmp_path / "a.png", planted(1, seed=5).source[2]["image"])
    asked = ("inspect", tmp_path / "a.png", "--no-browser", "--attributor", tmp_path / "m.npz")
    assert run(*asked, "--out", tmp_path / "out") == 0
    found = json.loads((tmp_path / "out" / "index.json").read_text())
    digest = hashlib.sha256((tmp_path / "m.npz").read_bytes()).hexdigest()
    assert found["with"]["attributor"]["sha256"] == digest
    assert found["images"][0]["findings"]["attribution"]["verdict"] == "sngan"


def test_none_of_these_comes_first_where_the_rule_says_so(model):
    image = planted(1, seed=5).source[2]["image"]
    found = attribution(opened(image), tools_of(replace(model, threshold=1.0)))
    assert found.facts["verdict"] == NONE and found.facts["none_of_these"]
    shown = page(found)
    assert shown.index("<li>none of these (by the rule") < shown.index("sngan</li>")


def test_an_image_of_another_size_and_a_flat_one_are_not_asked_about(model):
    found = attribution(opened(), tools_of(model))
    assert "Not asked: images of 64x64 do not fit an attributor fitted on 16x16" in page(found)
    found = attribution(opened(np.zeros((16, 16, 3), np.uint8)), tools_of(model))
    assert "a flat image" in page(found)


@pytest.mark.parametrize(
    "facts",
    [
        {"measured": [], "images": 3},
        {"measured": {"seen": {"clean": {"n": HOSTILE, "attribution_accuracy": 2.0}}}},
        {"measured": {"seen": {"clean": {"n": 10, "attribution_accuracy": 7.0}}}},
        {"measured": {"seen": {"clean": {"n": 10, "attribution_accuracy": HOSTILE}}}},
        {"measured": {"seen": {"clean": {"n": 0, "attribution_accuracy": 0.5}}}},
        {"images": {"held_out": {"a": HOSTILE}}, "measured": {"seen": {"clean": []}}},
    ],
)
def test_facts_of_a_stranger_that_are_none_are_passed_over(model, facts):
    image = planted(1, seed=5).source[2]["image"]
    found = attribution(opened(image), tools_of(replace(model, facts=facts)))
    assert found.facts["measured"] == [] and found.facts["held_out"] is None
    assert "Right before" not in page(found)


# --- what the detector used -----------------------------------------------------------------------


@pytest.fixture
def detector(variables):  # noqa: F811
    return NeuralDetector("tiny", variables, threshold=-100.0)


@pytest.fixture
def tiled(detector):
    return replace(detector, tiles=Tiling(16))


def photograph(height, width, seed=0):
    made = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    made[:16, :16] = 0  # a tile of one colour
    return made


def test_a_detector_of_tiles_is_explained_on_the_tiles_that_it_scores(tiled):
    image = photograph(80, 64)
    looked = look(tiled, image)
    at = places(80, 64, tiled.tiles)
    assert_array_equal(looked.places, at[1:])  # the first is flat
    assert_allclose(looked.score, tiled.score(image[None])[0], rtol=1e-5)
    assert_allclose(looked.gray, tiled.score(grayscale(image)[None])[0], rtol=1e-5)
    y, x = looked.places[3]
    alone = explain(tiled.untiled, _filled(image[None, y : y + 16, x : x + 16], 4))[0]
    assert_allclose(looked.found[3].relevance, alone.relevance, rtol=1e-3, atol=1e-5)
    whole = laid_over(looked)
    inside = np.zeros((80, 64), bool)
    for y, x in looked.places:
        inside[y : y + 16, x : x + 16] = True
    assert not whole.layer[~inside, 3].any() and whole.layer[inside, 3].any()
    scores = [one.score for one in looked.found]
    for generated, place in ((True, np.argmax(scores)), (False, np.argmin(scores))):
        near = closest(looked, generated=generated)
        assert_array_equal(near.base, faded(looked.parts[place]))


@pytest.mark.parametrize("generated", [True, False])
def test_channels_are_those_that_speak_for_the_verdict(tiled, generated):
    judge = replace(tiled, threshold=-1e9 if generated else 1e9)
    image = photograph(80, 64)
    facts = relevance(opened(image), Tools(detectors=(("a.npz", judge),))).facts
    wanted = deciding(look(judge, image), generated=generated)[:5]
    assert facts["generated"] == generated
    assert [(one["layer"], one["channel"]) for one in facts["channels"]] == [
        (one.layer, one.channel) for one in wanted
    ]


def test_photographs_of_other_sizes_are_explained_without_a_compilation(tiled, caplog, monkeypatch):
    counts = []

    def counted(detector, images):
        counts.append(len(images))
        return explain(detector, images)

    monkeypatch.setattr("gan_forensics.forensics.photograph_relevance.explain", counted)
    look(tiled, photograph(80, 64))
    with jax.log_compiles():
        look(tiled, photograph(64, 112, seed=1))
        looked = look(tiled, photograph(48, 48, seed=2))
    assert not [record for record in caplog.records if "ompil" in record.getMessage()]
    # Of one shape, whatever was compiled before.
    assert counts == [16, 16, 8] and len(looked.parts) == 8


def test_channels_are_ranked_as_features_are(tiled):
    looked = look(tiled, photograph(64, 64))
    options = relevance_settings(tiled, 0.0)
    batch = np.asarray(preprocess(looked.parts))
    state = feature_relevance(tiled.network, tiled.variables, [batch], **options)
    ours, theirs = deciding(looked, generated=True), rank(state.result())
    assert [one.name for one in ours[:4]] == [one.name for one in theirs[:4]]
    assert_allclose([o.omega for o in ours], [t.omega for t in theirs], rtol=1e-4, atol=1e-6)
    # Shares for either side are of all relevance of the layer.
    other = deciding(looked, generated=False)
    layer = [sum(o.omega for o in some if o.layer == "conv1") for some in (ours, other)]
    assert_allclose(sum(layer), 1, rtol=1e-5)


def test_without_tiles_the_middle_is_explained_at_few_sizes_or_all_that_it_sees(detector):
    image = photograph(70, 37)
    looked = look(detector, image)
    assert looked.parts.shape == (1, 64, 32, 3)
    assert_array_equal(looked.parts[0], image[3:67, 2:34])
    assert_allclose(looked.score, detector.score(looked.parts)[0], rtol=1e-5)
    cropping = replace(detector, preprocessing=Preprocessing(crop=36))
    looked = look(cropping, image)
    assert looked.parts.shape == (1, 36, 36, 3)
    assert_allclose(looked.score, cropping.score(image[None])[0], rtol=1e-5)


def test_a_large_photograph_is_shown_small_with_its_evidence_in_place(tiled, monkeypatch):
    monkeypatch.setattr("gan_forensics.forensics.photograph_relevance.LONGEST", 32)
    looked = look(tiled, photograph(128, 64))
    whole = laid_over(looked)
    assert whole.base.shape == (32, 16, 3) and whole.layer.shape == (32, 16, 4)
    one = looked._replace(places=looked.places[:1], parts=looked.parts[:1], found=looked.found[:1])
    rows, columns = np.nonzero(laid_over(one).layer[..., 3])
    top, left = looked.places[0] // 4
    assert top <= rows.min() and rows.max() < top + 4
    assert left <= columns.min() and columns.max() < left + 4


@pytest.mark.parametrize("kind", ["tiles", "middle", "size"])
def test_the_page_says_what_was_explained_and_that_it_is_no_map_of_alterations(
    kind, detector, tiled
):
    sized = replace(detector, preprocessing=Preprocessing(size=36), threshold=100.0)
    given = {"tiles": tiled, "middle": detector, "size": sized}[kind]
    image = photograph(80, 64) if kind == "tiles" else photograph(70, 37)
    found = relevance(opened(image), Tools(detectors=((HOSTILE, given),)))
    shown = page(found)
    words = {
        "tiles": "Explained on the 15 framed squares of 16×16 pixels",
        "middle": "Explained on the middle 32×64 of 37×70 pixels",
        "size": "its middle square, resized to 36×36 pixels",
    }
    assert words[kind] in shown and "Not where the picture was altered" in shown
    assert 'data-layer="image-1-layer"' in shown and 'id="image-1-layer"' in shown
    assert found.facts["generated"] == (kind != "size")
    assert ("evidence for “generated”" in shown) == (kind != "size")
    assert "the same side of the threshold" in shown and len(found.facts["channels"]) == 5
    again = relevance(opened(image), Tools(detectors=((HOSTILE, given),)))
    assert again.facts == found.facts


def test_what_cannot_be_explained_says_why(tiled, monkeypatch):
    rng = np.random.default_rng(0)
    real, fake = (rng.integers(0, top, (100, 8, 8, 3), np.uint8) for top in (200, 256))
    spectral = fit_detector(real, fake, features="dct", classifier="logistic", reference=0)
    found = relevance(opened(), Tools(detectors=(("dct.npz", spectral),)))
    assert "Not shown for dct.npz: it looks at numbers of the whole" in page(found)
    both = Tools(detectors=(("dct.npz", spectral), ("net.npz", tiled)))
    found = relevance(opened(photograph(64, 64)), replace(both, detectors=(
        *both.detectors, ("other.npz", replace(tiled, threshold=0.0)),
    )))  # fmt: skip
    assert found.facts["detector"] == "net.npz" and list(found.facts["others"]) == [
        "dct.npz", "other.npz"
    ]  # fmt: skip
    shown = page(found)
    assert "Not shown for dct.npz: it looks at numbers" in shown
    assert "Not shown for other.npz: only the first network is explained" in shown
    found = relevance(opened(photograph(12, 40)), both)
    assert "images of 12x40 are smaller than the tiles of 16x16" in page(found)
    flat = opened(np.zeros((40, 40, 3), np.uint8))
    assert "a flat image" in page(relevance(flat, both))
    gray = relevance(opened(grayscale(photograph(64, 64))), both)
    assert "not asked: the picture has none" in page(gray)
    assert relevance(opened(), Tools()) is None
    assert relevance(replace(opened(), pixels=None), both) is None
