"""An audit as one JSON document, for programs: every figure and every place."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from stepladder.datasets.audit import ImageAudit
from stepladder.datasets.audit.duplicates import Copies


def build_audit_document(audit: ImageAudit) -> dict[str, Any]:
    """Return everything that the audit found as plain values; shares and correlations are fractions of 1."""
    images = audit.image_set
    height, width, channels = images.image_shape
    return {
        "name": images.name,
        "fingerprint": images.fingerprint,
        "class_names": list(images.class_names),
        "image_shape": {"height": height, "width": width, "channels": channels},
        "notes": list(images.notes),
        "counts": {split: dict(zip(images.class_names, of, strict=True)) for split, of in audit.counts.items()},
        "mean": list(audit.mean),
        "std": list(audit.std),
        "balance": asdict(audit.balance),
        "damaged": [{"place": place, "reason": reason} for place, reason in audit.damaged],
        "constant": [{"split": split, "position": position} for split, position in audit.constant],
        "near_copy_threshold": asdict(audit.threshold),
        "copies": [_copies(copies) for copies in audit.copies],
        "mirror": asdict(audit.mirror),
    }


def _copies(copies: Copies) -> dict[str, Any]:
    return {
        "first": copies.first,
        "second": copies.second,
        "exact": copies.exact.tolist(),
        "near": [
            {
                "first": int(pair[0]),
                "second": int(pair[1]),
                "mirrored": bool(copies.mirrored[number]),
                "color": round(float(copies.color[number]), 4),
                "texture": round(float(copies.texture[number]), 4),
            }
            for number, pair in enumerate(copies.near)
        ],
        "in_first": copies.in_first.tolist(),
        "in_second": copies.in_second.tolist(),
        "compared": copies.compared,
    }
