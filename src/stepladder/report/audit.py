"""What an audit found, in sections for terminal and page, as JSON and as an HTML page. Finds nothing itself."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from stepladder.datasets import SPLIT_NAMES
from stepladder.datasets.audit import ImageAudit, draw_sheet
from stepladder.datasets.audit.duplicates import Copies
from stepladder.datasets.audit.sheet import to_picture, to_png
from stepladder.report.page import page_environment
from stepladder.report.section import TextTable
from stepladder.report.units import UNDEFINED, count, listing

#: Places beyond these are counted, not listed; the document has them all.
LISTED = 10

_TEMPLATES = Path(__file__).parent / "templates"

#: Pairs shown of each relation, the closest and evenly spaced ones among the rest; all would make a heavy page.
_SHOWN = 24
_SIDE = 72


@dataclass(frozen=True)
class AuditSection:
    """One heading of an audit with what stands under it.

    Attributes:
        title: the heading.
        sentences: plain text, whatever names it holds.
        table: figures, where there are any.
        places: one place or pair of places an item, at most :data:`LISTED`.
        alarm: whether a reader should do something about it.
    """

    title: str
    sentences: tuple[str, ...]
    table: TextTable | None = None
    places: tuple[str, ...] = field(default=())
    alarm: bool = False


def audit_sections(
    audit: ImageAudit, training: Sequence[str] = (), more: Sequence[AuditSection] = ()
) -> tuple[AuditSection, ...]:
    """Return what the audit says, most counted first; the same for terminal and page.

    Args:
        training: sentences on how to train on the images, where there is more to say than of any.
        more: what was measured beside it.
    """
    return (
        _images(audit),
        _classes(audit),
        *([_damaged(audit)] if audit.damaged else []),
        *([_constant(audit)] if audit.constant else []),
        *_groups(audit),
        *more,
        _copies(audit),
        _mirror(audit),
        *([AuditSection("How to train on them", tuple(training))] if training else []),
    )


def place(split: str, position: int) -> str:
    """Name an image: its split and its position there, from 0."""
    return f"{split} {position:,}"


def relation(copies: Copies) -> str:
    """Name what was compared.

    >>> relation(copies)  # doctest: +SKIP
    'train and test'
    """
    return f"inside {copies.first}" if copies.first == copies.second else f"{copies.first} and {copies.second}"


def conflicts(audit: ImageAudit, copies: Copies) -> int:
    """Return how many listed pairs, exact or near, have different labels."""
    ours, theirs = (audit.image_set.splits[name].labels for name in (copies.first, copies.second))
    return sum(int((ours[pairs[:, 0]] != theirs[pairs[:, 1]]).sum()) for pairs in (copies.exact, copies.near))


def _images(audit: ImageAudit) -> AuditSection:
    height, width, channels = audit.image_set.image_shape
    total = sum(sum(of_class) for of_class in audit.counts.values())
    kind = {1: "gray", 3: "color"}[channels]
    sentences = [f"{count(total, 'image')} of {height} × {width} pixels, {kind}."]
    names = ("red", "green", "blue") if channels == 3 else ("gray",)
    colors = listing(
        [f"{name} {mean:.4f} ± {std:.4f}" for name, mean, std in zip(names, audit.mean, audit.std, strict=True)]
    )
    sentences.append(f"Mean ± standard deviation of the training pixels, from 0 to 1: {colors}.")
    if "test" not in audit.counts:
        grouped = audit.image_set.splits["train"].groups is not None
        how = "in whole groups, balanced by class as far as these allow" if grouped else "stratified by class"
        sentences.append(f"There is no test split; a study sets a fifth aside, {how}.")
    return AuditSection("Images", (*sentences, *audit.image_set.notes))


def _classes(audit: ImageAudit) -> AuditSection:
    splits = [name for name in SPLIT_NAMES if name in audit.counts]
    rows = [
        (name, *(f"{audit.counts[split][label]:,}" for split in splits))
        for label, name in enumerate(audit.image_set.class_names)
    ]
    total = ("all", *(f"{sum(audit.counts[split]):,}" for split in splits))
    shown = rows if len(rows) <= 30 else [*rows[:25], (f"… {len(rows) - 25:,} more", *(UNDEFINED for _ in splits))]
    table = TextTable("Images by class and split.", ("class", *splits), (*shown, total), 1)
    labels = audit.image_set.labels_from
    return AuditSection(
        "Classes", (*([labels] if labels else []), audit.balance.sentence), table, alarm=audit.balance.ratio >= 1.5
    )


def _damaged(audit: ImageAudit) -> AuditSection:
    places = [f"{where}: {reason}" for where, reason in audit.damaged]
    number = len(places)
    sentence = (
        f"{count(number, 'image')} cannot be read and {'is' if number == 1 else 'are'} in none of the figures; mend or "
        f"remove {'it' if number == 1 else 'them'}, or tell a study to skip damaged images."
    )
    # A user mends each of these, so all are listed.
    return AuditSection("Damaged", (sentence,), places=tuple(places), alarm=True)


def _constant(audit: ImageAudit) -> AuditSection:
    number = len(audit.constant)
    sentence = (
        f"{count(number, 'image')} {'has' if number == 1 else 'have'} one color everywhere and can teach nothing."
    )
    places = [place(split, position) for split, position in audit.constant]
    return AuditSection("Constant images", (sentence,), places=_some(places, number), alarm=True)


def _groups(audit: ImageAudit) -> tuple[AuditSection, ...]:
    """Say how large named groups are, and which lie in several splits that the data brings."""
    splits = {name: split for name, split in audit.image_set.splits.items() if split.groups is not None}
    if not splits:
        return ()
    every = np.concatenate([split.groups for split in splits.values() if split.groups is not None])
    sizes = np.unique(every, return_counts=True)[1]
    sentences = [
        f"{count(len(sizes), 'group')} with {sizes.min():,} to {sizes.max():,} images each, {np.median(sizes):g} in "
        "the middle. Groups stay whole in whatever a study sets aside."
    ]
    shared = []
    for held in ("validation", "test"):
        ours, theirs = splits["train"].groups, splits[held].groups if held in splits else None
        if ours is not None and theirs is not None and (both := np.isin(theirs, ours)).any():
            shared.append(
                f"The {held} images are not clean: {int(both.sum()):,} of them ({100 * both.mean():.1f} %) are of "
                "groups that are also in train. A study can drop the training images of these."
            )
    return (AuditSection("Groups", (*shared, *sentences), alarm=bool(shared)),)


def _copies(audit: ImageAudit) -> AuditSection:
    rows, total = [], 0
    places: list[str] = []
    sentences: list[str] = []
    for copies in audit.copies:
        rows.append(
            (
                relation(copies),
                f"{len(copies.exact):,}",
                f"{len(copies.near):,}",
                f"{int(copies.mirrored.sum()):,}",
                f"{len(copies.in_second):,}",
                f"{conflicts(audit, copies):,}",
            )
        )
        if copies.compared < sum(audit.counts[copies.second]):
            sentences.append(
                f"To bound the time, near copies were looked for of {copies.compared:,} of the "
                f"{sum(audit.counts[copies.second]):,} {copies.second} images ({relation(copies)})."
            )
    # What spoils a test is named first.
    for copies in sorted(audit.copies, key=lambda copies: copies.first == copies.second):
        for kind, pairs in (("exact", copies.exact), ("near", copies.near)):
            total += len(pairs)
            places += [
                f"{place(copies.first, int(one))} and {place(copies.second, int(other))}: {kind}"
                for one, other in pairs[: LISTED - len(places)]
            ]
    across = [copies for copies in audit.copies if copies.first != copies.second and len(copies.in_second)]
    if any(len(copies.exact) or len(copies.near) for copies in audit.copies):
        table = TextTable(
            "Exact: images whose pixels stand in the first split as well, or earlier in the same. Near: pairs of the "
            "same picture, encoded again, shifted, brighter or mirrored. Images: those of the second split with a "
            "copy. Labels differ: pairs of different classes.",
            ("copies", "exact", "near", "of these mirrored", "images", "labels differ"),
            tuple(rows),
            1,
        )
    else:
        table = None
    for copies in across:
        share = len(copies.in_second) / max(1, sum(audit.counts[copies.second]))
        which = "test" if copies.second == "test" else copies.second
        sentences.insert(
            0,
            f"The {which} images are not clean: {len(copies.in_second):,} of them ({100 * share:.1f} %) have a copy in "
            f"{copies.first}." + (" A study can drop the training copies." if copies.first == "train" else ""),
        )
    if not across and table is None:
        sentences.insert(0, "None found, exact or near.")
    elif not across and len(audit.counts) > 1:
        sentences.insert(0, "None across splits; those inside a split count an image twice.")
    elif not across:
        sentences.insert(0, "A study that sets a test split aside keeps those inside train on one side of it.")
    if audit.threshold.texture > 0.75:
        sentences.append(
            f"These images are alike by nature (texture correlation {audit.threshold.ordinary:.2f} between ordinary "
            f"neighbors), so a near copy had to reach {audit.threshold.texture:.3f}, and shifted copies can be missed."
        )
    return AuditSection("Copies", tuple(sentences), table, _some(places, total), alarm=bool(across))


def _mirror(audit: ImageAudit) -> AuditSection:
    mirror = audit.mirror
    rows = [
        (one.name, f"{100 * one.plain:.0f}", f"{100 * one.mirrored:.0f}", one.answer) for one in mirror.classes[:30]
    ]
    table = TextTable(
        f"Mean share of the {mirror.neighbors} nearest training images that are of the same class, of images and of "
        "their mirror images.",
        ("class", "plain, %", "mirrored, %", "a mirror"),
        tuple(rows),
        1,
    )
    return AuditSection("May I flip these images?", (mirror.sentence,), table if rows else None)


def _some(places: list[str], total: int) -> tuple[str, ...]:
    more = total - len(places[:LISTED])
    return (*places[:LISTED], *([f"and {more:,} more"] if more > 0 else []))


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
        "copies": [_copies_document(copies) for copies in audit.copies],
        "mirror": asdict(audit.mirror),
    }


def _copies_document(copies: Copies) -> dict[str, Any]:
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


class _Pair(NamedTuple):
    """Two copies side by side, as a data URI, with their places and what they are."""

    picture: str
    first: str
    second: str
    kind: str


class _Album(NamedTuple):
    """The copies of one relation: some shown, and how many there are."""

    title: str
    pairs: list[_Pair]
    total: int


def render_audit_page(audit: ImageAudit, training: Sequence[str] = (), more: Sequence[AuditSection] = ()) -> str:
    """Return the page, see :func:`audit_sections`. It asks for nothing from anywhere, and names are text in it."""
    style = "\n".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("report.css", "audit.css"))
    return (
        page_environment(_TEMPLATES)
        .get_template("audit.html.j2")
        .render(
            name=audit.image_set.name,
            fingerprint=audit.image_set.fingerprint,
            sections=audit_sections(audit, training, more),
            sheet=_data_uri(draw_sheet(audit.image_set)),
            albums=_albums(audit),
            style=style,
        )
    )


def _albums(audit: ImageAudit) -> list[_Album]:
    albums = []
    for copies in audit.copies:
        listed = [(one, other, "exact", False) for one, other in copies.exact]
        listed += [
            (one, other, f"near, {texture:.2f}", bool(mirrored))
            for (one, other), texture, mirrored in zip(copies.near, copies.texture, copies.mirrored, strict=True)
        ]
        if not listed:
            continue
        step = max(1, len(listed) // _SHOWN)
        pairs = []
        for one, other, kind, mirrored in listed[::step][:_SHOWN]:
            first, second = audit.image_set.splits[copies.first], audit.image_set.splits[copies.second]
            names = audit.image_set.class_names
            pairs.append(
                _Pair(
                    _picture(first.take(np.array([one])).images[0], second.take(np.array([other])).images[0]),
                    f"{place(copies.first, int(one))}, {names[first.labels[one]]}",
                    f"{place(copies.second, int(other))}, {names[second.labels[other]]}",
                    f"{kind}, mirrored" if mirrored else kind,
                )
            )
        albums.append(_Album(relation(copies), pairs, len(listed)))
    # What spoils a test comes first.
    return sorted(albums, key=lambda album: album.title.startswith("inside"))


def _picture(*images: np.ndarray) -> str:
    pictures = [to_picture(image) for image in images]
    scale = _SIDE / max(pictures[0].size)
    width, height = (max(1, round(scale * side)) for side in pictures[0].size)
    both = Image.new("RGB", (2 * width + 4, height), "white")
    for number, picture in enumerate(pictures):
        how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        both.paste(picture.resize((width, height), how), (number * (width + 4), 0))
    return _data_uri(to_png(both))


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode('ascii')}"
