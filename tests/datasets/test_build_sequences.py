"""Datasets of tables of sequences; pandas reads the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from danq.datasets import Dataset, TableColumns, build_sequence_dataset, read_sequences
from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode
from danq.inference.sources.row_streams import RecordRows


def table(path: Path, rows: int = 60, lengths: tuple[int, int] = (50, 50), **columns) -> Path:
    """Write a table of random sequences, with amounts in 'k562'."""
    rng = np.random.default_rng(2)
    sizes = rng.integers(lengths[0], lengths[1] + 1, rows)
    frame = pd.DataFrame(
        {
            "sequence": ["".join(rng.choice(list("ACGT"), size)) for size in sizes],
            "k562": rng.normal(size=rows).round(3),
        }
    )
    frame.assign(**columns).to_csv(path, sep="\t", index=False)
    return path


def sequences_of(dataset: Dataset) -> list[str]:
    rows = np.arange(len(dataset))
    pairs = zip(dataset.codes(rows), dataset.lengths(rows), strict=True)
    first = [dataset.window // 2 - length // 2 for length in dataset.lengths(rows)]
    return [decode(codes[at : at + size]) for at, (codes, size) in zip(first, pairs, strict=True)]


def test_sequences_and_amounts_are_those_of_the_table(tmp_path: Path):
    path = table(tmp_path / "t.tsv", lengths=(30, 53))
    build_sequence_dataset(tmp_path / "d.h5", path)
    dataset, frame = Dataset.open(tmp_path / "d.h5"), pd.read_csv(path, sep="\t")
    longest = int(frame["sequence"].str.len().max())
    assert (dataset.window, dataset.bin) == (longest, longest)
    assert (dataset.oriented, dataset.standalone) == (True, True)
    assert dataset.tracks == ("k562",)
    assert sequences_of(dataset) == frame["sequence"].tolist()
    np.testing.assert_array_equal(
        dataset.lengths(np.arange(60)), frame["sequence"].str.len().to_numpy()
    )
    codes = dataset.codes(np.arange(60))
    assert ((codes == 4).sum(axis=1) == longest - dataset.lengths(np.arange(60))).all()
    # A model sees the same windows when it predicts on the sequences.
    records = [(str(name), encode(text)) for name, text in enumerate(frame["sequence"])]
    (chunk,) = RecordRows(lambda: records, longest, longest).chunks(100)
    np.testing.assert_array_equal(chunk.windows, codes)
    np.testing.assert_allclose(dataset.amounts(np.arange(60))[:, 0], frame["k562"], rtol=1e-6)


def test_ambiguous_letters_and_flanks_are_kept(tmp_path: Path):
    path = table(tmp_path / "t.tsv", 10)
    frame = pd.read_csv(path, sep="\t")
    frame.loc[3, "sequence"] = "NNNN" + frame["sequence"][3][4:-2] + "NN"
    frame.to_csv(path, sep="\t", index=False)
    columns = TableColumns(left_flank="ACGTA", right_flank="GG")
    dataset = read_sequences(path, columns, window=80)
    assert (dataset.window, sequences_of(dataset)) == (
        80,
        [f"ACGTA{one}GG" for one in frame["sequence"]],
    )


def test_splits_weights_and_folds_are_those_of_the_columns(tmp_path: Path, caplog):
    split = np.array(["train", "valid", "test", "train"] * 15)
    path = table(
        tmp_path / "t.tsv", split=split, weight=np.arange(60) / 10, fold=["a", "b", "c"] * 20
    )
    dataset = read_sequences(path)
    for name in ("train", "valid", "test"):
        np.testing.assert_array_equal(dataset.indices(name), np.flatnonzero(split == name))
    np.testing.assert_allclose(dataset.weights([3, 50]), [0.3, 5.0], rtol=1e-6)
    np.testing.assert_array_equal(dataset.folds, [0, 1, 2] * 20)
    assert dataset.values.fold_names == ("a", "b", "c")
    table(path, split="train")
    read_sequences(path)
    assert "no sequence is in the valid split" in caplog.text


def test_without_splits_folds_or_random_sequences_are_held_out(tmp_path: Path, caplog):
    caplog.set_level("INFO", logger="danq")
    path = table(tmp_path / "t.tsv")
    one, same, other = (read_sequences(path, seed=seed) for seed in (0, 0, 1))
    assert [len(one.indices(name)) for name in ("train", "valid", "test")] == [48, 6, 6]
    np.testing.assert_array_equal(one.split, same.split)
    assert (one.split != other.split).any()
    assert "6 random sequences are the validation split" in caplog.text
    folds = read_sequences(table(path, fold=[3, 1, 2, 4] * 15))
    np.testing.assert_array_equal(folds.split, [0, 2, 1, 0] * 15)
    assert "the fold '1' is the test split, '2' the validation split" in caplog.text
    few = read_sequences(table(path, rows=3))
    assert sorted(few.split) == [0, 1, 2]


def test_similar_sequences_in_two_splits_cause_a_warning(tmp_path: Path, caplog):
    path = table(tmp_path / "t.tsv", 40, (110, 110), split=["train"] * 30 + ["test"] * 10)
    frame = pd.read_csv(path, sep="\t")
    read_sequences(path)
    assert "resemble" not in caplog.text
    # Two test sequences are training sequences with one changed base.
    for at in (0, 1):
        copy = str(frame["sequence"].iloc[at])
        changed = "A" if copy[55] != "A" else "C"
        frame.loc[30 + at, "sequence"] = copy[:55] + changed + copy[56:]
    frame.to_csv(path, sep="\t", index=False)
    read_sequences(path)
    assert "2 of 10 test sequences resemble training sequences: at least 50 %" in caplog.text
    # Constant flanks do not make sequences similar.
    caplog.clear()
    flank = "".join(np.random.default_rng(4).choice(list("ACGT"), 200))
    read_sequences(path, TableColumns(left_flank=flank, right_flank=flank))
    assert "2 of 10 test sequences resemble" in caplog.text


def test_unoriented_tables_use_both_strands(tmp_path: Path):
    path = table(tmp_path / "t.tsv")
    build_sequence_dataset(tmp_path / "d.h5", path, oriented=False)
    dataset = Dataset.open(tmp_path / "d.h5")
    assert not dataset.oriented
    assert dataset.sha256 != read_sequences(path).sha256


def test_the_summary_counts_folds(tmp_path: Path):
    path = table(tmp_path / "t.tsv", fold=["x"] * 40 + ["y"] * 20)
    summary = build_sequence_dataset(tmp_path / "d.h5", path)
    assert summary.folds == {"x": 40, "y": 20}
    assert summary.peaks.size == 0
    assert [one.track for one in summary.amounts] == ["k562"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"sequence": "ACGTXACGTACGT"}, "t.tsv, line 2"),
        ({"k562": "1,5"}, "t.tsv, line 2: .*comma"),
        ({"k562": np.inf}, "t.tsv, line 2"),
        ({"sequence": ""}, "60 rows have no sequence"),
        ({"weight": -1.0}, "t.tsv, line 2: .*negative|weight"),
        ({"split": "pilot"}, "t.tsv, line 2: .*'pilot'"),
        ({"start": 3.0}, "a column of amounts is named 'start', like a column of danq's tables"),
    ],
)
def test_wrong_tables_are_refused(tmp_path: Path, columns, message: str):
    path = table(tmp_path / "t.tsv", **columns)
    with pytest.raises(InputError, match=message):
        build_sequence_dataset(tmp_path / "d.h5", path, TableColumns(sequence="sequence"))
    assert not (tmp_path / "d.h5").exists()


def test_too_few_sequences_or_a_short_window_are_refused(tmp_path: Path):
    path = table(tmp_path / "t.tsv", 2)
    with pytest.raises(InputError, match="has 2 sequences, too few for training, validation"):
        read_sequences(path)
    with pytest.raises(InputError, match="2 sequences are longer than 40 bases"):
        read_sequences(path, window=40)
    (tmp_path / "d.h5").write_text("mine")
    with pytest.raises(InputError, match=r"d.h5: exists already"):
        build_sequence_dataset(tmp_path / "d.h5", path)
