"""The leaked windows of a dataset: computed on demand, kept in the cache, and reported."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from danq.cache_folder import lasting_cache_folder
from danq.cache_limit import limit_cache, note_use
from danq.datasets.dataset_format import SPLITS
from danq.datasets.identical_windows import find_identical
from danq.datasets.shared_sequence import COMPLETE, LEAKED, LEAST_SHARE, K, WindowTable, find_leaked
from danq.errors import InputError
from danq.files.open_input import open_raw
from danq.output import replacing

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset

CACHED_BASES = 200_000_000
"""Bases of a genome from which the result is kept in the cache. Below, the search takes about a
second."""

SIMILAR_SHARE = 0.5
"""Share from which a held-out sequence is similar to training sequences. It is lower than
`LEAST_SHARE`, because one changed base changes a large share of the k-mers of a short sequence."""

_ROWS = 1 << 14

log = logging.getLogger("danq")


def leaked_windows(dataset: Dataset) -> np.ndarray:
    """``(W,)`` uint8 of :func:`danq.datasets.shared_sequence.find_leaked` for a dataset."""
    if 4 * dataset.genome.bases.size < CACHED_BASES:
        return _find(dataset)
    folder = lasting_cache_folder("leaked")
    file = None if folder is None else folder / f"{dataset.sha256}.npy"
    stored = None if file is None else _read(file, len(dataset))
    if file is not None and stored is not None:
        note_use(file)
        return stored
    log.info("searching the training windows for the sequence of held-out windows")
    leaked = _find(dataset)
    if file is not None:
        # Without the file, the next run computes it again.
        with suppress(InputError), replacing(file, overwrite=True) as temporary:
            temporary.write_bytes(_npy(leaked))
        limit_cache()
    return leaked


def report_leaked(dataset: Dataset) -> None:
    """Log a warning for each held-out split with leaked windows."""
    for split, (count, complete) in count_leaked(dataset).items():
        if count:
            log.warning(
                "%s of %s %s windows contain sequence of training windows: at least %.0f %% of "
                "their %d-mers, on either strand, occur there (of %s windows: all). %s",
                f"{count:,}",
                f"{len(dataset.indices(split)):,}",
                split,
                100 * LEAST_SHARE,
                K,
                f"{complete:,}",
                _ADVICE,
            )


def report_identical(dataset: Dataset) -> None:
    """Log a warning for each held-out split with windows that are in the training windows, too.

    Only windows that are equal base by base are searched, which is fast.
    """
    identical = find_identical(_windows(dataset))
    counts = {split: int(np.count_nonzero(identical[dataset.indices(split)])) for split in SPLITS}
    found = [
        f"{count:,} of {len(dataset.indices(split)):,} {split} windows"
        for split, count in counts.items()
        if count
    ]
    if found:
        log.warning(
            "%s have the same sequence as a part of the training windows, on either strand. The "
            "summary of the dataset ('danq data info') also counts close copies. %s",
            " and ".join(found),
            _ADVICE,
        )


def report_similar(dataset: Dataset, before: int = 0, after: int = 0) -> None:
    """Log a warning for each held-out split with sequences that resemble training sequences.

    Parameters
    ----------
    dataset
        A dataset of standalone sequences.
    before, after
        Bases at the start and end of all sequences that are not compared.
    """
    for split, count in _similar(dataset, before, after).items():
        if count:
            _warn_similar(f"{count:,} of {len(dataset.indices(split)):,} {split} sequences")


def report_similar_in_folds(
    dataset: Dataset, fold: Callable[[int], Dataset], folds: int, ends: tuple[int, int]
) -> None:
    """Log a warning if test sequences of folds resemble training sequences of their fold.

    Parameters
    ----------
    dataset
        Standalone sequences; if they have `CACHED_BASES` or more, they are not searched.
    fold
        Returns the dataset of each fold.
    folds
        Number of folds.
    ends
        Bases at the start and end of all sequences that are not compared.
    """
    if len(dataset) * dataset.window >= CACHED_BASES:
        return
    count = sum(_similar(fold(number), *ends).get("test", 0) for number in range(folds))
    if count:
        which = f"{count:,} of {len(dataset):,} sequences, in the fold that tests them,"
        _warn_similar(which, "fold")


def constant_ends(dataset: Dataset) -> tuple[int, int]:
    """Number of bases at both ends that are the same in all of a dataset's sequences."""
    same = np.ones(dataset.window, np.bool_)
    first = dataset.codes([0])
    for low in range(0, len(dataset), _ROWS):
        rows = np.arange(low, min(low + _ROWS, len(dataset)))
        same &= (dataset.codes(rows) == first).all(axis=0)
    if same.all() or dataset.values.lengths is not None:
        # Sequences of unequal lengths end at different positions.
        return (0 if same.all() else int(np.argmin(same))), 0
    return int(np.argmin(same)), int(np.argmin(same[::-1]))


def _similar(dataset: Dataset, before: int, after: int) -> dict[str, int]:
    """Sequences of each held-out split that resemble training sequences."""
    window = dataset.window - before - after
    if window < K:
        return {}
    table = _windows(dataset)
    table = table._replace(first=table.first + before, window=window)
    similar = find_leaked(table, SIMILAR_SHARE) > 0
    return {split: int(np.count_nonzero(similar[dataset.indices(split)])) for split in SPLITS[1:]}


def _warn_similar(which: str, column: str = "split") -> None:
    log.warning(
        "%s resemble training sequences: at least %.0f %% of their %d-mers occur there, on either "
        "strand. Metrics on them do not describe new sequences. Put similar sequences into the "
        "same %s, with a column '%s'.",
        which,
        100 * SIMILAR_SHARE,
        K,
        column,
        column,
    )


def count_leaked(dataset: Dataset) -> dict[str, tuple[int, int]]:
    """Number of leaked and of completely leaked windows of each held-out split."""
    return {
        split: (
            int(np.count_nonzero(dataset.leaked[dataset.indices(split)] >= LEAKED)),
            int(np.count_nonzero(dataset.leaked[dataset.indices(split)] == COMPLETE)),
        )
        for split in SPLITS[1:]
    }


_ADVICE = (
    "An evaluation reports metrics with and without leaked windows. To drop the training windows, "
    "set drop_leaked; to leave out alternate contigs, name them in skip_contigs."
)


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def _find(dataset: Dataset) -> np.ndarray:
    return find_leaked(_windows(dataset))


def _windows(dataset: Dataset) -> WindowTable:
    first = dataset.start + dataset.bin // 2 - dataset.window // 2
    return WindowTable(dataset.genome, dataset.contig, first, dataset.split, dataset.window)


def _read(file: Path, windows: int) -> np.ndarray | None:
    """A result in the cache; None when there is none, or it is damaged."""
    if not file.is_file():
        return None
    try:
        with open_raw(file) as handle:
            stored = np.load(handle, allow_pickle=False)
    except (OSError, ValueError, EOFError, InputError):
        return None
    fits = stored.shape == (windows,) and stored.dtype == np.uint8
    return stored if fits and int(stored.max(initial=0)) <= COMPLETE else None
