"""Tables as JSON: what lists labels is read, and all else is one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.datasets import load_image_set
from stepladder.datasets.sources.json_rows import read_json_rows
from stepladder.errors import DataError


def read(document: object) -> tuple[list[str], list[list[str]]]:
    text = document if isinstance(document, str) else json.dumps(document)
    table = read_json_rows(Path("folder/a.json"), text)
    return table.names, table.columns


COLUMNS = [["1.png", "2.png"], ["cat", "dog"]]


@pytest.mark.parametrize(
    "document",
    [
        [{"path": "1.png", "label": "cat"}, {"path": " 2.png ", "label": "dog"}],
        {"info": {}, "rows": [{"path": "1.png", "label": "cat"}, {"path": "2.png", "label": "dog"}]},
        {"1.png": "cat", "2.png": "dog"},
        {"cat": ["1.png"], "dog": ["2.png"]},
        [["1.png", "cat"], ["2.png", "dog"]],
        {"path": {"0": "1.png", "7": "2.png"}, "label": {"0": "cat", "7": "dog"}},
        {"path": ["1.png", "2.png"], "label": ["cat", "dog"]},
        {"columns": ["path", "label"], "index": [0, 1], "data": [["1.png", "cat"], ["2.png", "dog"]]},
    ],
)
def test_forms_of_one_table(document):
    assert read(document) == (["path", "label"], COLUMNS)


def test_cells_are_text_and_what_lacks_is_blank():
    names, columns = read([{"path": "1.png", "label": 3, "x": None}, {"path": "2.png", "box": [1], "label": True}])
    assert names == ["path", "label", "x", "box"]
    assert columns == [["1.png", "2.png"], ["3", "True"], ["", ""], ["", "1"]]  # a list of one is that


def coco(*pairs: tuple[int, int], **more: object) -> dict[str, object]:
    return {
        "images": [{"id": 5, "file_name": "1.png"}, {"id": 6, "file_name": "2.png"}, {"id": 9, "file_name": "3.png"}],
        "annotations": [{"image_id": image, "category_id": category} for image, category in pairs],
        "categories": [{"id": 2, "name": "cat"}, {"id": 4, "name": "dog"}],
        **more,
    }


def test_coco_names_categories_and_leaves_out_what_has_no_annotation():
    table = read_json_rows(Path("a.json"), json.dumps(coco((6, 4), (5, 2), (5, 2))))
    assert table.columns == COLUMNS
    assert [table.place(at) for at in (0, 1)] == ["image 1", "image 2"]
    assert table.notes == ("1 image has no annotation and was left out, as a.json gives no label.",)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", r"a\.json is no JSON \("),
        ("[" * 100_000, r"a\.json is no JSON \("),
        ("3", "is JSON, but no list of labels; it may be COCO's annotations"),
        ("[]", "is JSON, but no list"),
        ({}, "is JSON, but no list"),
        ({"1.png": ["cat"], "2.png": 3}, "is JSON, but no list"),
        ([{"a": 1}, 2], "is JSON, but no list"),
        (coco((5, 2), categories=[]), "has images and annotations, and no categories"),
        (coco((5, 2), categories=[{"id": 2, "name": "cat"}, {"id": 3, "name": "cat"}]), "two categories 'cat'; rename"),
        (coco((7, 2)), "has an annotation of the image 7, which it does not list"),
        (coco((5, 3)), "has an annotation of the category 3, which it does not list"),
        (coco((5, 2), annotations=[{"category_id": 2}]), "has annotations without image_id; as of COCO"),
        (coco((5, 2), images=[3]), "has images without id; as of COCO"),
        (
            coco((5, 2), (5, 4), (6, 2)),
            r"gives 1 of 3 images annotations of several categories, as 1\.png \(cat, dog\); several labels an image",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(document, words):
    with pytest.raises(DataError, match=words):
        read(document)


def test_errors_name_the_place_in_the_words_of_the_form(tmp_path, encode):
    (tmp_path / "1.png").write_bytes(encode())
    (tmp_path / "a.json").write_text(json.dumps({"1.png": "cat", "gone.png": "dog"}))
    with pytest.raises(DataError, match=r"lists 1 file that cannot be found: .*gone\.png \(record 2\)"):
        load_image_set(tmp_path / "a.json")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats(allow_nan=True)
    | st.sampled_from(["1.png", "cat", "", "id"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "images",
                    "annotations",
                    "categories",
                    "id",
                    "image_id",
                    "category_id",
                    "file_name",
                    "name",
                    "path",
                    "columns",
                    "data",
                    "label",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=25,
)


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(VALUES)
def test_any_document_is_a_table_of_texts_or_a_sentence(document):
    try:
        table = read_json_rows(Path("a.json"), json.dumps(document))
    except DataError as error:
        assert str(error)  # noqa: PT017
        return
    assert len({*map(len, table.columns), len(table.lines)}) == 1
    assert len(table.columns) == len(table.names)
    assert all(isinstance(cell, str) for cells in table.columns for cell in cells)
