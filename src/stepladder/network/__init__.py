"""The layer list, what it costs, and the module built from it.

``build``, ``layers`` and ``matrix`` are not imported here, because they need torch and the arithmetic does not.
"""

from stepladder.network.arithmetic import LayerCost, trace_network
from stepladder.network.find import FoundNetwork, find_network, load_network
from stepladder.network.line import format_line, parse_line
from stepladder.network.presets import Preset, load_preset, preset_names, read_preset
from stepladder.network.receptive_field import receptive_fields
from stepladder.network.spec import Network

__all__ = [
    "FoundNetwork",
    "LayerCost",
    "Network",
    "Preset",
    "find_network",
    "format_line",
    "load_network",
    "load_preset",
    "parse_line",
    "preset_names",
    "read_preset",
    "receptive_fields",
    "trace_network",
]
