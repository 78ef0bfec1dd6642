"""Read the file that `danq.write_attributions` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.hdf5_input import Hdf5Input
from danq.files.sealed_hdf5 import open_sealed
from danq.genome.nucleotide_codes import N
from danq.inference.writers.attribution_hdf5 import FORMAT_VERSION, KIND, MAGIC
from danq.inference.writers.attribution_layout import contributions
from danq.interpretation.attribution.attributions import Attributions
from danq.names import check_names
from danq.typing import Location

EXPECTED = "an attribution file of danq (HDF5)"
REMEDY = "Give the .h5 file of danq attribute. If this is one, copy it again or make it again"


def read_attributions(path: Location) -> Attributions:
    """Read attributions from the HDF5 file of `danq.write_attributions`.

    Parameters
    ----------
    path
        The file; docs/formats.md describes it.

    Raises
    ------
    InputError
        When the file is missing or damaged, is another kind of file, was written by another
        version of danq, or its arrays contradict each other.
    """
    path = Path(path)
    with open_sealed(path, KIND, EXPECTED, remedy=REMEDY) as file:
        about = file.attributes
        if about.get("magic") != MAGIC:
            raise InputError("is not an attribution file of danq", file=path, remedy=REMEDY)
        version = about.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"attribution format version {version}, this danq reads {FORMAT_VERSION}",
                file=path,
                remedy="Compute the attributions again",
            )
        return _content(file, about)


def _content(file: Hdf5Input, about: Mapping[str, Any]) -> Attributions:
    tracks = file.texts("tracks/name")
    check_names(tracks, "track", file=file.path)
    names, count = file.texts("sequences/name"), len(tracks)
    size = len(names)
    start = file.read("sequences/start", np.int64, (size,))
    end = file.read("sequences/end", np.int64, (size,))
    sequence = file.read("bases/sequence", np.uint32, (None,))
    position = file.read("bases/position", np.int64, sequence.shape)
    base = file.read("bases/base", np.uint8, sequence.shape)
    _check_bases(start, end, sequence, position)
    attributions = file.read("attributions", np.float32, (len(base), count))
    hypothetical = file.read("hypothetical", np.float32, (len(base), 4, count))
    _check_values(base, attributions, hypothetical)
    key = str(about["key"])
    if key not in ("chrom", "name"):
        raise ValueError(f"the key is '{key}', not 'chrom' or 'name'")
    found: dict[str, Any] = {}
    if "sequences/completeness" in file:
        for name in ("completeness", "difference"):
            found[name] = file.read(f"sequences/{name}", np.float32, (size, count))
    provenance = json.loads(str(about["provenance"]))
    if not isinstance(provenance, dict):
        raise ValueError("the provenance is not a JSON object")
    return Attributions(
        method=str(about["method"]),
        baseline=str(about["baseline"]),
        key=key,
        tracks=tracks,
        groups=file.texts("tracks/group"),
        sequences=pl.DataFrame(
            {key: names, "start": start, "end": end},
            schema={key: pl.String, "start": pl.Int64, "end": pl.Int64},
        ),
        sequence=sequence,
        position=position,
        base=base,
        attributions=attributions,
        hypothetical=hypothetical,
        provenance={str(name): str(value) for name, value in provenance.items()},
        **found,
    )


def _check_bases(
    start: np.ndarray, end: np.ndarray, sequence: np.ndarray, position: np.ndarray
) -> None:
    """Check that the bases are those of the sequences, in order.

    Raises
    ------
    ValueError
        When they are not.
    """
    sizes = end - start
    if (start < 0).any() or (sizes < 0).any() or (sizes > len(position)).any():
        raise ValueError("the sequences have impossible intervals")
    if int(sizes.sum()) != len(position):
        raise ValueError("the sequences have another number of bases than are stored")
    owner = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(position)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    if not np.array_equal(sequence, owner) or not np.array_equal(position, start[owner] + within):
        raise ValueError("the bases are not those of the sequences, in order")


def _check_values(base: np.ndarray, attributions: np.ndarray, hypothetical: np.ndarray) -> None:
    """Check that contributions are those of the bases.

    Raises
    ------
    ValueError
        When they are not, or are infinite, or are NaN for other bases than N.
    """
    if base.size and base.max() > N:
        raise ValueError(f"a base has the code {base.max()}")
    if not np.array_equal(attributions, contributions(hypothetical, base), equal_nan=True):
        raise ValueError("the attributions are not the hypothetical contributions of the bases")
    known = base != N
    if not np.isfinite(hypothetical[known]).all() or np.isfinite(hypothetical[~known]).any():
        raise ValueError("contributions are not finite, or bases N have some")
