"""The techniques: one home each; ``catalogue`` lists them and knows the user's own, ``base`` has the hooks.

Its names are loaded when they are first used: what is printed of the techniques, in ``cards``, needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.techniques.base import GROUPS, Context, Progress, Technique
    from stepladder.techniques.catalogue import TECHNIQUES, code_of, find_technique, known_techniques, register

_HOMES = {
    "GROUPS": "base",
    "TECHNIQUES": "catalogue",
    "Context": "base",
    "Progress": "base",
    "Technique": "base",
    "code_of": "catalogue",
    "find_technique": "catalogue",
    "known_techniques": "catalogue",
    "register": "catalogue",
}

__all__ = [
    "GROUPS",
    "TECHNIQUES",
    "Context",
    "Progress",
    "Technique",
    "code_of",
    "find_technique",
    "known_techniques",
    "register",
]

__getattr__ = lazy_names(__name__, _HOMES)
