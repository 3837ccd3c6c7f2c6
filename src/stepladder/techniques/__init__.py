"""The catalogue: one home a technique; ``catalogue`` lists them, ``registry`` knows the user's own too."""

from stepladder.techniques.base import GROUPS, Technique
from stepladder.techniques.catalogue import TECHNIQUES
from stepladder.techniques.facts import Context, Progress
from stepladder.techniques.registry import code_of, find_technique, known_techniques, register

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
