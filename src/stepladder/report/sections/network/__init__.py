"""The network of the shown model: its layers, what they cost, and a picture to scale."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from stepladder.network import format_line
from stepladder.network.explain import describe_layer
from stepladder.network.inspection import Inspection
from stepladder.network.spec import OwnModule
from stepladder.report.page import Embedded, embed_figures
from stepladder.report.section import Section, TextTable
from stepladder.report.units import UNDEFINED
from stepladder.studies.findings import Findings


class NetworkSection(Section[Findings]):
    """A table and a picture of the layers."""

    key = "network"
    heading = "The network"

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the network as one line, as a picture with its words, and as a table."""
        if findings.network is None:
            return {}
        inspection = findings.network.inspection
        return {
            "line": format_line(inspection.found.network),
            "words": describe_network(inspection),
            "drawn": _draw(inspection),
            "layers": layer_table(inspection),
        }


def describe_network(inspection: Inspection) -> str:
    """Return what the picture shows, in a sentence."""
    each = ", ".join(f"{cost.layer.name} {_shape(cost.output_shape)}" for cost in inspection.costs if cost.weights)
    return f"The network drawn to scale, {inspection.weights:,} weights; layers with weights and their outputs: {each}."


def layer_table(inspection: Inspection) -> TextTable:
    """Return a row a layer."""
    rows = []
    for cost in inspection.costs:
        sees = inspection.fields[cost.layer.name][1]
        sizes = {field.size for field in sees}
        if isinstance(cost.layer, OwnModule):  # what is in it is known to its code alone
            sizes = set()
        rows.append(
            (
                cost.layer.name,
                describe_layer(cost),
                _shape(cost.output_shape),
                f"{cost.weights:,}" if cost.weights else UNDEFINED,
                f"{cost.macs:,}" if cost.macs else UNDEFINED,
                "×".join(str(size) for size in (sizes if len(sizes) == 1 else [field.size for field in sees]))
                if sizes
                else UNDEFINED,
            )
        )
    return TextTable(
        caption=(
            f"{inspection.weights:,} weights and {inspection.macs:,} multiply-accumulates (MACs) an image. Sees: "
            "pixels of the image that one value of the output depends on, along a side."
        ),
        header=("layer", "what it is", "output", "weights", "MACs", "sees"),
        rows=tuple(rows),
        text_columns=2,
    )


@lru_cache(maxsize=8)
def _draw(inspection: Inspection) -> Embedded:
    """Draw the network; once a process, as the page of a running study asks again after every trial."""
    from stepladder.report.figures.network import draw_network

    figure = draw_network(inspection)
    return embed_figures(figure, figure)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(f"{size:,}" for size in shape)
