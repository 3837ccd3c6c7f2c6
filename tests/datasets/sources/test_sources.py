"""The table of sources."""

from __future__ import annotations

from stepladder.datasets.sources import NAMED_SOURCES, PATH_SOURCES, SOURCES


def test_every_source_is_named_once_and_described_in_one_line():
    names = [source.name for source in SOURCES]
    assert len(set(names)) == len(names)
    assert all(source.description and "\n" not in source.description for source in SOURCES)


def test_names_and_paths_together_are_the_table():
    assert [*NAMED_SOURCES.values(), *PATH_SOURCES] == sorted(SOURCES, key=lambda source: source in PATH_SOURCES)


def test_the_source_that_takes_any_folder_stands_last():
    assert PATH_SOURCES[-1].name == "a folder of images"
