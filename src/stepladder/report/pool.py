"""A pool as files and for programs: page, Markdown, figures, and one JSON document with a published schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from stepladder.report.sections import POOL_SECTIONS
from stepladder.report.sections.pool import describe_pool, pool_head
from stepladder.report.write import render_sections, write_files
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.judging.verdicts import Verdict
from stepladder.studies.pool.findings import PooledTechnique, PoolFindings
from stepladder.studies.pool.statistics import PooledEffect
from stepladder.training.unit import Unit

#: Raised with every change of the document that a reader of the earlier one would misread.
POOL_DOCUMENT_VERSION = 1

#: Of a pool's files.
POOL_NAME = "pool"


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Effect(_Document):
    """Over sets, in the unit of the metric, or as log odds; null where there are too few sets."""

    sets: int
    mean: float | None
    error: float | None
    interval: tuple[float, float] | None
    tau: float | None
    q: float | None
    prediction: tuple[float, float] | None
    above_zero: float | None


class _Set(_Document):
    """One image set's part; its interval is that of its own study."""

    image_set: str
    n: int
    mean: float
    error: float
    interval: tuple[float, float] | None
    verdict: Verdict | None
    without: float | None
    log_odds: float | None
    log_odds_error: float | None


class _Technique(_Document):
    name: str
    kind: ContrastKind
    techniques: list[dict[str, Any]]
    around: list[str]
    network: str
    optimizer: str
    counted: dict[str, int]
    points: _Effect
    odds: _Effect | None
    image_sets: list[_Set]


class _Study(_Document):
    image_set: str
    fingerprint: str
    image_shape: tuple[int, int, int]
    classes: int
    images: dict[str, int]
    may_be_flipped: bool | None
    plan: str
    seeds: int
    versions: dict[str, str]
    hardware: str


class _Left(_Document):
    image_set: str
    technique: str
    why: str


class PoolDocument(_Document):
    """What stepladder pool --json prints. Shares, such as accuracies, are fractions of 1, as their differences are."""

    version: int
    metric: str
    unit: Unit
    studies: list[_Study]
    techniques: list[_Technique]
    left_out: list[_Left]
    summary: list[str]


def build_pool_document(findings: PoolFindings) -> dict[str, Any]:
    """Return a pool as plain values, as :func:`pool_schema` describes them."""
    document = PoolDocument(
        version=POOL_DOCUMENT_VERSION,
        metric=findings.metric,
        unit=findings.unit,
        studies=[
            _Study(
                image_set=label,
                fingerprint=record.fingerprint,
                image_shape=record.image_shape,
                classes=record.classes,
                images=record.images,
                may_be_flipped=record.may_be_flipped,
                plan=record.plan,
                seeds=record.seeds,
                versions=record.versions,
                hardware=record.machine.accelerator or record.machine.processor,
            )
            for label, record in zip(findings.labels, findings.studies, strict=True)
        ],
        techniques=[_technique(one) for one in findings.techniques],
        left_out=[_Left(image_set=one.study, technique=one.name, why=one.why) for one in findings.left_out],
        summary=describe_pool(findings),
    )
    return document.model_dump(mode="json")


def pool_schema() -> str:
    """Return the JSON schema of :func:`build_pool_document`, as text."""
    return json.dumps(PoolDocument.model_json_schema(), indent=2) + "\n"


def write_pool_report(findings: PoolFindings, out: Path, command: str = "") -> list[Path]:
    """Write ``pool.md``, ``pool.html``, ``pool.json`` and ``figures/`` into the folder ``out``, and return their paths.

    Raises:
        StorageError: a file cannot be written; each is replaced whole or left as it was.
    """
    files = render_sections(findings, POOL_SECTIONS, pool_head(findings, command), POOL_NAME)
    text = json.dumps(build_pool_document(findings), indent=2, ensure_ascii=False) + "\n"
    return write_files(out, files | {f"{POOL_NAME}.json": text.encode()})


def _technique(one: PooledTechnique) -> _Technique:
    return _Technique(
        name=one.name,
        kind=one.kind,
        techniques=list(one.techniques),
        around=list(one.around),
        network=one.network,
        optimizer=one.optimizer,
        counted={verdict or "no verdict": number for verdict, number in one.counted.items()},
        points=_effect(one.points),
        odds=None if one.odds is None else _effect(one.odds),
        image_sets=[
            _Set(
                image_set=member.label,
                n=member.effect.n,
                mean=member.effect.mean,
                error=member.effect.error,
                interval=member.effect.interval,
                verdict=member.effect.verdict,
                without=member.effect.without,
                log_odds=member.effect.log_odds,
                log_odds_error=member.effect.log_odds_error,
            )
            for member in one.members
        ],
    )


def _effect(pooled: PooledEffect) -> _Effect:
    return _Effect(**vars(pooled))
