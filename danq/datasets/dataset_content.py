"""Read the content of a dataset file, and write it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from pydantic import ValidationError

from danq._version import __version__
from danq.amounts import AmountUnit
from danq.datasets import dataset_checks as checks
from danq.datasets.dataset_format import (
    AMOUNT_ARRAYS,
    AMOUNT_TEXTS,
    ARRAYS,
    FOLD_TEXTS,
    FORMAT_VERSION,
    MAGIC,
    STRATUM_TEXTS,
    TEXTS,
    WINDOW_ARRAYS,
)
from danq.datasets.track_amounts import KINDS, Amounts, WindowValues
from danq.files.hdf5_input import Hdf5Input
from danq.genome.packed_genome import PackedGenome

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

ROWS_PER_CHUNK = 1 << 14
CHUNK_BYTES = 1 << 22


def read_content(file: Hdf5Input) -> dict[str, Any]:
    """Read the arguments of `danq.datasets.Dataset`, except its path.

    Parameters
    ----------
    file
        A dataset file that `danq.datasets.dataset_format.open_file` has checked.

    Raises
    ------
    InputError, ValueError
        When an array or attribute is missing, of another type, or does not match another one.
    """
    arrays = {name: file.read(name, dtype) for name, dtype in ARRAYS.items()}
    texts = {name: file.texts(name, fixed=True) for name in TEXTS}
    attributes = file.attributes
    measured = _read_amounts(file)
    kinds = np.zeros(len(arrays["tracks/peaks"]), np.uint8)
    if measured is not None:
        number = KINDS.index(measured.group.kind)
        kinds = np.append(kinds, np.full(len(measured.units), number, np.uint8))
    if not np.array_equal(kinds, arrays["tracks/kind"]):
        raise ValueError("/tracks/kind does not match the peaks and amounts")
    return {
        "genome": PackedGenome(
            names=texts["genome/name"],
            lengths=arrays["genome/length"],
            bases=arrays["genome/bases"],
            offsets=arrays["genome/offset"],
            n_start=arrays["genome/n_start"],
            n_end=arrays["genome/n_end"],
        ),
        "contig": arrays["windows/contig"],
        "start": arrays["windows/start"],
        "split": arrays["windows/split"],
        "packed": arrays["labels"],
        "tracks": texts["tracks/name"],
        "groups": texts["tracks/group"],
        "sources": texts["tracks/source"],
        "peaks": arrays["tracks/peaks"],
        "window": checks.whole_number(attributes, "window"),
        "bin": checks.whole_number(attributes, "bin"),
        "stride": checks.whole_number(attributes, "stride"),
        "min_overlap": checks.fraction(attributes, "min_overlap"),
        "build": checks.build_options(attributes),
        "measured": measured,
        "values": _read_values(file),
        "oriented": bool(checks.whole_number(attributes, "oriented", 0, 1)),
    }


def _read_amounts(file: Hdf5Input) -> Amounts | None:
    step = checks.whole_number(file.attributes, "profile_step", 0)
    if not any(name in file for name in (*AMOUNT_ARRAYS, *AMOUNT_TEXTS)):
        return None
    arrays = {name: file.read(name, dtype) for name, dtype in AMOUNT_ARRAYS.items()}
    unit, transform, replicates = (file.texts(name, fixed=True) for name in AMOUNT_TEXTS)
    fields = zip(unit, transform, arrays["amounts/scale"].tolist(), strict=True)
    try:
        units = tuple(
            AmountUnit.model_validate({"unit": name, "transform": how, "scale": scale})
            for name, how, scale in fields
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"/amounts/{first['loc'][0]}: {first['msg']}") from error
    reverse = tuple(arrays["amounts/reverse"].tolist())
    return Amounts(
        arrays["amounts/values"],
        units,
        step,
        () if reverse == (*range(len(reverse)),) else reverse,
        replicates if any(replicates) else (),
    )


def _read_values(file: Hdf5Input) -> WindowValues:
    length, weight, fold, stratum = (
        file.read(name, dtype) if name in file else None for name, dtype in WINDOW_ARRAYS.items()
    )
    folds, strata = (
        file.texts(name, fixed=True) if name in file else () for name in (FOLD_TEXTS, STRATUM_TEXTS)
    )
    return WindowValues(length, weight, fold, folds, stratum, strata)


def write_content(file: h5py.File, dataset: Dataset) -> None:
    """Write a dataset into an empty HDF5 file."""
    measured, values = dataset.measured, dataset.values
    attributes: dict[str, Any] = {
        "magic": MAGIC,
        "format_version": FORMAT_VERSION,
        "window": dataset.window,
        "bin": dataset.bin,
        "stride": dataset.stride,
        "min_overlap": float(dataset.min_overlap),
        "oriented": int(dataset.oriented),
        "profile_step": measured.step if measured else 0,
        "created_by": f"danq {__version__}",
        "build": json.dumps(dataset.build),
    }
    for name, value in attributes.items():
        file.attrs[name] = value
    genome = dataset.genome
    lists = (genome.names, dataset.tracks, dataset.groups, dataset.sources)
    texts: dict[str, tuple[str, ...]] = dict(zip(TEXTS, lists, strict=True))
    kinds = [KINDS.index(group.kind) for group in dataset.targets for _ in range(group.tracks)]
    plain = {
        "genome/length": genome.lengths,
        "genome/bases": genome.bases,
        "genome/offset": genome.offsets,
        "genome/n_start": genome.n_start,
        "genome/n_end": genome.n_end,
        "tracks/kind": np.array(kinds, np.uint8),
        "tracks/peaks": dataset.peaks,
    }
    compressed = {
        "windows/contig": dataset.contig,
        "windows/start": dataset.start,
        "windows/split": dataset.split,
        "labels": dataset.packed,
    }
    further = (values.lengths, values.weights, values.folds, values.strata)
    for name, array in zip(WINDOW_ARRAYS, further, strict=True):
        if array is not None:
            compressed[name] = array
    if values.folds is not None:
        texts[FOLD_TEXTS] = values.fold_names
    if values.strata is not None:
        texts[STRATUM_TEXTS] = values.strata_names
    if measured is not None:
        plain["amounts/scale"] = np.array([unit.scale for unit in measured.units])
        tracks = len(measured.units)
        plain["amounts/reverse"] = np.array(measured.reverse or range(tracks), np.int32)
        texts["amounts/replicates"] = measured.replicates or ("",) * tracks
        compressed["amounts/values"] = measured.values
        texts["amounts/unit"] = tuple(unit.unit for unit in measured.units)
        texts["amounts/transform"] = tuple(unit.transform for unit in measured.units)
    dtypes = {**ARRAYS, **WINDOW_ARRAYS, **AMOUNT_ARRAYS}
    for name, content in texts.items():
        _write_texts(file, name, content)
    for name, array in plain.items():
        file.create_dataset(name, data=array, dtype=dtypes[name])
    for name, array in compressed.items():
        _write_compressed(file, name, array, dtypes[name])


def _write_texts(file: h5py.File, name: str, texts: tuple[str, ...]) -> None:
    # Of fixed length: HDF5 can be made to loop forever by texts of variable length.
    encoded = [text.encode() for text in texts]
    kind = h5py.string_dtype("utf-8", max(map(len, encoded), default=0) or 1)
    packing = {"compression": "gzip", "compression_opts": 1} if encoded else {}
    file.create_dataset(name, data=np.array(encoded, kind), **packing)


def _write_compressed(file: h5py.File, name: str, array: np.ndarray, dtype: str) -> None:
    if 0 in array.shape[1:]:
        file.create_dataset(name, data=array, dtype=dtype)
        return
    row = max(1, math.prod(array.shape[1:]) * array.itemsize)
    rows = min(ROWS_PER_CHUNK, max(1, array.shape[0]), max(1, CHUNK_BYTES // row))
    file.create_dataset(
        name,
        data=array,
        dtype=dtype,
        chunks=(rows, *array.shape[1:]),
        compression="gzip",
        compression_opts=1,
        shuffle=array.itemsize > 1,
    )


def update_checksum(sha: Any, dataset: Dataset) -> None:
    """Add to a checksum what datasets of peaks do not have."""
    measured, values = dataset.measured, dataset.values
    arrays: dict[str, np.ndarray | None] = dict(
        zip(
            WINDOW_ARRAYS,
            (values.lengths, values.weights, values.folds, values.strata),
            strict=True,
        )
    )
    about: dict[str, Any] = {
        "oriented": dataset.oriented,
        "folds": values.fold_names,
        "strata": values.strata_names,
    }
    if measured is not None:
        arrays["amounts/values"] = measured.values
        about |= {
            "step": measured.step,
            "units": [one.model_dump() for one in measured.units],
            "reverse": measured.reverse,
            "replicates": measured.replicates,
        }
    found = {name: array for name, array in arrays.items() if array is not None}
    if not found and not dataset.oriented:
        return
    sha.update(json.dumps({**about, "arrays": list(found)}).encode())
    for name, array in found.items():
        dtype = {**WINDOW_ARRAYS, **AMOUNT_ARRAYS}[name]
        sha.update(np.ascontiguousarray(array, dtype=dtype).data)
