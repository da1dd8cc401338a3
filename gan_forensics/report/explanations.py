"""The page of `explain`: where a detector sees that images were generated, and what it is worth."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gan_forensics.forensics.faithful_explanations import EVIDENCE
from gan_forensics.forensics.verdicts import Verdict, tally
from gan_forensics.report.blocks import Picture, Section, Table
from gan_forensics.report.detector import about, probability_words
from gan_forensics.report.evidence import six_questions
from gan_forensics.report.faithfulness import area_table, faithfulness_figure, gain_words
from gan_forensics.report.figures import Figure
from gan_forensics.report.html import write_report
from gan_forensics.report.plots import INK
from gan_forensics.report.relevance import EVIDENCE_COLOURS

if TYPE_CHECKING:
    from gan_forensics.explain import Faithfulness, Feature
    from gan_forensics.forensics.calibration import Calibration
    from gan_forensics.forensics.explanations import Patch
    from gan_forensics.forensics.neural import NeuralDetector


class Explained(NamedTuple):
    """What `explain` says of one image.

    Attributes:
        image: its path.
        score: the logit.
        verdict: what follows from it.
        base: the panel, uint8 [h, w, 3].
        layer: the evidence to lie over it, uint8 [h, w, 4].
    """

    image: Path
    score: float
    verdict: Verdict
    base: np.ndarray
    layer: np.ndarray


def explanations_page(
    path: Path,
    detector: "NeuralDetector",
    images: Sequence[Explained],
    ranked: str,
    channels: Sequence[tuple["Feature", Sequence["Patch"]]],
    errors: Sequence[Sequence[str]],
    *,
    scale: float,
    faithful: "Faithfulness | str",
) -> Path:
    """The page that shows where a detector sees that images were generated.

    Args:
        path: of the page; channels.png, the collage of the patches, lies beside it.
        detector: that says so.
        images: each with its verdict.
        ranked: how the channels were chosen, in words.
        channels: each with its patches.
        errors: path and reason of images that were left out.
        scale: the relevance in full colour, of all panels.
        faithful: of `measured_faithfulness`, or why it was not measured.
    """
    pictures = [
        Picture(
            one.base,
            alt=f"{one.image.name}, evidence for and against it, and Guided Grad-CAM",
            caption=f"{one.image.name}: {verdict_words(detector, one.score, one.verdict)}",
            layer=one.layer,
        )
        for one in images
    ]
    collage = Picture(
        path.with_name("channels.png"),
        alt="Patches that the channels fire most at, a row for each channel",
        caption="A row for each channel, strongest first: the box around what makes its most "
        "active unit fire, brought to one size.",
    )
    table = Table(
        "The channels, and the images of their patches",
        ["channel", "omega", "largest activation", "images"],
        [
            [f.name, f.omega, row[0].activation, [images[p.image].image.name for p in row]]
            for f, row in channels
        ],
    )
    left_out = [Section("Not explained", [Table("Images left out", ["path", "reason"], errors)])]
    said = tally([one.verdict.verdict for one in images])
    basis = PLACES if detector.arch == "places" else RELEVANCE
    return write_report(
        path,
        title="Why the detector says so",
        lead=f"{len(images)} images, judged by {detector.name}: {said}. {faithful_words(faithful)}",
        sections=[
            Section(
                "Images",
                [
                    READING.format(basis),
                    scale_picture(scale),
                    *pictures,
                ],
            ),
            faithful_section(faithful),
            Section("Channels", [ranked, collage, table] if channels else [ranked]),
            *(left_out if errors else []),
            six_questions(
                f"Each of {len(images)} images, by itself.",
                calibration=detector.calibration,
                calibrators=detector.calibrators,
                facts=detector.facts,
            ),
            about(detector),
        ],
    )


def faithful_words(faithful: "Faithfulness | str") -> str:
    """Whether the evidence beats random order on these images, or why that is not known."""
    if isinstance(faithful, str):
        return f"Whether the evidence is more than chance was not measured: {faithful}."
    return gain_words(faithful, EVIDENCE)


def faithful_section(faithful: "Faithfulness | str") -> Section:
    """What was measured, as a picture, and a table, and what they mean."""
    title = "Can the evidence be trusted?"
    if isinstance(faithful, str):
        return Section(title, [faithful_words(faithful)])
    picture = Picture(
        faithfulness_figure(faithful),
        alt="Curves of the logit as patches are removed or put in, by each map and in random order",
        caption="A faithful map falls early in a deletion and rises early in an insertion; where "
        "its band holds the black line, it is not told from chance.",
    )
    return Section(
        title,
        [
            f"{faithful_words(faithful)} {FAITHFUL.format(images=faithful.images)}",
            picture,
            area_table(faithful),
        ],
    )


FAITHFUL = (
    "On {images} of the images above, the first that there was time for, patches of 4x4 pixels "
    "were replaced by a blur of the image or by its mean colour, those with the most evidence for "
    "the verdict first (deletion), or put into the blur or the mean colour (insertion), and the "
    "detector scored what was left. The logit counts for the verdict: as it is where the image is "
    'called generated, its negative where it is called real. "gradient" is the norm of the '
    "gradient, Grad-CAM is that of the last stage before its ReLU, and random order is the mean of "
    "some orders of each image. Intervals are Student's, over images that count as independent: "
    "crops of one photograph are not. A detector may take a blur itself for a trace; hence the two "
    "baselines, and random order, which both suffer from that alike."
)
READING = (
    "Each row: the image; the image in gray with the evidence that the detector found in it; the "
    "colours of the scale; and Guided Grad-CAM, which draws the edges and textures that would "
    'raise the logit. Evidence for "generated" is orange, for "real" blue, and a pixel without '
    "evidence stays gray. The scale is the same for all images of this page.\n\n"
    "Evidence is {}. It says what the network went by, not whether that was right."
)
RELEVANCE = (
    "the relevance of the logit (layer-wise relevance propagation), averaged over 5x5 pixels, and "
    "counted as if the whole image were like the pixel: its mean over the image is the logit less "
    "what the network's biases add"
)
PLACES = (
    "the logit of each place of the image, of which the logit of the image is the mean; a place is "
    "judged by its neighbourhood alone"
)


def scale_picture(scale: float, low: str = 'for "real"', high: str = 'for "generated"') -> Picture:
    """The colours, and what evidence in the lowest and the highest of them speaks for."""
    figure = Figure(figsize=(7.6, 0.9), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(
        np.linspace(-scale, scale, 256)[None],
        cmap=EVIDENCE_COLOURS,
        extent=(-scale, scale, 0, 1),
        aspect="auto",
    )
    axes.set_yticks([])
    axes.tick_params(colors=INK, labelsize=8)
    axes.spines[:].set_visible(False)
    axes.set_title(f"evidence {low}", loc="left", fontsize=9, color=INK)
    axes.set_title(f"evidence {high}", loc="right", fontsize=9, color=INK)
    return Picture(
        figure,
        alt=f"Colours from blue, evidence {low}, to orange, evidence {high}: "
        f"relevance of {-scale:.3g} to {scale:.3g}",
        caption=f"Relevance in logits. One pixel in a hundred has more than {scale:.3g} of either "
        "kind; it is drawn in the full colour.",
    )


def verdict_words(detector: "NeuralDetector", score: float, verdict: Verdict) -> str:
    """The verdict on a score, how sure the network is, and how often that verdict is wrong."""
    generated = score > detector.threshold
    side = "above" if generated else "not above"
    called = f"called {verdict.verdict}" if not verdict.why else f"unsure ({verdict.why})"
    wrong = error_words(detector.calibration, generated=generated)
    if verdict.log10_lr is None:
        evidence = "which is not calibrated"
    else:
        evidence = f"log10 LR {verdict.log10_lr:.2f}, {verdict.wording}"
    return (
        f"{called}. Logit {score:.3g}, {side} the threshold {detector.threshold:.3g}; "
        f"probability {probability_words(score)} by the network itself, {evidence}. {wrong}"
    )


def error_words(calibration: "Calibration | None", *, generated: bool) -> str:
    """How often images of the other kind get this verdict."""
    if calibration is None:
        return "The threshold was not set on images: how often this is wrong is not known."
    plain = calibration.as_they_are
    if generated:
        words = (
            f"The threshold aims at calling at most {100 * calibration.target:g} % of real images "
        )
        measured = "" if plain is None else f"; measured on others: {plain.false_alarms.words}"
        return f"{words}generated{measured}."
    if plain is None:
        return "How many generated images are called photographs was not measured."
    missed = plain.detected.n - plain.detected.events
    return (
        f"Of {plain.detected.n} other generated images {missed} were called photographs too, of "
        f"{plain.false_alarms.n} real ones {plain.false_alarms.n - plain.false_alarms.events}."
    )
