"""What a run of a classifier leaves in results.json: the test images, read once, and how."""

import math
from typing import Any

from gan_forensics.distill.classifier_config import ClassifierConfig
from gan_forensics.distill.classifier_data import Parts
from gan_forensics.distill.classify import Classifier, tested

OWN_TEST = (
    "chosen on the test images themselves, as the released code does: its numbers are too good"
)


def results_of(
    config: ClassifierConfig,
    parts: Parts,
    networks: dict[str, tuple[int | None, Classifier]],
    taught: dict[str, Any] | None,
) -> dict[str, Any]:
    """Measure networks on the test images.

    Args:
        config: filled in.
        parts: the images by their use.
        networks: by what they are, the epoch (None for what was not trained here) and the network.
        taught: of students, how, in words.

    Returns:
        "test", a row for each network; "protocol"; of students "distillation"; "reliability", bins
        of the diagram by the names of the networks.
    """
    test, images = parts.test, parts.facts
    rows, bins, known = [], {}, {}
    for name, (epoch, classifier) in networks.items():
        if test is None:
            break
        if epoch not in known:
            known[epoch], bins[name] = tested(classifier, test)
        rows.append({"network": name, "epoch": epoch, **known[epoch]})
    chosen = (
        f"{images['validation']} images held out of the train split by seed {config.seed}"
        if config.select_on == "validation"
        else OWN_TEST
    )
    protocol = {
        "trained on": f"{images['train']} images of {config.classes} classes of {config.data}",
        "label smoothing": config.label_smoothing,
        "augmentation": config.augment,
        "epoch chosen on": chosen,
        "tested on": f"{images['test']} images: {images['test_is']}"
        + ("" if test is None or config.select_on == "test" else "; read once, after training"),
        "seed": config.seed,
    }
    told = {} if taught is None else {"distillation": taught}
    return {"test": rows, "protocol": protocol, **told, "reliability": bins}


def sentences(results: dict[str, Any]) -> list[str]:
    """What was measured, a line for each network."""
    if not results["test"]:
        return ["nothing was held out for a test"]
    lines = [f"Tested on {results['protocol']['tested on']}:"]
    for row in results["test"]:
        at = "" if row["epoch"] is None else f" ({row['epoch']})"
        five = f", top-5 {row['top_5']:.2%}" if "top_5" in row else ""
        lines.append(
            f"  {row['network']}{at}: top-1 {row['top_1']:.2%}{five}, cross-entropy "
            f"{row['cross_entropy']:.4f}, calibration error {row['calibration_error']:.4f}"
        )
        share = row["commonest_class"]
        if row["top_1"] <= share + 2 * math.sqrt(share * (1 - share) / row["images"]):
            lines.append(
                f"  That is hardly more than always naming the commonest class ({share:.1%}): "
                + ("give another teacher" if row["network"] == "the teacher" else "train longer, "
                   "or with another learning rate or batch size")
            )  # fmt: skip
    if results["protocol"]["epoch chosen on"] == OWN_TEST:
        lines.append(f"The epoch is {OWN_TEST}.")
    return lines
