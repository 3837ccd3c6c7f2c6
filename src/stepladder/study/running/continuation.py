"""Going on with the study of a folder: the same plan, or a sentence on how it differs."""

from __future__ import annotations

from pathlib import Path

from stepladder.data import Splits
from stepladder.errors import StudyError
from stepladder.files import remove_stale_parts
from stepladder.study.files.images import describe_changes, read_images, write_images
from stepladder.study.files.integrity import differences, find_edit, hash_plan, is_other_grid
from stepladder.study.files.machine import now
from stepladder.study.files.records import AddedSeeds, StudyRecord
from stepladder.study.files.store import read_readings, read_record, write_record
from stepladder.study.running.execution import Execution
from stepladder.study.running.ownership import own

#: Files of a study that are written only by who owns its folder; those of the report may be by several processes.
_OWNED = ("study.json", "images.safetensors", "test-readings.json", "gallery.json")


def write_plan(out: Path, record: StudyRecord, splits: Splits, execution: Execution) -> StudyRecord:
    """Write the plan before the first trial, unless another process has just done so; return the one that holds."""
    with own(out):
        remove_stale_parts(out, _OWNED)
        remove_stale_parts(out / "figures", ())
        record = continue_record(out, record, splits, execution)
        if read_record(out) != record:
            write_record(out, record)
        if read_images(out) is None:
            write_images(out, splits)
    return record


def continue_record(out: Path, record: StudyRecord, splits: Splits, execution: Execution) -> StudyRecord:
    """Return the record to go on with: that of ``out`` where it has the same plan, with the seeds of both."""
    found = read_record(out)
    if found is None:
        return record
    readings = read_readings(out)
    if (edit := find_edit(found, readings)) is not None:
        raise StudyError(f"{out}: {edit}; restore it from a copy, or choose another folder with --out")
    # More or fewer seeds are no other plan, unless they were to be found in declared looks.
    alike = record
    if len(found.looks) == len(record.looks) == 1:
        alike = record.model_copy(update={"looks": found.looks})
    if found.plan_hash != hash_plan(alike):
        if is_other_grid(found, record):
            return record
        raise StudyError(f"{out} holds another study: {_differences(out, found, alike, splits)}")
    if found.threads != record.threads and found.threads is not None and not execution.accept_different_bits:
        here = record.threads or "all cores"
        raise StudyError(
            f"{out} was begun with --threads {found.threads}, and this would be {here}, so bits may differ; continue "
            f"with --threads {found.threads}, or with --accept-different-bits"
        )
    new = tuple(seed for seed in record.seeds if seed not in found.seeds)
    if not new or len(found.looks) > 1:
        return found
    added = AddedSeeds(seeds=new, time=now(), after_reading=bool(readings))
    return found.model_copy(
        update={"seeds": (*found.seeds, *new), "added": (*found.added, added), "command": record.command}
    )


def _differences(out: Path, found: StudyRecord, here: StudyRecord, splits: Splits) -> str:
    """Return how two plans differ and what to do, after "holds another study:"."""
    phrases = differences(found, here)
    images = read_images(out)
    if found.data.fingerprint != here.data.fingerprint and images is not None:
        changes = describe_changes(images, splits, found.data.class_names)
        phrases = [phrase for phrase in phrases if phrase not in ("the images differ", "the split differs")] + changes
    more = f"; and {len(phrases) - 4} more" if len(phrases) > 4 else ""
    fix = "Choose another folder with --out, or the same settings to continue"
    if phrases and all(phrase.startswith("epochs is ") for phrase in phrases):
        before = found.rungs[0].recipe["epochs"]
        fix = (
            f"A finished trial cannot be made longer or shorter: its learning rates and every other schedule were made "
            f"for {before} epoch{'' if before == 1 else 's'}. Train new trials with --out and another folder"
        )
    return f"{'; '.join(phrases[:4])}{more}. {fix}"
