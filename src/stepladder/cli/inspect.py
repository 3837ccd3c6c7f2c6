"""``stepladder inspect``: the arithmetic of a network. Imports no torch unless a picture or a measurement needs it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from stepladder.cli.console import AsJson, make_console, print_json
from stepladder.cli.flags import to_flags
from stepladder.cli.groups import FIRST, MORE
from stepladder.cli.inspect_tables import (
    answer_table,
    comparison_table,
    explanation,
    layer_table,
    own_summary,
    own_table,
    preset_table,
    summary,
)
from stepladder.errors import RecipeError
from stepladder.network import FoundNetwork, find_network
from stepladder.network.arithmetic import Shape3, parse_input
from stepladder.network.inspection import Inspection, inspect_network
from stepladder.network.own_inspection import inspect_own
from stepladder.network.sizes import check_feeding
from stepladder.network.solve import Answer, solve

if TYPE_CHECKING:
    from stepladder.model.effective import EffectiveFields


def inspect(
    network: Annotated[
        str | None,
        Parameter(
            group=FIRST,
            help="A name (report, lenet5, …), one line as 'conv5-32 pool2 fc', a .toml file, a model folder, or "
            "FILE.py:function of your own; without one, the names are listed.",
        ),
    ] = None,
    *,
    image_size: Annotated[
        str | None,
        Parameter(
            name="--input",
            group=FIRST,
            help="Size of the images, channels first: 3x32x32. By default the data's, model's or paper's.",
        ),
    ] = None,
    data: Annotated[
        str | None,
        Parameter(group=FIRST, help="Take image size, classes and number of training images from it."),
    ] = None,
    explain: Annotated[
        bool, Parameter(group=FIRST, negative="", show_default=False, help="Write out every figure.")
    ] = False,
    picture: Annotated[
        Path | None,
        Parameter(group=FIRST, help="Draw the network to scale and its receptive fields: FILE.svg or FILE.png."),
    ] = None,
    explore: Annotated[
        Path | bool | None,
        Parameter(
            group=FIRST,
            negative="",
            help="Write a page on which the line can be edited and every figure follows: FILE.html, or "
            "NETWORK-explorer.html where none is given. It begins with the network, or without one with the report's.",
        ),
    ] = None,
    solve_for: Annotated[
        str | None,
        Parameter(name="--solve", group=FIRST, help="Padding and stride for a size: 'conv5 32->32', 'pool2 32->16'."),
    ] = None,
    compare: Annotated[
        bool,
        Parameter(
            group=MORE,
            negative="",
            show_default=False,
            help="Say what fully and locally connected layers in place of each convolution would cost.",
        ),
    ] = False,
    effective: Annotated[
        bool,
        Parameter(
            group=MORE,
            negative="",
            show_default=False,
            help="Measure the effective receptive fields by gradients, of fresh weights or of the model's.",
        ),
    ] = False,
    built_for: Annotated[
        str | None,
        Parameter(group=MORE, help="Image size that its weights were made for: may it read --input as well?"),
    ] = None,
    classes: Annotated[int | None, Parameter(group=MORE, help="Classes to tell apart; 10 by default.")] = None,
    batch_size: Annotated[
        int | None, Parameter(group=MORE, help="Images for which activation memory is counted; 128 by default.")
    ] = None,
    precision: Annotated[
        str | None, Parameter(group=MORE, help="Of the activations: float32, as by default, or bfloat16.")
    ] = None,
    data_dir: Annotated[Path | None, Parameter(group=MORE, help="Where the files of a named image set are.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a network costs and sees, before a step of training."""
    console = make_console(as_json)
    if data_dir is not None and data is None:
        raise RecipeError("--data-dir is where a named image set is, and --data names none; give both, or leave it out")
    if isinstance(explore, Path):
        from stepladder.report.explorer import check_page

        check_page(explore)
    if network is None and explore:
        network = "report"
    if network is None:
        _refuse_without_network(
            {
                "--data": data,
                "--input": image_size,
                "--built-for": built_for,
                "--classes": classes,
                "--batch-size": batch_size,
                "--precision": precision,
                "--explain": explain or None,
                "--compare": compare or None,
                "--effective": effective or None,
                "--picture": picture,
            }
        )
    document: dict[str, Any] = {}
    if solve_for is not None:
        answer = solve(solve_for)
        document["solve"] = _answer_document(answer)
        console.print(answer_table(answer))
        console.print(f"Tried: {answer.tried}. {answer.remark}".rstrip(), markup=False)
    if network is None:
        if solve_for is None:
            console.print(preset_table(console.width))
            console.print("One in full: stepladder inspect NAME", style="dim")
        if as_json:
            print_json(document)
        return

    found = find_network(network)
    images = None
    if data is not None:
        # Reading images needs far heavier libraries than arithmetic does.
        from stepladder.datasets import Access, load_image_set, make_splits

        images = load_image_set(data, access=Access(data_dir))
        if classes is not None and classes != images.num_classes:
            raise RecipeError(f"--classes is {classes} and {images.name} has {images.num_classes}; leave it out")
        classes = images.num_classes
        for note in images.notes:
            console.print(to_flags(note), style="dim", markup=False)
    size = parse_input(image_size) if image_size is not None else None
    if size is None and images is not None and found.model is None:  # a model's techniques may crop
        height, width, channels = images.image_shape
        size = (channels, height, width)
    if found.num_classes is not None and classes is not None and classes != found.num_classes:
        raise RecipeError(f"the model tells {found.num_classes} classes apart, not {classes}; leave --classes out")
    training_images = len(make_splits(images, 0).train) if images is not None else None
    if found.network.own is not None:
        asked = {
            "explain": explain,
            "compare": compare,
            "effective": effective,
            "picture": picture,
            "explore": explore,
            "built_for": built_for,
            "batch_size": batch_size,
            "precision": precision,
        }
        own = _inspect_own(
            console,
            found,
            size,
            classes,
            training_images,
            [name for name, value in asked.items() if value not in (None, False)],
        )
        if as_json:
            print_json(document | own)
        return
    inspection = inspect_network(
        found,
        size,
        classes,
        batch_size=128 if batch_size is None else batch_size,
        precision=precision or "float32",
        training_images=training_images,
    )
    weights_for = (
        parse_input(built_for, "built_for") if built_for is not None else found.input_shape if found.model else None
    )
    if weights_for is not None:
        check_feeding(found.network, weights_for, inspection.input_shape, inspection.num_classes)

    console.print(layer_table(inspection, console.width))
    for line in summary(inspection, weights_for):
        console.print(line, markup=False)
    if explain:
        console.print()
        for line in explanation(inspection):
            console.print(line, markup=False, soft_wrap=not console.is_terminal)
    if compare:
        console.print()
        console.print(comparison_table(inspection))
    document |= inspection.to_document()
    measured = _measure(console, inspection, images) if effective else None
    if measured is not None:
        document |= {"effective": measured.to_document()}
    if picture is not None:
        from stepladder.report.figures.network import write_picture

        write_picture(picture, inspection, images, measured)
        console.print(f"\nPicture: {picture}", markup=False)
    if explore:
        from stepladder.report.explorer import write_explorer

        named = "explorer.html" if found.line is not None else f"{found.label}-explorer.html"
        path = explore if isinstance(explore, Path) else Path(named)
        write_explorer(path, inspection, images, measured)
        console.print(
            f"\nExplorer: {path}. Open it in a browser: {path.absolute().as_uri()}", markup=False, soft_wrap=True
        )
    if as_json:
        print_json(document)


def _refuse_without_network(given: dict[str, object]) -> None:
    """Refuse options about a network where none was named."""
    if unused := [option for option, value in given.items() if value is not None]:
        raise RecipeError(f"{unused[0]} is about a network, and none was named; name one, or leave it out")


def _inspect_own(
    console: Console,
    found: FoundNetwork,
    size: Shape3 | None,
    classes: int | None,
    training_images: int | None,
    asked: list[str],
) -> dict[str, Any]:
    """Show a network of the user's own; return its figures.

    Args:
        asked: what else was asked for, which a list of layers alone can answer.
    """
    if asked:
        raise RecipeError(
            f"`{asked[0]}` goes by a list of layers, and this network is a module of your own; leave it out"
        )
    inspection = inspect_own(found, size, classes, training_images)
    if inspection.parts:
        console.print(own_table(inspection))
    for line in own_summary(inspection):
        console.print(line, markup=False)
    return inspection.to_document()


def _measure(console: Console, inspection: Inspection, images: Any) -> EffectiveFields:
    from stepladder.cli.inspect_tables import effective_table
    from stepladder.model.effective import measure_effective

    measured = measure_effective(inspection, images)
    console.print()
    console.print(effective_table(inspection, measured))
    console.print(measured.note, markup=False)
    return measured


def _answer_document(answer: Answer) -> dict[str, Any]:
    return {
        "layer": answer.layer,
        "before": answer.before,
        "after": answer.after,
        "tried": answer.tried,
        "remark": answer.remark,
        "solutions": [vars(solution) for solution in answer.solutions],
    }
