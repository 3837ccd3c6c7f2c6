"""Who is measured beside Stepladder. Each script here stands alone: it is run by itself, by another interpreter too."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    """A program that trains network ``report``.

    Attributes:
        name: what the command line calls it.
        label: what the table calls it.
        script: a file in this folder.
        order: what it is told beside what all are told.
        requirements: what pip installs for it into a virtual environment of its own; empty where the running
            interpreter has all that it needs.
        together: as many processes as there are cores, of one thread each, instead of one process with all cores.
    """

    name: str
    label: str
    script: str
    order: dict[str, Any] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    together: bool = False

    @property
    def path(self) -> Path:
        """The script's file."""
        return _FOLDER / self.script


def known_peers() -> tuple[Peer, ...]:
    """Return all peers, in the order of the table, with the versions of PyTorch, NumPy and Pillow that run here."""
    # Without its local part ("+cpu"): pip takes a CPU build where it finds one.
    pinned = tuple(f"{name}=={version(name).partition('+')[0]}" for name in ("torch", "numpy", "pillow"))
    return (
        Peer("notebook", "notebook", "notebook.py", {"workers": 0}),
        Peer("notebook-2", "notebook, 2 workers", "notebook.py", {"workers": 2}),
        Peer("tensors", "PyTorch in memory", "tensors.py"),
        Peer("lightning", "Lightning", "with_lightning.py", {"workers": 0}, ("lightning>=2.4", *pinned)),
        Peer("skorch", "skorch", "with_skorch.py", {"workers": 0}, ("skorch>=1.1", *pinned)),
        Peer("keras-jax", "Keras on JAX", "with_keras.py", {"backend": "jax"}, ("keras>=3.8", "jax")),
        Peer(
            "keras-tensorflow",
            "Keras on TensorFlow",
            "with_keras.py",
            {"backend": "tensorflow"},
            ("keras>=3.8", "tensorflow-cpu"),
        ),
        Peer("tensors-together", "PyTorch, a process a core", "tensors.py", together=True),
    )


#: Stepladder, as one trial and as a study runs it. They are measured in every run.
ALONE = Peer("stepladder", "Stepladder, one trial", "with_stepladder.py")
TOGETHER = Peer("stepladder-together", "Stepladder, a trial a core", "with_stepladder.py", together=True)
