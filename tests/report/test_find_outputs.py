"""Outputs are recognised by their content."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from danq.errors import InputError
from danq.output import MARKER
from danq.report.find_outputs import find_outputs
from danq.report.other_sections import unfinished_section
from danq_cli.main import run

KINDS = {
    "run/evaluation": ["evaluation"],
    "run": ["run", "evaluation", "motifs"],
    "run/motifs": ["motifs"],
    "run/model.safetensors": ["model"],
    "data.h5": ["dataset"],
    "bigwig": ["predictions"],
    **{f"variants.{end}": ["variants"] for end in ("tsv", "h5", "parquet", "vcf.gz")},
    **{f"mutations.{end}": ["mutations"] for end in ("tsv", "h5", "parquet")},
    **{f"predictions.{end}": ["predictions"] for end in ("tsv", "h5", "parquet")},
    "variants.tsv.rejected.tsv": ["variants"],
    "run/motifs/filters.tsv": ["table"],
}
FOREIGN = ("genome.fa", "tracks.tsv", "in.vcf", "known.meme", "peaks/0.bed", "genes.gff3")


@pytest.mark.parametrize("name", KINDS)
def test_each_output_is_recognised_under_any_name(made, tmp_path, name):
    assert [one.kind for one in find_outputs([made / name])] == KINDS[name]
    if (made / name).is_file() and not name.endswith(".rejected.tsv"):
        other = tmp_path / "other.png"
        shutil.copy(made / name, other)
        assert [one.kind for one in find_outputs([other])] == KINDS[name]


def test_an_output_that_is_given_twice_is_shown_once(made):
    found = find_outputs([made / "run" / "motifs", made / "run", made / "run" / "."])
    assert sorted(one.kind for one in found) == ["evaluation", "motifs", "run"]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_danq_did_not_write_is_refused(made, tmp_path, name, capsys):
    assert run(["report", str(made / name), "--out", str(tmp_path / "out.html")]) == 2
    assert f"{made / name}: is not an output of danq" in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_missing_paths_and_folders_without_an_output_are_refused(made, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for path, problem in (
        (tmp_path / "nothing", "no such file"),
        (tmp_path / "empty", "has no output of danq"),
        (made / "peaks", "has no output of danq"),
    ):
        with pytest.raises(InputError, match=problem):
            find_outputs([path])
        assert run(["report", str(path), "--out", str(tmp_path / "out.html")]) == 2
        assert problem in capsys.readouterr().err


def test_folders_without_their_marker_are_recognised(made, tmp_path):
    for name in ("run", "run/evaluation", "run/motifs", "bigwig"):
        shutil.copytree(made / name, tmp_path / name, dirs_exist_ok=True)
        (tmp_path / name / MARKER).unlink()
        assert find_outputs([tmp_path / name])[0].kind == KINDS[name][0]


def test_an_unfinished_output_is_found_by_its_own_name(tmp_path):
    folder = tmp_path / "effects.tsv.unfinished"
    folder.mkdir()
    (folder / "journal.jsonl").write_text('{"magic": "danq-blocks"}\n')
    for given in (folder, tmp_path / "effects.tsv"):
        assert find_outputs([given]) == [("unfinished", folder)]
    (absent,) = unfinished_section(folder).parts
    assert absent.what == "the output effects.tsv"
    assert "resume the run" in absent.why


def test_shards_that_are_not_merged_are_found_by_the_name_of_their_output(tmp_path):
    folder = tmp_path / "effects.tsv.shard-2-of-3"
    folder.mkdir()
    (folder / "journal.jsonl").write_text('{"magic": "danq-blocks"}\n')
    for given in (folder, tmp_path / "effects.tsv"):
        assert find_outputs([given]) == [("unfinished", folder)]
    (absent,) = unfinished_section(folder).parts
    assert absent.what == "the output effects.tsv"
    assert "merge" in absent.why


def test_the_demo_gives_its_outputs(made, tmp_path, caplog):
    folder = tmp_path / "demo"
    shutil.copytree(made / "run", folder / "run")
    shutil.copy(made / "predictions.tsv", folder / "variants.tsv")
    (folder / MARKER).write_text(
        '{"magic": "danq-folder", "format_version": 1, "kind": "demo", "files": [], "patterns": []}'
    )
    (folder / "simulation").mkdir()
    (folder / "summary.json").write_text("{}")
    with caplog.at_level(logging.INFO, "danq"):
        kinds = [one.kind for one in find_outputs([Path(folder)])]
    assert kinds == ["run", "evaluation", "motifs", "predictions"]
    assert "demo: simulation, summary.json have no section" in caplog.text


def test_a_training_in_folds_gives_its_evaluations_and_predictions(made, tmp_path):
    (tmp_path / "folds.json").write_text("{}")
    shutil.copytree(made / "run", tmp_path / "fold1")
    shutil.copytree(made / "evaluation", tmp_path / "held_out_evaluation")
    shutil.copy(made / "predictions.parquet", tmp_path / "out_of_fold.parquet")
    found = find_outputs([tmp_path])
    assert [one.kind for one in found] == ["folds", "evaluation", "predictions"]
    assert found[0].path == tmp_path
