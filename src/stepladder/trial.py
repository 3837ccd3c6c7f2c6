"""For a training script of your own that a study runs: which seed, where to write, and the scores at the end.

It needs nothing but Python, so that a script pays nothing for it:

.. code-block:: python

    from stepladder import trial

    run = trial.start()                       # run.seed, run.out, run.checkpoint, run.read_test
    ...                                       # train with run.seed; go on from run.checkpoint where it is there
    run.finish(val=0.91, test=0.90 if run.read_test else None)

Started by hand, without a study, the seed is 0, files go to the current folder, and test may be read.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

#: What a study tells the command that it runs, as environment variables.
SEED, OUT, READ_TEST, FRACTION = "STEPLADDER_SEED", "STEPLADDER_OUT", "STEPLADDER_READ_TEST", "STEPLADDER_FRACTION"


@dataclass(frozen=True)
class TrialRun:
    """One run of a training script.

    Attributes:
        seed: for every random number of the training.
        out: folder for whatever the run leaves.
        checkpoint: folder to keep checkpoints in; a run that goes on after a crash finds there what it left.
        read_test: whether test may be scored now; in a study with a test of its own, only after all training.
        fraction: of the training images, above 0 and at most 1.
        in_study: whether a study started it.
    """

    seed: int
    out: Path
    checkpoint: Path
    read_test: bool
    fraction: float
    in_study: bool

    def finish(
        self,
        *,
        val: float | None = None,
        test: float | None = None,
        history: Sequence[Mapping[str, float]] | None = None,
        **more: float,
    ) -> Path:
        """Write ``result.json`` whole, and return its path.

        Args:
            val, test: scores by the metric that the study judges by; a loss that is no number may be given as it is.
            history: a row an epoch, which becomes ``history.csv``.
            more: other figures of the run, kept beside them.
        """
        result: dict[str, object] = {key: float(value) for key, value in more.items()}
        result |= {key: float(value) for key, value in (("val", val), ("test", test)) if value is not None}
        if history:
            names = list(dict.fromkeys(name for row in history for name in row))
            with (self.out / "history.csv").open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, names, lineterminator="\n")
                writer.writeheader()
                writer.writerows(history)
            result["history"] = "history.csv"
        # Renamed over what is there, so that whoever reads it never sees half of it.
        descriptor, temporary = tempfile.mkstemp(dir=self.out, prefix=".result.", suffix=".part")
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(result, file)
        path = self.out / "result.json"
        Path(temporary).replace(path)
        return path


def start() -> TrialRun:
    """Return what this run is told by the study that started it, or what it is by hand."""
    out = Path(os.environ.get(OUT, "."))
    return TrialRun(
        seed=int(os.environ.get(SEED, "0")),
        out=out,
        checkpoint=out / "checkpoint",
        read_test=os.environ.get(READ_TEST, "1") == "1",
        fraction=float(os.environ.get(FRACTION, "1")),
        in_study=OUT in os.environ,
    )
