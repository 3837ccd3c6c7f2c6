"""The network of the model that the page shows, as a table and a picture to scale."""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.errors import StepladderError
from stepladder.network.explain import describe_layer
from stepladder.network.find import FoundNetwork, find_network
from stepladder.network.inspection import Inspection, inspect_network
from stepladder.network.write_line import format_line
from stepladder.recipe import parse_recipe
from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED
from stepladder.study.files.records import SavedStudy


@dataclass(frozen=True)
class NetworkView:
    """A network on the study's images; ``rung`` says whose."""

    rung: str
    inspection: Inspection

    @property
    def line(self) -> str:
        """The layers as one line."""
        return format_line(self.inspection.found.network)

    @property
    def words(self) -> str:
        """What the picture shows, in a sentence."""
        each = ", ".join(
            f"{cost.layer.name} {_shape(cost.output_shape)}" for cost in self.inspection.costs if cost.weights
        )
        return (
            f"The network drawn to scale, {self.inspection.weights:,} weights; layers with weights and their outputs: "
            f"{each}."
        )

    def table(self) -> TextTable:
        """Return a row a layer."""
        inspection = self.inspection
        rows = []
        for cost in inspection.costs:
            sees = inspection.fields[cost.layer.name][1]
            sizes = {field.size for field in sees}
            rows.append(
                (
                    cost.layer.name,
                    describe_layer(cost),
                    _shape(cost.output_shape),
                    f"{cost.weights:,}" if cost.weights else UNDEFINED,
                    f"{cost.macs:,}" if cost.macs else UNDEFINED,
                    "×".join(str(size) for size in (sizes if len(sizes) == 1 else [field.size for field in sees])),
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


def view_network(study: SavedStudy, rung: str | None, model: str | None) -> NetworkView | None:
    """Return the network of a rung: as its saved ``model`` has it, techniques applied, else as its recipe begins.

    None where neither tells it; a page is no place to fail for a network that no longer fits.
    """
    records = [record for record in study.record.rungs if rung in (None, record.name)]
    height, width, channels = study.record.data.image_shape
    classes = len(study.record.data.class_names)
    for saved in (True, False):
        try:
            found = find_network(model or "") if saved else _of_recipe(records[-1].recipe)
            label = FoundNetwork(str(records[-1].recipe["name"]), found.network)
            shape = found.input_shape or (channels, height, width)
            return NetworkView(records[-1].name, inspect_network(label, shape, classes, batch_size=1))
        except (StepladderError, KeyError):
            continue
    return None


def _of_recipe(table: dict[str, object]) -> FoundNetwork:
    return FoundNetwork("network", parse_recipe(table).network)


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(f"{size:,}" for size in shape)
