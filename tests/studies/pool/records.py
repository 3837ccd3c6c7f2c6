"""Records of studies that nobody ran, with any effects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from stepladder.studies.files.records import Machine
from stepladder.studies.judging.statistics import paired_interval
from stepladder.studies.judging.verdicts import VERDICTS, judge
from stepladder.studies.pool.files import EffectRecord, NetworkRecord, PartRecord, SetRecord
from stepladder.studies.pool.findings import PoolFindings, pool_studies
from stepladder.studies.pool.sets import DescribedStudy

MACHINE = Machine(processor="Xeon", cores=2, memory_gb=7.5, accelerator=None, system="Linux 6.1")

FLIP: dict[str, Any] = {"name": "horizontal_flip", "p": 0.5}
SCALE: dict[str, Any] = {"name": "standardize"}


def make_effect(
    name: str = "augment",
    values: tuple[float, ...] = (0.02, 0.03, 0.01, 0.02, 0.02),
    switched: tuple[dict[str, Any], ...] = (FLIP,),
    around: tuple[dict[str, Any], ...] = (SCALE,),
    **changes: Any,
) -> EffectRecord:
    """A ladder's contrast whose seeds have these differences, on a rung of 80 %."""
    differences, mean = np.array(values), float(np.mean(values))
    error = float(differences.std(ddof=1)) / np.sqrt(len(values))
    low, high = paired_interval(values) or (0.0, 0.0)
    verdict = VERDICTS[int(judge(np.array(low), np.array(high), 0.005))]
    fields: dict[str, Any] = {
        "name": name,
        "kind": "ladder",
        "parts": (
            PartRecord(weight=1.0, techniques=(*around, *switched), mean=0.8 + mean),
            PartRecord(weight=-1.0, techniques=around, mean=0.8),
        ),
        "network": NetworkRecord(label="report", fingerprint="layers"),
        "optimizer": "sgd",
        "epochs": 20,
        "batch_size": 32,
        "lr": 0.1,
        "differences": dict(enumerate(values)),
        "n": len(values),
        "mean": mean,
        "error": error,
        "interval": (low, high),
        "verdict": verdict,
        "log_odds": mean / 0.16,
        "log_odds_error": error / 0.16,
    }
    return EffectRecord(**{**fields, **changes})


def make_study(name: str, *effects: EffectRecord, **changes: Any) -> SetRecord:
    """A study of an image set of its own."""
    fields: dict[str, Any] = {
        "name": name,
        "study": f"plan of {name}",
        "fingerprint": f"images of {name}",
        "image_shape": (8, 8, 1),
        "classes": 10,
        "images": {"train": 1000 + len(name), "validation": 100, "test": 400},
        "metric": "accuracy",
        "metric_key": "accuracy",
        "unit": "share",
        "higher_is_better": True,
        "smallest_effect": 0.005,
        "alpha": 0.05,
        "plan": "ladder",
        "seeds": 5,
        "versions": {"torch": "2.13.0"},
        "machine": MACHINE,
        "precision": "float32",
        "effects": effects or (make_effect(),),
    }
    return SetRecord(**{**fields, **changes})


def pool_records(*records: SetRecord) -> PoolFindings:
    """What these records say together."""
    return pool_studies([DescribedStudy(record, (), ()) for record in records])


#: Effects in points, by technique, of sets that nobody trained on: as varied as they come.
SETS: Mapping[str, tuple[tuple[int, int, int], int, dict[str, tuple[float, float]]]] = {
    "gray digits": ((8, 8, 1), 10, {"augment": (-1.2, 0.5), "dropout": (0.3, 0.4)}),
    "letters": ((28, 28, 1), 26, {"augment": (-0.4, 0.3), "dropout": (0.1, 0.3)}),
    "clothes": ((32, 32, 3), 10, {"augment": (2.4, 0.8), "dropout": (0.9, 0.6)}),
    "flowers": ((64, 64, 3), 5, {"augment": (3.6, 1.0), "dropout": (-0.6, 0.9)}),
    "insects": ((64, 64, 3), 2, {"augment": (4.1, 2.5), "dropout": (1.4, 2.2)}),
    "lights": ((32, 16, 3), 3, {"augment": (0.2, 0.3)}),
}


def made_up_pool() -> PoolFindings:
    """Six sets that nobody trained on."""
    random, records = np.random.default_rng(0), []
    for name, (shape, classes, effects) in SETS.items():
        made = [
            make_effect(
                technique,
                tuple(float(value) / 100 for value in mean + spread * random.standard_normal(5)),
                (FLIP,) if technique == "augment" else ({"name": technique, "p": 0.5},),
                () if technique == "augment" else (SCALE, FLIP),
            )
            for technique, (mean, spread) in effects.items()
        ]
        flip = shape[2] > 1 if name != "insects" else None
        records.append(make_study(name, *made, image_shape=shape, classes=classes, may_be_flipped=flip))
    return pool_records(*records)
