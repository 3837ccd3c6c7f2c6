"""What Stepladder shows in a browser: a trained model that answers, and the studies below a folder.

``server.py`` runs an application, and ``guard.py`` stands before it: who may ask, and how much at a time. Both know
nothing of what they serve. Its names are loaded when they are first used: the extra ``serve`` is needed only then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stepladder.lazy import lazy_names

if TYPE_CHECKING:
    from stepladder.web.guard import Access, Guard, Limits
    from stepladder.web.model.app import ModelLimits, model_app
    from stepladder.web.model.serving import serve
    from stepladder.web.server import Where
    from stepladder.web.studies.app import view_app

_HOMES = {
    "Access": "guard",
    "Guard": "guard",
    "Limits": "guard",
    "ModelLimits": "model.app",
    "Where": "server",
    "model_app": "model.app",
    "serve": "model.serving",
    "view_app": "studies.app",
}

__all__ = ["Access", "Guard", "Limits", "ModelLimits", "Where", "model_app", "serve", "view_app"]

__getattr__ = lazy_names(__name__, _HOMES)
