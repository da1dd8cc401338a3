"""What a run of a classifier leaves in results.json: the test images, read once, and how."""

from typing import Any

from gan_forensics.data import Source
from gan_forensics.distill.classifier_config import ClassifierConfig
from gan_forensics.distill.classify import Classifier, tested

OWN_TEST = (
    "chosen on the test images themselves, as the released code does: its numbers are too good"
)


def results_of(
    config: ClassifierConfig,
    test: Source | None,
    networks: dict[str, tuple[int | None, Classifier]],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """Measure networks on the test images.

    Args:
        config: filled in.
        test: images with labels; None for none.
        networks: by what they are, the epoch (None where it is not known) and the network.
        facts: of the run: "images", counts by use, and of students "distillation".

    Returns:
        "test", a row for each network; "reliability", by the same names, bins of the diagram;
        "protocol"; and of students "distillation".
    """
    rows, bins, known = [], {}, {}
    for name, (epoch, classifier) in networks.items():
        if test is None:
            break
        if epoch not in known or epoch is None:
            known[epoch] = tested(classifier, test)
        numbers, bins[name] = known[epoch]
        rows.append({"network": name, "epoch": epoch, **numbers})
    images = facts["images"]
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
    found = {"test": rows, "protocol": protocol, "reliability": bins}
    return found | {key: value for key, value in facts.items() if key != "images"}
