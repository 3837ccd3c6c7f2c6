import torch

from stepladder.studies.files.machine import describe_machine, describe_versions


def test_the_machine_is_described_in_full() -> None:
    machine = describe_machine(torch.device("cpu"))
    assert machine.processor
    assert machine.cores >= 1
    assert machine.accelerator is None


def test_versions_are_those_that_a_result_depends_on() -> None:
    assert describe_versions().keys() == {"python", "stepladder", "torch", "numpy"}
    assert describe_versions()["torch"] == torch.__version__
