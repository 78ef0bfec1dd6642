"""Commands refuse damaged and hostile files by name, and change nothing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from danq_cli.main import run
from tests.reseal import change_fields, reseal, reseal_hdf5
from tests.small_commands import CALLS, write_inputs

Change = Callable[[Path], object]


def put(file: str, name: str, at: int | tuple[int, ...], value: float) -> Change:
    """Change an element of an array of an HDF5 file, which has the right checksum."""

    def change(folder: Path) -> None:
        with h5py.File(folder / file, "a") as opened:
            opened[name][at] = value
        reseal_hdf5(folder / file)

    return change


def wide(folder: Path) -> None:
    """Values for a thousand times as many ranks."""
    path = folder / "background.h5"
    with h5py.File(path, "a") as file:
        for name in ("logit", "product"):
            values = np.tile(file[name][:], 1000)
            del file[name]
            file[name] = values
    reseal_hdf5(path)


def flip(file: str, name: str | None = None) -> Change:
    """Change one bit of a file, in an array of it or near its end."""

    def change(folder: Path) -> None:
        path = folder / file
        data = bytearray(path.read_bytes())
        at = len(data) - 9
        if name is not None:
            with h5py.File(path) as opened:
                array = opened[name]
                chunked = array.chunks is not None
                at = array.id.get_chunk_info(0).byte_offset if chunked else array.id.get_offset()
            at += 512 if data[at : at + 8] == b"\0" * 8 else 0
        data[at] ^= 1
        path.write_bytes(data)

    return change


def weight(code: str, value: float) -> Change:
    """Write the weights as another type, the first of them with another value."""

    def change(header: dict, data: bytes) -> bytes:
        values = np.frombuffer(data, np.float32).astype("float16" if code == "F16" else "float32")
        values[0] = value
        size, at = 4 if code == "F32" else 2, 0
        for name, entry in header.items():
            if name != "__metadata__":
                end = at + int(np.prod(entry["shape"])) * size
                entry.update(dtype=code, data_offsets=[at, end])
                at = end
        return values.tobytes()[:at]

    return lambda folder: reseal(folder / "model.safetensors", change)


def line_feed(folder: Path) -> None:
    change_fields(folder / "model.safetensors", "danq", tracks=["Re\nb1", "Abf1"])


def project(folder: Path) -> None:
    """A folder of somebody else that has a configuration, as a run has."""
    (folder / "OUT" / "content").mkdir(parents=True)
    (folder / "OUT" / "config.toml").write_text("baseURL = 'x'\n")
    (folder / "OUT" / "content" / "post.md").write_text("# Post\n")


def unfinished(folder: Path) -> None:
    """A folder of somebody else with the name of an unfinished run."""
    (folder / "OUT.tsv.unfinished").mkdir()
    (folder / "OUT.tsv.unfinished" / "journal.jsonl").write_text("my journal")
    (folder / "OUT.tsv.unfinished" / "thesis.tex").write_text("precious\n")


EVALUATE, PREDICT, VARIANTS = (CALLS[name] for name in ("evaluate", "predict", "variants"))
TABLE, VCF = CALLS["variants:table"], VARIANTS.replace("OUT.tsv", "OUT.vcf.gz")
OUTSIDE = "data.h5.*record 'chr[123]': .* bases from byte .* or are outside the"
DAMAGED, NOT_FINITE = "is damaged: .*checksum", "contains NaN or an infinite number"
CASES: dict[str, tuple[Change, str, str]] = {
    "offset that ends the process": (
        put("data.h5", "genome/offset", 0, 1 << 62),
        f"evaluate {EVALUATE}",
        OUTSIDE,
    ),
    "offset beyond the bases": (
        put("data.h5", "genome/offset", 0, 5_000_000),
        f"evaluate {EVALUATE}",
        OUTSIDE,
    ),
    "offset below 0": (
        put("data.h5", "genome/offset", 0, -3000),
        f"evaluate {EVALUATE}",
        OUTSIDE,
    ),
    "length beyond the bases": (
        put("data.h5", "genome/length", 2, 10**7),
        f"evaluate {EVALUATE}",
        OUTSIDE,
    ),
    "window outside its contig": (
        put("data.h5", "windows/start", 0, 10**7),
        f"evaluate {EVALUATE}",
        "data.h5: .*the bin of window 0 starts at 10,000,000",
    ),
    "bit of the bases": (flip("data.h5", "genome/bases"), f"evaluate {EVALUATE}", "data.h5: "),
    "bit of the labels": (flip("data.h5", "labels"), f"evaluate {EVALUATE}", "data.h5: "),
    "bit of a weight": (flip("model.safetensors"), f"predict {PREDICT}", DAMAGED),
    "wide background": (wide, f"variants {VARIANTS}", "background.h5: .*'product' is float32"),
    "NaN in a background": (
        put("background.h5", "logit", (0, 3), np.nan),
        f"variants {VARIANTS}",
        "background.h5: .*'logit' has values that are not finite",
    ),
    "NaN weight, predict": (weight("F32", np.nan), f"predict {PREDICT}", NOT_FINITE),
    "NaN weight, variants": (weight("F32", np.nan), f"variants {TABLE}", NOT_FINITE),
    "infinite weight": (weight("F32", np.inf), f"variants {TABLE}", NOT_FINITE),
    "half precision": (weight("F16", 0), f"predict {PREDICT}", "is float16, not float32"),
    "bfloat16": (weight("BF16", 0), f"predict {PREDICT}", "does not have the form"),
    "line feed in a track, TSV": (line_feed, f"predict {PREDICT}", "cannot be printed"),
    "line feed in a track, VCF": (line_feed, f"variants {VCF}", "cannot be printed"),
    "folder of somebody else": (
        project,
        f"train {CALLS['train']} --overwrite",
        "OUT: holds no run of danq .*, so it is not replaced",
    ),
    "blocks of somebody else": (
        unfinished,
        f"variants {TABLE} --overwrite",
        "OUT.tsv.unfinished: is not an unfinished run of danq",
    ),
}


@pytest.fixture(scope="module")
def inputs(tmp_path_factory) -> Path:
    return write_inputs(tmp_path_factory.mktemp("inputs"))


@pytest.mark.parametrize("case", CASES)
def test_a_damaged_file_is_refused_by_name_and_nothing_changes(
    case: str, inputs: Path, tmp_path: Path, monkeypatch, capsys
):
    change, line, message = CASES[case]
    folder = tmp_path / "copy"
    shutil.copytree(inputs, folder)
    monkeypatch.chdir(folder)
    change(folder)
    before = contents(folder)
    assert run(line.split()) == 2
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert contents(folder) == before


def contents(folder: Path) -> dict[str, bytes | None]:
    """Content of every file, and None for every folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }
