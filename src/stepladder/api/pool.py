"""``pool``: studies of several image sets, judged together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError
from stepladder.report.pool import build_pool_document, write_pool_report
from stepladder.report.sections.pool import describe_pool
from stepladder.studies.pool.files import write_pool
from stepladder.studies.pool.findings import PooledTechnique, PoolFindings, pool_studies, read_studies
from stepladder.studies.pool.sets import LeftOut


class Pool:
    """What studies of several image sets say together.

    Attributes:
        findings: everything that may be said, worked out once.
        folder: where the report is; None where none was written.
    """

    def __init__(self, findings: PoolFindings, folder: Path | None = None) -> None:
        self.findings = findings
        self.folder = folder

    @property
    def techniques(self) -> tuple[PooledTechnique, ...]:
        """Every technique that two image sets or more have: those of most sets first, then by their mean."""
        return self.findings.techniques

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The contrasts that no pooled effect uses, each with the reason."""
        return self.findings.left_out

    def __getitem__(self, name: str) -> PooledTechnique:
        """Return a technique by name.

        Raises:
            KeyError: it is not pooled.
        """
        found = self.findings.find(name)
        if found is None:
            raise KeyError(f"{name} is not pooled; there are: {', '.join(one.name for one in self.techniques)}")
        return found

    def to_document(self) -> dict[str, Any]:
        """Return the result as plain values; ``stepladder pool --schema`` prints their JSON schema."""
        return build_pool_document(self.findings)

    def __str__(self) -> str:
        return "\n".join(describe_pool(self.findings))

    def __repr__(self) -> str:
        return f"<Pool of {len(self.findings.studies)} studies of {self.findings.sets} image sets>"


def pool(
    studies: Sequence[Path | str] | Path | str,
    *,
    out: Path | str | None = None,
    save: Path | str | None = None,
    keep_names: bool = False,
    command: str = "",
) -> Pool:
    """Say what techniques do over several image sets: the mean, and what a new set will probably have.

    >>> pool = sl.pool(["studies/digits-ladder", "studies/photos-ladder", "my-atlas/"])  # doctest: +SKIP
    >>> pool["augment"].points.prediction  # doctest: +SKIP
    (-0.0061, 0.0422)

    Args:
        studies: folders of studies, and of findings that were saved.
        out: folder of the report; None writes none.
        save: folder that keeps the findings, those that it has among them; it may be the first study.
        keep_names: keep the names of image sets and rungs in ``save``.
        command: what to type to do it again, for the report.

    Raises:
        StudyError: there are fewer than two image sets, or they are judged by different metrics.
        StorageError: a file cannot be read or written.
    """
    listed = [Path(studies)] if isinstance(studies, str | Path) else [Path(one) for one in studies]
    described = read_studies(listed)
    findings = pool_studies(described, listed)
    if findings.sets < 2 and save is None:
        raise StudyError(
            f"{listed[0]} is one image set, and a pool takes two or more; give more studies, or keep this one with "
            "`save`"
        )
    if save is not None:
        write_pool(Path(save), [study.record for study in described], keep_names=keep_names)
    if out is not None and findings.sets > 1:
        write_pool_report(findings, Path(out), command)
    return Pool(findings, None if out is None or findings.sets < 2 else Path(out))
