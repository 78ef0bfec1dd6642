from __future__ import annotations

import errno
import gzip
import logging
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq.datasets import Dataset, LabelOptions, build_dataset, find_tracks, label_genome
from danq.datasets.label_options import label_arguments
from danq.errors import InputError
from danq.genome.fasta import Genome

SPLITS = {"valid": "two", "test": "three"}


def build(folder: Path, **changes) -> Dataset:
    arguments = label_arguments({"window": 400, "bin": 200, **SPLITS, **changes})
    return label_genome(folder / "genome.fa", folder / "tracks", **arguments)


def table(dataset: Dataset) -> dict[tuple[str, int], list[int]]:
    labels = dataset.labels(np.arange(len(dataset)))
    names = [dataset.genome.names[number] for number in dataset.contig]
    return dict(zip(zip(names, dataset.start.tolist(), strict=True), labels.tolist(), strict=True))


def test_windows_labels_and_splits_known_by_hand(folder: Path, contigs):
    dataset = build(folder)
    rows = table(dataset)
    # Of bins of 'two', windows at 900, 1,100 and 1,300 have 300, 400 and 300 of 400 unknown.
    assert len(rows) == 30 + (20 - 3) + 15
    assert not {("two", 1_000), ("two", 1_200), ("two", 1_400)} & set(rows)
    # alpha: one 190-410 covers [200, 400) whole and 10 bases on both sides.
    positive = {place: labels for place, labels in rows.items() if any(labels)}
    assert positive == {
        ("one", 200): [1, 1],
        ("one", 3_000): [1, 0],
        ("two", 0): [1, 0],
        ("two", 2_400): [0, 1],
        ("three", 0): [1, 0],
        ("three", 200): [1, 0],
        ("three", 2_000): [0, 1],
        ("three", 2_200): [0, 1],
    }
    assert dataset.tracks == ("alpha", "beta")
    assert dataset.sources == ("alpha.bed", "beta.bed")
    assert dataset.peaks.tolist() == [4, 3]
    assert [dataset.positives(split).tolist() for split in ("train", "valid", "test")] == [
        [2, 1],
        [1, 1],
        [2, 2],
    ]
    index = dataset.indices("valid")[4]
    np.testing.assert_array_equal(dataset.codes([index])[0], contigs["two"][700:1_100])


def test_dropped_bins_are_counted(folder: Path):
    (folder / "black.bed").write_text("one\t0\t1\none\t5900\t9999\n")
    (folder / "more.bed").write_text("two\t399\t401\n")
    dataset = build(
        folder,
        exclude=[folder / "black.bed", folder / "more.bed"],
        valid="one:2001-3000",
        test="two",
        skip_contigs=["three"],
        edge="drop",
    )
    # 'one' has bins 0-5,800: 0 and 5,800 touch an excluded region. Windows of 2,000-3,000 cover
    # 1,900-3,100, so training bins 1,800 and 3,000 are too near.
    assert dataset.build["dropped_bins"] == {
        "skipped contig": 15,
        "off stride": 0,
        "excluded": 2 + 2,
        "edge": 2,
        "unknown bases": 3,
        "near a held-out split": 2,
        "negative": 0,
        "sequence of a held-out window": 0,
    }
    assert dataset.build["dropped_peaks"] == {"contig not in the genome": 0, "skipped contig": 2}
    assert dataset.genome.names == ("one", "two")
    assert [dataset.indices(split).size for split in ("train", "valid", "test")] == [21, 5, 13]


def test_no_exclude_file_may_be_none():
    assert LabelOptions(exclude=None).excluded == LabelOptions().excluded == []


def test_excluded_regions_beyond_a_contig_are_reported(folder: Path, caplog):
    beyond = folder / "beyond.bed"
    beyond.write_text("one\t0\t10\none\t5900\t99000\ntwo\t3900\t70000\n")
    build(folder, exclude=beyond)
    assert f"{beyond}: 2 of 3 excluded regions extend past" in caplog.text
    caplog.clear()
    beyond.write_text("one\t0\t10\n")
    build(folder, exclude=beyond)
    assert caplog.text == ""


def test_a_small_stride_makes_only_training_bins_overlap(folder: Path):
    dataset = build(folder, stride=50)
    assert np.unique(np.diff(dataset.start[dataset.indices("train")])).tolist() == [50]
    assert np.all(dataset.start[dataset.split > 0] % 200 == 0)
    # one 190-410 covers half of bins 100 (110 bases), 150, 200, 250 and 300 (110 bases).
    rows = table(dataset)
    alpha = [start for (name, start), labels in rows.items() if name == "one" and labels[0]]
    assert [start for start in alpha if start < 1_000] == [100, 150, 200, 250, 300]
    assert dataset.stride == 50


def test_negatives_are_dropped_in_every_split(folder: Path):
    dataset = build(folder, negatives="drop")
    assert len(dataset) == 8
    assert dataset.labels(np.arange(8)).any(axis=1).all()


def test_peak_files_may_use_other_contig_names(folder: Path):
    plain = build(folder)
    track = folder / "tracks" / "alpha.bed"
    track.write_text(track.read_text().replace("one", "chrA").replace("two", "chrB"))
    (folder / "black.bed").write_text("chrB\t399\t401\n")
    (folder / "map.tsv").write_text("chrA\tone\nchrB\ttwo\n")
    with pytest.raises(InputError, match=r"alpha.bed|black.bed"):
        build(folder, exclude=folder / "black.bed")
    mapped = build(folder, exclude=folder / "black.bed", chrom_map=folder / "map.tsv")
    assert mapped.build["dropped_bins"]["excluded"] == 2
    gone = [("two", 200), ("two", 400)]
    assert table(mapped) == {k: v for k, v in table(plain).items() if k not in gone}


def test_peaks_on_unknown_contigs_are_counted(folder: Path, caplog):
    with (folder / "tracks" / "alpha.bed").open("a") as handle:
        handle.write("plasmid\t5\t500\n")
    with caplog.at_level(logging.WARNING, logger="danq"):
        dataset = build(folder)
    assert dataset.build["dropped_peaks"]["contig not in the genome"] == 1
    assert "plasmid" in caplog.text


def test_tracks_without_positives_are_reported(folder: Path, caplog):
    (folder / "tracks" / "empty.bed").write_text("one\t10\t20\n")
    (folder / "tracks" / "zeta.bed").write_text("one\t200\t400\n")
    with caplog.at_level(logging.WARNING, logger="danq"):
        build(folder)
    assert "No positive window in any split: empty." in caplog.text
    assert "No positive window in test: zeta." in caplog.text


def test_an_open_genome_a_sheet_and_a_list_of_tracks_are_accepted(folder: Path):
    sheet = folder / "tracks.tsv"
    sheet.write_text("name\tpath\tgroup\nfirst\ttracks/alpha.bed\tTF\nlast\ttracks/beta.bed\n")
    with Genome(folder / "genome.fa") as genome:
        from_sheet = label_genome(genome, sheet, window=400, **SPLITS)
        from_tracks = label_genome(genome, find_tracks(sheet), window=400, **SPLITS)
        assert genome.codes("one", 0, 4).size == 4  # still open
    assert (from_sheet.tracks, from_sheet.groups) == (("first", "last"), ("TF", ""))
    assert from_sheet.sha256 == from_tracks.sha256
    np.testing.assert_array_equal(from_sheet.packed, build(folder).packed)


def test_the_build_is_the_same_every_time(folder: Path):
    assert build(folder, negatives=1.0).sha256 == build(folder, negatives=1.0).sha256


def test_the_file_holds_what_the_summary_reports(folder: Path):
    out = folder / "set.h5"
    summary = build_dataset(out, folder / "genome.fa", folder / "tracks", window=400, **SPLITS)
    dataset = Dataset.open(out)
    assert summary.sha256 == dataset.sha256 == build(folder).sha256
    assert summary.windows == {"train": 30, "valid": 17, "test": 15}
    assert summary.positives.tolist() == [[2, 1, 2], [1, 1, 2]]
    assert summary.size == out.stat().st_size
    assert summary.without_positives == {"train": (), "valid": (), "test": ()}
    with pytest.raises(InputError, match=r"set.h5: exists already"):
        build_dataset(out, folder / "genome.fa", folder / "tracks")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 100}, "a window of 100 bases is smaller than the bin of 200"),
        ({"stride": 70}, "a stride of 70 bases neither divides"),
        ({"min_overlap": 0}, "min_overlap is 0"),
        ({"negatives": "some"}, "negatives is 'some', not keep, drop or a number"),
        ({"negatives": 0.0}, "0.0 negatives per positive bin is not above 0"),
        ({"edge": "wrap"}, "edge is 'wrap', not pad or drop"),
        ({"max_n": 1.5}, "max_n is 1.5, not from 0 to 1"),
        ({"drop_leaked": "no"}, "drop_leaked is 'no', not true or false"),
        ({"valid": "four"}, "the valid split has the contig 'four'"),
        ({"valid": "three"}, r"three:1-3,050 \(valid\) and three:1-3,050 \(test\) overlap"),
        ({"valid": "two:1-150"}, "the valid split is empty; bins dropped:.*near a held-out"),
        ({"valid": "two:1001-1600"}, "the valid split is empty; bins dropped:.*unknown bases 3"),
        ({"test": "one,three"}, "the train split is empty"),
        ({"skip_contigs": "three,four"}, "contigs to skip are not in the genome: four"),
        ({"skip_contigs": ""}, "the list is empty"),
        ({"skip_contigs": "three:1-5"}, "contigs to skip name a part of three"),
        ({"skip_contigs": ["four"]}, "contigs to skip are not in the genome: four"),
        ({"skip_contigs": ["three"]}, "the test split has the contig 'three'.*skipped"),
        ({"skip_contigs": ["one", "two", "three"]}, "every contig of the genome is skipped"),
    ],
)
def test_bad_options_are_refused(folder: Path, changes, message: str):
    with pytest.raises(InputError, match=message):
        build(folder, **changes)


@pytest.mark.parametrize("packed", [False, True])
def test_a_peak_beyond_its_contig_is_refused_with_its_line(folder: Path, packed: bool):
    path = folder / "tracks" / "beta.bed"
    text = "# made by hand\n" + path.read_text() + "two\t3900\t5001\nthree\t9000\t9100\n"
    if packed:
        path.unlink()
        path = path.with_name("beta.bed.gz")
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    with pytest.raises(InputError, match="ends beyond two, which has 4,000 bases") as caught:
        build(folder)
    assert (caught.value.file, caught.value.line) == (str(path), 5)


def test_a_peak_that_starts_beyond_its_contig_is_refused(folder: Path):
    with (folder / "tracks" / "beta.bed").open("a") as file:
        file.write("two\t4000\t4001\n")
    with pytest.raises(InputError, match="ends beyond two, which has 4,000 bases"):
        build(folder)


def test_peaks_a_little_beyond_their_contig_are_clipped_and_counted(folder: Path, caplog):
    path = folder / "tracks" / "beta.bed"
    text = path.read_text()
    path.write_text(text + "two\t3700\t4000\nthree\t0\t100\n")
    inside = build(folder).sha256
    path.write_text(text + "two\t3700\t5000\nthree\t0\t100\n")
    with caplog.at_level("WARNING", "danq"):
        assert build(folder).sha256 == inside
    assert "beyond their contig, clipped to its end: 1" in caplog.text
    caplog.clear()
    with path.open("a") as file:
        file.write("two\t5\t5\n")
    with caplog.at_level("INFO", "danq"):
        build(folder)
    assert caplog.text.count("intervals of no base") == 1


@pytest.mark.parametrize("text", ["", "# no peaks\n"])
def test_a_file_without_peaks_is_a_track_without_positives(folder: Path, caplog, text):
    (folder / "tracks" / "empty.narrowPeak").write_text(text)
    with caplog.at_level("WARNING", "danq"):
        dataset = build(folder)
    assert dataset.tracks == ("alpha", "beta", "empty")
    assert dataset.peaks.tolist() == [4, 3, 0]
    assert "empty.narrowPeak: has no peaks" in caplog.text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("one\t0\t300\t0.0\none\t400\t600\t3.5\n", "1 of them are 0"),
        ("one\t0\t300\t2\none\t300\t600\t3\n", "1 intervals touch the one before"),
    ],
)
def test_a_signal_in_place_of_peaks_is_refused(folder: Path, text: str, why: str):
    (folder / "tracks" / "signal.bed").write_text(text)
    with pytest.raises(InputError, match=f"looks like a bedGraph .*{why}"):
        build(folder)


def test_numbers_as_names_of_peaks_are_accepted(folder: Path):
    (folder / "tracks" / "named.bed").write_text("one\t0\t300\t1\none\t400\t600\t2\n")
    assert build(folder).peaks.tolist() == [4, 3, 2]


def test_an_unknown_option_is_refused(folder: Path):
    with pytest.raises(InputError, match="'windows' is not an option of a dataset"):
        build(folder, windows=500)


def test_a_track_on_no_contig_of_the_genome_is_refused(folder: Path):
    (folder / "tracks" / "other.bed").write_text("chrQ\t1\t500\n")
    with pytest.raises(
        InputError, match=r"other.bed: none of its contigs.*chrQ, the genome has one"
    ):
        build(folder)
    with pytest.raises(InputError, match="none of its contigs is in the genome"):
        label_genome(folder / "genome.fa", folder / "tracks" / "other.bed")


def outputs(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.suffix in (".h5", ".part")}


def attempt(folder: Path, out: Path) -> None:
    build_dataset(out, folder / "genome.fa", folder / "tracks", window=400, **SPLITS)


def test_an_output_that_cannot_be_written_is_refused_at_once(folder: Path, monkeypatch):
    monkeypatch.setattr("danq.datasets.build.label_genome", lambda *_, **__: 1 // 0)
    (folder / "locked").mkdir(mode=0o555)
    for out, message in (
        (folder / "locked" / "set.h5", "the folder .*locked is not writable"),
        (folder / "gone" / "set.h5", "there is no folder .*gone"),
        (folder / "tracks", "is a folder"),
    ):
        with pytest.raises(InputError, match=message):
            attempt(folder, out)


def test_a_full_disk_leaves_no_half_file(folder: Path, full_disk):
    (folder / "genome.fa.fai").unlink(missing_ok=True)
    build(folder)
    with (
        full_disk(3_000),
        pytest.raises(InputError, match=r"set.h5: cannot be written: File too large") as caught,
    ):
        attempt(folder, folder / "set.h5")
    assert caught.value.remedy == (
        "Make room, or raise the limit on the size of files ('ulimit -f')"
    )
    assert outputs(folder) == set()
    attempt(folder, folder / "set.h5")
    assert outputs(folder) == {"set.h5"}


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_fills_up_keeps_the_old_file(folder: Path, monkeypatch, error: int):
    (folder / "set.h5").write_text("old")
    real = h5py.Group.create_dataset

    def fail(group, name, *args, **options):
        if name == "labels":
            raise OSError(error, "Can't write data")
        return real(group, name, *args, **options)

    monkeypatch.setattr(h5py.Group, "create_dataset", fail)
    with pytest.raises(InputError, match="cannot be written"):
        build_dataset(
            folder / "set.h5",
            folder / "genome.fa",
            folder / "tracks",
            window=400,
            overwrite=True,
            **SPLITS,
        )
    assert outputs(folder) == {"set.h5"}
    assert (folder / "set.h5").read_text() == "old"


def test_an_interrupt_leaves_no_half_file(folder: Path, monkeypatch):
    real = h5py.Group.create_dataset

    def stop(group, name, *args, **options):
        if name == "labels":
            raise KeyboardInterrupt
        return real(group, name, *args, **options)

    monkeypatch.setattr(h5py.Group, "create_dataset", stop)
    with pytest.raises(KeyboardInterrupt):
        attempt(folder, folder / "set.h5")
    assert outputs(folder) == set()
