"""The commands that study or train what a sweep, a search or a range test found."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from rich.console import Console

from stepladder.cli.data_options import DataOptions
from stepladder.cli.training_options import DecidingOptions, TrainingOptions
from stepladder.network.own import is_reference
from stepladder.report.recipe_file import RECIPE_FILE

#: What the recipe's file says, and what concerns the output of one command.
_NOT_AGAIN = (
    "recipe",
    "settings",
    "network",
    "technique",
    "epochs",
    "batch_size",
    "track",
    "as_json",
    "quiet",
    "verbose",
)


class NextStep:
    """Writes commands that take the recipe of a folder, and the images and the machine as the command before took them.

    Args:
        data: as it was typed.
        folder: that holds ``recipe.toml``.
        needed: parameters that the same bits need, beside what was typed.
    """

    def __init__(
        self,
        data: str,
        folder: Path,
        options: TrainingOptions,
        deciding: DecidingOptions | None = None,
        needed: Mapping[str, str] | None = None,
    ) -> None:
        self._data, self._folder, self._needed = data, folder, dict(needed or {})
        self._common = [*_flags_of(options), *(() if deciding is None else _flags_of(deciding))]
        if options.network is not None and is_reference(options.network):  # its code runs only where it is named
            self._common += ["--network", options.network]

    def command(self, verb: str, out: Path, *more: str, same_bits: bool = False) -> str:
        """Return a command.

        Args:
            out: where its result goes: a folder that no other command takes by itself.
            more: further words.
            same_bits: add what the same bits need.
        """
        words = ["stepladder", verb, self._data, "--recipe", str(self._folder / RECIPE_FILE), *self._common, *more]
        for name, value in self._needed.items() if same_bits else ():
            if f"--{name}" not in words:
                words += [f"--{name}", value]
        return shlex.join([*words, "--out", str(out)])


def command_of_all_images(data: str, study: Path, options: TrainingOptions) -> str:
    """Return the command that trains a model of every image by the recipe that a study recommends."""
    kept = {field.name for field in fields(DataOptions)} | {"skip_damaged", "device", "precision"}
    words = _flags_of(options, left_out=[field.name for field in fields(options) if field.name not in kept])
    return shlex.join(["stepladder", "train", data, "--recipe", str(study), *words, "--all-data"])


def beside(folder: Path, what: str) -> Path:
    """Return the folder of what comes next, beside the one that it comes from."""
    return folder.with_name(f"{folder.name}-{what}")


def print_next(console: Console, commands: Mapping[str, str]) -> None:
    """Print commands, each below what it is for; a command to copy stays one line."""
    console.print()
    for purpose, command in commands.items():
        console.print(f"{purpose}:\n  {command}", markup=False, soft_wrap=True, highlight=False)


def _flags_of(options: Any, left_out: Collection[str] = _NOT_AGAIN) -> Iterator[str]:
    """Yield the flags of the values that differ from their defaults, as they would be typed."""
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name in left_out or value == field.default:
            continue
        flag = f"--{field.name.replace('_', '-')}"
        for one in value if isinstance(value, tuple) else (value,):
            yield flag
            if one is not True:
                yield str(one)
