"""What a release carries beside its code: one version, a changelog, hooks that are those of ``make check``, a citation.

That the built files install and run is tried by ``make release``.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import stepladder

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def headings() -> list[str]:
    return re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)


def test_the_version_is_that_of_what_is_installed() -> None:
    assert stepladder.__version__ == version("stepladder")
    assert "__version__" not in stepladder.__all__  # a module's own name, as Python has it
    with pytest.raises(AttributeError, match="no attribute '__verzion__'"):
        _ = stepladder.__verzion__


def test_the_changelog_tells_of_this_version() -> None:
    """A version of a tag has its heading on top; what follows a tag stands under Unreleased."""
    here = Version(stepladder.__version__)
    top, *rest = headings()
    assert ([here.base_version] if not here.is_devrelease else ["Unreleased"]) == [top.rstrip(",")]
    numbers = [Version(heading.rstrip(",")) for heading in rest]
    assert numbers
    assert all(newer > older for newer, older in pairwise([here, *numbers])), "newest first"


def test_the_hooks_before_a_commit_are_those_of_make_check() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)
    assert recipe is not None
    wanted = [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    assert [hook["entry"] for hook in hooks] == wanted
    assert all(hook["language"] == "system" and hook["pass_filenames"] is False for hook in hooks)


def test_the_citation_has_what_a_reader_of_it_needs() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= found.keys()
    assert (found["type"], found["license"]) == ("software", "Apache-2.0")
    assert "version" not in found, "the version is that of the tag, and would be forgotten here"


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda path: path.name)
def test_workflows_and_forms_are_yaml_and_run_what_there_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    for target in re.findall(r"run: make (\w+)", text):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_nothing_is_published_until_it_is_switched_on() -> None:
    for name, switch in (("publish.yml", "vars.PUBLISH == 'yes'"), ("site.yml", "vars.SITE == 'yes'")):
        jobs = yaml.safe_load((ROOT / ".github/workflows" / name).read_text(encoding="utf-8"))["jobs"]
        assert jobs["publish"]["if"] == switch
        assert "secrets." not in (ROOT / ".github/workflows" / name).read_text(encoding="utf-8")


def test_types_travel_with_the_package() -> None:
    assert (ROOT / "src/stepladder/py.typed").exists()
