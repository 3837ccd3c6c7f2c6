"""The structure that CONTRIBUTING promises, held against the code itself."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import stepladder
from stepladder.network.spec import LAYER_KINDS
from stepladder.techniques import TECHNIQUES

SOURCE = Path(stepladder.__file__).parent
REPOSITORY = SOURCE.parents[1]
#: A module imports only from its left.
ORDER = (
    "trial",
    "lazy",
    "errors",
    "schema",
    "citations",
    "files",
    "hub",
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
    "answers",
    "report",
    "api",
    "web",
    "cli",
)
#: The same within studies/: what is planned, saved, judged and carried out; the jobs; and what builds on a job.
STUDY_ORDER = (
    "design",
    "files",
    "judging",
    "findings",
    "pool",
    "running",
    "prepare",
    "track",
    "check",
    "bag_of_words",
    "lr_range",
    "curve",
    "train",
    "study",
    "sweep",
    "proposals",
    "search",
    "starts",
    "forecast",
    "scores",
)
#: When a rule cut modules at 300 lines, they had 112 on average (38,924 in 349), and nobody found anything.
FEWEST_LINES = 150
#: More parameters than this are a value that lacks a name.
MOST_PARAMETERS = 8
#: Verbs that take a field of `Execution` under its own name as well: where a job runs changes from call to call.
WITH_CLUSTER = ("study", "plan", "sweep", "curve")
#: Words that meant something to us alone, and sentences that a second-language reader stumbled over.
RETIRED = (
    r"at_once",
    r"handovers?",
    r"patience",
    r"seal(s|ed|ing)?",
    r"conduct(s|ed|ing)?",
    r"sweep_up",
    r"hire(s|d)?",
    r"mourn(s|ed|ing)?",
    r"looked at first",
    r"it is taken all the same",
    r"of no technique can it be said",
    r"seeds agree (most|least)",
    r"some images took",
)
#: Where one of them is the field's own.
FIELD_WORDS = {("patience", "techniques/reduce_on_plateau.py")}
MODULES = sorted(SOURCE.rglob("*.py"))
FILES = [path for path in MODULES if path.name not in ("__init__.py", "__main__.py") or path.parent != SOURCE]


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@functools.cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(tree_of(path)))


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def room(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the name of every module that is imported."""
    for node in nodes_of(path):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def imported_modules(path: Path) -> Iterator[list[str]]:
    """Yield every module of ours that is imported, in its parts below the package."""
    for name in imported(path):
        if name.startswith("stepladder."):
            yield name.split(".")[1:]


def test_imports_go_one_way() -> None:
    # network/build, of all in its room, needs nothing more; recipes/ holds data.
    wrong = [
        f"{name_of(path)} imports {other}"
        for path in FILES
        if room(path) != "recipes"
        for other, *_ in imported_modules(path)
        if ORDER.index(other) > ORDER.index(room(path))
    ]
    assert not wrong, "\n".join(wrong)


def test_imports_go_one_way_within_studies() -> None:
    wrong = []
    for path in [path for path in FILES if room(path) == "studies"]:
        here = path.relative_to(SOURCE / "studies").parts[0].removesuffix(".py")
        for other, *below in imported_modules(path) if here != "__init__" else ():
            if other == "studies" and STUDY_ORDER.index(below[0]) > STUDY_ORDER.index(here):
                wrong.append(f"{name_of(path)} imports {below[0]}")
    assert not wrong, "\n".join(wrong)


def test_nothing_that_we_measure_ourselves_with_is_part_of_the_tool() -> None:
    assert sum(len(list(imported(path))) for path in MODULES) > 1000
    for path in MODULES:
        assert not any(name.split(".")[0] == "benchmarks" for name in imported(path)), path
        if path.is_relative_to(SOURCE / "report"):
            assert not any(other == "bench" for other, *_ in imported_modules(path)), path


def test_no_module_outside_its_home_names_a_technique() -> None:
    for path in FILES:
        if room(path) in ("techniques", "recipes"):
            continue
        strings = {
            node.value for node in nodes_of(path) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        # The layer kinds of a network are no techniques, though some share their names.
        named = strings & (set(TECHNIQUES) - (set(LAYER_KINDS) if room(path) == "network" else set()))
        assert not named, f"{path} names {named}"


def test_there_is_no_drawer_of_leftovers() -> None:
    assert not [path for path in MODULES if path.name in ("utils.py", "util.py", "helpers.py", "misc.py", "common.py")]


def test_modules_are_cut_by_purpose_and_not_by_a_ruler() -> None:
    lines = sum(len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES)
    assert lines > FEWEST_LINES * len(MODULES)


def public_functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Yield the functions and methods of a module that have no underscore, nor are in a class or function with one."""
    open_nodes: list[ast.AST] = [tree_of(path)]
    while open_nodes:
        for node in ast.iter_child_nodes(open_nodes.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                if not node.name.startswith("_"):
                    yield node
            elif not (isinstance(node, ast.ClassDef) and node.name.startswith("_")):
                open_nodes.append(node)


def test_no_public_function_takes_more_parameters_than_one_can_hold_in_mind() -> None:
    """But for those of cli/, whose parameters are the options of a command."""
    wrong = []
    for path in [path for path in FILES if room(path) != "cli"]:
        for function in public_functions(path):
            taken = function.args
            # A typed table that is spread out is a value with a name, and who needs none of it does not meet it.
            spread = taken.kwarg is not None and "Unpack" in ast.unparse(taken.kwarg)
            each = (
                *taken.posonlyargs,
                *taken.args,
                *taken.kwonlyargs,
                taken.vararg,
                *(() if spread else (taken.kwarg,)),
            )
            beside = ("self", "cls", "cluster") if function.name in WITH_CLUSTER else ("self", "cls")
            names = [one.arg for one in each if one is not None and one.arg not in beside]
            if len(names) > MOST_PARAMETERS:
                wrong.append(f"{name_of(path)}: {function.name} takes {', '.join(names)}")
    assert not wrong, "\n".join(wrong)


def shown_tree() -> list[tuple[Path, str]]:
    """Return what CONTRIBUTING's tree shows: each line's path, and all of the line."""
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    block = next(block for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) if "src/stepladder/" in block)
    found: list[tuple[Path, str]] = []
    above: dict[int, Path] = {}
    for line in block.splitlines():
        depth = len(line) - len(line.lstrip())
        parent = next((above[other] for other in sorted(above, reverse=True) if other < depth), REPOSITORY)
        path = parent / line.split()[0]
        above = {other: folder for other, folder in above.items() if other < depth} | {depth: path}
        found.append((path, line))
    return found


def test_the_tree_of_contributing_is_true() -> None:
    shown = set()
    for path, line in shown_tree():
        assert path.exists(), f"{path} is in CONTRIBUTING's tree"
        assert path.is_dir() == line.split()[0].endswith("/"), f"{path}: folders end in /"
        shown.add(path)
        # What else a line names is beside the first name, or in its folder.
        for name in re.findall(r"(?<![\w/.])[a-z_]+(?:\.py|/(?=[\s;,.*]|$))", line)[1:]:
            places = [place for place in (path / name, path.parent / name, REPOSITORY / name) if place.exists()]
            assert places, f"CONTRIBUTING's tree names {name} in the line of {path}"
            shown.add(places[0])
    there = {path for path in SOURCE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    missing = {path.name for path in there - shown if not path.name.startswith("__")}
    assert not missing, f"CONTRIBUTING's tree lacks {missing}"


def test_no_retired_word_comes_back() -> None:
    wrong = []
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        # A sentence may go on in the next line, of a comment or of a literal.
        text = re.sub(r"\s*\n\s*(#:?\s*)?", " ", re.sub(r"[\"']\n\s*f?[\"']", "", text))
        words = [word for word in RETIRED if (word, name_of(path)) not in FIELD_WORDS]
        found = re.finditer(rf"(?<![a-z])({'|'.join(words)})(?![a-z])", text, re.IGNORECASE)
        wrong += [f"{name_of(path)} says {word[0]!r}" for word in found]
    assert not wrong, "\n".join(wrong)


def test_nothing_pickles_or_evaluates() -> None:
    for path in FILES:
        called = {
            node.func.id for node in nodes_of(path) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"eval", "exec", "__import__"}, path
        # CIFAR's python edition is read by datasets/plain_pickle.py, which has an interpreter of its own for plain
        # values.
        banned = {"pickle", "_pickle", "marshal", "shelve", "joblib", "dill", "cloudpickle"}
        assert not set(imported(path)) & banned, path
        switched = {keyword.arg for node in nodes_of(path) if isinstance(node, ast.Call) for keyword in node.keywords}
        assert "allow_pickle" not in switched, path
