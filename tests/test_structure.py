"""The structure that DESIGN promises, held against the imports themselves."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import stepladder
from stepladder.network.spec import LAYER_KINDS
from stepladder.techniques import TECHNIQUES

SOURCE = Path(stepladder.__file__).parent
#: A module imports only from its left.
ORDER = (
    "lazy",
    "errors",
    "schema",
    "files",
    "datasets",
    "network",
    "techniques",
    "optimizer",
    "recipe",
    "training",
    "model",
    "baselines",
    "studies",
    "bench",
    "report",
    "cli",
)
#: The same within study/: what is planned, saved, judged and carried out; the jobs; and what repeats such a job.
STUDY_ORDER = (
    "design",
    "files",
    "judging",
    "running",
    "track",
    "schema",
    "baseline",
    "lr_range",
    "curve",
    "run",
    "sweeping",
)
FILES = sorted(
    path for path in SOURCE.rglob("*.py") if path.name not in ("__init__.py", "__main__.py") or path.parent != SOURCE
)


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> Iterator[list[str]]:
    """Yield every module of ours that is imported, in its parts below the package."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            if name.startswith("stepladder."):
                yield name.split(".")[1:]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_go_one_way(path: Path) -> None:
    # network/build, of all in its room, needs nothing more; recipes/ holds data.
    here = room(path)
    if here == "recipes":
        return
    for other, *_ in imported_modules(path):
        assert ORDER.index(other) <= ORDER.index(here), f"{here} imports {other}"


@pytest.mark.parametrize("path", [path for path in FILES if room(path) == "studies"], ids=lambda path: path.stem)
def test_imports_go_one_way_within_a_study(path: Path) -> None:
    here = path.relative_to(SOURCE / "studies").parts[0].removesuffix(".py")
    if here == "__init__":
        return
    for other, *below in imported_modules(path):
        if other == "studies":
            assert STUDY_ORDER.index(below[0]) <= STUDY_ORDER.index(here), f"{here} imports {below[0]}"


def test_no_module_outside_its_home_names_a_technique() -> None:
    for path in FILES:
        if room(path) in ("techniques", "recipes"):
            continue
        strings = {
            node.value
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        # The layer kinds of a network are no techniques, though some share their names.
        named = strings & (set(TECHNIQUES) - (set(LAYER_KINDS) if room(path) == "network" else set()))
        assert not named, f"{path} names {named}"


def test_no_file_is_more_than_one_sitting() -> None:
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, path


def test_nothing_pickles_or_evaluates() -> None:
    for path in FILES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"eval", "exec", "__import__"}, path
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        # CIFAR's python edition is read by data/plain_pickle.py, which has an interpreter of its own for plain values.
        assert not imported & {"pickle", "_pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}, path
        switched = {keyword.arg for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords}
        assert "allow_pickle" not in switched, path
