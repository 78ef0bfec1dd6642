from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.evaluation.metric_tables import group_table, track_table
from danq.evaluation.metrics import Ranking
from danq.evaluation.published_metrics import MODELS, PUBLISHED, compare, models_of, read_paper

HEAD = "Cell Type\tTF/DNase/HistoneMark\tTreatment"
COLUMNS = "".join(f"\t{model} {kind}" for kind in ("ROC AUC", "PR AUC") for model in MODELS)
NAMES = ("a|DNase|None", "b|CTCF|None|2", "b|CTCF|None#3", "c|H3K4me3|None")


@pytest.fixture
def table() -> pl.DataFrame:
    ranking = Ranking(
        np.array([0.9, 0.8, 0.7, np.nan]), np.array([0.5, 0.4, 0.3, np.nan]), np.array([3, 2, 1, 0])
    )
    return track_table(NAMES, ("DNase", "TF", "TF", "histone"), ranking, 10)


def write(path: Path, rows: list[str], head: str = HEAD + COLUMNS) -> Path:
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


ROWS = [
    "a\tDNase\tNone\t.91\t.85\t.8\t.2\t.45\t.6",
    "b\tCTCF\tNone\t.7\t.85\t.9\t.2\t.3\t.6",
    "b\tCTCF\tNone\t.6\t.65\t.9\t.2\t.35\t.1",
    "c\tH3K4me3\tNone\tnan\tnan\tnan\tnan\tnan\tnan",
]


def test_means_are_compared_with_the_published_ones(table):
    means = compare(table, group_table(table)).means
    rows = {(r["metric"], r["statistic"], r["group"]): r for r in means.iter_rows(named=True)}
    assert set(rows) == set(PUBLISHED)
    assert rows["auroc", "mean", "all"]["model"] == pytest.approx(0.8)
    assert rows["aupr", "median", "all"]["model"] == pytest.approx(0.4)
    assert rows["auroc", "mean", "TF"]["model"] == pytest.approx(0.75)
    assert rows["aupr", "mean", "histone"]["model"] is None
    assert rows["aupr", "mean", "all"]["DanQ-JASPAR"] == 0.3794
    lines = compare(table, group_table(table)).describe()
    assert (
        "AUROC mean                         0.8000       0.9326       0.9384       0.9417" in lines
    )
    assert any(line.startswith("AUPR mean, histone") and "  -  " in line for line in lines)


def test_tracks_are_compared_with_the_authors_table(table, tmp_path: Path):
    paper = read_paper(write(tmp_path / "aucs.txt", ROWS))
    found = compare(table, group_table(table), paper)
    assert found.tracks is not None
    assert found.tracks["danq_auroc"].to_list() == [0.85, 0.85, 0.65, None]
    assert found.tracks["danq_jaspar_aupr"].to_list() == [0.6, 0.6, 0.1, None]
    assert models_of(found.tracks) == list(MODELS)
    lines = found.describe()
    assert "better than DanQ by AUROC on 2 of 3 and AUPR on 2 of 3 tracks" in lines
    assert "better than DeepSEA by AUROC on 2 of 3 and AUPR on 3 of 3 tracks" in lines


def test_commas_quotes_and_fewer_models_are_read(table, tmp_path: Path):
    head = '"Cell Type","TF/DNase/HistoneMark","Treatment","DanQ ROC AUC","DanQ PR AUC"'
    rows = [
        '"a","DNase","None",0.5,0.25',
        "b,CTCF,None,0.5,0.25",
        "b,CTCF,None,,NA",
        "",
        "c,d,e,1,0",
    ]
    paper = read_paper(write(tmp_path / "aucs.csv", rows, head))
    assert paper["name"].to_list() == ["a|DNase|None", "b|CTCF|None", "b|CTCF|None", "c|d|e"]
    assert paper["danq_aupr"].to_list() == [0.25, 0.25, None, 0.0]
    assert models_of(paper) == ["DanQ"]
    with pytest.raises(InputError, match="track 4 is 'c|H3K4me3|None' in the dataset, but 'c|d|e'"):
        compare(table, group_table(table), paper)


@pytest.mark.parametrize(
    ("rows", "head", "problem"),
    [
        (ROWS, "name\tauc", "not the authors' table"),
        (ROWS, HEAD + "\tauc", "not the authors' table"),
        ([], "", "not the authors' table"),
        (["a\tb\tc\t1\t2\t3"], HEAD + COLUMNS, "line 2: 6 columns, not 9"),
        ([ROWS[0], ROWS[1].replace(".85", "1.5")], HEAD + COLUMNS, "line 3: '1.5' is not a number"),
        ([ROWS[0].replace(".85", "x")], HEAD + COLUMNS, "line 2: 'x' is not a number from 0 to 1"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, rows, head: str, problem: str):
    with pytest.raises(InputError, match=problem):
        read_paper(write(tmp_path / "aucs.txt", rows, head))


def test_a_table_of_other_tracks_is_refused(table, tmp_path: Path):
    paper = read_paper(write(tmp_path / "aucs.txt", ROWS[:3]))
    with pytest.raises(InputError, match="table has 3 tracks, the dataset 4"):
        compare(table, group_table(table), paper)
