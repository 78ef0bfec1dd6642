"""What outputs hold, to compare two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py

from danq.output.folder_marker import MARKER


def output_content(path: Path) -> Any:
    """Bytes of a file, or of each file of a folder; names, types and values of an HDF5 file."""
    if path.is_dir():
        return {one.name: output_content(one) for one in path.iterdir() if one.name != MARKER}
    if path.suffix != ".h5":
        return path.read_bytes()
    found: dict[str, Any] = {}

    def note(name: str, part: h5py.Group | h5py.Dataset) -> None:
        found[name] = dict(part.attrs)
        if isinstance(part, h5py.Dataset):
            values = part[()]
            values = values.tolist() if part.dtype.kind == "O" else values.tobytes()
            found[name] |= {"values": values, "type": part.dtype, "chunks": part.chunks}

    with h5py.File(path) as file:
        file.visititems(note)
        return {"": dict(file.attrs), **found}
