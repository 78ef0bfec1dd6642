from __future__ import annotations

import errno
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq.datasets.hdf5_writer import GuardedFile, create, writing


def fill(path: Path) -> None:
    with writing(path, "probe") as file:
        file.attrs["magic"] = "probe"
        file.create_dataset("plain", data=np.arange(20_000))
        file.create_dataset(
            "squeezed", data=np.arange(50_000) % 7, chunks=(1_000,), compression="gzip"
        )


def test_the_file_is_ordinary_hdf5(tmp_path: Path):
    fill(tmp_path / "set.h5")
    with h5py.File(tmp_path / "set.h5") as file:
        assert file.attrs["magic"] == "probe"
        np.testing.assert_array_equal(file["plain"][()], np.arange(20_000))
        np.testing.assert_array_equal(file["squeezed"][()], np.arange(50_000) % 7)


def test_an_existing_file_is_replaced(tmp_path: Path):
    (tmp_path / "set.h5").write_bytes(b"old" * 1_000_000)
    fill(tmp_path / "set.h5")
    with h5py.File(tmp_path / "set.h5") as file:
        assert set(file) == {"plain", "squeezed"}


@pytest.mark.parametrize("part", [0, 1e-5, 0.01, 0.1, 0.5, 0.9, 0.99])
def test_a_full_disk_is_an_error(tmp_path: Path, part: float, full_disk):
    fill(tmp_path / "whole.h5")
    limit = int(part * (tmp_path / "whole.h5").stat().st_size)
    with full_disk(limit), pytest.raises(OSError, match="File too large") as caught:
        fill(tmp_path / "set.h5")
    assert caught.value.errno == errno.EFBIG


def test_an_error_in_the_block_is_passed_on(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), writing(tmp_path / "set.h5", "probe") as file:
        file.attrs["magic"] = 1 // 0


def test_what_an_interrupt_leaves_open_is_closed_with_the_file(tmp_path: Path):
    (tmp_path / "other").mkdir()
    with h5py.File(tmp_path / "other" / "set.h5", "w") as other:
        with GuardedFile(tmp_path / "set.h5") as raw:
            left = create(raw)
            values = left.create_dataset("values", data=np.arange(20_000))
        assert not left
        assert not values
        assert other
    with h5py.File(tmp_path / "set.h5") as file:
        assert file["values"][-1] == 19_999
