"""The stage that ranks generators."""

from typing import Any

from gan_forensics.forensics.attribution import Attributor
from gan_forensics.forensics.attributor_scorer import NONE
from gan_forensics.forensics.intervals import rate_interval
from gan_forensics.inspector.findings import Finding, Opened, Tools

_DIGITS = 4
# What an attributor was measured on, in words.
_GROUPS = {
    "seen": "further images of the very generators that it was fitted on",
    "new seeds": "images of the same kinds of generators, trained anew",
    "unseen semantics": "images of content that it was not fitted on",
}


def attribution(opened: Opened, tools: Tools) -> Finding | None:
    """Which generator made an image, as far as the attributor knows them, ranked."""
    if tools.attributor is None or opened.pixels is None or opened.header is None:
        return None
    name, scorer = tools.attributor
    model = scorer.model
    facts: dict[str, Any] = {"attributor": name, "sources": list(model.names), "real": model.real}
    try:
        scorer.check(opened.header)
        image = scorer.prepared(opened.pixels)
    except ValueError as error:
        return Finding("attribution", {**facts, "refusal": str(error)})
    cells = scorer.cells(scorer.judge([(image, opened.header)])[0])
    ranked = sorted(((cells[f"p_{n}"], n) for n in model.names), reverse=True)
    return Finding("attribution", {
        **facts,
        "refusal": "",
        "verdict": cells["verdict"],
        "none_of_these": cells["verdict"] == NONE,
        "ranked": [{"name": n, "probability": round(p, _DIGITS)} for p, n in ranked],
        "generated": round(cells["generated"], _DIGITS),
        "known": round(cells["known"], _DIGITS),
        "threshold": round(model.threshold, _DIGITS),
        "accepted": model.accepted,
        "held_out": _total(model.facts.get("images"), "held_out"),
        "fitted_on": model.was_fitted_on(image),
        "measured": _measured(model),
    })  # fmt: skip


def _total(images: Any, use: str) -> int | None:
    """How many images were held out, if its file says so."""
    counts = images.get(use) if isinstance(images, dict) else None
    if not isinstance(counts, dict) or not all(type(n) is int for n in counts.values()):
        return None
    return sum(counts.values())


def _measured(model: Attributor) -> list[dict[str, Any]]:
    """How often it was right on images of its own, if its file says so."""
    found, given = [], model.facts.get("measured")
    for group, words in _GROUPS.items():
        cell = given.get(group) if isinstance(given, dict) else None
        cell = cell.get("clean") if isinstance(cell, dict) else None
        if not isinstance(cell, dict):
            continue
        n, share = cell.get("n"), cell.get("attribution_accuracy")
        if type(n) is not int or n < 1 or type(share) is not float or not 0 <= share <= 1:
            continue
        right = round(share * n)
        sure = rate_interval(right, n)
        ends = {"low": round(sure.low, _DIGITS), "high": round(sure.high, _DIGITS)}
        found.append({"images": words, "right": right, "n": n, **ends})
    return found
