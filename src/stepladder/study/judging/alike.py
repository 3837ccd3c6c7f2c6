"""Whether studies are alike enough to be compared, and what else differs between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stepladder.errors import StudyError
from stepladder.study.files.integrity import differences
from stepladder.study.files.records import SavedStudy, StudyRecord

#: Settings named when two studies differ in more than these.
_MOST_NAMED = 4


def refuse_unlike(first: str, one: StudyRecord, label: str, other: StudyRecord) -> None:
    """Refuse to compare two studies that differ in data, splits or budget.

    Raises:
        StudyError: the sentence names all that differs.
    """
    reasons = []
    if one.data.fingerprint != other.data.fingerprint:
        reasons.append(f"other data ({one.data.name} and {other.data.name}, whose images or labels differ)")
    elif one.data.split != other.data.split:
        counts = [", ".join(f"{n:,} {name}" for name, n in record.data.counts.items()) for record in (one, other)]
        reasons.append(f"other splits ({counts[0]} in the one; {counts[1]} in the other)")
    for name, unit in (("epochs", "epochs"), ("batch_size", "images a batch")):
        here, there = (sorted({str(rung.recipe.get(name)) for rung in record.rungs}) for record in (one, other))
        if here != there:
            reasons.append(f"another budget ({' or '.join(here)} and {' or '.join(there)} {unit})")
    if reasons:
        raise StudyError(
            f"{first} and {label} cannot be compared, because they have {'; and '.join(reasons)}; "
            "run one of them again with the settings of the other"
        )


def find_cautions(labels: Sequence[str], studies: Sequence[SavedStudy]) -> list[str]:
    """Return what a comparison of ``studies`` cannot say, and what else they differ in, a sentence each."""
    found = [
        "This comparison was not planned: which studies were run, and which are shown, may have been chosen by their "
        "results. Its intervals allow for the number of differences here, not for that choice. A difference that "
        "matters deserves a study of its own, with both as rungs."
    ]
    for label, study in zip(labels, studies, strict=True):
        if study.edited:
            found.append(f"{label}: {study.edited}.")
        if study.missing:
            found.append(f"{label} is unfinished: {study.missing} of {study.record.planned_trials} trials not ended.")
        if study.unread:
            found.append(f"{label}: test has not been read for all of its trials.")
        if study.record.validation == 0:
            found.append(f"{label} had no validation images, so its test curve was watched.")
    first = studies[0].record
    for label, study in zip(labels[1:], studies[1:], strict=True):
        # The images and seeds are either alike or said elsewhere.
        places = f"in {labels[0]}", f"in {label}"
        named = _settings_that_differ(first, study.record, places)
        more = f"; and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        if named:
            found.append(f"What differs: {'; '.join(named[:_MOST_NAMED])}{more}.")
        found += _unlike(labels[0], label, first, study.record)
    return found


def _settings_that_differ(one: StudyRecord, other: StudyRecord, places: tuple[str, str]) -> list[str]:
    """Return what the rungs that both have were trained with differently, a phrase each."""
    ours, theirs = ({rung.name: rung for rung in record.rungs} for record in (one, other))
    shared = [name for name in ours if name in theirs]
    trimmed = [
        record.model_copy(
            update={
                "rungs": tuple(
                    rungs[name].model_copy(update={"recipe": _without(rungs[name].recipe, "name", "network")})
                    for name in shared
                ),
                # What the study was to find out, and with how many seeds, is no setting of its trials.
                "plan": "",
                "looks": one.looks,
                "metric": one.metric,
                "alpha": one.alpha,
                "smallest_effect": one.smallest_effect,
                "data": one.data,
            }
        )
        for record, rungs in ((one, ours), (other, theirs))
    ]
    phrases = differences(trimmed[0], trimmed[1], places)
    if any(ours[name].recipe.get("network") != theirs[name].recipe.get("network") for name in shared):
        phrases = [f"the networks ({ours[shared[0]].recipe['name']} and {theirs[shared[0]].recipe['name']})", *phrases]
    return phrases


def _without(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if key not in keys}


def _unlike(first: str, label: str, one: StudyRecord, other: StudyRecord) -> list[str]:
    told: list[tuple[str, Callable[[StudyRecord], str]]] = [
        ("versions", lambda record: ", ".join(f"{name} {at}" for name, at in sorted(record.versions.items()))),
        ("machines", lambda record: record.machine.accelerator or record.machine.processor),
    ]
    return [
        f"{first} and {label} ran with different {what}, and may differ for that alone: {say(one)}; {say(other)}."
        for what, say in told
        if say(one) != say(other)
    ]
