"""Files of weights by others that are damaged, or made to do harm."""

from __future__ import annotations

import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import safetensors.torch
import torch

from danq.errors import InputError
from danq.models.weight_import import import_weights
from danq.models.weight_import.torch_tensors import read_tensors
from tests.models.test_import_keras import POOL, SMALL, small
from tests.models.test_import_torch import OPTIONS, SeleneDanQ, checkpoint, shaken

FORMAT = next(iter(POOL))
TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2)}


def test_any_flipped_bit_is_read_or_refused_in_words(tmp_path):
    rng = np.random.default_rng(3)
    torch.save(TENSORS, tmp_path / "a.pt")
    torch.save(TENSORS, tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(TENSORS, tmp_path / "a.safetensors")
    refused = 0
    for name in ("a.pt", "old.pt", "a.safetensors"):
        path = tmp_path / name
        content = path.read_bytes()
        for index in rng.choice(len(content), min(len(content), 400), replace=False):
            changed = bytearray(content)
            changed[index] ^= 1 << int(rng.integers(8))
            path.write_bytes(changed)
            try:
                found = read_tensors(path)
            except InputError:
                refused += 1
            else:
                assert all(isinstance(one, torch.Tensor) for one in found.values())
    assert refused > 100


def test_a_dictionary_that_contains_itself_ends(tmp_path):
    endless: dict = {}
    endless["state_dict"] = endless
    torch.save(endless, tmp_path / "a.pt")
    with pytest.raises(InputError, match="has no named tensors"):
        read_tensors(tmp_path / "a.pt")


def test_tensors_that_do_not_store_their_values_are_refused(tmp_path):
    for value, message in (
        (torch.zeros(1).expand(10**12), r"has the shape \(1000000000000,\), but fewer values"),
        (torch.eye(3).to_sparse(), "is a sparse, quantised or empty tensor"),
        (torch.empty(3, device="meta"), "is a sparse, quantised or empty tensor"),
    ):
        torch.save({"x": value}, tmp_path / "a.pt")
        started = time.monotonic()
        with pytest.raises(InputError, match=f"record 'x': {message}"):
            read_tensors(tmp_path / "a.pt")
        assert time.monotonic() - started < 5


def test_an_archive_that_would_fill_the_memory_is_refused(tmp_path):
    torch.save(TENSORS, tmp_path / "a.pt")
    with (
        zipfile.ZipFile(tmp_path / "a.pt") as source,
        zipfile.ZipFile(tmp_path / "b.pt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
        target.writestr("a/data/2", b"\0" * (200 << 20))
    with pytest.raises(InputError, match="would unpack to 209,7"):
        read_tensors(tmp_path / "b.pt")


def test_a_number_that_is_too_large_is_refused(tmp_path):
    module = shaken(SeleneDanQ()).double()
    module.state_dict()["classifier.3.bias"][0] = 1e300
    checkpoint(tmp_path / "a.pt", module)
    with pytest.raises(InputError, match="holds NaN or an infinite number"):
        import_weights(
            tmp_path / "a.pt", tmp_path / "out.safetensors", format="selene-danq", **OPTIONS
        )
    assert not (tmp_path / "out.safetensors").exists()


def keras(tmp_path: Path) -> Path:
    return small(FORMAT).write(tmp_path / "a.hdf5")


def import_keras(path: Path) -> None:
    import_weights(path, path.with_suffix(".safetensors"), format=FORMAT, layout=SMALL)


@pytest.mark.parametrize("kind", ["link", "soft", "external data", "huge", "float64"])
def test_arrays_from_elsewhere_and_huge_ones_are_refused(kind, tmp_path):
    path = keras(tmp_path)
    (tmp_path / "secret").write_bytes(b"\0" * 4096)
    with h5py.File(path, "r+") as file:
        group, old = file["layer_0"], file["layer_0/param_1"]
        shape, value = old.shape, old[()]
        del group["param_1"]
        if kind == "link":
            group["param_1"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "x")
            with h5py.File(tmp_path / "other.h5", "w") as other:
                other["x"] = value
        elif kind == "soft":
            group["copy"] = value
            group["param_1"] = h5py.SoftLink("/layer_0/copy")
        elif kind == "external data":
            group.create_dataset(
                "param_1", shape, "f4", external=[(str(tmp_path / "secret"), 0, 4096)]
            )
        elif kind == "huge":
            group.create_dataset("param_1", (10**12,), "f4", chunks=(1024,))
        else:
            group["param_1"] = np.full(shape, 1e300)
    message = {
        "external data": "the values of /layer_0/param_1 are in another file",
        "huge": "has 4,000,000,000,000 bytes of values, but only 0 are stored",
        "float64": "too large for float32",
    }
    with pytest.raises(InputError, match=message.get(kind, "an array is missing, or is a link")):
        import_keras(path)
