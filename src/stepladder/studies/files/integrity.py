"""The plan holds: its hash, what an edited one is caught by, and how two plans differ, in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any

from stepladder.studies.design.rules import RulesRecord
from stepladder.studies.files.records import Reading, StudyRecord, TrialResult


def fixed_part(record: StudyRecord) -> dict[str, Any]:
    """Return all that the plan fixes before the first trial, as plain values; only seeds may be added later."""
    document = record.model_dump(mode="json")
    # What only the rungs of a curve have is left out of others: studies from before there were such, and their hashes.
    document["rungs"] = [_without_none(rung, "images", "split") for rung in document["rungs"]]
    names = ["plan", "rungs", "contrasts", "looks"]
    rules = {name: document.get(name, field.default) for name, field in RulesRecord.model_fields.items()}
    names += [name for name, value in rules.items() if _counts(name, value, RulesRecord.model_fields[name].default)]
    if record.scores is not None:
        names.append("scores")
    if record.sweep is not None:  # what studies before there were sweeps do not have, and their hashes neither
        names.append("sweep")
        if record.sweep.search is not None:  # it finds its points on the way
            names.remove("rungs")
            document["sweep"] = {"base": document["sweep"]["base"], "axes": document["sweep"]["axes"]}
            document["sweep"]["seed"] = record.sweep.search.seed
            if record.sweep.search.together > 1:  # what searches from before there were rounds do not have
                document["sweep"]["together"] = record.sweep.search.together
    return {
        **{name: document[name] for name in names},
        "validation": record.validation,
        "precision": record.precision,
        "device": record.device,
        "data": record.data.name,
        "images": record.data.fingerprint,
        "split": record.data.split,
    }


#: The rules of the first studies, which are in every hash.
_FIRST_RULES = ("metric", "alpha", "smallest_effect", "select")


def _counts(rule: str, value: object, default: object) -> bool:
    """Whether a rule is part of the plan's hash: one that came later only where it is not as it was before."""
    return rule in _FIRST_RULES or value != default


def hash_plan(record: StudyRecord) -> str:
    """Return the SHA-256, hex, of the plan: rungs, seeds (the looks), metric, α, smallest effect, protocol and data."""
    return hashlib.sha256(json.dumps(fixed_part(record), sort_keys=True).encode()).hexdigest()


def find_edit(record: StudyRecord, readings: Sequence[Reading], results: Iterable[TrialResult] = ()) -> str | None:
    """Return how plan or readings were changed after they had been written, one sentence; None where nothing shows it.

    A plan whose hash was made to fit again is caught by the readings of test, each of which noted the hash of its time.
    A reading that is gone is caught by the trials that were read in it, and one that was changed by its chained hash.
    Nothing of this holds up somebody who changes all of it.

    Args:
        results: of the trials that have ended.
    """
    if hash_plan(record) != record.plan_hash:
        return "study.json was edited: its plan no longer has the hash that was taken before the first trial"
    if any(reading.plan_hash != record.plan_hash for reading in readings):
        return "study.json was edited: test was read under a plan with another hash"
    before, chains = "", {""}
    for reading in readings:
        if reading.chain and reading.chained(before).chain != reading.chain:
            return "test-readings.json was edited: a reading of test no longer has the chained hash that it was given"
        before = reading.chain
        chains.add(before)
    listed = {trial for reading in readings for trial in reading.trials}
    for result in results:
        if result.test_accuracy is None:
            continue
        if result.trial not in listed or (result.reading or "") not in chains:
            return (
                f"test-readings.json was edited or removed: trial {result.trial} has a test score, and no reading of "
                f"test lists it"
            )
    declared = {seed for look in record.looks for seed in range(look.seeds)}
    noted = {seed for added in record.added for seed in added.seeds}
    if not set(record.seeds) <= declared | noted:
        return "study.json was edited: it has seeds that were neither planned nor noted as added"
    return None


def differences(there: StudyRecord, here: StudyRecord, places: tuple[str, str] = ("there", "here")) -> list[str]:
    """Return what differs between two plans, a phrase each, the same setting of several rungs once.

    Args:
        places: what to call the two.
    """
    old, new = dict(_leaves(_readable(there))), dict(_leaves(_readable(here)))
    phrases: dict[str, None] = {}
    for key in [*old, *(key for key in new if key not in old)]:
        if old.get(key) != new.get(key):
            name = key.split(".recipe.", 1)[-1]
            if name in ("images", "split"):  # fingerprints say nothing to a reader
                phrases[f"the {name} differ{'s' if name == 'split' else ''}"] = None
                continue
            values = _written(old.get(key)), _written(new.get(key))
            if any("\n" in value for value in values):  # the text of a file
                phrases[f"{name} differs"] = None
                continue
            phrases[f"{name} is {values[0]} {places[0]} and {values[1]} {places[1]}"] = None
    return list(phrases)


def is_other_grid(there: StudyRecord, here: StudyRecord) -> bool:
    """Whether both are grids around the same recipe on the same images and protocol: they can share trials.

    No harm is done where one takes the other's place: neither reads test, so there is nothing to promise beforehand.
    """
    if there.sweep is None or here.sweep is None or there.sweep.search is not None or here.sweep.search is not None:
        return False
    one, other = fixed_part(there), fixed_part(here)
    alike = all(one[name] == other[name] for name in one if name not in ("rungs", "sweep", "looks"))
    return alike and there.sweep.base == here.sweep.base


def added_rungs(there: StudyRecord, here: StudyRecord) -> tuple[str, ...]:
    """Return the rungs that ``here`` has beside all those of ``there``; none where anything else differs.

    Contrasts follow from the rungs.
    """
    one, other = fixed_part(there), fixed_part(here)
    if any(
        one.get(name) != other.get(name) for name in one.keys() | other.keys() if name not in ("rungs", "contrasts")
    ):
        return ()
    if there.sweep is not None:
        return ()
    old, new = ({rung["name"]: rung for rung in part["rungs"]} for part in (one, other))
    if any(new.get(name) != rung for name, rung in old.items()):
        return ()
    return tuple(name for name in new if name not in old)


def _readable(record: StudyRecord) -> dict[str, Any]:
    """The plan for a sentence: what follows from other settings (contrasts) left out, looks by their seeds."""
    fixed = fixed_part(record)
    del fixed["contrasts"]
    if record.sweep is not None:  # its points say nothing that the recipe and the keys do not
        fixed["rungs"] = []
        fixed["keys"] = {axis["key"]: axis for axis in fixed["sweep"]["axes"]}
        swept = fixed.pop("sweep")
        fixed["recipe"] = swept["base"]
        if "seed" in swept:
            fixed |= {"search_seed": swept["seed"], "together": swept.get("together", 1)}
    fixed["rungs"] = {rung["name"]: rung for rung in fixed["rungs"]}
    fixed.setdefault("resplit", False)
    if record.contrasts:
        fixed["final"] = fixed.pop("spending", "declared") == "declared" and len(fixed["looks"]) == 1
    fixed["looks"] = [look["seeds"] for look in fixed["looks"]]
    if len(fixed["looks"]) == 1:
        fixed["seeds"] = fixed.pop("looks")
    return fixed


def _leaves(value: Any, prefix: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        for inner in value:
            yield from _leaves(inner, f"{prefix}.{inner.get('name')}")
    else:
        yield prefix, value


def _written(value: Any) -> str:
    if value is None:
        return "absent"
    return ", ".join(map(str, value)) or "empty" if isinstance(value, list | tuple) else str(value)


def _without_none(table: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None or key not in keys}
