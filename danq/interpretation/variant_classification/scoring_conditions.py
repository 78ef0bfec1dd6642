"""How variant effects were scored, read from the provenance in their file."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import polars as pl

from danq.files.binary_input import format_of
from danq.files.hdf5_input import is_hdf5
from danq.files.open_input import open_bytes
from danq.files.pipes import local_path
from danq.files.recognise import PARQUET
from danq.files.sealed_hdf5 import open_sealed
from danq.inference.writers.variant_hdf5 import EXPECTED, KIND

CONDITIONS = (
    "model",
    "genome",
    "window",
    "indel anchor",
    "haplotypes",
    "strand",
)
"""Entries of the provenance that effects must share to be compared."""

SHA256 = re.compile(r"sha256:[0-9a-f]+")

log = logging.getLogger("danq")


def read_conditions(path: Path) -> dict[str, str]:
    """Entries of the provenance of variant effects; empty if the file has none.

    Parameters
    ----------
    path
        Variant effects that could be read: HDF5, Parquet or TSV.
    """
    if is_hdf5(path):
        with open_sealed(path, KIND, EXPECTED, remedy="Score the variants again") as file:
            return _entries(file.attributes.get("provenance"))
    if format_of(path) == PARQUET:
        return _entries(pl.read_parquet_metadata(local_path(path)).get("danq"))
    found: dict[str, str] = {}
    with open_bytes(path) as lines:
        for line in lines:
            name, _, value = line.decode(errors="replace")[1:].strip().partition(": ")
            if not line.startswith(b"#"):
                break
            found[name] = value
    return found


def warn_of_differences(first: Path, second: Path) -> None:
    """Warn if two files of variant effects were not scored alike.

    A classifier then may learn the difference between the files in place of the variants.
    """
    ours, theirs = read_conditions(first), read_conditions(second)
    if not ours or not theirs:
        return
    differ = [name for name in CONDITIONS if _content(ours, name) != _content(theirs, name)]
    if differ:
        values = (
            f"{name} ({ours.get(name, 'none')}, {theirs.get(name, 'none')})" for name in differ
        )
        log.warning(
            "%s and %s were not scored alike: %s; the classifier may learn this difference. Score "
            "both with the same models, genome and settings",
            first,
            second,
            "; ".join(values),
        )


def _entries(text: object) -> dict[str, str]:
    try:
        entries = json.loads(str(text))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(entries, dict):
        return {}
    return {str(name): str(value) for name, value in entries.items()}


def _content(entries: Mapping[str, str], name: str) -> str | list[str]:
    """Checksums in an entry, without the names of files; its text if it has none."""
    text = entries.get(name, "")
    return SHA256.findall(text) or text
