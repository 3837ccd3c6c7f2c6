"""No test that cannot fail: each holds an assertion that is reached, and that may be false.

An assertion counts where it runs whatever the data are: not only inside a loop over what may be empty, and not
``all(…)`` of what may be empty. A helper counts where it asserts itself.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

#: Tests without an assertion of their own, and what fails in its place.
ALLOWED: dict[str, str] = {
    "datasets/test_tar_members.py::test_fuzzed_archives_give_members_within_them_or_a_sentence": (
        "a damaged archive may have no member; what whole ones hold is tested beside it"
    ),
    "studies/running/test_memory.py::test_another_system_is_left_alone": "the library is None there: asking it raises",
    "studies/running/cluster/test_address.py::test_addresses_as_ray_prints_them_are_taken": "it raises for others",
    "studies/test_prepare.py::test_the_usual_place_and_those_outside_are_taken": "it raises where a place is refused",
    "studies/test_prepare.py::test_images_of_no_folder_are_nowhere": "it raises where a place is refused",
    **{
        f"test_docs.py::{name}": "a page may name none; test_the_pages_name_links_files_commands_and_benchmarks counts"
        for name in (
            *("test_links_lead_somewhere", "test_files_that_are_named_exist", "test_commands_and_options_exist"),
            "test_benchmarks_exist",
        )
    },
    **{
        f"answers/{name}": "a question may have no demonstration and no evidence; its number is tested"
        for name in (
            "test_book.py::test_commands_fit_a_terminal",
            "test_book.py::test_measured_figures_are_those_of_their_source",
            "test_numbers.py::test_no_number_is_typed_that_could_be_worked_out",
        )
    },
}

#: Calls that fail by themselves where something is wrong.
_RAISING = {"raises", "warns", "fail", "check_call", "check_output", "raise_for_status"}
_SIZED = {
    "sorted",
    "list",
    "tuple",
    "enumerate",
    "reversed",
    "set",
    "dict",
    "items",
    "values",
    "keys",
    "product",
    "chain",
}


def listed_tests(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """The tests of a module: it has no classes of them."""
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        if not any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list):
            yield node


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def name_of(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def checking_helpers(trees: Iterable[ast.AST]) -> set[str]:
    """The names of all functions of the tests that assert something, or call one that does."""
    bodies: dict[str, list[ast.FunctionDef]] = {}
    for tree in trees:
        for function in functions(tree):
            bodies.setdefault(function.name, []).append(function)
    calls = {
        name: {name_of(node) for body in found for node in ast.walk(body) if isinstance(node, ast.Call)}
        for name, found in bodies.items()
    }
    checking = {
        name
        for name, found in bodies.items()
        if any(isinstance(node, ast.Assert) for one in found for node in ast.walk(one))
    }
    checking -= set(dir(builtins))  # a method of ours that is called open stands for Python's own otherwise
    while more := {name for name, called in calls.items() if called & checking} - checking - set(dir(builtins)):
        checking |= more
    return checking


class Judge:
    """Looks through one test for an assertion that is reached and may be false."""

    def __init__(self, checking: set[str], filled: set[str]) -> None:
        self._checking, self._filled = checking, filled

    def is_sound(self, body: Iterable[ast.AST]) -> bool:
        """Whether any of the statements holds one; those in loops count where the loop runs at least once."""
        return any(self._holds(statement) for statement in body)

    def _holds(self, node: ast.AST) -> bool:
        if isinstance(node, ast.Assert):
            return self._says_something(node.test)
        if isinstance(node, ast.For):
            return self._runs(node.iter) and self.is_sound(node.body)
        if isinstance(node, ast.Call):
            return self._fails_by_itself(node) or any(self._holds(inner) for inner in ast.iter_child_nodes(node))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            # What is only defined here is called by others, who fail with it.
            return any(isinstance(inner, ast.Assert) for inner in ast.walk(node))
        return any(self._holds(inner) for inner in ast.iter_child_nodes(node))

    def _fails_by_itself(self, node: ast.Call) -> bool:
        name = name_of(node)
        checked = any(word.arg == "check" and getattr(word.value, "value", False) is True for word in node.keywords)
        return name in self._checking | _RAISING or name.startswith("assert_") or checked

    def _says_something(self, test: ast.expr) -> bool:
        """Whether an assertion may be false: no constant, no ``or`` with one, no ``all`` of what may be empty."""
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            return any(self._says_something(value) for value in test.values)
        inner = test.operand if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not) else test
        wanted = "all" if inner is test else "any"
        if isinstance(inner, ast.Call) and name_of(inner) == wanted and len(inner.args) == 1:
            listed = inner.args[0]
            if isinstance(listed, ast.GeneratorExp | ast.ListComp):
                return all(self._runs(loop.iter) and not loop.ifs for loop in listed.generators)
        return not is_always_true(test)

    def is_filled(self, value: ast.expr) -> bool:
        """Whether a value that a name is given has something in it."""
        if isinstance(value, ast.ListComp | ast.DictComp):
            return all(self._runs(loop.iter) and not loop.ifs for loop in value.generators)
        return isinstance(value, ast.Tuple | ast.List | ast.Set | ast.Dict) and self._runs(value)

    def _runs(self, looped: ast.expr) -> bool:
        """Whether a loop over it runs at least once, as far as can be told."""
        if isinstance(looped, ast.Tuple | ast.List | ast.Set):
            return bool(looped.elts)
        if isinstance(looped, ast.Dict):
            return bool(looped.keys)
        if isinstance(looped, ast.Constant):
            return bool(looped.value)
        if ast.unparse(looped) in self._filled:
            return True
        if isinstance(looped, ast.Name | ast.Attribute):
            return (looped.id if isinstance(looped, ast.Name) else looped.attr).isupper()  # a table of the module
        if isinstance(looped, ast.Call):
            name = name_of(looped)
            if name == "range":
                parts = [ast.unparse(part) for argument in looped.args for part in ast.walk(argument)]
                known = all(isinstance(argument, ast.Constant) for argument in looped.args)
                return known or bool(self._filled & set(parts))
            if name == "zip":  # strict, so that one that has something tells of all
                strict = any(word.arg == "strict" for word in looped.keywords)
                return strict and any(self._runs(argument) for argument in looped.args)
            if name in _SIZED and isinstance(looped.func, ast.Attribute) and not looped.args:
                return self._runs(looped.func.value)
            return name in _SIZED and all(self._runs(argument) for argument in looped.args)
        return False


def is_always_true(test: ast.expr) -> bool:
    if isinstance(test, ast.Tuple | ast.List | ast.JoinedStr):
        return True
    if isinstance(test, ast.Constant):
        return bool(test.value)
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.Or):
        return any(is_always_true(value) for value in test.values)
    return False


def filled_names(test: ast.FunctionDef) -> set[str]:
    """What the test asserts something of, or sets to a literal that holds something."""
    found: set[str] = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            # ``assert found``, ``assert len(found) == 3``, ``assert found == [...]``
            found |= {ast.unparse(inner) for inner in _sized_in(node.test)}
        elif isinstance(node, ast.Assign) and Judge(set(), found).is_filled(node.value):
            found |= {ast.unparse(target) for target in node.targets}
    return found


def _sized_in(test: ast.expr) -> Iterator[ast.expr]:
    for part in [test, *(test.values if isinstance(test, ast.BoolOp) else [])]:
        for side in [part.left, *part.comparators] if isinstance(part, ast.Compare) else [part]:
            yield side.args[0] if isinstance(side, ast.Call) and len(side.args) == 1 else side


def unsound_tests(trees: dict[str, ast.Module]) -> list[str]:
    checking = checking_helpers(trees.values())
    return [
        f"{place}::{test.name}"
        for place, tree in trees.items()
        if Path(place).name.startswith("test_")
        for test in listed_tests(tree)
        if not Judge(checking - {test.name}, filled_names(test)).is_sound(test.body)
    ]


def empty_assertions(trees: dict[str, ast.Module]) -> list[str]:
    return [
        f"{place}:{node.lineno}"
        for place, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) and is_always_true(node.test)
    ]


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    found = {path.relative_to(TESTS).as_posix(): ast.parse(path.read_bytes()) for path in sorted(TESTS.rglob("*.py"))}
    assert len(found) > 200
    return found


@pytest.mark.long
def test_every_test_can_fail(trees: dict[str, ast.Module]) -> None:
    found = set(unsound_tests(trees))
    assert sorted(found - set(ALLOWED)) == []
    there = {f"{place}::{test.name}" for place, tree in trees.items() for test in listed_tests(tree)}
    assert len(there) > 1000
    assert sorted(set(ALLOWED) & there - found) == [], "these need no entry any more"


@pytest.mark.long
def test_no_assertion_is_true_whatever_happens(trees: dict[str, ast.Module]) -> None:
    assert empty_assertions(trees) == []


SOUND = """
def test_one(): assert f() == 1
def test_two():
    with pytest.raises(ValueError): f()
def test_three():
    found = f()
    assert len(found) == 3
    for one in found: assert one
def test_four():
    for one in ("a", "b"): assert f(one)
def test_five(): check_all(f())
def test_six():
    for one in TABLE: assert one.name
def test_seven():
    names = [f(one) for one in (1, 2)]
    assert all(name.islower() for name in names)
def test_eight(): subprocess.run(["true"], check=True)
def test_nine():
    assert len(f()) > 1
    for one, other in zip(f(), g(), strict=True): assert one == other
def check_all(found):
    assert found
"""

UNSOUND = """
def test_no_assertion(): f()
def test_a_loop_that_may_be_empty():
    for one in f(): assert one
def test_all_of_nothing(): assert all(one for one in f())
def test_all_of_what_a_condition_leaves(): assert all(one for one in (1, 2) if g(one))
def test_not_any_of_nothing(): assert not any(one for one in f())
def test_or_a_constant(): assert f() == 1 or True
def test_a_tuple(): assert (f() == 1, "it is one")
def test_a_constant(): assert "words"
def test_an_empty_table():
    for one in (): assert one
def test_a_helper_that_checks_nothing(): prepare(f())
def prepare(found):
    return found
"""


def test_sound_and_unsound_tests_are_told_apart() -> None:
    sound, unsound = ast.parse(SOUND), ast.parse(UNSOUND)
    assert unsound_tests({"test_sound.py": sound}) == []
    expected = [f"test_unsound.py::{test.name}" for test in listed_tests(unsound)]
    assert len(expected) == 10
    assert unsound_tests({"test_unsound.py": unsound}) == expected
    lines = UNSOUND.splitlines()
    always = [int(one.partition(":")[2]) for one in empty_assertions({"test_unsound.py": unsound})]
    assert [lines[line - 1].split("(")[0] for line in always] == [
        "def test_or_a_constant",
        "def test_a_tuple",
        "def test_a_constant",
    ]
