"""How a cluster is named."""

from __future__ import annotations

import re

from stepladder.errors import StudyError

#: Starts a cluster of this machine alone, unless ``RAY_ADDRESS`` names another.
AUTO = "auto"


def check_address(address: str) -> None:
    """Refuse what cannot be the address of a cluster.

    Raises:
        StudyError: it is none.
    """
    if not re.fullmatch(r"auto|(ray://)?[\w.-]+:\d{1,5}|(ray://)?\[[0-9a-fA-F:]+\]:\d{1,5}", address):
        raise StudyError(
            f"`cluster` is {address!r}; write auto, HOST:PORT as `ray start --head` prints it, or ray://HOST:10001"
        )
