"""The arrays of files that danq writes, for comparison."""

from __future__ import annotations

import io

import h5py
import safetensors.numpy


def stored_arrays(name: str, content: bytes) -> dict[str, object] | None:
    """Values of each array of a file by its name; None for files without arrays."""
    if name.endswith((".safetensors", ".ckpt")):
        return {key: value.tolist() for key, value in safetensors.numpy.load(content).items()}
    if not name.endswith(".h5"):
        return None
    arrays: dict[str, object] = {}

    def add(key: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[key] = item[()].tolist()

    with h5py.File(io.BytesIO(content)) as file:
        file.visititems(add)
    return arrays
