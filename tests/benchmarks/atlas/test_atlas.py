"""The atlas: its sets, a run of the smallest piece, its page and defaults from findings that nobody measured."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import run
from benchmarks.atlas import FINDINGS
from benchmarks.atlas.defaults import describe_defaults, leave_one_out
from benchmarks.atlas.page import ATLAS_FILE as SHIPPED
from benchmarks.atlas.page import best_of, make_atlas, make_parts, render_page, write_page
from benchmarks.atlas.planning import RECIPES
from benchmarks.atlas.sets import available, read_sets
from stepladder.recipe import load_recipe
from stepladder.studies import pool as home
from stepladder.studies.design.designs import make_design
from stepladder.studies.pool.atlas import read_atlas
from stepladder.studies.pool.files import NetworkRecord, PoolFile, RungScores, SetRecord, read_pool
from tests.studies.pool.records import FLIP, SCALE, made_up_pool, make_effect, make_study

Call = Callable[..., Any]
ROOT = Path(__file__).parents[3]


def test_every_set_is_described_and_none_names_a_place_on_a_computer() -> None:
    sets = {one.name: one for one in read_sets()}
    assert sorted(sets) == [
        "ants-bees", "cifar10-jpeg", "clothing", "digits", "groceries-coarse", "groceries-fine", "mnist-pngs",
        "sign-digits", "traffic-lights",
    ]  # fmt: skip
    assert all(not Path(one.data).is_absolute() and ".." not in one.data for one in sets.values())
    assert sets["groceries-coarse"].same_images_as in sets
    there, missing = available(list(sets.values()), None)
    assert [one.name for one in there] == ["digits"]
    assert len(missing) == 8


def test_every_set_has_the_same_questions() -> None:
    """So that they can be pooled: a set that may not be flipped has the flip on its ladder too."""
    design = make_design("ladder+leave-one-out", load_recipe(RECIPES["scratch"]))
    assert (len(design.rungs), len(design.contrasts)) == (12, 11)
    assert load_recipe(RECIPES["scratch"]).epochs == 25


@pytest.mark.long
def test_the_smallest_piece_runs_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tmp_path / "small.toml"
    techniques = '[[techniques]]\nname = "standardize"\n'
    recipe.write_text(f'base = "small"\nname = "tiny"\nnetwork = "conv3-4 pool4 fc"\nepochs = 3\n{techniques}')
    from benchmarks.atlas import planning, sets

    monkeypatch.setitem(planning.RECIPES, "scratch", str(recipe))
    monkeypatch.setattr(planning, "PLAN", "ladder")
    monkeypatch.setattr("benchmarks.atlas.running.PLAN", "ladder")
    loaded = sets.load_image_set
    monkeypatch.setattr(sets, "load_image_set", lambda data, **options: loaded(data, **{**options, "limit": 14}))
    monkeypatch.setattr(sets, "read_sets", lambda: tuple(one for one in read_sets() if one.name == "digits"))
    monkeypatch.delenv("STEPLADDER_ATLAS_DATA", raising=False)
    out, findings = tmp_path / "studies", tmp_path / "findings.json"
    arguments = ["atlas", "--out", str(out), "--findings", str(findings), "--seeds", "2", "--budget", "1h"]
    assert run([*arguments, "--plan"]) == 0
    assert not findings.exists()
    said = capsys.readouterr().out
    assert "Measuring digits, scratch" in said
    assert "1 run, 4 trials" in said
    assert run(arguments) == 0
    assert "Measuring" not in capsys.readouterr().out
    (record,) = read_pool(findings).studies
    assert (record.name, record.may_be_flipped, record.seeds) == ("digits", False, 2)
    assert len(record.rungs) == 2
    assert str(tmp_path) not in findings.read_text(encoding="utf-8")
    before = sorted(path.name for path in (out / "digits-scratch/trials").iterdir())
    assert run(arguments) == 0
    assert sorted(path.name for path in (out / "digits-scratch/trials").iterdir()) == before


def test_what_is_wrong_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, words in (
        (["--only", "dogs"], "unknown set 'dogs'"),
        (["--seeds", "1"], "--seeds is 1; an interval takes at least 2"),
        (["--page", "--findings", str(tmp_path / "none.json")], "there are no findings in"),
        (["--only", "clothing"], "no set is there to be run; name the folder of the sets with --data"),
    ):
        assert run(["atlas", "--out", str(tmp_path), *arguments]) == 2
        assert words in capsys.readouterr().err


def made_up_atlas() -> PoolFile:
    """Findings that nobody measured, which are never committed."""
    return PoolFile(command="python -m benchmarks atlas", notes=("Made up.",), studies=made_up_pool().studies)


def test_page_figures_and_what_users_meet_are_made_of_the_findings_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = made_up_atlas()
    written = write_page(pool, tmp_path, tmp_path / "atlas.json")
    page = (tmp_path / "docs/what-helps-where.md").read_text(encoding="utf-8")
    for link in re.findall(r"\]\((images/[^)]+)\)", page):
        assert (tmp_path / "docs" / link) in written
    for words in (
        "What to try first",
        "| small gray images, from scratch | dropout | ",
        "| photographs, from pretrained",
        "Made up.",
    ):
        assert words in page
    found = made_up_pool()
    monkeypatch.setattr(home, "ATLAS_FILE", tmp_path / "atlas.json")
    atlas = read_atlas()
    assert atlas == make_atlas(pool, make_parts(pool))
    assert atlas is not None
    entries = atlas.entries
    assert (entries[0].techniques, entries[0].sets, entries[0].helped) == (("horizontal_flip",), 6, 3)
    assert (entries[0].kind, entries[0].mean) == ("ladder", found.techniques[0].points.mean)
    assert [one.name for one in best_of(found)] == ["augment", "dropout"]


def test_what_is_committed_is_made_of_the_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page, and what cards and plans say; the figures are redrawn with both."""
    committed = read_pool(FINDINGS)
    parts = make_parts(committed)
    monkeypatch.setattr(home, "ATLAS_FILE", SHIPPED)
    assert read_atlas() == make_atlas(committed, parts)
    page = (ROOT / "docs/what-helps-where.md").read_text(encoding="utf-8")
    assert page == render_page(committed, parts)
    for link in re.findall(r"\]\((images/[^)]+)\)", page):
        assert (ROOT / "docs" / link).is_file(), link


@pytest.mark.long
def test_pretrained_runs_are_pooled_by_themselves_and_no_set_is_counted_twice(tmp_path: Path) -> None:
    """A set that was trained on from scratch and from pretrained weights keeps its name in both parts."""
    network = NetworkRecord(label="efficientnet_lite0", fingerprint="its layers")
    pretrained = [
        make_study(
            name,
            make_effect("views", network=network),
            image_shape=(224, 224, 3),
            fingerprint=f"large images of {name}",
        )
        for name in ("clothes", "flowers", "insects")
    ]
    pool = PoolFile(command="python -m benchmarks atlas", studies=(*made_up_pool().studies, *pretrained))
    parts = make_parts(pool)
    assert [(part.key, part.found.sets) for part in parts] == [("pretrained", 3), ("scratch", 6)]
    assert not any("(" in label for part in parts for label in part.found.labels)
    assert make_atlas(pool, parts).sets == 6
    write_page(pool, tmp_path, tmp_path / "atlas.json")
    page = (tmp_path / "docs/what-helps-where.md").read_text(encoding="utf-8")
    assert "on 6 image sets, with 5 seeds each, in 9 studies of " in page
    assert "| photographs, from pretrained weights | views | " in page
    assert page.index("atlas-pretrained.png") < page.index("atlas-scratch.png")


def test_a_default_is_chosen_by_the_other_sets_and_scored_on_the_one_left_out() -> None:
    def with_rungs(name: str, *scores: tuple[float, float]) -> SetRecord:
        ladder = ((), (SCALE,), (SCALE, FLIP))
        rungs = [
            RungScores(techniques=techniques, validation=validation, test=test)
            for techniques, (validation, test) in zip(ladder, scores, strict=True)
        ]
        return make_study(name, images={"train": 1000, "test": 100 + len(name)}, rungs=tuple(rungs))

    records = [
        with_rungs("a", (0.5, 0.5), (0.7, 0.7), (0.8, 0.8)),
        with_rungs("bb", (0.5, 0.5), (0.7, 0.7), (0.8, 0.79)),
        with_rungs("ccc", (0.5, 0.5), (0.9, 0.9), (0.6, 0.65)),
    ]
    found = {one.name: one for one in leave_one_out(records)}
    assert (found["ccc"].chosen, found["ccc"].best) == ("standardize + horizontal_flip", "standardize")
    assert found["ccc"].cost == pytest.approx(0.65 - 0.9)
    assert found["ccc"].against_full == 0
    # Log odds of 0.7 and 0.9 are higher on average than those of 0.8 and 0.6.
    assert found["a"].chosen == "standardize"
    assert found["a"].cost == pytest.approx(-0.1)
    lines = describe_defaults(PoolFile(studies=tuple(records)))
    assert lines[0] == "report: all 3 sets together choose standardize."
    assert "at worst −25.00" in lines[-1]
