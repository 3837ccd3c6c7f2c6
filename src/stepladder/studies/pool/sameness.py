"""When two studies ask the same question, and what makes them differ.

The same question is the same contrast between rungs with the same techniques, each with the same options and in the
same order, on the same network and optimizer. What a set needs of its own may differ, and does: epochs, images a batch,
learning rate, and everything about the images. So what is pooled is a technique as it is used, not a setting.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from typing import Any

from stepladder.studies.pool.files import EffectRecord, rounded_weight


def question_of(effect: EffectRecord) -> Hashable:
    """Return what is the same of all effects that are pooled, and of no other.

    How a plan calls it is no part of it: the technique that a ladder adds last, and the same one left out of all, are
    one contrast between the same two rungs.
    """
    parts = sorted((rounded_weight(part.weight), _written(part.techniques)) for part in effect.parts)
    return (tuple(parts), effect.network.fingerprint, effect.optimizer)


def asks_about(effect: EffectRecord) -> tuple[str, ...]:
    """Return the names of the techniques that it is about: effects with the same ones are alike, if not the same."""
    return tuple(sorted(str(one["name"]) for one in effect.switched))


def what_differs(one: EffectRecord, other: EffectRecord) -> str:
    """Return in what an effect asks another question than ``other``, half a sentence; both are about one technique."""
    if one.network.fingerprint != other.network.fingerprint:
        names = one.network.label, other.network.label
        return f"its network is {names[0]}, not {names[1]}" if names[0] != names[1] else "its network differs"
    if one.optimizer != other.optimizer:
        return f"its optimizer is {one.optimizer}, not {other.optimizer}"
    ours, theirs = ({str(setting["name"]): setting for setting in each.switched} for each in (one, other))
    for name, setting in ours.items():
        if name in theirs and setting != theirs[name]:
            return f"settings of {name} differ ({_settings(setting, theirs[name])})"
    added, missing = _beyond(one.around, other.around), _beyond(other.around, one.around)
    if added or missing:
        words = [
            *([f"with {', '.join(added)}"] if added else []),
            *([f"without {', '.join(missing)}"] if missing else []),
        ]
        return f"it stands {' and '.join(words)}"
    for setting in one.around:
        there = next((each for each in other.around if each["name"] == setting["name"]), setting)
        if there != setting:
            return f"settings of {setting['name']} around it differ ({_settings(setting, there)})"
    if one.kind != other.kind:
        return f"it is asked otherwise ({one.kind}, not {other.kind})"
    return "its techniques have another order"


def _written(settings: Iterable[dict[str, Any]]) -> str:
    return json.dumps(list(settings), sort_keys=True)


def _beyond(ours: Iterable[dict[str, Any]], theirs: Iterable[dict[str, Any]]) -> list[str]:
    there = {one["name"] for one in theirs}
    return [str(one["name"]) for one in ours if one["name"] not in there]


def _settings(one: dict[str, Any], other: dict[str, Any]) -> str:
    changed = [key for key in {**one, **other} if one.get(key) != other.get(key)]
    if changed == ["code"]:
        return "its code is another"
    return ", ".join(
        f"{key} {one.get(key, 'absent')}, not {other.get(key, 'absent')}" for key in changed if key != "code"
    )
