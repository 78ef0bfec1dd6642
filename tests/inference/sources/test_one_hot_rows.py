from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io

from danq.errors import InputError
from danq.inference import predict, write_predictions
from danq.inference.sources import OneHotFile, source_from_options

WINDOW = 20


@pytest.fixture
def codes() -> np.ndarray:
    rng = np.random.default_rng(0)
    found = rng.integers(0, 4, (70, WINDOW), np.uint8)
    found[rng.random(found.shape) < 0.05] = 4
    return found


def hot(codes: np.ndarray, order: str = "AGCT") -> np.ndarray:
    letters = np.array(["ACGT".index(letter) for letter in order])
    return (codes[:, None, :] == letters[:, None]).astype(np.uint8)


def texts(codes: np.ndarray) -> dict[str, str]:
    return {str(n): "".join(np.array(list("ACGTN"))[row]) for n, row in enumerate(codes, start=1)}


def write_h5(path: Path, name: str, x: np.ndarray) -> Path:
    with h5py.File(path, "w") as file:
        file[name] = x
    return path


def test_every_array_order_agrees_with_fasta(codes, toy, tmp_path: Path, write_fasta):
    model = toy().with_options(batch_size=9)
    expected = predict(model, write_fasta(texts(codes))).to_polars()
    files = {
        write_h5(tmp_path / "a.h5", "testxdata", hot(codes)): None,
        write_h5(tmp_path / "b.h5", "testxdata", hot(codes).transpose(2, 1, 0)): None,
        write_h5(tmp_path / "c.h5", "seqs", hot(codes, "TGCA").transpose(0, 2, 1)): "TGCA",
    }
    scipy.io.savemat(tmp_path / "d.mat", {"testxdata": hot(codes), "testdata": np.ones((70, 2))})
    np.savez(tmp_path / "e.npz", x=hot(codes, "ACGT"))
    files |= {tmp_path / "d.mat": None, tmp_path / "e.npz": "acgt"}
    for path, channels in files.items():
        found = predict(model, OneHotFile(path, channels)).to_polars()
        assert found.equals(expected), path


def test_the_axes_of_a_square_array(codes, toy, tmp_path: Path):
    x = hot(codes[:WINDOW])
    expected = predict(toy(), write_h5(tmp_path / "a.h5", "testxdata", x)).values
    scipy.io.savemat(tmp_path / "d.mat", {"testxdata": x})
    np.testing.assert_array_equal(predict(toy(), tmp_path / "d.mat").values, expected)


def test_the_format_deepsea_has_only_probabilities(codes, toy, tmp_path: Path, full_disk):
    path = write_h5(tmp_path / "a.h5", "testxdata", hot(codes))
    values = predict(toy(), path).values
    model = toy().with_options(batch_size=8)
    done = write_predictions(model, path, tmp_path / "out.h5", format="deepsea")
    assert done.rows == 70
    with h5py.File(tmp_path / "out.h5") as file:
        assert list(file) == ["pred"]
        pred = file["pred"]
        assert isinstance(pred, h5py.Dataset)
        np.testing.assert_array_equal(pred[()], values)
        assert pred.dtype == np.float32
    with pytest.raises(InputError, match="exists already"):
        write_predictions(toy(), path, tmp_path / "out.h5", format="deepsea")
    both = [toy(), toy()]
    write_predictions(both, path, tmp_path / "out.h5", format="deepsea", overwrite=True)
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["pred"].shape == (70, 3)  # pyright: ignore[reportAttributeAccessIssue]
    with full_disk(200), pytest.raises(InputError, match="cannot be written"):
        write_predictions(toy(), path, tmp_path / "full.h5", format="deepsea")
    assert not list(tmp_path.glob("*full*"))


def test_bad_arrays_and_options_are_refused(codes, toy, tmp_path: Path, genome: Path):
    def refusal(path: Path, **options) -> str:
        with pytest.raises(InputError) as error:
            predict(toy(), source_from_options(path, **options))
        return str(error.value)

    path = write_h5(tmp_path / "a.h5", "testxdata", hot(codes))
    assert "which go without a tile" in refusal(path, tile=5)
    assert "which go without a chrom map" in refusal(path, chrom_map=genome)
    assert "this holds no one-hot arrays" in refusal(genome, channels="ACGT")
    assert "'ACGG' is not an order" in refusal(path, channels="ACGG")
    short = write_h5(tmp_path / "b.h5", "testxdata", hot(codes[:, :19]))
    assert "no sequences of the model's 20 bases" in refusal(short)
    assert "not one array of sequences but 0" in refusal(write_h5(tmp_path / "c.h5", "x", codes))
    other = write_h5(tmp_path / "d.h5", "x", hot(codes))
    assert "the order of the channels of 'x' is not known" in refusal(other)
    bad = hot(codes)
    bad[3, :, 7] = 1
    message = refusal(write_h5(tmp_path / "e.h5", "testxdata", bad))
    assert "base 8 of sequence 4 are 1, 1, 1, 1" in message


def test_bad_formats_are_refused(codes, toy, tmp_path: Path):
    path = write_h5(tmp_path / "a.h5", "testxdata", hot(codes))
    with pytest.raises(InputError, match="DeepSEA's format is HDF5"):
        write_predictions(toy(), path, tmp_path / "o.tsv", format="deepsea")
    with pytest.raises(InputError, match="no output format of predictions is named 'x'"):
        write_predictions(toy(), path, tmp_path / "o.h5", format="x")
