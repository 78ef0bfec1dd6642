"""Make a dataset from a table of sequences with measured amounts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from danq.amounts import AmountUnit
from danq.datasets.dataset import Dataset
from danq.datasets.dataset_format import SPLITS
from danq.datasets.dataset_summary import BuildSummary, saved_as, summarise
from danq.datasets.leaked_windows import constant_ends, report_similar
from danq.datasets.sequence_table import SequenceTable, TableColumns, read_sequence_table
from danq.datasets.track_amounts import Amounts, WindowValues
from danq.datasets.track_files import RESERVED
from danq.datasets.track_relations import replicate_names
from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.genome.nucleotide_codes import N
from danq.genome.packed_genome import PackedGenome
from danq.output import check_target
from danq.progress import stage

CONTIG = "sequences"
"""Name of the contig that holds all sequences."""

SHARE = 0.1
"""Fraction of the sequences for each held-out split that is chosen at random."""

log = logging.getLogger("danq")


@protects_inputs
def build_sequence_dataset(
    out: str | Path,
    table: str | Path,
    columns: TableColumns | None = None,
    *,
    window: int | None = None,
    oriented: bool = True,
    seed: int = 0,
    overwrite: bool = False,
) -> BuildSummary:
    """Write a dataset file made from a table of sequences with measured amounts.

    Parameters
    ----------
    out
        The HDF5 file to write; ``docs/formats.md`` describes it.
    table, columns, window, oriented, seed
        As for :func:`read_sequences`.
    overwrite
        Whether to replace an existing file.

    Returns
    -------
    BuildSummary
        Sequences, and the amounts of each track.

    Raises
    ------
    InputError
        As :func:`read_sequences`; and when ``out`` exists and ``overwrite`` is false, or cannot be
        written. No file is left behind then.

    Examples
    --------
    >>> build_sequence_dataset("promoters.h5", "promoters.tsv.gz")  # doctest: +SKIP
    """
    path = check_target(out, overwrite)
    dataset = read_sequences(table, columns, window=window, oriented=oriented, seed=seed)
    dataset.save(path, overwrite=overwrite)
    return summarise(saved_as(dataset, path), leaks=False)


def sequence_arguments(table: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of :func:`read_sequences` from one flat table.

    Parameters
    ----------
    table
        ``sequences`` (the table's file), the fields of `TableColumns`, ``window``, ``oriented`` and
        ``seed``.

    Raises
    ------
    InputError
        When a name is unknown.
    """
    columns = [one.name for one in fields(TableColumns)]
    plain = ("window", "oriented", "seed")
    known = ("sequences", *columns, *plain)
    for name in table:
        if name not in known:
            raise InputError(
                f"'{name}' is not an option of a table of sequences",
                remedy=f"The options are {', '.join(known)}",
            )
    use = TableColumns(**{name: value for name, value in table.items() if name in columns})
    given = {name: value for name, value in table.items() if name in plain}
    return {"table": table["sequences"], "columns": use, **given}


@stage("reading sequences")
def read_sequences(
    table: str | Path,
    columns: TableColumns | None = None,
    *,
    window: int | None = None,
    oriented: bool = True,
    seed: int = 0,
) -> Dataset:
    """Read a table of sequences with measured amounts into a dataset, in memory.

    All sequences are on one contig, in the order of the table; windows never extend into the next
    sequence. Shorter sequences are centred and padded with N. Without a column of splits, the first
    fold is the test split and the second one the validation split; without three folds, a random
    tenth of the sequences each. Held-out sequences that resemble training sequences cause a
    warning.

    Parameters
    ----------
    table, columns, window
        As for :func:`danq.datasets.sequence_table.read_sequence_table`.
    oriented
        Whether the sequences have a strand: no command then uses their reverse complements.
    seed
        Random seed of the splits.

    Returns
    -------
    Dataset
        Windows in the order of the table.

    Raises
    ------
    InputError
        As :func:`danq.datasets.sequence_table.read_sequence_table`; when a track has the name of a
        column of danq's tables; and when fewer than three sequences are to be split at random.
    """
    path = Path(table)
    found = read_sequence_table(path, columns, window=window)
    for name in found.tracks:
        if name in RESERVED:
            raise InputError(
                f"a column of amounts is named '{name}', like a column of danq's tables",
                file=path,
                remedy="Name the columns of amounts, or rename the column",
            )
    rows, length = found.codes.shape
    split, how = _splits(found, path, seed)
    width = -(-length // 4) * 4
    codes = np.pad(found.codes, ((0, 0), (0, width - length)), constant_values=N)
    padded = bool((found.lengths < length).any())
    dataset = Dataset(
        genome=PackedGenome.from_contigs([(CONTIG, codes.reshape(-1))]),
        contig=np.zeros(rows, np.uint32),
        start=width * np.arange(rows),
        split=split,
        packed=np.zeros((rows, 0), np.uint8),
        tracks=found.tracks,
        groups=("",) * len(found.tracks),
        sources=(path.name,) * len(found.tracks),
        peaks=np.zeros(0, np.int64),
        window=length,
        bin=length,
        stride=length,
        min_overlap=0.5,
        build={
            "sequences": path.name,
            "standalone": True,
            "splits": how,
            "seed": seed,
            "rows": found.decisions,
        },
        measured=Amounts(
            found.values,
            (AmountUnit(),) * len(found.tracks),
            replicates=replicate_names(found.tracks, path=path),
        ),
        values=WindowValues(
            found.lengths if padded else None,
            found.weights,
            found.folds,
            found.fold_names,
            found.strata,
            found.strata_names,
        ),
        oriented=oriented,
    )
    report_similar(dataset, *constant_ends(dataset))
    return dataset


def _splits(table: SequenceTable, path: Path, seed: int) -> tuple[np.ndarray, str]:
    """Split of each sequence, and how it was chosen."""
    rows = len(table.codes)
    if table.split is not None:
        for number, name in enumerate(SPLITS):
            if not (table.split == number).any():
                log.warning("%s: no sequence is in the %s split", path, name)
        return table.split, "column"
    if table.folds is not None and len(table.fold_names) >= len(SPLITS):
        test, valid, *_ = table.fold_names
        log.info(
            "%s: no column of splits: the fold '%s' is the test split, '%s' the validation split",
            path,
            test,
            valid,
        )
        return np.choose(np.minimum(table.folds, 2), [2, 1, 0]).astype(np.uint8), "folds"
    if rows < len(SPLITS):
        raise InputError(
            f"has {rows} sequences, too few for training, validation and test",
            file=path,
            remedy="Give at least three, or name their splits in a column 'split'",
        )
    count = max(1, round(SHARE * rows))
    split = np.zeros(rows, np.uint8)
    order = np.random.default_rng(seed).permutation(rows)
    split[order[:count]], split[order[count : 2 * count]] = 2, 1
    log.info(
        "%s: no column of splits: %s random sequences are the validation split, and %s the test "
        "split",
        path,
        f"{count:,}",
        f"{count:,}",
    )
    return split, "random"
