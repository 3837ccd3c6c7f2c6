"""Which heavy libraries a verb imports: told by what is loaded when it has run, not by time."""

from __future__ import annotations

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stepladder.cli import run

HEAVY = {
    *("torch", "numpy", "pydantic", "scipy", "scipy.optimize", "scipy.stats", "sklearn", "statsmodels", "matplotlib"),
    *("pandas", "pyarrow", "jinja2", "PIL", "sympy", "cv2", "onnxruntime", "optuna", "IPython"),
    "torch._dynamo",
}
JUDGING = {"torch", "numpy", "pydantic", "scipy", "scipy.optimize", "jinja2", "PIL"}
TRAINING = JUDGING | {"pyarrow"}
#: What each command may import. Those of a process run one after another; each may import what the one before it may.
MAY = (
    {
        "--help": set(),
        "techniques": set(),
        "techniques zca": set(),
        "techniques --json": set(),
        "answers": set(),
        "answers 7 33": {"pydantic"},  # the arithmetic
        "inspect report": {"pydantic"},
        "predict MODEL IMAGE": {"torch", "numpy", "pydantic", "PIL"},
        "check STUDY": JUDGING,
        # Of the others only the module: what they do needs what it needs.
        "report --help": JUDGING,
        "study --help": TRAINING,
        "train --help": TRAINING,
        "sweep --help": TRAINING,
    },
    {"data --list": {"numpy", "scipy", "pyarrow", "jinja2", "PIL"}},
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A study with two rungs and three seeds, one of its models, and an image."""
    folder = tmp_path_factory.mktemp("imports")
    study, image = folder / "study", folder / "one.png"
    plan = ("--rung", "base:", "--rung", "+standardize:standardize", "--seeds", "3")
    little = ("--limit", "40", "--epochs", "4", "--batch-size", "16")  # enough to learn something
    assert run(["study", "digits", *plan, *little, "--out", str(study)]) == 0
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)).save(image)
    return {"STUDY": str(study), "MODEL": str(next(study.glob("trials/*/model"))), "IMAGE": str(image)}


@pytest.mark.long
@pytest.mark.parametrize("commands", MAY, ids=["most", "data"])
def test_a_verb_imports_no_more_than_it_needs(
    commands: dict[str, set[str]], places: dict[str, str], tmp_path: Path
) -> None:
    assert all(before <= after for before, after in pairwise(commands.values())), "so that each is to blame for its own"
    program = "import sys\nfrom stepladder.cli import run\n"
    for command in commands:
        arguments = [places.get(word, word) for word in command.split()]
        program += f"assert run({arguments!r}) == 0\n"
        program += f"print('loaded:', *({HEAVY!r} & set(sys.modules)), file=sys.stderr)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("loaded:")]
    too_many = {command: set(loaded) - may for (command, may), loaded in zip(commands.items(), lines, strict=True)}
    assert not any(too_many.values()), too_many
