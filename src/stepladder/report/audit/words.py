"""What an audit found, section by section: sentences and small tables for the terminal and the page alike."""

from __future__ import annotations

from dataclasses import dataclass, field

from stepladder.datasets import SPLIT_NAMES
from stepladder.datasets.audit import ImageAudit
from stepladder.datasets.audit.duplicates import Copies
from stepladder.report.section import TextTable
from stepladder.report.units import UNDEFINED, count, listing

#: Places beyond these are counted, not listed; ``--json`` has them all.
LISTED = 10


@dataclass(frozen=True)
class Section:
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


def audit_sections(audit: ImageAudit) -> tuple[Section, ...]:
    """Return what the audit says, most counted first; the same for terminal, page and documents."""
    return (
        _images(audit),
        _classes(audit),
        *([_damaged(audit)] if audit.damaged else []),
        *([_constant(audit)] if audit.constant else []),
        _copies(audit),
        _mirror(audit),
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


def _images(audit: ImageAudit) -> Section:
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
        sentences.append("There is no test split; a study sets a fifth aside, stratified by class.")
    return Section("Images", (*sentences, *audit.image_set.notes))


def _classes(audit: ImageAudit) -> Section:
    splits = [name for name in SPLIT_NAMES if name in audit.counts]
    rows = [
        (name, *(f"{audit.counts[split][label]:,}" for split in splits))
        for label, name in enumerate(audit.image_set.class_names)
    ]
    total = ("all", *(f"{sum(audit.counts[split]):,}" for split in splits))
    shown = rows if len(rows) <= 30 else [*rows[:25], (f"… {len(rows) - 25:,} more", *(UNDEFINED for _ in splits))]
    table = TextTable("Images by class and split.", ("class", *splits), (*shown, total), 1)
    return Section("Classes", (audit.balance.sentence,), table, alarm=audit.balance.ratio >= 1.5)


def _damaged(audit: ImageAudit) -> Section:
    places = [f"{where}: {reason}" for where, reason in audit.damaged]
    number = len(places)
    sentence = (
        f"{count(number, 'image')} cannot be read and {'is' if number == 1 else 'are'} in none of the figures; mend or "
        f"remove {'it' if number == 1 else 'them'}, or leave {'it' if number == 1 else 'them'} out with --skip-damaged."
    )
    # A user mends each of these, so all are listed.
    return Section("Damaged", (sentence,), places=tuple(places), alarm=True)


def _constant(audit: ImageAudit) -> Section:
    number = len(audit.constant)
    sentence = (
        f"{count(number, 'image')} {'has' if number == 1 else 'have'} one color everywhere and can teach nothing."
    )
    places = [place(split, position) for split, position in audit.constant]
    return Section("Constant images", (sentence,), places=_some(places, number), alarm=True)


def _copies(audit: ImageAudit) -> Section:
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
            f"The {which} images are not clean: {len(copies.in_second):,} of them ({share:.1%}) have a copy in "
            f"{copies.first}."
            + (" A study with --drop-leaks takes the training copies out." if copies.first == "train" else ""),
        )
    if not across and table is None:
        sentences.insert(0, "None found, exact or near.")
    elif not across and len(audit.counts) > 1:
        sentences.insert(0, "None across splits; those inside a split count an image twice.")
    elif not across:
        sentences.insert(0, "Those inside train may land on both sides when a study sets a test split aside.")
    if audit.threshold.texture > 0.75:
        sentences.append(
            f"These images are alike by nature (texture correlation {audit.threshold.ordinary:.2f} between ordinary "
            f"neighbors), so a near copy had to reach {audit.threshold.texture:.3f}, and shifted copies can be missed."
        )
    return Section("Copies", tuple(sentences), table, _some(places, total), alarm=bool(across))


def _mirror(audit: ImageAudit) -> Section:
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
    return Section("May I flip these images?", (mirror.sentence,), table if rows else None)


def _some(places: list[str], total: int) -> tuple[str, ...]:
    more = total - len(places[:LISTED])
    return (*places[:LISTED], *([f"and {more:,} more (--json lists all)"] if more > 0 else []))
