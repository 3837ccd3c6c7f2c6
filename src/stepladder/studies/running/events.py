"""What a worker says of its trials, passed on to whoever watches the study."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepladder import errors
from stepladder.errors import StepladderError, StudyError
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import TrialResult
from stepladder.studies.running.callbacks import Callbacks
from stepladder.training.history import EpochRecord


def pass_on(said: Mapping[str, Any], trial: Trial | None, callbacks: Callbacks) -> None:
    """Tell callbacks of one event of a worker.

    Args:
        said: the event as :mod:`~stepladder.studies.running.worker` writes it.
        trial: that it is of; None where it is of none, or of one that this worker is no longer at.

    Raises:
        StepladderError: the worker could not go on.
    """
    match said["event"]:
        case "message":
            callbacks.message(said["sentence"])
        case "error":
            raise error_of(said)
        case "started" if trial:
            callbacks.trial_started(trial)
        case "images" if trial:
            callbacks.batch_ended(trial, said["images"])
        case "features" if trial:
            callbacks.features_computed(trial, said["done"], said["total"])
        case "epoch" if trial:
            callbacks.epoch_ended(trial, EpochRecord(**said["record"]))
        case "postponed" if trial:
            callbacks.trial_postponed(trial)
        case "ended" if trial:
            callbacks.trial_ended(trial, TrialResult.model_validate(said["result"]))


def error_of(said: Mapping[str, Any]) -> StepladderError:
    """Return the error that ended a worker, of its own kind."""
    kind = getattr(errors, said["kind"], StudyError)
    error = kind(said["sentence"])
    assert isinstance(error, StepladderError)
    return error
