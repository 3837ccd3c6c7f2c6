"""``stepladder push`` and ``stepladder pull``: a model to and from the Hugging Face Hub."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from stepladder.api.hub import Parcel, prepare_push
from stepladder.api.hub import pull as pull_from_hub
from stepladder.cli.console import AsJson, make_console, print_json
from stepladder.errors import HubError
from stepladder.model.hub import send


def push(
    model: Annotated[Path, Parameter(help="Model folder of a trial.")],
    address: Annotated[str, Parameter(help="user/name on the Hub; it is made where it is not there.")],
    *,
    license_: Annotated[
        str | None,
        Parameter(name="--license", help="What others may do with it, by the Hub's name, as apache-2.0; asked for."),
    ] = None,
    private: Annotated[
        bool, Parameter(negative="", show_default=False, help="Make the repository one that others cannot see.")
    ] = False,
    revision: Annotated[str | None, Parameter(help="The branch; the main one by default.")] = None,
    yes: Annotated[bool, Parameter(negative="", show_default=False, help="Send it without asking once more.")] = False,
    as_json: AsJson = False,
) -> None:
    """Send a model to the Hugging Face Hub: weights, configuration, and a card with the study's verdicts.

    What goes out is shown first. Images never do. Log in with `hf auth login`, or set HF_TOKEN.
    """
    console = make_console(as_json)
    parcel = prepare_push(model, address, license=license_, private=private, revision=revision)
    _show(console, parcel)
    if not yes and not _agreed(console):
        console.print("Nothing was sent.", markup=False)
        return
    page = send(parcel, "Model of Stepladder")
    console.print(f"\nSent: {page}\nsl.load_model('{parcel.address}') reads it.", markup=False)
    if as_json:
        print_json({"page": page, "address": str(parcel.address), "files": parcel.sizes, "license": parcel.license})


def _show(console: Console, parcel: Parcel) -> None:
    who = "private where it is made now" if parcel.private else "public where it is made now"
    console.print(f"To {parcel.address} ({who}), license {parcel.license}:", markup=False)
    for name, size in parcel.sizes.items():
        console.print(f"  {name:<24}{size:>14,} bytes", markup=False)
    console.print(f"  {'in all':<24}{sum(parcel.sizes.values()):>14,} bytes", markup=False)


def _agreed(console: Console) -> bool:
    if not sys.stdin.isatty():
        raise HubError("nobody is here to agree to what goes out; look at the list above, and add --yes to send it")
    return console.input("Send it? [y/N] ", markup=False).strip().lower() in ("y", "yes")


def pull(
    address: Annotated[str, Parameter(help="user/name or user/name@revision on the Hub.")],
    *,
    out: Annotated[
        Path | None, Parameter(help="A new folder for a copy; the Hub's own cache alone by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch a model from the Hugging Face Hub, for predict, export, serve and --init.

    Only the files of a model folder are fetched. Without a connection, what was fetched before is taken.
    """
    console = make_console(as_json)
    folder = pull_from_hub(address, out)
    console.print(f"Model: {folder}", markup=False)
    if as_json:
        print_json({"model": str(folder)})
