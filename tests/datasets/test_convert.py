"""DeepSEA's files to datasets, held against scipy's and h5py's own reading of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from danq.datasets import Batches, Dataset, convert_dataset, one_hot_arrays
from danq.datasets.convert import read_arrays
from danq.errors import InputError

LENGTH, TRACKS = 202, 19
ROWS = (64, 16, 32)
SPLITS = ("train", "valid", "test")
AGCT = np.array([0, 2, 1, 3], np.uint8)

Trio = list[Path]


@pytest.fixture
def trio(tmp_path: Path, write_deepsea_files: Callable[..., Trio]) -> Trio:
    return write_deepsea_files(tmp_path / "trio", ROWS, tracks=TRACKS, length=LENGTH)


def plain(path: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Codes and labels of one file by other people's readers."""
    if split == "train":
        file: Any = h5py.File(path)
        x, y = file["trainxdata"][()].transpose(2, 1, 0), file["traindata"][()].T
        file.close()
    else:
        arrays = scipy.io.loadmat(path)
        x, y = arrays[f"{split}xdata"], arrays[f"{split}data"]
    codes = AGCT[x.argmax(axis=1)]
    codes[x.sum(axis=1) == 0] = 4
    return codes, y


def opposite(codes: np.ndarray) -> np.ndarray:
    return np.array([3, 2, 1, 0, 4], np.uint8)[codes[..., ::-1]]


def check(dataset: Dataset, split: str, codes: np.ndarray, labels: np.ndarray) -> None:
    rows = dataset.indices(split)
    np.testing.assert_array_equal(dataset.codes(rows), codes)
    np.testing.assert_array_equal(dataset.labels(rows), labels)


@pytest.mark.parametrize("compress", [False, True])
def test_converted_files_equal_scipys_and_h5pys_reading(
    tmp_path: Path, write_deepsea_files, compress: bool
):
    files = write_deepsea_files(
        tmp_path / "trio", ROWS, tracks=TRACKS, length=LENGTH, compress=compress, seed=3
    )
    summary = convert_dataset(tmp_path / "out.h5", files, names=tmp_path / "trio/names.txt")
    assert summary.windows == {"train": 32, "valid": 8, "test": 16}
    dataset = Dataset.open(tmp_path / "out.h5")
    assert (dataset.window, dataset.bin, dataset.standalone) == (LENGTH, 200, True)
    for split, path, rows in zip(SPLITS, files, ROWS, strict=True):
        codes, labels = plain(path, split)
        np.testing.assert_array_equal(opposite(codes[: rows // 2]), codes[rows // 2 :])
        check(dataset, split, codes[: rows // 2], labels[: rows // 2])
        flipped = dataset.codes(dataset.indices(split), reverse=np.ones(rows // 2, bool))
        np.testing.assert_array_equal(flipped, codes[rows // 2 :])
    assert dataset.sha256 == read_arrays(files, names=tmp_path / "trio/names.txt").sha256


@pytest.mark.parametrize("most", [1 << 10, 1 << 26])
@pytest.mark.parametrize("rows", [5, 16384])
def test_sizes_of_blocks_and_slabs_do_not_change_the_result(
    trio, tmp_path, monkeypatch, rows: int, most: int
):
    whole = read_arrays(trio).sha256
    monkeypatch.setattr(one_hot_arrays, "ROWS", rows)
    monkeypatch.setattr(one_hot_arrays, "SLAB", most)
    assert read_arrays(trio).sha256 == whole


def standalone(rows: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Codes with runs of N, and labels."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (rows, length), np.uint8)
    for row in rng.integers(0, rows, rows // 3):
        at = int(rng.integers(0, length))
        codes[row, at : at + int(rng.integers(1, 9))] = 4
    codes[0, :3] = codes[1, -3:] = codes[2] = 4
    return codes, (rng.random((rows, 11)) < 0.3).astype(np.uint8)


def hot(codes: np.ndarray, order: str = "ACGT") -> np.ndarray:
    letters = np.array(["ACGT".index(letter) for letter in order])
    return (codes[:, None, :] == letters[:, None]).astype(np.uint8)


def write(folder: Path, codes: np.ndarray, labels: np.ndarray) -> Path:
    path = folder / f"{len(list(folder.iterdir()))}.npz"
    np.savez(path, x=hot(codes), y=labels)
    return path


def test_pairs_in_any_order_are_stored_once(tmp_path: Path):
    codes, labels = standalone(60, 41, 0)
    codes[40:50] = codes[:10]  # repeated sequences with other labels
    both, twice = np.concatenate([codes, opposite(codes)]), np.concatenate([labels, labels])
    order = np.random.default_rng(1).permutation(120)
    path = write(tmp_path, both[order], twice[order])
    dataset = read_arrays([path] * 3, channels="ACGT", bin=20)
    assert dataset.build["strand_pairs_stored_once"] == dict.fromkeys(SPLITS, True)
    first = np.sort(np.unique(order % 60, return_index=True)[1])
    for split in SPLITS:
        check(dataset, split, both[order[first]], twice[order[first]])


@pytest.mark.parametrize("length", [40, 41, 43])
def test_with_one_row_unpaired_every_row_is_stored(tmp_path: Path, length: int):
    codes, labels = standalone(60, length, 2)
    codes[30:59] = opposite(codes[1:30])
    labels[30:59] = labels[1:30]
    path = write(tmp_path, codes, labels)
    dataset = read_arrays([path] * 3, channels="ACGT", bin=length)
    assert dataset.build["strand_pairs_stored_once"] == dict.fromkeys(SPLITS, False)
    for split in SPLITS:
        check(dataset, split, codes, labels)


def test_rows_with_other_labels_are_not_a_pair(tmp_path: Path):
    codes, labels = standalone(30, 24, 4)
    other = labels.copy()
    other[7, 3] ^= 1
    both = np.concatenate([codes, opposite(codes)])
    path = write(tmp_path, both, np.concatenate([labels, other]))
    dataset = read_arrays([path] * 3, channels="ACGT", bin=8)
    assert len(dataset.indices("train")) == 60


@pytest.mark.parametrize("order", ["ACGT", "AGCT", "TGCA"])
@pytest.mark.parametrize("dtype", [np.uint8, bool, np.int64, np.float32, np.float64])
def test_layouts_orders_and_dtypes(tmp_path: Path, order: str, dtype):
    codes, labels = standalone(21, 30, 5)
    x = hot(codes, order).astype(dtype)
    if x.dtype.kind == "f":
        x[codes[:, None, :].repeat(4, axis=1) == 4] = 0.25
    files = [tmp_path / "first.npz", tmp_path / "last.h5", tmp_path / "fortran.npz"]
    np.savez_compressed(files[0], seq=x, lab=labels.astype(dtype))
    with h5py.File(files[1], "w") as file:
        file["group/seq"] = x.transpose(2, 1, 0)
        file.create_dataset("group/lab", data=labels.T.astype(dtype), chunks=(4, 5))
        file["notes"] = "text"
    np.savez(files[2], seq=np.asfortranarray(x), lab=labels)
    dataset = read_arrays(files, channels=order.lower(), bin=10)
    for split in SPLITS:
        check(dataset, split, codes, labels)


def test_channels_last(tmp_path: Path):
    codes, labels = standalone(21, 30, 6)
    np.savez(tmp_path / "a.npz", x=hot(codes).transpose(0, 2, 1), y=labels)
    dataset = read_arrays([tmp_path / "a.npz"] * 3, channels="ACGT", bin=10)
    check(dataset, "test", codes, labels)


def test_one_file_with_deepseas_names_defines_its_split(trio, caplog):
    dataset = read_arrays(trio[2:])
    assert len(dataset) == len(dataset.indices("test")) == 16
    assert "No file has the train split" in caplog.text
    assert read_arrays(trio[::-1]).sha256 == read_arrays(trio).sha256


def test_big_endian_doubles(tmp_path: Path):
    """A v5 file as a big-endian machine would write it, put together by hand."""
    codes, labels = standalone(6, 9, 7)

    def element(kind: int, data: bytes) -> bytes:
        return struct.pack(">II", kind, len(data)) + data + bytes(-len(data) % 8)

    def matrix(name: str, array: np.ndarray) -> bytes:
        head = element(6, struct.pack(">II", 6, 0))
        sizes = element(5, np.array(array.shape, ">i4").tobytes())
        values = element(9, array.astype(">f8").tobytes("F"))
        return element(14, head + sizes + element(1, name.encode()) + values)

    body = matrix("testxdata", hot(codes, "AGCT")) + matrix("testdata", labels)
    path = tmp_path / "test.mat"
    path.write_bytes(b"MATLAB 5.0 MAT-file".ljust(124) + b"\x01\x00MI" + body)
    np.testing.assert_array_equal(scipy.io.loadmat(path)["testdata"], labels)
    check(read_arrays([path], bin=5), "test", codes, labels)


def test_repeated_names_get_a_number(trio, tmp_path: Path):
    names = [f"cell|mark{k % 15}|None" for k in range(TRACKS)]
    sheet = tmp_path / "names.tsv"
    sheet.write_text("name\tgroup\n" + "".join(f"{name}\tg{len(name)}\n" for name in names))
    dataset = read_arrays(trio, names=sheet)
    assert dataset.tracks[0] == "cell|mark0|None|1"
    assert dataset.tracks[5] == "cell|mark5|None"
    assert dataset.tracks[15] == "cell|mark0|None|16"
    assert len(set(dataset.tracks)) == TRACKS
    assert dataset.groups[:2] == ("g15", "g15")
    assert dataset.groups[10] == "g16"


def test_919_tracks_are_named_as_in_deepsea(tmp_path: Path, write_deepsea_files):
    files = write_deepsea_files(tmp_path / "trio", (8, 8, 8), length=200)
    table = tmp_path / "aucs.txt"
    head = "Cell Type\tTF/DNase/HistoneMark\tTreatment\tDanQ ROC AUC\n"
    table.write_text(head + "".join(f"c{k}\tm\tNone\t0.5\n" for k in range(919)))
    dataset = read_arrays(files, names=table)
    assert dataset.tracks[918] == "c918|m|None"
    counts = {group: dataset.groups.count(group) for group in dataset.groups}
    assert list(counts.items()) == [("DNase", 125), ("TF", 690), ("histone", 104)]
    assert read_arrays(files).tracks[0] == "track001"


def test_windows_never_extend_into_other_sequences(trio):
    dataset = read_arrays(trio)
    rows = dataset.indices("train")
    batches = Batches(dataset, rows, 10, shuffle=True, reverse_complement="both", seed=2)
    plan = batches.plan(0)
    assert len(batches) == 7
    assert plan.reverse is not None
    pairs = sorted(zip(plan.order.tolist(), plan.reverse.tolist(), strict=True))
    assert pairs == [(row, strand) for row in rows.tolist() for strand in (False, True)]
    codes = np.concatenate([codes for codes, _ in batches.epoch(0)])
    np.testing.assert_array_equal(codes, dataset.codes(plan.order, plan.reverse))
    batches = Batches(dataset, rows, 10, reverse_complement="both", max_shift=3)
    plan = batches.plan(0)
    assert plan.shift is not None
    assert set(plan.shift) == set(range(-3, 4))
    codes = np.concatenate([codes for codes, _ in batches.epoch(0)])
    length = dataset.window
    for shifted, still, by in zip(
        codes, dataset.codes(plan.order, plan.reverse), plan.shift, strict=True
    ):
        kept = slice(max(0, by), length + min(0, by))
        np.testing.assert_array_equal(shifted[max(0, -by) : length - max(0, by)], still[kept])
        assert (shifted == 4).sum() == abs(by) + (still[kept] == 4).sum()
    with pytest.raises(InputError, match=f"max_shift is {length}, but the sequences have at most"):
        Batches(dataset, rows, 10, max_shift=length)


def refusal(files, **options) -> str:
    with pytest.raises(InputError) as error:
        read_arrays(files, **options)
    return str(error.value)


def test_all_missing_files_are_listed(trio, tmp_path: Path):
    message = refusal([trio[0], tmp_path / "no.mat", tmp_path / "nor.mat"])
    assert f"there are no such files: {tmp_path / 'no.mat'}, {tmp_path / 'nor.mat'}" in message
    assert "no files were given" in refusal([])


def test_truncated_files_are_refused(trio, tmp_path: Path):
    for path in trio:
        data = path.read_bytes()
        for size in (100, len(data) // 2, len(data) - 9):
            cut = tmp_path / path.name
            cut.write_bytes(data[:size])
            message = refusal([cut])
            assert str(cut) in message
            assert "truncated" in message
    np.savez(tmp_path / "a.npz", x=np.zeros((9, 4, 9)), y=np.zeros((9, 2)))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "b.npz").write_bytes(data[: len(data) // 2])
    assert "is truncated" in refusal([tmp_path / "b.npz"])


def test_damage_inside_a_compressed_file_is_reported(tmp_path: Path, write_deepsea_files):
    files = write_deepsea_files(
        tmp_path / "trio", ROWS, tracks=TRACKS, length=LENGTH, compress=True
    )
    for path in files[1:]:
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 40] = bytes(40)
        path.write_bytes(data)
        assert str(path) in refusal([path])


@pytest.mark.parametrize(
    ("arrays", "problem"),
    [
        ({"x": np.zeros((3, 4, 5))}, r"has no pair of sequences and labels: the file has x \(3, 4"),
        ({"testxdata": np.zeros((3, 4, 5)), "data": np.zeros((3, 2))}, "has no pair of sequences"),
        ({}, "the file has no numeric arrays"),
        ({"x": np.zeros((3, 5, 5)), "y": np.zeros((3, 2))}, "without an axis of four channels"),
        ({"x": np.zeros((3, 4, 5)), "y": np.zeros((4, 2))}, "do not match: their numbers of rows"),
        ({"x": np.zeros((0, 4, 5)), "y": np.zeros((0, 2))}, "they are empty"),
        ({"x": np.full((3, 4, 5), 1), "y": np.zeros((3, 2))}, "base 1 of sequence 1 are 1, 1, 1"),
        ({"x": np.full((3, 4, 5), -1), "y": np.zeros((3, 2))}, "are -1, -1, -1, -1"),
        ({"x": np.full((3, 4, 5), 0.3), "y": np.zeros((3, 2))}, "are 0.3, 0.3, 0.3, 0.3"),
        ({"x": np.zeros((3, 4, 5)), "y": np.eye(3, 2) * 2}, "label 2 in 'y', of sequence 1 and"),
        ({"x": np.zeros((3, 4, 5)), "y": np.eye(3, 2, -1) * np.nan}, "label nan"),
    ],
)
def test_strange_arrays_are_refused(tmp_path: Path, arrays, problem: str):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InputError, match=problem):
        read_arrays([tmp_path / "a.npz"] * 3, channels="ACGT", bin=2)


def test_the_first_bad_base_is_reported_in_either_layout(trio):
    file: Any = h5py.File(trio[0], "r+")
    file["trainxdata"][17, :, 40] = [0, 1, 1, 0]
    file["trainxdata"][16, :, 41] = [0, 0, 9, 0]
    file.close()
    assert "base 18 of sequence 41 are 0, 1, 1, 0" in refusal(trio)
    file = h5py.File(trio[0], "r+")
    file["trainxdata"][16:18, :, 40:42] = np.array([1, 0, 0, 0])[:, None]
    file["traindata"][11, 9] = 7
    file.close()
    assert "label 7 in 'traindata', of sequence 10 and track 12" in refusal(trio)


def test_files_that_do_not_match_are_refused(trio, tmp_path: Path, write_deepsea_files):
    other = write_deepsea_files(tmp_path / "other", ROWS, tracks=TRACKS, length=210)
    fewer = write_deepsea_files(tmp_path / "fewer", ROWS, tracks=TRACKS - 1, length=LENGTH)
    assert "has 210 bases per sequence, but" in refusal([trio[0], other[1], trio[2]])
    assert "has 18 tracks, but" in refusal([*trio[:2], fewer[2]])
    assert "has the test split, and so does" in refusal([trio[2], trio[2]])
    (tmp_path / "names.txt").write_text("one\ntwo\n")
    assert "2 names for 19 tracks" in refusal(trio, names=tmp_path / "names.txt")
    (tmp_path / "names.txt").write_text("one\ta\tb\n" * 19)
    assert "line 1: 3 columns" in refusal(trio, names=tmp_path / "names.txt")
    assert "is not an order of channels" in refusal(trio, channels="ACGU")
    assert "a bin of 300 bases does not fit" in refusal(trio, bin=300)
    (tmp_path / "text.mat").write_text("no such thing")
    assert "neither HDF5, MATLAB v5 or v7.3, nor npz" in refusal([tmp_path / "text.mat"])
    np.savez(tmp_path / "a.npz", x=np.zeros((3, 4, 5)), y=np.zeros((3, 2)))
    assert "the order of the channels of 'x' is not known" in refusal([tmp_path / "a.npz"] * 3)
    message = refusal([tmp_path / "a.npz"], channels="ACGT")
    assert "the split of these arrays is not known" in message


def test_no_partial_file_is_left_behind(trio, tmp_path: Path):
    (tmp_path / "names.txt").write_text("one\n")
    with pytest.raises(InputError, match="1 names for 19 tracks"):
        convert_dataset(tmp_path / "out.h5", trio, names=tmp_path / "names.txt")
    assert not list(tmp_path.glob("*out.h5*"))
    convert_dataset(tmp_path / "out.h5", trio)
    with pytest.raises(InputError, match="exists already"):
        convert_dataset(tmp_path / "out.h5", trio)
