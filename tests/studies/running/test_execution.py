from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.studies.running.execution import Execution


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"workers": 0}, "`workers` is 0; it must be auto, or a whole number of at least 1"),
        ({"workers": -1}, "`workers` is -1; it must be auto"),
        ({"workers": "all"}, "`workers` is all; it must be auto"),
        ({"streams": 0}, "`streams` is 0; it must be 1 to 16"),
        ({"streams": 17}, "`streams` is 17; it must be 1 to 16"),
        ({"checkpoint_seconds": 0}, "`checkpoint_seconds` is 0"),
        ({"checkpoint_seconds": float("nan")}, "`checkpoint_seconds` is nan"),
        ({"trial_timeout": -3}, "`trial_timeout` is -3 seconds"),
        ({"max_time": 0}, "`max_time` is 0 seconds"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(StudyError, match=said):
        Execution(**options).check()


def test_what_is_in_range_is_not() -> None:
    for execution in (Execution(), Execution(workers=1), Execution(workers=8, trial_timeout=0.5, max_time=3600)):
        execution.check("cpu")
    Execution(streams=16).check("cuda")
    Execution(streams=16).check()
    with pytest.raises(StudyError, match="`streams` is for trials that share a CUDA GPU, and these run on mps"):
        Execution(streams=2).check("mps")
