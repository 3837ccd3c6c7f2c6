"""An image set before it is trusted: counts, copies, mirror, contact sheet, and the leak check of every study."""

from __future__ import annotations

from stepladder.datasets.audit.audit import ImageAudit, audit_image_set
from stepladder.datasets.audit.leaks import LeakCheck, check_leaks, split_cleanly
from stepladder.datasets.audit.sheet import draw_sheet

__all__ = ["ImageAudit", "LeakCheck", "audit_image_set", "check_leaks", "draw_sheet", "split_cleanly"]
