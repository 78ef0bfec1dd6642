from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq.datasets import Dataset
from danq.datasets import dataset_format as layout
from danq.errors import InputError
from danq.files.sealed_hdf5 import seal_of

FLIP = np.array([3, 2, 1, 0, 4], dtype=np.uint8)


def plain_window(contigs: dict[str, np.ndarray], dataset: Dataset, index: int, shift: int = 0):
    """Bases of a window by slicing a padded contig."""
    codes = contigs[dataset.genome.names[dataset.contig[index]]]
    padded = np.pad(codes, 2_000, constant_values=4)
    start = dataset.start[index] + dataset.bin // 2 - dataset.window // 2 + shift + 2_000
    return padded[start : start + dataset.window]


def test_codes_are_centred_shifted_and_flipped(dataset: Dataset, contigs):
    rng = np.random.default_rng(0)
    indices = rng.permutation(90)
    reverse, shift = rng.random(90) < 0.5, rng.integers(-40, 41, 90)
    for got, index in zip(dataset.codes(indices), indices, strict=True):
        np.testing.assert_array_equal(got, plain_window(contigs, dataset, index))
    changed = dataset.codes(indices, reverse, shift)
    assert changed.dtype == np.uint8
    for row, index in enumerate(indices):
        forward = plain_window(contigs, dataset, index, shift[row])
        expected = FLIP[forward[::-1]] if reverse[row] else forward
        np.testing.assert_array_equal(changed[row], expected)


def test_labels_positives_and_indices(dataset: Dataset):
    labels = np.unpackbits(dataset.packed, axis=1, count=11, bitorder="little")
    np.testing.assert_array_equal(dataset.labels([5, 0, 5]), labels[[5, 0, 5]])
    np.testing.assert_array_equal(dataset.indices("valid"), np.arange(50, 80))
    np.testing.assert_array_equal(dataset.positives("test"), labels[80:].sum(axis=0))


def test_save_and_open_keep_everything(dataset: Dataset, tmp_path: Path):
    path = tmp_path / "set.h5"
    dataset.save(path)
    back = Dataset.open(path)
    assert back.path == path
    for name in ("contig", "start", "split", "packed", "peaks"):
        np.testing.assert_array_equal(getattr(back, name), getattr(dataset, name))
    for name in ("tracks", "groups", "sources", "window", "bin", "stride", "min_overlap", "build"):
        assert getattr(back, name) == getattr(dataset, name)
    assert back.genome.sha256 == dataset.genome.sha256
    assert back.sha256 == dataset.sha256 == dataclasses.replace(back, path=None).sha256
    np.testing.assert_array_equal(back.codes(np.arange(90)), dataset.codes(np.arange(90)))
    assert list(tmp_path.iterdir()) == [path]


def test_the_file_follows_its_format(dataset: Dataset, tmp_path: Path):
    dataset.save(tmp_path / "set.h5")
    with h5py.File(tmp_path / "set.h5") as file:
        assert file.attrs["magic"] == "danq-dataset"
        assert file.attrs["format_version"] == 5
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if hasattr(item, "shape") else None)
        assert set(names) == {*layout.ARRAYS, *layout.TEXTS}
        assert {name: file[name].dtype.str for name in layout.ARRAYS} == layout.ARRAYS
        assert file["labels"].shape == (90, 2)


@pytest.mark.parametrize("change", ["packed", "start", "window", "genome"])
def test_the_checksum_depends_on_the_content(dataset: Dataset, change: str):
    other = {
        "packed": dataset.packed ^ 1,
        "start": dataset.start + 1,
        "window": 501,
        "genome": dataclasses.replace(dataset.genome, bases=dataset.genome.bases ^ 1),
    }[change]
    assert dataclasses.replace(dataset, **{change: other}).sha256 != dataset.sha256


def test_an_existing_file_is_replaced_only_on_request(dataset: Dataset, tmp_path: Path):
    path = tmp_path / "set.h5"
    path.write_text("mine")
    with pytest.raises(InputError, match=r"set.h5: exists already"):
        dataset.save(path)
    assert path.read_text() == "mine"
    dataset.save(path, overwrite=True)
    assert len(Dataset.open(path)) == 90


@pytest.fixture
def saved(dataset: Dataset, tmp_path: Path) -> Path:
    dataset.save(tmp_path / "set.h5")
    return tmp_path / "set.h5"


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"gone.h5: no such file"):
        Dataset.open(tmp_path / "gone.h5")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"chr1\t0\t200\n", "is a text file, not a dataset of danq"),
        (b"\x89HDF", "is a file of an unknown format, not a dataset of danq"),
    ],
)
def test_a_file_that_is_not_hdf5_is_refused(tmp_path: Path, content: bytes, message: str):
    (tmp_path / "set.h5").write_bytes(content)
    with pytest.raises(InputError, match=f"set.h5: {message}"):
        Dataset.open(tmp_path / "set.h5")


@pytest.mark.parametrize("part", [0.3, 0.9, 0.999])
def test_a_truncated_file_is_refused(saved: Path, part: float):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(InputError, match=r"set.h5: the file is truncated"):
        Dataset.open(saved)


@pytest.mark.parametrize("sealed", [False, True])
def test_damaged_labels_are_refused(saved: Path, sealed: bool):
    with h5py.File(saved) as file:
        place = file["labels"].id.get_chunk_info(0)
    whole = bytearray(saved.read_bytes())
    whole[place.byte_offset : place.byte_offset + place.size] = b"\xff" * place.size
    saved.write_bytes(whole)
    if not sealed:
        with pytest.raises(InputError, match=r"set.h5: the file is damaged: its content does not"):
            Dataset.open(saved)
    reseal(saved)
    with pytest.raises(InputError, match=r"set.h5: HDF5 cannot read it"):
        Dataset.open(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.attrs.__delitem__("magic"), "without the attribute magic"),
        (lambda file: file.attrs.__setitem__("magic", "cooler"), "without the attribute magic"),
        (
            lambda file: file.attrs.__setitem__("format_version", 1),
            "is of format version 1, but this version of danq reads version 5",
        ),
        (lambda file: file.attrs.__delitem__("window"), "the attribute window is missing"),
        (lambda file: file.__delitem__("labels"), "/labels is missing"),
        (lambda file: file.__delitem__("genome"), "/genome/length is missing"),
        (lambda file: replace(file, "windows/split", np.zeros(90)), "/windows/split is float64"),
        (lambda file: replace(file, "labels", np.zeros((90, 3), np.uint8)), r"shape \(90, 3\)"),
        (lambda file: replace(file, "windows/start", np.zeros(89, np.int64)), "differ in length"),
        (lambda file: replace(file, "windows/contig", np.full(90, 3, np.uint32)), "contig number"),
        (lambda file: replace(file, "windows/split", np.full(90, 3, np.uint8)), "split number 3"),
        (lambda file: put(file, "genome/offset", 1, 0), "bases from byte 0 overlap the next"),
        (lambda file: put(file, "genome/offset", 2, 1 << 40), "outside the .* bytes of the genome"),
        (lambda file: put(file, "genome/offset", 0, -4), "outside the .* bytes of the genome"),
        (lambda file: put(file, "genome/length", 2, 1 << 62), "outside the .* bytes of the genome"),
        (lambda file: put(file, "genome/length", 2, -1), "outside the .* bytes of the genome"),
        (lambda file: put(file, "genome/length", 2, 3_100), "outside the .* bytes of the genome"),
        (lambda file: replace(file, "genome/length", np.zeros(2, np.int64)), "offsets of contigs"),
        (lambda file: replace(file, "genome/length", np.zeros((3, 1), np.int64)), "not int64"),
        (lambda file: replace(file, "genome/bases", np.zeros((3, 1), np.uint8)), "bases are uint8"),
        (lambda file: put(file, "genome/n_start", 0, 7_800), "the run of N from 7,800 to 7,700"),
        (lambda file: put(file, "genome/n_end", 0, 1 << 50), "or not inside a contig"),
        (lambda file: put(file, "genome/n_start", 0, -8), "or not inside a contig"),
        (lambda file: replace(file, "genome/n_end", np.zeros(0, np.int64)), "starts and ends"),
        (lambda file: put(file, "windows/start", 5, -1), "the bin of window 5 starts at -1, which"),
        (lambda file: put(file, "windows/start", 5, 6_000), "the bin of window 5 starts at 6,000"),
        (lambda file: put(file, "windows/start", 5, 1 << 62), "the bin of window 5 starts at"),
        (lambda file: put(file, "labels", (3, 1), 8), "labels are set beyond the last track"),
        (lambda file: put(file, "tracks/peaks", 3, -1), "the number of peaks of a track is -1"),
        (lambda file: put(file, "tracks/kind", 3, 1), "/tracks/kind does not match the peaks"),
        (lambda file: attribute(file, "oriented", 2), "oriented is .*2.*, not a whole number"),
        (lambda file: attribute(file, "profile_step", -1), "profile_step is .*-1.*, not a whole"),
        (lambda file: put(file, "tracks/name", 1, b"track0"), "two tracks have the same name"),
        (lambda file: put(file, "genome/name", 1, b"one"), "two contigs have the same name"),
        (lambda file: put(file, "tracks/name", 1, b"a\nb"), "which cannot be printed"),
        (lambda file: put(file, "tracks/name", 1, b"\xed\xa0\x80"), "can't decode byte"),
        (
            lambda file: replace(file, "tracks/name", np.array(["t"] * 11, object)),
            "/tracks/name is not a list of texts of fixed length",
        ),
        (lambda file: attribute(file, "window", 0), "window is .*0.*, not a whole number"),
        (lambda file: attribute(file, "bin", 2.5), "bin is .*2.5.*, not a whole number"),
        (lambda file: attribute(file, "bin", 600), "the bin of 600 bases is larger than"),
        (lambda file: attribute(file, "stride", 1 << 40), "stride is .*, not a whole number"),
        (lambda file: attribute(file, "stride", [1, 2]), "stride is .*, not a whole number"),
        (lambda file: attribute(file, "min_overlap", np.nan), "min_overlap is nan, not a number"),
        (lambda file: attribute(file, "min_overlap", "x"), "min_overlap is 'x', not a number"),
        (lambda file: attribute(file, "build", "[]"), "build is not a JSON object"),
        (lambda file: attribute(file, "build", 3), "build is int, not text"),
        (lambda file: attribute(file, "build", "[" * 50_000), "build is nested too deeply"),
        (lambda file: attribute(file, "build", '{"a": NaN}'), "build contains NaN"),
        (lambda file: attribute(file, "build", '{"standalone": 1}'), "neither true nor false"),
        (lambda file: huge(file, "labels", (1 << 40, 2)), "but only 0 are stored"),
        (lambda file: virtual(file, "labels"), "the values of /labels are in another file"),
        (lambda file: external(file, "labels"), "the values of /labels are in another file"),
    ],
)
def test_another_or_incomplete_file_is_refused(saved: Path, change, message: str):
    with h5py.File(saved, "r+") as file:
        change(file)
    reseal(saved)
    with pytest.raises(InputError, match=message) as caught:
        Dataset.open(saved)
    assert caught.value.file == str(saved)


def reseal(path: Path) -> None:
    """Give a changed file a right seal."""
    with path.open("r+b") as file:
        block = seal_of(file, layout.KIND)
        file.seek(0)
        file.write(block)


def put(file: h5py.File, name: str, at: object, value: object) -> None:
    array = file[name][()]
    array[at] = value
    file[name][...] = np.asarray(array, file[name].dtype)


def attribute(file: h5py.File, name: str, value: object) -> None:
    file.attrs[name] = value


def huge(file: h5py.File, name: str, shape: tuple[int, ...]) -> None:
    del file[name]
    file.create_dataset(name, shape, np.uint8, chunks=(1 << 14, 2), compression="gzip")


def virtual(file: h5py.File, name: str) -> None:
    del file[name]
    layout = h5py.VirtualLayout((90, 2), np.uint8)
    layout[:] = h5py.VirtualSource("other.h5", "x", (90, 2))
    file.create_virtual_dataset(name, layout)


def external(file: h5py.File, name: str) -> None:
    del file[name]
    file.create_dataset(name, (90, 2), np.uint8, external=[("/etc/hostname", 0, 180)])


def replace(file: h5py.File, name: str, array: np.ndarray) -> None:
    del file[name]
    file[name] = array


@pytest.mark.parametrize("indices", [[-1], [90], [[0, 1]]])
def test_window_indices_out_of_range_are_refused(dataset: Dataset, indices):
    with pytest.raises(InputError, match="window ind"):
        dataset.codes(indices)
    with pytest.raises(InputError, match="window ind"):
        dataset.labels(indices)


def test_an_unknown_split_is_refused(dataset: Dataset):
    with pytest.raises(InputError, match="no split 'dev'. The splits are train, valid, test"):
        dataset.indices("dev")
    with pytest.raises(InputError, match="no split 'dev'"):
        dataset.positives("dev")


def test_amounts_are_stored_and_read(amounts: Dataset, profiles: Dataset, tmp_path: Path):
    for name, data, kind in (("a", amounts, "amounts"), ("p", profiles, "profiles")):
        data.save(tmp_path / f"{name}.h5")
        back = Dataset.open(tmp_path / f"{name}.h5")
        assert back.targets == data.targets
        assert [group.kind for group in back.targets] == ["peaks", kind]
        assert back.units == data.units
        assert (back.tracks, back.oriented) == (data.tracks, name == "a")
        rows = np.array([7, 2, 80])
        measured = data.measured
        assert measured is not None
        np.testing.assert_array_equal(back.amounts(rows), measured.values[rows])
        np.testing.assert_array_equal(back.labels(rows), data.labels(rows))
        together = back.target_values(rows)
        assert together.dtype == np.float32
        assert together.shape == (3, sum(group.columns for group in back.targets))
        np.testing.assert_array_equal(together[:, :11], data.labels(rows))
        np.testing.assert_array_equal(together[:, 11:], measured.values[rows].reshape(3, -1))
        assert back.sha256 == data.sha256
    assert back.measured is not None
    assert (back.measured.values.shape, back.measured.step) == ((90, 2, 10), 20)
    np.testing.assert_array_equal(back.lengths([3]), [500])
    np.testing.assert_array_equal(back.weights([3]), [1])
    assert back.folds is None


def test_values_of_windows_are_stored_and_read(amounts: Dataset, tmp_path: Path):
    amounts.save(tmp_path / "a.h5")
    back, given = Dataset.open(tmp_path / "a.h5"), amounts.values
    assert given.lengths is not None
    assert given.weights is not None
    np.testing.assert_array_equal(back.lengths([5, 1]), given.lengths[[5, 1]])
    np.testing.assert_array_equal(back.weights([5, 1]), given.weights[[5, 1]])
    np.testing.assert_array_equal(back.folds, given.folds)
    assert back.values.fold_names == ("a", "b", "c")


def test_the_reverse_strand_reverses_the_steps_of_profiles(profiles: Dataset, amounts: Dataset):
    assert profiles.measured is not None
    values = profiles.measured.values
    found = profiles.amounts([4, 9], [True, False])
    np.testing.assert_array_equal(found, [values[4, :, ::-1], values[9]])
    np.testing.assert_array_equal(values, profiles.measured.values)
    np.testing.assert_array_equal(amounts.amounts([4], [True]), amounts.amounts([4]))


def test_the_checksum_depends_on_amounts_and_values(amounts: Dataset, dataset: Dataset):
    measured, values = amounts.measured, amounts.values
    assert measured is not None
    assert values.weights is not None
    others = [
        dataset,
        dataclasses.replace(amounts, oriented=False),
        dataclasses.replace(
            amounts, measured=dataclasses.replace(measured, values=measured.values + 1)
        ),
        dataclasses.replace(
            amounts, measured=dataclasses.replace(measured, units=measured.units[::-1])
        ),
        dataclasses.replace(
            amounts, values=dataclasses.replace(values, weights=values.weights + 1)
        ),
        dataclasses.replace(
            amounts, values=dataclasses.replace(values, fold_names=("a", "b", "d"))
        ),
    ]
    assert len({amounts.sha256, *(other.sha256 for other in others)}) == 7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda file: file.__delitem__("amounts/values"), "/amounts/values is missing"),
        (lambda file: file.__delitem__("amounts/unit"), "/amounts/unit is missing"),
        (lambda file: file.__delitem__("amounts"), "/tracks/kind does not match"),
        (lambda file: put(file, "amounts/values", (3, 1), np.inf), "track 2 and window 3 is inf"),
        (lambda file: put(file, "amounts/values", (3, 1), -1), "track 2 is negative, but those of"),
        (lambda file: put(file, "amounts/scale", 0, 0), "/amounts/scale: .*greater than 0"),
        (lambda file: put(file, "amounts/scale", 0, np.nan), "/amounts/scale: .*finite"),
        (lambda file: put(file, "amounts/transform", 1, b"sqrt"), "/amounts/transform: .*log1p"),
        (lambda file: put(file, "amounts/unit", 1, b"a\nb"), "/amounts/unit: .*the unit"),
        (
            lambda file: replace(file, "amounts/values", np.zeros((89, 2), np.float32)),
            "amounts of 89 windows, not 90",
        ),
        (
            lambda file: replace(file, "amounts/values", np.zeros((90, 3), np.float32)),
            "amounts of 3 tracks, but 2 units",
        ),
        (lambda file: replace(file, "amounts/values", np.zeros((90, 2))), "is float64, not float"),
        (lambda file: attribute(file, "profile_step", 20), "shape .* with steps of 20 bases"),
        (lambda file: put(file, "windows/length", 3, 501), "length of a sequence is not from 1"),
        (lambda file: put(file, "windows/length", 3, 0), "length of a sequence is not from 1"),
        (lambda file: put(file, "windows/weight", 3, -1), "weight of a window is not a number"),
        (lambda file: put(file, "windows/weight", 3, np.nan), "weight of a window is not a number"),
        (lambda file: put(file, "windows/fold", 3, 3), "folds of a window are not from 0 to 2"),
        (lambda file: put(file, "folds/name", 1, b"a"), "two folds have the same name"),
        (lambda file: file.__delitem__("folds"), "folds without names"),
        (
            lambda file: replace(file, "windows/weight", np.ones(89, np.float32)),
            r"weights of \(89,\) for 90 windows",
        ),
    ],
)
def test_wrong_amounts_are_refused(amounts: Dataset, tmp_path: Path, change, message: str):
    path = tmp_path / "a.h5"
    amounts.save(path)
    with h5py.File(path, "r+") as file:
        change(file)
    reseal(path)
    with pytest.raises(InputError, match=message) as caught:
        Dataset.open(path)
    assert caught.value.file == str(path)


def test_profiles_that_do_not_fill_their_bin_are_refused(profiles: Dataset, tmp_path: Path):
    path = tmp_path / "p.h5"
    profiles.save(path)
    with h5py.File(path, "r+") as file:
        file.attrs["profile_step"] = 10
    reseal(path)
    with pytest.raises(InputError, match="10 steps of 10 bases, but a bin has 200"):
        Dataset.open(path)
