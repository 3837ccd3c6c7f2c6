"""What ``stepladder inspect`` prints: tables and sentences from an inspection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.errors import RecipeError
from stepladder.network import preset_names, read_preset, trace_network
from stepladder.network.advice import weights_for_each_image
from stepladder.network.arithmetic import format_shape
from stepladder.network.explain import describe_layer, explain_layer, explain_memory, general_rules
from stepladder.network.inspection import BYTES, Inspection, compare_convolutions
from stepladder.network.line import format_line
from stepladder.network.own_inspection import WHOLE, OwnInspection, output_in_words, sees_in_words
from stepladder.network.receptive_field import Fields
from stepladder.network.sizes import check_feeding, describe_sizes
from stepladder.network.solve import Answer

if TYPE_CHECKING:
    from stepladder.model.effective import EffectiveFields

#: From this width on there is room for what each layer is, and for exact MACs.
_WIDE = 110
_MOST_SOLUTIONS = 24


def _table() -> Table:
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)


def _titled(title: str) -> Table:
    return Table(
        box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, title=title, title_justify="left", title_style=""
    )


def layer_table(inspection: Inspection, width: int) -> Table:
    """Return a row a layer: output, weights, MACs, receptive field, memory; totals below."""
    wide = width >= _WIDE
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, show_footer=True)
    table.add_column("layer", footer="total", style="bold", no_wrap=True)
    if wide:
        table.add_column("")
    table.add_column("output", justify="right", no_wrap=True)
    table.add_column("weights", f"{inspection.weights:,}", justify="right", no_wrap=True)
    table.add_column("MACs", _macs(inspection.macs, wide), justify="right", no_wrap=True)
    table.add_column("sees", justify="right", no_wrap=True)
    table.add_column("jump", justify="right", no_wrap=True)
    table.add_column("center", justify="right", no_wrap=True)
    table.add_column("memory", _megabytes(inspection.memory), justify="right", no_wrap=True)
    shape = "×".join(map(str, inspection.input_shape))
    what = ["the image"] if wide else []
    table.add_row(Text("input", "dim"), *what, shape, "", "", "1", "1", "0", _megabytes(inspection.input_memory))
    for cost in inspection.costs:
        sees, jump, center = _field(inspection.fields[cost.layer.name][1])
        memory = inspection.memory_of(cost)
        table.add_row(
            cost.layer.name,
            *([describe_layer(cost)] if wide else []),
            "×".join(f"{size:,}" for size in cost.output_shape),
            f"{cost.weights:,}" if cost.weights else "",
            _macs(cost.macs, wide) if cost.macs else "",
            sees,
            jump,
            center,
            _megabytes(memory) if memory else "",
            style="" if cost.weights else "dim",
        )
    return table


def own_table(inspection: OwnInspection) -> Table:
    """Return a row a part of a module of the user's own: output, weights, MACs, receptive field; totals below."""
    table = Table(box=box.SIMPLE, pad_edge=False, show_edge=False, show_footer=True)
    table.add_column("part", footer="total", style="bold", overflow="fold")
    table.add_column("", overflow="fold")
    table.add_column("output", justify="right", no_wrap=True)
    table.add_column("weights", f"{inspection.weights:,}", justify="right", no_wrap=True)
    table.add_column("MACs", _macs(inspection.macs, exact=True), justify="right", no_wrap=True)
    table.add_column("sees", justify="right", no_wrap=True)
    for part in inspection.parts:
        table.add_row(
            Text(part.name or WHOLE),
            Text(part.kind),
            output_in_words(part),
            f"{part.weights:,}" if part.weights else "",
            _macs(part.macs, exact=True) if part.macs else "",
            sees_in_words(part),
            style="" if part.weights else "dim",
        )
    return table


def own_summary(inspection: OwnInspection) -> Iterator[str]:
    """Yield the sentences below the table of a module of the user's own."""
    layer, shape = inspection.layer, format_shape(inspection.input_shape)
    if inspection.parts:
        yield ""
    yield (
        f"{inspection.found.label} on {shape}, {inspection.num_classes} classes: {inspection.weights:,} weights "
        f"({_megabytes(inspection.weights * 4)} in float32); {inspection.macs:,} MACs an image, as torch's own counter "
        f"has them. Built by {layer.reference}, SHA-256 {layer.sha256[:12]}…"
    )
    if inspection.parts:
        yield (
            "sees: pixels of the image, from the first to the last, that the middle of the output depends on, measured "
            "by gradients of a network of the same connections with weights above zero."
        )
    else:
        size = "x".join(map(str, inspection.input_shape))
        yield (
            f"Its code is not run unless you name it; its parts: stepladder inspect {layer.reference} --input {size} "
            f"--classes {inspection.num_classes}"
        )
    if inspection.training_images is not None:
        yield weights_for_each_image(inspection.weights, inspection.training_images)


def summary(inspection: Inspection, built_for: tuple[int, int, int] | None) -> Iterator[str]:
    """Yield the sentences below the table: where the network is from, shares, other sizes, advice."""
    found = inspection.found
    yield ""
    yield (
        f"{found.label} on {format_shape(inspection.input_shape)}, {inspection.num_classes} classes: "
        f"{inspection.weights:,} weights ({_megabytes(inspection.weights * 4)} in float32), "
        f"{_percent(inspection.fully_connected_share)} of them in fully connected layers; {inspection.macs:,} MACs an "
        f"image. Memory is what a batch of {inspection.batch_size} keeps in {inspection.precision}; sees, jump and "
        f"center are pixels of the image."
    )
    if found.paper is not None:
        yield f"From: {found.paper}. Published: {found.published} weights on {_written(found.input_shape)}."
    if found.line is None:
        yield f"As one line: {format_line(found.network)}"
    if inspection.training_images is not None:
        yield weights_for_each_image(inspection.weights, inspection.training_images)
    if built_for is not None and built_for != inspection.input_shape:
        yield f"Its weights were made for {format_shape(built_for)} and fit these images too."
    yield from _about_sizes(inspection)
    entries = [entry for entry in inspection.advice if entry.topic != "images"]
    if entries:
        yield ""
        yield "Worth a look:"
        yield from (f"- {entry.text}" for entry in entries)


def _about_sizes(inspection: Inspection) -> Iterator[str]:
    """Say which other sizes fit; and where the paper's weights would not fit these images, why."""
    found, given = inspection.found, inspection.input_shape
    paper = found.input_shape
    if found.model is None and paper is not None and paper[0] == given[0] and paper != given:
        try:
            check_feeding(found.network, paper, given, inspection.num_classes)
        except RecipeError as error:
            yield f"Built anew for {format_shape(given)}, as above; {error}."
            return
    yield describe_sizes(inspection.sizes, given)


def explanation(inspection: Inspection) -> Iterator[str]:
    """Yield the rules, and every layer's figures written out."""
    yield "How the figures come about"
    yield from (f"  {rule}" for rule in general_rules(inspection.costs))
    for cost in inspection.costs:
        before, after = inspection.fields[cost.layer.name]
        yield ""
        yield f"{cost.number} {cost.layer.name}: {describe_layer(cost)}"
        workings = list(explain_layer(cost, before, after))
        if inspection.memory_of(cost):
            workings.append(explain_memory(cost.output_shape, inspection.batch_size, BYTES[inspection.precision]))
        yield from (f"  {word:<8} {working}" for word, working in workings)


def comparison_table(inspection: Inspection) -> Table:
    """Return a row a convolution: its weights against layers that share nothing, or see everything."""
    table = _titled("Weights of other layers with the same input and output")
    for word in ("convolution", "output", "shared", "locally connected", "fully connected", "fully/shared"):
        table.add_column(word, justify="left" if word == "convolution" else "right")
    for comparison in compare_convolutions(inspection.costs):
        table.add_row(
            comparison.cost.layer.name,
            "×".join(map(str, comparison.cost.output_shape)),
            f"{comparison.weights:,}",
            f"{comparison.locally_connected:,}",
            f"{comparison.fully_connected:,}",
            f"{comparison.fully_connected / comparison.weights:,.0f}×",
        )
    return table


def answer_table(answer: Answer) -> Table | str:
    """Return the solutions, or the sentence that there is none."""
    question = f"{answer.layer}, {answer.before} → {answer.after}"
    if not answer.solutions:
        return f"{question}: none."
    pooling = any(way.ceil_mode for way in answer.solutions)
    dilated = any(way.dilation > 1 for way in answer.solutions)
    table = _titled(f"{question}: {len(answer.solutions)} solution{'s' * (len(answer.solutions) != 1)}")
    for word in ("padding", "stride", *(["dilation"] if dilated else []), *(["rounds"] if pooling else [])):
        table.add_column(word, justify="right")
    table.add_column("")
    for way in answer.solutions[:_MOST_SOLUTIONS]:
        unread = f"the last {way.unread} pixel{'s' * (way.unread != 1)} unread" if way.unread else "every pixel read"
        table.add_row(
            str(way.padding),
            str(way.stride),
            *([str(way.dilation)] if dilated else []),
            *(["up" if way.ceil_mode else "down"] if pooling else []),
            unread,
            style="dim" if way.unread else "",
        )
    if len(answer.solutions) > _MOST_SOLUTIONS:
        table.add_row("…", "", *[""] * (dilated + pooling), f"{len(answer.solutions) - _MOST_SOLUTIONS} more (--json)")
    return table


def preset_table(width: int) -> Table:
    """Return the presets with their cost on the images and classes of their papers."""
    table = _table()
    table.add_column("network", style="bold", no_wrap=True)
    table.add_column("images", no_wrap=True)
    table.add_column("weights", justify="right", no_wrap=True)
    table.add_column("MACs", justify="right", no_wrap=True)
    table.add_column("from")
    for name in preset_names():
        preset = read_preset(name)
        costs = trace_network(preset.network, preset.input_shape, preset.classes)
        weights, macs = sum(cost.weights for cost in costs), sum(cost.macs for cost in costs)
        shape = "×".join(map(str, preset.input_shape))
        table.add_row(name, shape, f"{weights:,}", _macs(macs, width >= _WIDE), preset.paper_in_brief)
    return table


def effective_table(inspection: Inspection, measured: EffectiveFields) -> Table:
    """Return a row a layer: the field by arithmetic, and by gradients."""
    table = _titled("Effective receptive field (Luo et al. 2016)")
    for word in ("layer", "sees", "effective", "share of the area"):
        table.add_column(word, justify="left" if word == "layer" else "right")
    for name, field in measured.fields.items():
        rows, columns = inspection.fields[name][1]
        table.add_row(
            name,
            f"{rows.size}",
            f"{field.size:.1f}",
            f"{field.size**2 / (rows.size * columns.size):.0%}".replace("%", " %"),
        )
    return table


def _field(fields: Fields) -> tuple[str, str, str]:
    rows, columns = fields
    sees = f"{rows.size}" if rows.size == columns.size else f"{rows.size}×{columns.size}"
    jump = "–" if rows.jump is None else str(rows.jump)
    center = f"{rows.center:g}" if rows.center == columns.center else f"{rows.center:g}, {columns.center:g}"
    return sees, jump, center.replace("-", "−")


def _percent(share: float) -> str:
    return "under 1 %" if 0 < share < 0.01 else f"{100 * share:.0f} %"


def _macs(macs: int, exact: bool) -> str:
    if exact or macs < 10_000:
        return f"{macs:,}"
    if macs >= 1e9:
        return f"{macs / 1e9:,.2f} G"
    return f"{macs / 1e6:,.2f} M" if macs < 1e7 else f"{macs / 1e6:,.1f} M"


def _megabytes(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    if count < 1_000_000:
        return f"{count / 1e3:.1f} kB"
    if count < 1_000_000_000:
        return f"{count / 1e6:,.1f} MB"
    return f"{count / 1e9:,.2f} GB"


def _written(shape: tuple[int, int, int] | None) -> str:
    return format_shape(shape) if shape else "?"
