"""The layer list, what it costs, and the module built from it.

``build`` is not imported here, because it needs torch and the arithmetic does not.
"""

from stepladder.network.arithmetic import LayerCost, trace_network
from stepladder.network.presets import load_preset, preset_names
from stepladder.network.spec import Network

__all__ = ["LayerCost", "Network", "load_preset", "preset_names", "trace_network"]
