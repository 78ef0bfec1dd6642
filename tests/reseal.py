"""Change a sealed file, and give it the right checksum again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from danq.files.sealed_hdf5 import seal_of

BEFORE = b'{"__metadata__":{"sha256":"'


def sealed(header: bytes, data: bytes) -> bytes:
    """A file whose header begins as it should, with the right checksum."""
    assert header.startswith(BEFORE)
    content = len(header).to_bytes(8, "little") + header + data
    start = 8 + len(BEFORE)
    zeroed = content[:start] + b"0" * 64 + content[start + 64 :]
    return content[:start] + hashlib.sha256(zeroed).hexdigest().encode() + content[start + 64 :]


def split(path: Path) -> tuple[dict[str, Any], bytes]:
    """The header of a file as a dictionary, and its data."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header: dict[str, Any], data: bytes) -> bytes:
    """A sealed file; the opposite of `split`. Metadata are sorted."""
    metadata = header["__metadata__"]
    seal = {"sha256": metadata["sha256"]}
    header["__metadata__"] = seal | dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    return sealed(text + b" " * (-len(text) % 8), data)


def reseal(path: Path, change: Callable[[dict[str, Any], bytes], bytes | None]) -> None:
    """Change header (in place) and data (returned, if changed) of a file."""
    header, data = split(path)
    changed = change(header, data)
    path.write_bytes(join(header, data if changed is None else changed))


def change_fields(path: Path, key: str, **fields: Any) -> None:
    """Replace fields of a JSON object in the metadata of a file."""
    header, data = split(path)
    metadata = header["__metadata__"]
    metadata[key] = json.dumps(json.loads(metadata[key]) | fields)
    path.write_bytes(join(header, data))


def reseal_hdf5(path: Path) -> None:
    """Give a changed HDF5 file of danq the right checksum."""
    with path.open("r+b") as file:
        kind = file.readline().split()[3].decode()
        seal = seal_of(file, kind)
        file.seek(0)
        file.write(seal)
