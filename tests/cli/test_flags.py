"""Parameters of the library become flags, and every one that a message names is one."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import pytest
from cyclopts import App, Parameter

import stepladder
from stepladder.cli import app
from stepladder.cli.flags import _PARAMETER, to_flags

SOURCE = Path(stepladder.__file__).parent


@pytest.mark.parametrize(
    ("sentence", "here"),
    [
        ("`seeds` is 0; it must be 1", "--seeds is 0; it must be 1"),
        ("`max_trials` leaves 3", "--max-trials leaves 3"),
        ("add `download=True` to fetch it", "add --download to fetch it"),
        ("give `test=False`", "give --no-test"),
        ("give `data_dir=PATH`, a folder", "give --data-dir PATH, a folder"),
        ("add `over=optimizer.lr=0.3,0.1`", "add --over optimizer.lr=0.3,0.1"),
        ("among `settings`", "among --set"),
        ("or add `many=True`", "or add --yes"),
        ('write `technique="my.py:Blur"`', "write --technique my.py:Blur"),
        ("with `group_pattern='(a[0-9]+)_'`.", "with --group-pattern '(a[0-9]+)_'."),
        ("with `label_column='column 2'`", "with --label-column 'column 2'"),
        ("nothing here", "nothing here"),
    ],
)
def test_a_sentence_becomes_that_of_the_command_line(sentence: str, here: str) -> None:
    assert to_flags(sentence) == here


def flags_of(command: App) -> Iterator[str]:
    for name in command:
        if name.startswith("-"):
            continue
        inner = command[name]
        if inner.default_command is None:
            yield from flags_of(inner)
            continue
        hints = get_type_hints(inner.default_command, include_extras=True)
        for parameter in inspect.signature(inner.default_command).parameters:
            hint = hints[parameter]
            kind = get_args(hint)[0] if get_origin(hint) else hint
            if is_dataclass(kind):
                module = import_module(kind.__module__)
                inner_hints = get_type_hints(kind, vars(module), include_extras=True)
                for field in fields(kind):
                    yield named(field.name, inner_hints[field.name])
            else:
                yield named(parameter, hint)


def named(parameter: str, hint: object) -> str:
    for extra in getattr(hint, "__metadata__", ()):
        if isinstance(extra, Parameter) and extra.name:
            return str(extra.name[0])
    return "--" + parameter.replace("_", "-")


def messages() -> Iterator[tuple[str, str]]:
    """Yield every text outside docstrings that names a parameter, with its file."""
    for path in sorted(SOURCE.rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docs = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                for found in _PARAMETER.finditer(node.value):
                    yield path.relative_to(SOURCE).as_posix(), found[0]


@pytest.mark.long
def test_every_parameter_that_a_message_names_is_a_flag() -> None:
    known = set(flags_of(app))
    wrong = [
        (place, parameter)
        for place, parameter in messages()
        if to_flags(parameter).split()[0].replace("--no-", "--") not in known
    ]
    assert not wrong


@pytest.mark.long
def test_no_message_of_the_library_names_a_flag() -> None:
    found = []
    for path in sorted(SOURCE.rglob("*.py")):
        if path.relative_to(SOURCE).parts[0] in ("cli", "bench", "answers"):  # what speaks of commands
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found += [(path.name, flag) for flag in re.findall(r"(?<![\w-])--[a-z][a-z-]+", node.value)]
    # Those of other programs, in docstrings that say what reads a file.
    others = {("checksums.py", "--check"), ("tensorboard.py", "--logdir")}
    others |= {("template.py", "--bibtex")}  # a comment in the file that a user goes on with
    # Of the user's own command, and of git.
    others |= {("commands.py", flag) for flag in ("--seed", "--out", "--mixup", "--read-test", "--fraction")}
    others |= {("environment.py", flag) for flag in ("--porcelain", "--untracked-files")}
    # Of ray start.
    others |= {("address.py", "--head"), ("session.py", "--head"), ("session.py", "--object-store-memory")}
    # Of commands that docstrings name, of one that a page shows and starts, and of the command that serves that page.
    others |= {("pool.py", "--schema"), ("pool.py", "--json"), ("document.py", "--json"), ("answers.py", "--json")}
    others |= {("atlas.py", "--page"), ("explorer.py", "--explore"), ("control.py", "--out"), ("app.py", "--control")}
    assert set(found) <= others
