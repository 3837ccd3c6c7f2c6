"""What a model says, as plain values for programs: ``predict --json`` prints them, and a server answers with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from stepladder.model.classifier import Doubts, Prediction
from stepladder.model.limits import FALSE_ALARMS, MISS


def classes_document(likeliest: Iterable[tuple[str, float]]) -> list[dict[str, Any]]:
    """Return the likeliest classes of one image with their probabilities, as fractions of 1."""
    return [{"class": name, "probability": probability} for name, probability in likeliest]


def doubts_document(one: Prediction | None) -> dict[str, Any]:
    """Return what is known of one answer beside its classes; nothing where nothing was asked for."""
    found: dict[str, Any] = {}
    if one is None:
        return found
    if one.answered is not None:
        found["answered"] = one.answered
    if one.classes is not None:
        found["set"] = list(one.classes)
    if one.unlikeness is not None:
        found |= {"unlikeness": one.unlikeness, "unlike": one.unlikeness > 0}
    return found


def promises_document(doubts: Doubts) -> dict[str, Any]:
    """Return what was asked for beside the classes, and what is promised of it; nothing where nothing was."""
    found: dict[str, Any] = {}
    if doubts.answered is not None:
        one = doubts.answered
        promise = {"risk": doubts.risk, "confidence": 1 - MISS, "above": one.above}
        found["abstain"] = promise | {"validation": {"answered": one.images, "wrong": one.wrong}}
    if doubts.inside is not None:
        found["sets"] = {"coverage": doubts.coverage, "from": doubts.inside}
    if doubts.unlike:
        # Above it an image is called unlike the training images.
        found["unlike"] = {"false_alarms": FALSE_ALARMS, "confidence": 1 - MISS, "above": 0.0}
    return found
