import json

import pytest

from stepladder.errors import StorageError
from stepladder.report.html.render import pick, render_html
from stepladder.report.text_table import TextTable

ORDER = (
    "meaning", "ladder", "effects", "curves", "diagnosis", "confusion", "gallery", "classes", "calibration", "network",
    "data", "protocol",
)  # fmt: skip


def test_the_parts_come_in_their_order(complete_study, tmp_path):
    text = render_html(complete_study(tmp_path, rungs=2, seeds=2, epochs=2))
    places = [text.index(f'<h2 id="{key}">') for key in ORDER]
    assert places == sorted(places)
    assert "the recommended model, standardize, seed" in text
    for words in ("Plan hash", "Energy", "stepladder study data/cifar10-jpeg --seeds 2", "torch", "Xeon"):
        assert words in text


def test_a_study_of_an_older_stepladder_has_a_page_that_says_what_is_missing(make_study):
    text = render_html(make_study(rungs=2, seeds=2, epochs=2))
    for words in ("keeps no predictions", "keeps no images", "keeps no probabilities", "do not tell its network"):
        assert words in text


def test_a_gallery_of_another_model_is_not_shown(complete_study, tmp_path):
    study = complete_study(tmp_path, rungs=2, seeds=2, epochs=2)
    path = tmp_path / "gallery.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "trial": "another"}))
    assert "keeps no images" in render_html(study)
    path.write_text("{}")
    with pytest.raises(StorageError, match=r"gallery.json is damaged \(trial: .* remove it"):
        render_html(study)


def test_six_rungs_and_five_seeds_stay_under_six_megabytes(complete_study, tmp_path):
    assert len(render_html(complete_study(tmp_path, rungs=6, seeds=5)).encode()) < 6_000_000


def test_columns_are_picked_by_their_heads():
    table = TextTable("c", ("name", "word", "mean, %", "n"), (("a", "b", "1", "2"),), 2)
    assert pick(table, ("n", "mean"), "new") == TextTable("new", ("name", "n", "mean, %"), (("a", "2", "1"),), 1)
