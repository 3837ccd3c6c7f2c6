"""What stands behind the figures: protocol, data, failures, warnings, versions and hardware, as plain pairs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from stepladder.report.tables import scale_of
from stepladder.report.units import amount, count, duration, listing
from stepladder.report.words import WATCHED, describe_readings
from stepladder.study.design.metrics import find_metric
from stepladder.study.files.records import Machine, SavedStudy
from stepladder.training.history import TRAIN_SAMPLE


@dataclass(frozen=True)
class Failure:
    """One failed trial, with what it says of itself."""

    rung: str
    seed: int
    epochs: int
    reason: str


def failures(study: SavedStudy) -> list[Failure]:
    """Return every failed trial, in plan order."""
    return [
        Failure(trial.rung, trial.seed, trial.result.epochs, trial.result.failure or "no reason was saved")
        for trial in study.trials
        if trial.result.status == "failed"
    ]


def cautions(study: SavedStudy) -> list[str]:
    """Return what the trials warn of, each warning once with how often it came, and where trials are not alike."""
    total = count(len(study.trials), "trial")
    seen = Counter(warning for trial in study.trials for warning in dict.fromkeys(trial.result.warnings))
    found = [f"{warning} ({times} of {total})" for warning, times in seen.items()]
    found += study.record.notes
    found += _unlike("versions", (_versions(trial.result.versions) for trial in study.trials))
    found += _unlike("machines", (_machine(trial.result.machine) for trial in study.trials))
    return found


def protocol(study: SavedStudy) -> list[tuple[str, str]]:
    """Return how the study was run, as (what, how) pairs."""
    record, data = study.record, study.record.data
    height, width, channels = data.image_shape
    color = {1: "gray", 3: "color"}.get(channels, count(channels, "channel"))
    train = data.counts.get("train", 0)
    sample = f"a fixed sample of {TRAIN_SAMPLE:,}" if train > TRAIN_SAMPLE else "all"
    epochs = max((trial.result.epochs for trial in study.trials if trial.result.status == "finished"), default=None)
    reading = describe_readings(study)
    if record.validation == 0:
        reading = f"{WATCHED}. The figures of the saved models: {reading}"
    facts = [
        ("Plan", f"{record.plan}: {count(len(record.rungs), 'rung')}, seeds {', '.join(map(str, record.seeds))}"),
        ("Judged by", _rules(study)),
        ("Images", f"{height} × {width} pixels, {color}, {len(data.class_names):,} classes"),
        ("Splits", ", ".join(f"{images:,} {split}" for split, images in data.counts.items())),
        ("Validation share", f"{100 * record.validation:g} % of the training images, held out"),
        ("Test images", reading),
        ("Weights kept", "the last epoch's" if record.select == "last" else "those of the epoch best on validation"),
        ("Training accuracy", f"in evaluation mode on {sample} plain training images"),
        ("Precision and device", f"{record.precision} on {record.device}"),
        ("Time", f"{duration(sum(trial.result.seconds for trial in study.trials))} in all trials"),
        ("Energy", _energy(study)),
        ("Started", record.created),
        ("Plan hash", record.plan_hash),
        ("Data fingerprint", data.fingerprint),
        ("Split", data.split),
    ]
    if epochs is not None:
        facts.insert(1, ("Budget", f"{count(epochs, 'epoch')} a trial"))
    return facts


def platform(study: SavedStudy) -> list[tuple[str, str]]:
    """Return the versions and the machine that the study was planned on, as (what, which) pairs."""
    return [*study.record.versions.items(), ("machine", _machine(study.record.machine))]


def _rules(study: SavedStudy) -> str:
    record = study.record
    interest = amount(scale_of(study), record.smallest_effect)
    rules = f"{find_metric(record.metric).label}, α = {record.alpha:g}, smallest effect of interest {interest}"
    if len(record.looks) > 1:
        rules += f", looks at {listing([str(look.seeds) for look in record.looks])} seeds"
    return rules


def _machine(machine: Machine) -> str:
    parts = [machine.processor, count(machine.cores, "core"), f"{machine.memory_gb:g} GB"]
    parts += [machine.accelerator] if machine.accelerator else []
    return ", ".join([*parts, machine.system])


def _versions(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))


def _energy(study: SavedStudy) -> str:
    """Say what the processors used, where the machine told it."""
    told = [trial.result for trial in study.trials if trial.result.energy_joules is not None]
    if not told:
        return "not told by this machine"
    joules = sum(result.energy_joules or 0.0 for result in told)
    watts = joules / max(sum(result.seconds for result in told), 1e-9)
    some = "all trials" if len(told) == len(study.trials) else f"{len(told)} of {count(len(study.trials), 'trial')}"
    return (
        f"{joules / 3600:,.1f} Wh in {some}, {watts:.0f} W on average: the processor packages with all that ran on "
        "them, without accelerators"
    )


def _unlike(kind: str, values: Iterable[str]) -> list[str]:
    """Say so where trials differ in what should be the same for all: their figures may differ for that alone."""
    seen = Counter(values)
    if len(seen) < 2:
        return []
    each = [f"{value} ({count(times, 'trial')})" for value, times in seen.items()]
    return [f"The trials ran on different {kind}, so they may differ for that alone: {listing(each)}"]
