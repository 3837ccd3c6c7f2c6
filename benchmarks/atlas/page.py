"""The atlas's page, its figures, and what users meet: all of it made from the findings, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.atlas.defaults import describe_defaults
from benchmarks.atlas.plain import read_plain, render_plain
from benchmarks.atlas.running import network_of
from benchmarks.atlas.sets import read_sets
from benchmarks.atlas.settings import read_settings, render_settings
from stepladder.files import replace_bytes, replace_json, replace_text
from stepladder.network import read_preset
from stepladder.network.presets import preset_names
from stepladder.report.figures.style import to_png
from stepladder.report.markdown import escape, render_list, render_table
from stepladder.report.sections.pool import PoolLeftOutSection, PoolStudiesSection, describe_pool, set_table
from stepladder.report.sections.pool.figure import draw_properties, draw_sets
from stepladder.report.sections.pool_techniques import counted_words, odds_table, pool_table
from stepladder.report.sections.pool_techniques.figure import draw_techniques
from stepladder.report.units import Scale, count, listing
from stepladder.studies.pool import ATLAS_FILE
from stepladder.studies.pool.atlas import Atlas, AtlasEntry
from stepladder.studies.pool.files import PoolFile, SetRecord
from stepladder.studies.pool.findings import PooledTechnique, PoolFindings, pool_studies
from stepladder.studies.pool.sets import DescribedStudy

_ROOT = Path(__file__).parents[2]
#: How many techniques a reader is told to try first.
_FIRST = 3

#: What is added where the odds ratio of a new set leaves no doubt.
_SURE = {1: ", and by its odds ratio it will very probably help", -1: ", and by its odds ratio it will hurt", 0: ""}

#: Kinds of image sets that readers have, and which of the atlas's are of the kind.
_KINDS: tuple[tuple[str, Callable[[SetRecord], bool]], ...] = (
    ("photographs, from pretrained weights", lambda one: max(one.image_shape[:2]) >= 64),
    ("small color images, from scratch", lambda one: one.image_shape[2] == 3 and max(one.image_shape[:2]) < 64),
    ("small gray images, from scratch", lambda one: one.image_shape[2] == 1),
)


@dataclass(frozen=True)
class _Part:
    """The sets that trained one network: only these have questions in common.

    Attributes:
        key: a word for the names of its pictures.
        heading: of its part of the page.
    """

    key: str
    heading: str
    found: PoolFindings


def write_page(pool: PoolFile, root: Path = _ROOT, atlas_file: Path = ATLAS_FILE) -> list[Path]:
    """Write ``docs/what-helps-where.md``, its figures and the package's ``atlas.json``; return their paths."""
    parts = make_parts(pool)
    images = root / "docs/images"
    paths = []
    for part in parts:
        if part.found.techniques:
            paths.append(images / f"atlas-{part.key}.png")
            figure = draw_techniques(part.found, f"What helps {part.heading}", predicted(part.found))
            replace_bytes(paths[-1], to_png(figure))
        for number, one in enumerate(part.found.techniques, start=1):
            for name, draw in (("forest", draw_sets), ("moves", draw_properties)):
                paths.append(images / f"atlas-{part.key}-{name}-{number}.png")
                replace_bytes(paths[-1], to_png(draw(part.found, one)))
    page = root / "docs/what-helps-where.md"
    replace_text(page, render_page(pool, parts))
    replace_json(atlas_file, make_atlas(pool, parts).to_table())
    return [page, *paths, atlas_file]


def make_parts(pool: PoolFile) -> list[_Part]:
    """Return the parts of the page, one a network: pretrained first, as most readers have photographs."""
    networks = dict.fromkeys(network_of(record) for record in pool.studies)
    parts = []
    for network in sorted(networks, key=lambda name: (not _is_pretrained(name), name)):
        pretrained = _is_pretrained(network)
        found = _pooled([record for record in pool.studies if network_of(record) == network])
        heading = "from pretrained weights" if pretrained else "from scratch"
        parts.append(_Part("pretrained" if pretrained else "scratch", heading, found))
    return parts


def _is_pretrained(network: str) -> bool:
    return network in preset_names() and bool(read_preset(network).weights)


def predicted(found: PoolFindings) -> list[PooledTechnique]:
    """Return the techniques that say something of a new set; all of them where none does."""
    return [one for one in found.techniques if one.points.prediction is not None] or list(found.techniques)


def make_atlas(pool: PoolFile, parts: Sequence[_Part]) -> Atlas:
    """Return what users meet: every pooled effect that says something of a new set."""
    entries = [
        AtlasEntry(
            techniques=tuple(sorted(str(setting["name"]) for setting in one.techniques)),
            kind=one.kind.value,
            network=one.network,
            beside=one.around,
            sets=one.sets,
            helped=one.counted.get("helped", 0),
            hurt=one.counted.get("hurt", 0),
            mean=one.points.mean,
            new_set=one.points.prediction,
        )
        for part in parts
        for one in part.found.techniques
        if one.points.mean is not None and one.points.prediction is not None
    ]
    return Atlas(sets=_count_sets(pool), entries=tuple(sorted(entries, key=lambda one: -one.sets)))


def render_page(pool: PoolFile, parts: Sequence[_Part]) -> str:
    """Return the page as Markdown."""
    lines = [
        "# What helps where",
        "What should I try first on my images? Each technique below was switched on and off on "
        f"{count(_count_sets(pool), 'image set')}, with {_seeds(pool)} seeds each, in "
        f"{count(len(pool.studies), 'study').replace('studys', 'studies')} of {_trials(pool)}. First comes what to "
        "try, then how sure that is: **a new set** is the interval in which the effect on one more image set like "
        "these will lie with 95 %. It decides nothing for you: your own study does.",
        "Effects are in [points](glossary.md#the-judgement) of accuracy, between two [rungs](glossary.md#the-study) "
        "of a study; training was in float32 or [bfloat16](glossary.md#the-network-and-its-training), whichever was "
        "the faster one.",
        "## What to try first",
        render_table_of_firsts(pool),
        *(
            f"![Every technique {part.heading}, on one axis.](images/atlas-{part.key}.png)"
            for part in parts
            if part.found.techniques
        ),
    ]
    for part in parts:
        lines += _render_part(part)
    lines += ["## One recipe for all sets"]
    lines += [
        "Chosen by the validation images of all other sets, and scored on the test images of the set left out:",
        render_list(line.strip() for line in describe_defaults(pool)),
        *_beside_plain(pool),
        *_settings(),
        "## The runs",
        *_missing(pool),
        *(escape(note) for note in pool.notes),
        *(
            f"**{part.heading.capitalize()}**\n\n{render_table(table)}"
            for part in parts
            for section in (PoolStudiesSection(), PoolLeftOutSection())
            for table in section.tables(part.found)
            if table.rows
        ),
        f"Made by `{pool.command} --page` from the findings that `{pool.command}` wrote; [the formulas]"
        "(statistics.md#several-image-sets); [how to pool your own](pool.md).",
    ]
    return "\n\n".join(line for line in lines if line) + "\n"


def _render_part(part: _Part) -> list[str]:
    found = part.found
    lines = [f"## Every technique {part.heading}", *(escape(sentence) for sentence in describe_pool(found))]
    if not found.techniques:
        return lines
    lines += [render_table(pool_table(found)), render_table(odds_table(found)), f"## Set by set, {part.heading}"]
    for number, one in enumerate(found.techniques, start=1):
        name, stem = escape(one.name), f"images/atlas-{part.key}"
        lines += [
            f"### {name}, {part.heading}",
            f"![Forest plot of {name}, set by set.]({stem}-forest-{number}.png)",
            f"![Small plots of what may move {name}.]({stem}-moves-{number}.png)",
        ]
    return [*lines, render_table(set_table(found))]


def render_table_of_firsts(pool: PoolFile) -> str:
    """Return for each kind of images the techniques with the highest mean, each with its sets and its new set."""
    lines = ["| images | try first | how sure |", "| --- | --- | --- |"]
    for words, belongs in _KINDS:
        records = [record for record in pool.studies if belongs(record)]
        if not records:
            continue
        found = _pooled(records)
        firsts = best_of(found)
        if not firsts:
            lines.append(f"| {words} | nothing can be said | {count(found.sets, 'set')} |")
        scale = Scale(found.unit)
        for one in firsts:
            new = scale.interval(one.points.prediction) if one.points.prediction else "needs three sets"
            mean = f"{scale.difference(one.points.mean)} {scale.step}"
            sure = _SURE[one.direction]
            lines.append(
                f"| {words} | {escape(one.name)} | {mean}; {counted_words(one)}; a new set {escape(new)}{sure} |"
            )
    return "\n".join(lines)


def best_of(found: PoolFindings) -> list[PooledTechnique]:
    """Return the techniques with the highest mean above zero, each named once, by the contrast that most sets have."""
    once: dict[str, PooledTechnique] = {}
    for one in sorted(found.techniques, key=lambda each: -each.sets):
        once.setdefault(one.settings, one)
    better = [one for one in once.values() if one.points.mean is not None and one.points.mean > 0]
    return sorted(better, key=lambda one: -(one.points.mean or 0.0))[:_FIRST]


def _beside_plain(pool: PoolFile) -> list[str]:
    """Return what a plain implementation gets, where somebody has measured it."""
    table = render_plain(pool, read_plain())
    if not table:
        return []
    return [
        "## Beside a plain implementation",
        "On photographs the recipe `auto` is `transfer`. Plain is the reference package's EfficientNet-Lite0, frozen, "
        "and scikit-learn's logistic regression on its features, its cost chosen by the same validation images "
        f"(one fit a set); the study's figure is the mean over its seeds of the rung that validation chooses. Made by "
        f"`{pool.command} --plain`.",
        table,
    ]


def _settings() -> list[str]:
    """Return what epochs and learning rate small sets choose, where somebody has measured it."""
    parts = render_settings(read_settings())
    return ["## Epochs and learning rate for small sets", *parts] if parts else []


def _pooled(records: Sequence[SetRecord]) -> PoolFindings:
    return pool_studies([DescribedStudy(record, (), ()) for record in records])


def _missing(pool: PoolFile) -> list[str]:
    """Return which sets of the atlas have not been run yet."""
    missing = [one.name for one in read_sets() if one.name not in {record.name for record in pool.studies}]
    return [f"Sets of the atlas that are still to be run: {listing(missing)}."] if missing else []


def _count_sets(pool: PoolFile) -> int:
    """Return how many image sets there are; one that was trained on from scratch and pretrained is one."""
    return len({record.name for record in pool.studies})


def _trials(pool: PoolFile) -> str:
    return f"{sum(len(record.rungs) * record.seeds for record in pool.studies):,} trials"


def _seeds(pool: PoolFile) -> str:
    return listing([str(seeds) for seeds in sorted({record.seeds for record in pool.studies})])
