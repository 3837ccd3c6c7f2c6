"""What of a study must never change, however often it was interrupted."""

from __future__ import annotations

import csv
import io
from pathlib import Path

#: What two runs may differ in: when, and how fast.
_TIMES = ("seconds", "images_per_second")


def bits(study: Path) -> dict[str, object]:
    """Return weights, predictions, histories and results without times, and verdicts, by their place in ``study``.

    Raises:
        OSError: the study has no verdicts or no ``results.csv``: it has not ended.
    """
    return {
        "verdicts.json": (study / "verdicts.json").read_bytes(),
        **trial_bits(study),
        # Reading test puts a temperature into it, which a study that has not ended lacks.
        **{str(path.relative_to(study)): path.read_bytes() for path in study.glob("trials/*/model/config.json")},
        "results.csv": without_times((study / "results.csv").read_text(encoding="utf-8")),
    }


def trial_bits(study: Path) -> dict[str, object]:
    """Return the part of :func:`bits` that lies in the trials' folders; predictions only once test was read."""
    found: dict[str, object] = {}
    for path in sorted(study.glob("trials/*/*")) + sorted(study.glob("trials/*/model/*")):
        name = str(path.relative_to(study))
        if path.suffix == ".safetensors" or path.name == "recipe.toml":
            found[name] = path.read_bytes()
        elif path.name == "history.csv":
            found[name] = without_times(path.read_text(encoding="utf-8"))
    return found


def without_times(text: str) -> list[dict[str, str]]:
    """Return the rows of a CSV file, less its times."""
    return [
        {key: value for key, value in row.items() if key not in _TIMES} for row in csv.DictReader(io.StringIO(text))
    ]
