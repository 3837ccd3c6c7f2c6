"""What files of a user's own import from files of this machine alone, so that these travel to the nodes with them."""

from __future__ import annotations

import ast
import importlib.util
import site
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path

from stepladder.errors import StudyError

#: Files and bytes that travel at most; more is a package, which nodes should have.
_MOST_FILES, _MOST_BYTES = 200, 4_000_000


def modules_beside(texts: Mapping[str, bytes]) -> dict[str, str]:
    """Return the modules that files import, and those import in turn, that are no part of what is installed.

    They are found as Python found them here, without running anything: in the names that the files' text imports.

    Args:
        texts: of the files, by what they are called in messages.

    Returns:
        The text of each module by its place below one folder, ``helper.py`` or ``tools/__init__.py``, so that with the
        folder in ``sys.path`` they are imported by the same names.

    Raises:
        StudyError: one is compiled, no UTF-8 text, or cannot be read; or they are too many.
    """
    found: dict[str, str] = {}
    waiting = [(name, "", text) for name, text in texts.items()]
    seen: set[str] = set()
    while waiting:
        who, package, text = waiting.pop()
        for name in _imported(text, package):
            if name in seen:
                continue
            seen.add(name)
            path = _local_file(name)
            if path is None:
                continue
            content = _text_of(path, name, who)
            is_package = path.name == "__init__.py"
            found["/".join(name.split(".")) + ("/__init__.py" if is_package else ".py")] = content
            waiting.append((str(path), name if is_package else name.rpartition(".")[0], content.encode()))
            if len(found) > _MOST_FILES or sum(map(len, found.values())) > _MOST_BYTES:
                raise StudyError(
                    f"{who} imports more than {_MOST_FILES} files or {_MOST_BYTES / 1e6:g} MB that lie on this machine "
                    "alone; install them on the nodes as a package, and here"
                )
    return dict(sorted(found.items()))


def _imported(text: bytes, package: str) -> Iterator[str]:
    """Yield what a file may import, with the packages that these names lie in: what ``from a import b`` names may be
    a module or not."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # whoever loads it says so
        return
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [one.name for one in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = node.module or ""
            if node.level:
                try:
                    above = importlib.util.resolve_name("." * node.level + above, package)
                except ImportError:
                    continue
            names = [above, *(f"{above}.{one.name}" for one in node.names)]
        for name in names:
            parts = name.split(".")
            yield from (".".join(parts[: end + 1]) for end in range(len(parts)))


def _local_file(name: str) -> Path | None:
    """Return the file of a module of this machine alone; None for one that is installed, built in or not there."""
    if name.partition(".")[0] in sys.stdlib_module_names or name.partition(".")[0] == "stepladder":
        return None
    file = getattr(sys.modules.get(name), "__file__", None)
    if file is None and name not in sys.modules:
        try:
            spec = importlib.util.find_spec(name)
        except Exception:  # a parent that is no package, or raises: it is imported by nobody
            return None
        file = spec.origin if spec is not None and spec.has_location else None
    if file is None:
        return None
    path = Path(file).absolute()
    installed = [Path(place) for place in (*_installed(), *sysconfig.get_paths().values())]
    return None if any(path.is_relative_to(place) for place in installed) else path


def _installed() -> list[str]:
    """Return where packages are installed, those of an environment that this one sees among them."""
    seen = [place for place in sys.path if Path(place).name in ("site-packages", "dist-packages")]
    return [*site.getsitepackages(), site.getusersitepackages(), *seen]


def _text_of(path: Path, name: str, who: str) -> str:
    if path.suffix != ".py":
        raise StudyError(
            f"{who} imports {name}, which is compiled and lies on this machine alone ({path}); install it on the nodes "
            "as a package, and here"
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise StudyError(f"{who} imports {path}, which cannot be read: {reason}; it has to go to the nodes") from error
