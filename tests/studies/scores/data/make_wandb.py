"""Make ``wandb/project.csv`` by the real library: the table that W&B's documentation exports, of six offline runs.

    .venv/bin/python tests/studies/scores/data/make_wandb.py

The documented export (docs.wandb.ai, "Export metrics from all runs in a project to a CSV file") asks their server for
each run's summary, configuration and name, and writes them by pandas. Here the same three come from the runs
themselves, which never leave the machine.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pandas as pd
import wandb

HERE = Path(__file__).parent
SCORES = {"base": (0.741, 0.748, 0.752), "mixup": (0.771, 0.779, 0.781)}


def main() -> None:
    """Log two epochs of each run, and export them."""
    summaries, configs, names = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for variant, scores in SCORES.items():
            for seed, score in enumerate(scores):
                run = wandb.init(
                    mode="offline", dir=folder, name=f"{variant}-{seed}", config={"variant": variant, "seed": seed}
                )
                run.log({"epoch": 1, "test_accuracy": score - 0.1})
                run.log({"epoch": 2, "test_accuracy": score})
                summaries.append({key: value for key, value in run.summary._as_dict().items() if key != "_wandb"})
                configs.append({key: value for key, value in run.config.items() if not key.startswith("_")})
                names.append(run.name)
                run.finish()
    (HERE / "wandb").mkdir(exist_ok=True)
    frame = pd.DataFrame({"summary": summaries, "config": configs, "name": names})
    frame.to_csv(HERE / "wandb" / "project.csv")


if __name__ == "__main__":
    main()
