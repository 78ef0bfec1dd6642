"""The two strands of one signal, and replicates of one experiment."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq.datasets import Dataset, LabelOptions, SignalOptions, label_genome
from danq.datasets.column_summary import total_amounts
from danq.datasets.track_relations import replicate_names, strand_partners
from danq.datasets.track_sheet import Track, read_sheet
from danq.errors import InputError
from tests.amount_dataset import amount_dataset
from tests.reseal import reseal_hdf5


def tracks(*names: str, **reverse: str) -> list[Track]:
    return [Track(name, Path(f"{name}.bw"), reverse=reverse.get(name, "")) for name in names]


@pytest.mark.parametrize(
    ("names", "partners"),
    [
        (("RNA.plus", "RNA.minus"), (1, 0)),
        (("MNase", "rna_fwd", "rna_rev", "Scc1"), (0, 2, 1, 3)),
        (("PRO-seq Forward", "PRO-seq Reverse"), (1, 0)),
        (("A.MINUS", "B.PLUS", "A.PLUS", "B.MINUS"), (2, 3, 0, 1)),
        (("a.plus", "b.minus"), ()),
        (("surplus", "surminus"), ()),
        (("one", "two"), ()),
    ],
)
def test_strands_are_recognised_by_the_names_of_tracks(names, partners, caplog):
    caplog.set_level(logging.INFO, "danq")
    assert strand_partners(tracks(*names)) == partners
    assert ("two strands of one signal" in caplog.text) == bool(partners)


def test_a_strand_without_the_other_one_is_a_warning(caplog):
    assert strand_partners(tracks("a.plus", "b")) == ()
    assert "no tracks of the other strand: a.plus" in caplog.text


def test_a_sheet_names_the_track_of_the_other_strand():
    assert strand_partners(tracks("watson", "x", "crick", watson="crick")) == (2, 1, 0)
    assert strand_partners(tracks("w", "c", w="c", c="w")) == (1, 0)
    itself = {"dox.plus": "dox.plus", "dox.minus": "dox.minus"}
    assert strand_partners(tracks("dox.plus", "dox.minus", **itself)) == ()


@pytest.mark.parametrize(
    ("reverse", "message"),
    [
        ({"a": "gone"}, "'gone', is not a track of a signal"),
        ({"a": "c", "b": "c"}, "'c' is named as the other strand of 'b', and"),
        ({"a": "b", "b": "c"}, "'b' is named as the other strand of 'a', and"),
    ],
)
def test_pairs_that_contradict_each_other_are_refused(reverse, message):
    with pytest.raises(InputError, match=message):
        strand_partners(tracks("a", "b", "c", **reverse))


def test_replicates_are_recognised_or_given(caplog):
    caplog.set_level(logging.INFO, "danq")
    names = ("WT_rep1", "WT_rep2", "ko.replicate-1", "ko.replicate-2", "alone_rep1", "reporter1")
    assert replicate_names(names) == ("WT", "WT", "ko", "ko", "", "")
    assert "4 tracks are replicates of 2 experiments: WT, ko" in caplog.text
    assert replicate_names(("WT_1", "WT_2", "x"), ("WT", "WT", "")) == ("WT", "WT", "")
    assert replicate_names(("a", "b")) == ()
    assert replicate_names(("a", "b"), ("A", "")) == ()
    assert "only one track is a replicate of A" in caplog.text


def test_columns_of_the_sheet(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.bw").touch()
    sheet = tmp_path / "sheet.tsv"
    sheet.write_text("name\treplicate_of\tpath\treverse_track\na\tE\ta.bw\tb\nb\tE\tb.bw\t\n")
    first, second = read_sheet(sheet)
    assert (first.reverse, first.replicates, first.group) == ("b", "E", "")
    assert (second.reverse, second.replicates) == ("", "E")


def paired(**settings) -> Dataset:
    dataset = amount_dataset(200, **settings)
    return replace(dataset, measured=replace(dataset.measured, reverse=(1, 0)))


@pytest.mark.parametrize("steps", [0, 4])
def test_reverse_complements_have_the_amounts_of_the_other_strand(steps, tmp_path):
    paired(peaks=True, steps=steps).save(tmp_path / "a.h5")
    dataset = Dataset.open(tmp_path / "a.h5")
    assert dataset.measured.reverse == (1, 0)
    rows = np.arange(6)
    flips = rows % 2 == 1
    plain, found = dataset.amounts(rows), dataset.amounts(rows, flips)
    np.testing.assert_array_equal(found[~flips], plain[~flips])
    wanted = plain[:, ::-1, ::-1] if steps else plain[:, ::-1]
    np.testing.assert_array_equal(found[flips], wanted[flips])
    totals = total_amounts(dataset, rows, flips)
    np.testing.assert_array_equal(totals[flips], total_amounts(dataset, rows)[flips, ::-1])
    labels = dataset.target_values(rows, flips)[:, 0]
    np.testing.assert_array_equal(labels, dataset.labels(rows)[:, 0])


def test_the_checksum_depends_on_strands_and_replicates():
    dataset = amount_dataset(200)
    named = replace(dataset, measured=replace(dataset.measured, replicates=("E", "E")))
    assert len({dataset.sha256, paired().sha256, named.sha256}) == 3


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("amounts/reverse", [0, 0], "not those of the amounts"),
        ("amounts/reverse", [0, 2], "not those of the amounts"),
        ("amounts/reverse", [1], "not those of the amounts"),
        ("amounts/replicates", [b"E"], "1 names of replicates for 2 tracks"),
    ],
)
def test_files_with_wrong_relations_are_refused(name, values, message, tmp_path):
    path = tmp_path / "a.h5"
    paired().save(path)
    with h5py.File(path, "r+") as file:
        dtype = file[name].dtype
        del file[name]
        file.create_dataset(name, data=np.array(values, dtype))
    reseal_hdf5(path)
    with pytest.raises(InputError, match=message):
        Dataset.open(path)


def genome_with(folder: Path, minus: str) -> LabelOptions:
    """Options of a genome with bedGraphs of two strands; values of the second one as given."""
    rng = np.random.default_rng(0)
    letters = np.array(list("ACGT"))
    contigs = ("one", "two", "three")
    text = "".join(f">{name}\n{''.join(letters[rng.integers(0, 4, 2_000)])}\n" for name in contigs)
    (folder / "g.fa").write_text(text)
    for name, values in (("s.plus", "2 3"), ("s.minus", minus)):
        one, two = values.split()
        rows = (f"{c}\t0\t1000\t{one}\n{c}\t1000\t2000\t{two}\n" for c in contigs)
        (folder / f"{name}.bedgraph").write_text("".join(rows))
    return LabelOptions(signal=[folder / "s.plus.bedgraph", folder / "s.minus.bedgraph"])


def test_negative_values_of_the_reverse_strand_are_read_as_positive(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    options = genome_with(tmp_path, "-4 -1")
    options = replace(options, amounts=SignalOptions(transform="log1p", library=True))
    held = {"valid": "two", "test": "three"}
    dataset = label_genome(tmp_path / "g.fa", None, window=400, options=options, **held)
    assert "s.minus.bedgraph: all values are 0 or negative; they are read as positive" in (
        caplog.text
    )
    assert dataset.measured.reverse == (1, 0)
    measured = dataset.units[1].undo(dataset.amounts(np.arange(len(dataset)))[:, 1])
    assert sorted(np.unique(measured.round(4))) == [1, 4]
    largest = replace(options, amounts=SignalOptions(statistic="max"))
    with pytest.raises(InputError, match="s.minus.*maximum is the weakest signal"):
        label_genome(tmp_path / "g.fa", None, window=400, options=largest, **held)


def test_relations_of_peaks_are_not_used(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    genome_with(tmp_path, "1 2")
    (tmp_path / "p.bed").write_text("one\t0\t300\ntwo\t0\t300\nthree\t0\t300\n")
    (tmp_path / "peaks.tsv").write_text("name\tpath\treverse_track\np\tp.bed\tp\n")
    label_genome(tmp_path / "g.fa", tmp_path / "peaks.tsv", window=400, valid="two", test="three")
    assert "reverse_track and replicate_of are not used for peaks: p" in caplog.text


def test_oriented_signals_have_no_other_strand(tmp_path, caplog):
    caplog.set_level(logging.INFO, "danq")
    options = replace(genome_with(tmp_path, "1 2"), oriented=True)
    held = {"valid": "two", "test": "three"}
    dataset = label_genome(tmp_path / "g.fa", None, window=400, options=options, **held)
    assert dataset.measured.reverse == ()
    assert "strand" not in caplog.text
