"""The record of a study, a sweep or a curve of a command: its plan, hashed before the first run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stepladder.studies.curve import CURVE
from stepladder.studies.design.rules import Rules, Seeds, looks_for
from stepladder.studies.design.sweeps import AxisRecord, SearchRecord, SweepRecord, Value
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import DataRecord, LookRecord, Machine, RungRecord, ScoresRecord, StudyRecord
from stepladder.studies.scores.commands import CommandPlan
from stepladder.studies.search import SEARCH
from stepladder.studies.sweep import SWEEP
from stepladder.training.metrics import OWN_SMALLEST_EFFECT, own_metric


@dataclass(frozen=True)
class Origin:
    """Where a record comes from, for a reader; no part of the plan but the name.

    Attributes:
        name: of the folder.
        command: what to type to go on.
        created: the time.
    """

    name: str
    machine: Machine
    command: str = ""
    created: str = ""
    versions: dict[str, str] = field(default_factory=dict)


def make_record(plan: CommandPlan, seeds: Seeds, rules: Rules, origin: Origin) -> StudyRecord:
    """Return the record of a study of a command, hashed, with ``seeds`` seeds a rung; those of the first look for auto.

    Raises:
        StudyError: the command, its rungs or the plan cannot be run.
    """
    (look,) = looks_for(seeds, rules)
    rungs, contrasts, notes = plan.arranged(look.seeds, rules.max_trials)
    smallest = rules.smallest_effect
    if smallest is None:
        smallest = OWN_SMALLEST_EFFECT if plan.share else 0.0
    return _hashed(
        StudyRecord(
            plan=plan.plan,
            contrasts=contrasts,
            notes=notes,
            looks=(LookRecord(seeds=look.seeds, share=look.share),),
            alpha=rules.alpha,
            smallest_effect=smallest,
            spending="declared" if rules.final else "open",
            seeds=tuple(range(look.seeds)),
            **_common(plan, rungs, [rung.recipe for rung in rungs], origin),
        )
    )


@dataclass(frozen=True)
class Points:
    """The points of a sweep so far, and what made them.

    Attributes:
        values: of each point, in the order of the axes.
        search: what proposes them; None for a grid.
    """

    axes: tuple[AxisRecord, ...]
    values: tuple[tuple[Value, ...], ...]
    search: SearchRecord | None = None


def make_sweep_record(plan: CommandPlan, points: Points, seeds: int, origin: Origin) -> StudyRecord:
    """Return the record of a sweep of a command, hashed: a rung a point, nothing compared on test.

    Raises:
        StudyError: the command has no place for a key.
    """
    plan.check_sweep(points.axes)
    rungs = tuple(plan.point_record(points.axes, values) for values in points.values)
    base = plan.base_recipe()
    (look,) = looks_for(seeds, Rules(final=True))
    metric = own_metric(plan.metric, share=plan.share, higher_is_better=plan.higher_is_better, diverged=plan.diverged)
    return _hashed(
        StudyRecord(
            plan=SWEEP if points.search is None else SEARCH,
            contrasts=(),
            looks=(LookRecord(seeds=look.seeds, share=look.share),),
            smallest_effect=0.0,
            seeds=tuple(range(seeds)),
            sweep=SweepRecord(
                base=base,
                axes=points.axes,
                points=points.values,
                guess=0.0,
                search=points.search,
                counts_as=metric.diverged([]),
            ),
            **_common(plan, rungs, base, origin),
        )
    )


def make_curve_record(plan: CommandPlan, fractions: Sequence[float], seeds: int, origin: Origin) -> StudyRecord:
    """Return the record of a curve of a command, hashed: a rung a size, and nothing to compare.

    Args:
        fractions: of the training images, in any order.

    Raises:
        StudyError: the command cannot be run, or has no place for a fraction.
    """
    rungs = plan.size_records(fractions)
    (look,) = looks_for(seeds, Rules(final=True))
    return _hashed(
        StudyRecord(
            plan=CURVE,
            contrasts=(),
            looks=(LookRecord(seeds=look.seeds, share=look.share),),
            smallest_effect=0.0,
            seeds=tuple(range(seeds)),
            **_common(plan, rungs, [rung.recipe for rung in rungs], origin),
        )
    )


def _common(plan: CommandPlan, rungs: Sequence[RungRecord], identity: object, origin: Origin) -> dict[str, Any]:
    """Return what studies, sweeps and curves of a command have alike.

    Args:
        identity: what stands for the images of other studies: of a sweep the command alone, so that its grid may grow.
    """
    text = json.dumps(identity, sort_keys=True)
    return {
        "plan_hash": "",
        "rungs": tuple(rungs),
        "metric": plan.metric,
        "validation": 0.0,
        "precision": "float32",
        "device": "cpu",
        "data": DataRecord(
            name=origin.name,
            fingerprint=hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest(),
            split="",
            class_names=(),
            image_shape=(1, 1, 1),
            counts={},
            notes=(),
        ),
        "versions": origin.versions,
        "machine": origin.machine,
        "command": origin.command,
        "created": origin.created,
        "scores": ScoresRecord(
            source="command",
            share=plan.share,
            higher_is_better=plan.higher_is_better,
            diverged=plan.diverged,
            columns={"Command": plan.run, "Unit": plan.unit or ("fraction" if plan.share else "number")},
            reads_test=plan.reads_test,
        ),
    }


def _hashed(record: StudyRecord) -> StudyRecord:
    return record.model_copy(update={"plan_hash": hash_plan(record)})
