"""An image set looked at before it is trusted: counts, copies, mirror, contact sheet, and the quick look of a study."""

from __future__ import annotations

from stepladder.data.audit.audit import ImageAudit, audit_image_set
from stepladder.data.audit.leaks import QuickLook, look_first
from stepladder.data.audit.sheet import draw_sheet

__all__ = ["ImageAudit", "QuickLook", "audit_image_set", "draw_sheet", "look_first"]
