"""``stepladder data``: what an image set holds, before anything is trained on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stepladder.cli.console import AsJson, Quiet, make_aside, make_console, print_json
from stepladder.cli.data_options import DataOptions
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, MORE
from stepladder.datasets import SOURCES, ImageSet
from stepladder.datasets.audit import ImageAudit, audit_image_set, draw_sheet
from stepladder.datasets.cache import cache_folder, clear_cache
from stepladder.errors import DamagedImagesError, DataError
from stepladder.files import replace_bytes, replace_text
from stepladder.report.audit import AuditSection, audit_sections, build_audit_document, render_audit_page

if TYPE_CHECKING:
    from stepladder.baselines.mixing import Mixing

_DEFAULTS = DataOptions()


def data(
    data: Annotated[
        str | None, Parameter(group=FIRST, help="A name or a path, as for study; --list prints what there is.")
    ] = None,
    *,
    sources: Annotated[
        bool,
        Parameter(name="--list", group=FIRST, negative="", show_default=False, help="List what can be read, and stop."),
    ] = False,
    sheet: Annotated[
        Path | None, Parameter(group=FIRST, help="Write a contact sheet, a row a class, as this PNG file.")
    ] = None,
    html: Annotated[
        Path | None, Parameter(group=FIRST, help="Write everything as this one HTML page, pictures in it.")
    ] = None,
    leak_test: Annotated[
        bool,
        Parameter(
            group=FIRST,
            negative="",
            show_default=False,
            help="Measure what it costs to mix images that belong together: a cheap model's accuracy where training "
            "and test share groups, named or suspected, and where they do not.",
        ),
    ] = False,
    clear: Annotated[
        bool,
        Parameter(
            name="--clear-cache",
            group=MORE,
            negative="",
            show_default=False,
            help="Remove downloads, decoded images, libraries of 'benchmarks' and measured precisions, and stop.",
        ),
    ] = False,
    options: DataOptions = _DEFAULTS,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what an image set holds: counts, damage, copies, balance, and whether it may be flipped."""
    console = make_console(as_json)
    aside = make_aside(console, quiet=quiet)
    if clear or sources:
        asked = {"--sheet": sheet is not None, "--html": html is not None, "--leak-test": leak_test}
        _refuse_all_else("--clear-cache" if clear else "--list", data, clear and sources, asked, options)
    if clear:
        _clear(console, as_json=as_json)
        return
    if sources:
        _list(console, as_json=as_json)
        return
    if data is None:
        raise DataError("no image set was named; give a name or a path, as in stepladder data digits, or --list")
    images, damaged = _load(aside, data, options)
    mixing = _measure_mixing(aside, data, options, images) if leak_test else None
    more = [] if mixing is None else [AuditSection("What mixing costs", mixing.sentences(), alarm=mixing.misleads)]
    with aside.status("Examining images …") as status:
        audit = audit_image_set(images, damaged, on_step=lambda step: status.update(f"{step} …"))
        status.update("Measuring how long training takes …")
        starts, training = _starts(images)
    show_audit(console, audit, training, more)
    for path in (sheet, html):
        if path is not None:
            _refuse_among_images(path, images)
    if sheet is not None:
        uncropped = None
        if images.cropped:
            with aside.status("Reading what the crop takes away …"):
                uncropped, _ = _load(aside, data, replace(options, fit="pad"))
        replace_bytes(sheet, draw_sheet(images, uncropped))
    if html is not None:
        # A path on disk may hold bytes that are no UTF-8; a page with a "?" is better than none.
        replace_text(html, render_audit_page(audit, training, more).encode(errors="replace").decode())
    written = [str(path) for path in (sheet, html) if path is not None]
    if written:
        console.print(f"\nWritten: {', '.join(written)}", markup=False)
    if as_json:
        document = {**build_audit_document(audit), "starts": starts}
        if mixing is not None:
            document["leak_test"] = mixing.to_document()
        print_json(document)


def _refuse_all_else(only: str, data: str | None, both: bool, asked: Mapping[str, bool], options: DataOptions) -> None:
    """Refuse whatever an option that stops at once would leave undone.

    Args:
        both: whether two such options were given.
        asked: whether options of this command were given.
    """
    given = {
        "an image set": data is not None,
        "--list": both,
        **asked,
        **{
            f"--{field.name.replace('_', '-')}": getattr(options, field.name) != field.default
            for field in fields(options)
        },
    }
    if others := [name for name, is_given in given.items() if is_given]:
        raise DataError(f"{only} examines no images, and {others[0]} was given with it; leave one of the two out")


def _refuse_among_images(path: Path, images: ImageSet) -> None:
    """Refuse a file that would be read as an image of a class from then on; one beside the class folders is not."""
    above = path.absolute().parent.resolve()
    for folder in images.folders:
        if folder in above.parents:
            raise DataError(f"{path} lies among the images in {folder}, and would be read as one; choose another place")


def _load(console: Console, data: str, options: DataOptions) -> tuple[ImageSet, tuple[tuple[str, str], ...]]:
    """Load what can be read, and the list of what cannot."""
    try:
        return options.load_data(console, data), ()
    except DamagedImagesError as error:
        return options.load_data(console, data, skip_damaged=True), error.damaged


def _measure_mixing(console: Console, data: str, options: DataOptions, images: ImageSet) -> Mixing:
    from stepladder.baselines.mixing import measure_leaks

    def regroup(said: Mapping[str, Any]) -> ImageSet:
        return _load(console, data, replace(options, **said))[0]

    with console.status("Measuring what mixing costs …") as status:
        return measure_leaks(images, regroup, lambda step: status.update(f"{step} …"))


def _starts(images: ImageSet) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the ways to begin on photographs, as plain values and as sentences; none for other images."""
    if not images.are_photographs:
        return [], []
    # PyTorch, which takes a second to load: only where something is measured.
    from stepladder.report.how_long import tell_starts
    from stepladder.studies.starts import forecast_starts

    starts = forecast_starts(images)
    return [start.to_document() for start in starts], [to_flags(sentence) for sentence in tell_starts(starts)]


def show_audit(
    console: Console, audit: ImageAudit, training: Sequence[str] = (), more: Sequence[AuditSection] = ()
) -> None:
    """Print an audit, section by section."""
    console.print(Text(audit.image_set.name, style="bold"))
    for section in audit_sections(audit, training, more):
        _show(console, section)


def _show(console: Console, section: AuditSection) -> None:
    console.print()
    console.print(Text(section.title, style="bold red" if section.alarm else "bold"))
    for sentence in section.sentences:
        console.print(to_flags(sentence), markup=False)
    if section.table is not None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1), collapse_padding=True)
        for number, head in enumerate(section.table.header):
            if number < section.table.text_columns:
                table.add_column(Text(head), overflow="fold")
            else:
                table.add_column(Text(head), justify="right")
        for row in section.table.rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
    for place in section.places:
        console.print(f"  {place}", style="dim", markup=False)


def _list(console: Console, *, as_json: bool) -> None:
    if as_json:
        print_json([{"name": source.name, "description": source.description} for source in SOURCES])
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1))
    table.add_column("name or shape", overflow="fold")
    table.add_column("what it reads", overflow="fold")
    for source in SOURCES:
        table.add_row(Text(source.name), Text(source.description))
    console.print(table)


def _clear(console: Console, *, as_json: bool) -> None:
    freed = clear_cache()
    console.print(
        f"Removed {freed:,} bytes of downloads, decoded images and libraries from {cache_folder()}.", markup=False
    )
    if as_json:
        print_json({"folder": str(cache_folder()), "freed_bytes": freed})
