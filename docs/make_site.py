"""Makes the documentation a site, as ``make site`` does: ``python docs/make_site.py`` writes ``.site/html``.

First the pages as plain Markdown, in ``.site/pages``: README becomes the front page; every command, technique, public
name and file gets its own from what the code says of itself, so that nothing can differ from the program. Then Zensical
makes HTML of them by ``mkdocs.yml``, and stops at a link that leads nowhere. The site asks nothing of a network.
"""

from __future__ import annotations

import inspect
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import nbconvert
from cyclopts import App

import stepladder
from stepladder.cli import app
from stepladder.techniques.cards import Card, catalogue_cards

ROOT = Path(__file__).parents[1]

#: Where a page of the repository stands on the site.
PLACES = {"README.md": "index.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
#: What the reference of Python lists under each heading.
HEADS = {
    "Functions": "A function for every command: the same call, the same trial ids, the same bits, the same report.",
    "What goes in": "Frozen values: what belongs together travels as one.",
    "What comes out": "What the functions return, and what a folder is opened as.",
    "Errors": "One family. Each message is a sentence with the value, what is allowed, and the fix.",
}
#: The public classes that functions return; the others are what they take.
RESULTS = (
    *("Check", "Curve", "Findings", "Forecast", "ImageAudit", "Inspection", "Judgment", "LrRange"),
    *("Mixing", "Model", "Pool", "Predictions", "Study", "Sweep", "TrainedModel"),
)
#: The files that a program may read, with the model that each is checked against.
FILES = {
    "study.json": ("stepladder.studies.files.records", "StudyRecord"),
    "result.json": ("stepladder.studies.files.records", "TrialResult"),
    "test-readings.json": ("stepladder.studies.files.records", "Readings"),
    "gallery.json": ("stepladder.studies.files.gallery", "Gallery"),
    "findings.json": ("stepladder.studies.pool.files", "PoolFile"),
    "recipe.toml": ("stepladder.recipe", "Recipe"),
}


def assemble(target: Path) -> None:
    """Write all pages of the site into a folder: those of ``docs/``, and those that are made of the code."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "docs", target, ignore=shutil.ignore_patterns("*.py", "*.toml", "__pycache__"))
    pages: dict[str, str | bytes] = {place: (ROOT / name).read_text(encoding="utf-8") for name, place in PLACES.items()}
    pages |= dict(_commands())
    pages |= {"cards.md": _cards(catalogue_cards()), "api.md": _api()}
    pages |= {"files.md": _files(), **dict(_notebooks())}
    pages |= {f"schemas/{name}": json.dumps(schema, indent=2) for name, schema in schemas().items()}
    for place, text in pages.items():
        (target / place).parent.mkdir(parents=True, exist_ok=True)
        (target / place).write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    for path in target.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        path.write_text(_with_links(text, was_above=path.name in PLACES.values()), encoding="utf-8")


def build(folder: Path) -> Path:
    """Make HTML of the pages in ``folder/pages``, and return where it lies: ``folder/html``.

    Raises:
        SystemExit: a link leads nowhere, or a page would load something from a network.
    """
    html = folder / "html"
    config = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for name, place in ((".site/pages", "pages"), (".site/html", "html"), ("[src]", f"[{ROOT / 'src'}]")):
        config = config.replace(f": {name}\n", f": {place}\n")
    shutil.copy(ROOT / "docs/roles.py", folder)  # Griffe takes no absolute path
    config = config.replace("[docs/roles.py]", "[roles.py]")
    (folder / "mkdocs.yml").write_text(config, encoding="utf-8")
    command = (sys.executable, "-m", "zensical", "build", "--clean", "--strict", "--config-file", folder / "mkdocs.yml")
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, cwd=folder)
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)  # it repeats each line with its letters in colors
    worth = r"^ *(?:Warning: .*|[\w.]*(?:Error|Exception): .*|╭.*|\d+ issues? found|Build finished.*)$"
    print("\n".join(re.findall(worth, said, re.MULTILINE)))
    if done.returncode:
        raise SystemExit(done.returncode)
    for path in html.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        up = "../" * (len(path.relative_to(html).parts) - 1)
        text = text.replace("https://unpkg.com/iframe-worker/shim", f"{up}assets/iframe-worker.js")
        path.write_text(text, encoding="utf-8")
        foreign = re.findall(r"<(?:script|link|img|iframe)[^>]*(?:src|href)=\"(?:https?:)?//[^\"]*", text)
        if foreign:
            raise SystemExit(f"{path} would load {foreign[0]}")
    return html


def _with_links(text: str, *, was_above: bool) -> str:
    """Point links between README and the pages at where both stand on the site, links to code at where it is told."""
    if was_above:
        text = re.sub(r"\]\(docs/", "](", text)
    up = "" if was_above else r"\.\./"
    for name, place in PLACES.items():
        text = re.sub(rf"\]\({up}{re.escape(name)}", f"]({place}", text)
    beside = r"(?:src|benchmarks|tests|\.ci)/|LICENSE|SECURITY\.md|CITATION\.cff"
    return re.sub(rf"\]\({up}(?:{beside})[^)]*\)", "](contributing.md)", text)


def schemas() -> dict[str, dict[str, Any]]:
    """Return the JSON schema of each file that a program may read, by the schema's file name."""
    models = {name: getattr(import_module(module), model) for name, (module, model) in FILES.items()}
    return {f"{Path(name).stem}.schema.json": model.model_json_schema() for name, model in models.items()}


def _commands() -> Iterator[tuple[str, str]]:
    """Yield a page for each command, of the same words as its ``--help``."""
    lines = ["# Commands", "", "Every command has `--help` with examples; `--json` prints its result for programs.", ""]
    for name in [name for name in app if not name.startswith("-")]:
        command = app[name]
        lines.append(f"- [`stepladder {name}`]({name}.md): {command.help.strip().splitlines()[0]}")
        text = command.generate_docs(output_format="markdown", recursive=True)
        named = re.sub(rf"^(# )?{name}\b", rf"\1stepladder {name}", text, flags=re.MULTILINE)
        yield f"commands/{name}.md", _plain(named) + "\n" + _examples(command)
    yield "commands/index.md", "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Escape what Markdown would take for a link by name or for html: help texts show ``[0-9]`` and ``<data>``."""
    parts = re.split(r"(^```.*?^```$|`[^`\n]+`)", text, flags=re.MULTILINE | re.DOTALL)
    for place in range(0, len(parts), 2):  # between the pieces of code
        parts[place] = re.sub(r"(?<!\\)\[(?=[^\]]*\](?!\())", r"\\[", parts[place]).replace("<", "&lt;")
    return "".join(parts)


def _examples(command: App) -> str:
    """Return those of a command, and of the commands below it."""
    below = [command[name] for name in command if not name.startswith("-")]
    told = "\n".join(one.help_epilogue or "" for one in (command, *below))
    lines = [line.strip() for line in told.splitlines() if line.startswith("  ")]
    return "" if not lines else "\n".join(["## Examples", "", "```sh", *lines, "```", ""])


def _cards(cards: list[Card]) -> str:
    text = ["# Techniques", "", "The card of each, as `stepladder techniques NAME` prints it.", ""]
    for group in dict.fromkeys(card.group for card in cards):
        text += [f"## {group.capitalize()}", ""]
        for card in (card for card in cards if card.group == group):
            text += [f"### {card.name}", "", *_card(card), ""]
    return "\n".join(text)


def _card(card: Card) -> Iterator[str]:
    yield from (f"*{card.summary}*", "", card.plain, "", _plain(card.explanation.replace("\n", "\n\n")), "")
    if card.options:
        yield from ("| option | default | takes | what it is |", "| --- | --- | --- | --- |")
        for name, option in card.options.items():
            default = "automatic" if option.default is None else json.dumps(option.default)
            yield f"| `{name}` | {_plain(default)} | {option.range} | {option.description} |"
        yield ""
    papers = "; ".join(f"[{paper.line}]({paper.url})" if paper.url else paper.line for paper in card.papers)
    told = {"Paper": papers, "Differs": card.differs}
    told |= {"Cost": card.cost, "Mind": card.caveat, "With others": card.interactions}
    for label, words in told.items():
        if words:
            yield f"- **{label}:** {words}"


def _api() -> str:
    under: dict[str, list[str]] = {head: [] for head in HEADS}
    for name in stepladder.__all__:
        value = getattr(stepladder, name)
        if inspect.isclass(value) and issubclass(value, BaseException):
            under["Errors"].append(name)
        elif inspect.isfunction(value):
            under["Functions"].append(name)
        else:
            under["What comes out" if name in RESULTS else "What goes in"].append(name)
    text = ["# Python", "", "All of `import stepladder as sl`, from its docstrings. [How to use it](python.md).", ""]
    for head, about in HEADS.items():
        text += [f"## {head}", "", about, ""]
        for name in under[head]:
            text += [f"::: stepladder.{name}", ""]
    return "\n".join(text)


def _files() -> str:
    text = [
        (ROOT / "docs/files.md").read_text(encoding="utf-8"),
        "## Fields",
        "",
        "Of the files that programs may read, with a JSON schema each.",
        "",
    ]
    quiet = ("heading_level: 4", "show_root_heading: false", "show_root_toc_entry: false", "members: false")
    for name, (module, model) in FILES.items():
        text += [f"### {name}", "", f"[JSON schema](schemas/{Path(name).stem}.schema.json)", ""]
        text += [f"::: {module}.{model}", "    options:", *(f"      {line}" for line in quiet), ""]
    return "\n".join(text)


def _notebooks() -> Iterator[tuple[str, str | bytes]]:
    """Yield each notebook as a page with the outputs that it was kept with, and a list of them."""
    lines = ["# Notebooks", "", "Each runs from top to bottom; its outputs are checked by the tests.", ""]
    for path in sorted((ROOT / "docs/notebooks").glob("*.ipynb")):
        exporter = nbconvert.MarkdownExporter()
        text, kept = exporter.from_filename(str(path), {"unique_key": path.stem})
        yield f"notebooks/{path.stem}.md", text.replace(".ipynb)", ".md)")
        yield from ((f"notebooks/{name}", content) for name, content in kept["outputs"].items())
        title, _, rest = text.strip().partition("\n")
        about = rest.strip().partition("\n\n")[0].replace("\n", " ").replace("](../", "](")
        about = re.sub(r"\]\((\w+)\.ipynb\)", r"](notebooks/\1.md)", about)
        lines += [f"**[{title.lstrip('# ')}](notebooks/{path.stem}.md)** ({path.name}): {about}", ""]
    yield "notebooks.md", "\n".join(lines)


if __name__ == "__main__":
    assemble(ROOT / ".site" / "pages")
    build(ROOT / ".site")
