import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import stepladder
from stepladder.errors import StudyError
from stepladder.studies.files.ledger import VARIABLE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "name",
    [
        "accuracy",
        "doublings",
        "estimates",
        "foreign_networks",
        "fuzz",
        "growth",
        "lr_range",
        "mutate",
        "noise",
        "precision",
        "serve",
        "simulate",
        "soak",
        "take_home",
        "training",
    ],
)
def test_every_measurement_has_help_with_an_example(measure: Callable[..., Any], name: str) -> None:
    outcome = measure(name, "--help")
    assert outcome.code == 0
    assert f"Usage: python -m benchmarks {name}" in outcome.out
    assert f"  python -m benchmarks {name}" in outcome.out[outcome.out.index("Examples:") :]


def test_the_list_is_quick_and_names_all() -> None:
    program = "import sys; sys.argv = ['benchmarks', '--help']\nimport benchmarks.__main__ as main\n"
    program += "main.run(['--help']); assert 'torch' not in sys.modules"
    said = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    modules = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} - {"__init__", "__main__"}
    assert all(f" {name} " in said for name in modules)


def test_what_they_train_is_no_plan_of_the_users(measure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    places = []

    def started(*_: object) -> list[Any]:
        places.append(subprocess.run(["printenv", VARIABLE], capture_output=True, text=True, check=True).stdout)
        raise StudyError("a study failed")

    before = os.environ[VARIABLE]
    monkeypatch.setattr("benchmarks.estimates.measure_estimates", started)
    assert measure("estimates", "digits").err == "Error: a study failed\n"
    (place,) = places
    assert "stepladder-bench-" in place
    assert not Path(place.strip()).exists()
    assert os.environ[VARIABLE] == before


def test_a_word_that_is_no_measurement_is_refused(measure: Callable[..., Any]) -> None:
    outcome = measure("soap")
    assert outcome.code == 2
    assert outcome.err.startswith("Error: ")
    assert outcome.err.endswith("See: python -m benchmarks --help\n")


@pytest.mark.long
def test_the_package_does_without_them() -> None:
    modules = list(Path(stepladder.__file__).parent.rglob("*.py"))
    assert len(modules) > 200
    for path in modules:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.partition(".")[0] == "benchmarks"], path
