"""The techniques: one home each; ``catalogue`` lists them and knows the user's own, ``base`` has the hooks."""

from stepladder.techniques.base import GROUPS, Context, Progress, Technique
from stepladder.techniques.catalogue import TECHNIQUES, code_of, find_technique, known_techniques, register

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
