"""Citations as data: every work that code, cards and docs refer to, once, and how it is written.

``works.py`` lists them; :func:`cite` gives one by its key, with the section that is meant.
"""

from __future__ import annotations

from stepladder.citations.citation import Citation, to_bibtex, written
from stepladder.citations.works import WORKS, cite

__all__ = ["WORKS", "Citation", "cite", "to_bibtex", "written"]
