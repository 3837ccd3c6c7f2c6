from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stepladder.studies.files.records import Ending, SavedStudy
from stepladder.studies.judging.trial_facts import FailedTrial, describe_machine, gather_trial_facts

MadeUp = Callable[..., SavedStudy]


def with_results(study: SavedStudy, *changes: dict[str, Any]) -> SavedStudy:
    """The study with the results of its first trials changed."""
    trials = list(study.trials)
    for position, change in enumerate(changes):
        trials[position] = replace(trials[position], result=trials[position].result.model_copy(update=change))
    return replace(study, trials=tuple(trials))


def test_costs_are_added_up_and_watts_are_those_of_the_trials_that_tell(made_up: MadeUp) -> None:
    study = made_up({"a": [0.5, 0.6], "b": [0.7, None]})  # a second and an epoch each
    plain = gather_trial_facts(study).costs
    assert (plain.seconds, plain.epochs, plain.joules, plain.watts, plain.told) == (4.0, 1, None, None, 0)
    told = with_results(study, {"energy_joules": 90.0, "seconds": 2.0}, {"energy_joules": 30.0, "epochs": 3})
    costs = gather_trial_facts(told).costs
    assert (costs.seconds, costs.epochs, costs.joules, costs.told) == (5.0, 3, 120.0, 2)
    assert costs.watts == pytest.approx(120 / 3)  # joules over the seconds of the same trials
    assert gather_trial_facts(made_up({"a": [None]})).costs.epochs is None


def test_failures_and_warnings_are_counted_by_trial(made_up: MadeUp) -> None:
    study = with_results(
        made_up({"a": [0.5, 0.6], "b": [None, None]}),
        {"warnings": ("odd loss", "odd loss", "no effect")},
        {"warnings": ("odd loss",)},
        {"failure": "out of memory", "epochs": 2},
        {"failure": None},
    )
    facts = gather_trial_facts(study)
    assert facts.warnings == (("odd loss", 2), ("no effect", 1))
    assert facts.failed == (
        FailedTrial("b", 0, 2, "out of memory", Ending.MEMORY),
        FailedTrial("b", 1, 1, "no reason was saved", Ending.ERROR),
    )
    assert len(repr(facts)) < 500


def test_versions_and_machines_are_named_only_where_they_differ(made_up: MadeUp) -> None:
    study = made_up({"a": [0.5, 0.6, 0.7]})
    facts = gather_trial_facts(study)
    assert (facts.versions, facts.machines) == ((), ())
    machine = study.trials[0].result.machine.model_copy(update={"cores": 1, "accelerator": "H200"})
    facts = gather_trial_facts(with_results(study, {"versions": {"torch": "2", "numpy": "1"}, "machine": machine}))
    assert facts.versions == (("numpy 1, torch 2", 1), ("", 2))
    assert facts.machines == (
        ("Xeon, 1 core, 7.5 GB, H200, Linux 6.1", 1),
        ("Xeon, 2 cores, 7.5 GB, Linux 6.1", 2),
    )
    assert describe_machine(machine) == facts.machines[0][0]
