"""A model on the Hugging Face Hub: what goes out is put together before it goes, and comes back by its name."""

from __future__ import annotations

import getpass
import platform
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from stepladder.errors import HubError, StepladderError
from stepladder.files import encoded, read_plain
from stepladder.hub import parse_address
from stepladder.model.find import model_folder
from stepladder.model.folder import load_folder, read_card
from stepladder.model.hub import FILES, LICENSES, Parcel, check_license, copy_model, find_private, pull_model, send
from stepladder.report.markdown import escape, render_table
from stepladder.report.sections.effects import effect_table
from stepladder.report.sections.meaning import describe
from stepladder.studies.files.store import load_study
from stepladder.studies.findings import Findings, work_out

__all__ = ["LICENSES", "Parcel", "prepare_push", "pull", "push"]

#: The line and the sentence of a card that the license takes the place of.
_UNKNOWN = "license: unknown"
_NOT_STATED = re.compile(
    r"The license of the weights is for whoever trained them to state,\s+with that of the images in mind\."
)


def push(
    model: Path | str,
    address: str,
    *,
    license: str | None = None,
    private: bool = False,
    revision: str | None = None,
) -> str:
    """Send a model folder to the Hugging Face Hub, and return the address of its page.

    :func:`prepare_push` returns what would go out, without sending it.

    Args:
        model: a model folder, or the folder of a trial.
        address: ``user/name``; it is made where it is not there.
        license: what others may do with it, by the Hub's name; see :data:`LICENSES`.
        private: of a repository that is made: whether others may see it.
        revision: the branch; the main one by default.

    Raises:
        HubError: the address, the license, or who is logged in does not allow it.
        StorageError: there is no such model, or it is damaged.
    """
    parcel = prepare_push(model, address, license=license, private=private, revision=revision)
    return send(parcel, "Model of Stepladder")


def prepare_push(
    model: Path | str,
    address: str,
    *,
    license: str | None = None,
    private: bool = False,
    revision: str | None = None,
) -> Parcel:
    """Return what :func:`push` would send: the model's files, and its card with the license and the study's verdicts.

    Images never go out, nor the fingerprints of those that trained it.

    Raises:
        HubError: as :func:`push`; or a file holds a path of this machine or the name of who works on it.
        StorageError: there is no such model, or it is damaged.
    """
    whole = f"{address}@{revision}" if revision is not None and "@" not in address else address
    to = parse_address(whole, "model")
    chosen = check_license(license)
    folder = model_folder(Path(model).expanduser())
    if folder is None:
        raise HubError(f"{model} is an exported file; give the model folder of a trial, which holds config.json")
    load_folder(folder, "cpu")  # what cannot be loaded here helps nobody there
    files: dict[str, bytes | Path] = {name: folder / name for name in FILES if (folder / name).exists()}
    files["README.md"] = encoded(_card(folder, chosen))
    _refuse_private(files)
    return Parcel(to, files, chosen, private)


def pull(address: str, out: Path | str | None = None) -> Path:
    """Fetch a model from the Hugging Face Hub, and return its folder: in the Hub's cache, or ``out``.

    Without a connection, what was fetched before is taken.

    Args:
        address: ``user/name`` or ``user/name@revision``.
        out: a new folder for a copy.

    Raises:
        HubError: there is no such repository, it holds no model, or it cannot be reached.
        StorageError: a file is damaged or too large, or ``out`` holds other things.
    """
    folder = pull_model(parse_address(address, "model"))
    if out is None:
        return folder
    copy_model(folder, Path(out))
    return Path(out)


def _card(folder: Path, license_name: str) -> str:
    card = read_card(folder)
    if _UNKNOWN not in card:
        raise HubError(f"{folder / 'README.md'} is not the card that Stepladder writes; train the model again")
    card = card.replace(_UNKNOWN, f"license: {license_name}", 1)
    card = _NOT_STATED.sub(f"The license of the weights is {license_name}.", card, count=1)
    told = _verdicts(folder)
    place = card.find("\n## For whom")
    return f"{card[:place]}\n{told}{card[place:]}" if told and place > 0 else card


def _verdicts(folder: Path) -> str:
    """Return what the study says that the model is a trial of, for its card; empty of a model of none."""
    study = folder.absolute().parent.parent.parent
    if not (study / "study.json").is_file():
        return ""
    try:
        findings = work_out(load_study(study))
    except StepladderError:
        return ""
    if not isinstance(findings, Findings):
        return ""
    record = findings.study.record
    seeds = ", ".join(map(str, record.seeds))
    said = " ".join(map(escape, describe(findings)))
    table = f"\n\n{render_table(effect_table(findings))}" if findings.effects and not findings.nothing_learned else ""
    return (
        f"## What the study says\n\nThis model is one trial of a {escape(record.plan)} study with seeds {seeds} "
        f"(plan {record.plan_hash[:12]}). {said}{table}\n"
    )


def _refuse_private(files: Mapping[str, bytes | Path]) -> None:
    """Raise HubError where a file that people read names this machine, who works on it, or a folder of it."""
    words = {str(Path.home()): "your home folder", str(Path.cwd()): "the current folder"}
    words |= {platform.node(): "this machine's name"}
    with suppress(KeyError, OSError):  # nobody has a name in some containers
        words[getpass.getuser()] = "your user name"
    words = {word: what for word, what in words.items() if word not in ("/", "root", "localhost")}
    for name, content in files.items():
        if name.endswith(".safetensors"):
            continue
        text = (content if isinstance(content, bytes) else read_plain(content, FILES[name])).decode(errors="replace")
        if (found := find_private(text, words)) is not None:
            raise HubError(
                f"{name} would tell everybody {found}; name the image set and the folder otherwise and train again, or "
                "take it out of that file"
            )
