"""Options of labelling: which bins are made, which are kept, and when one is positive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from danq.datasets.bin_grid import Geometry
from danq.datasets.signal_amounts import SignalOptions
from danq.errors import InputError
from danq.genome.bin_coverage import least_cover

Paths = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class LabelOptions:
    """How a genome is cut into labelled windows.

    Attributes
    ----------
    bin
        Bases in the middle of a window that the labels refer to.
    stride
        Bases from one training bin to the next; None means ``bin``. Bins of validation and test
        are always adjacent.
    min_overlap
        Fraction of a bin that a track's peaks must cover, above 0 and at most 1.
    exclude
        BED files, 0-based half-open. Bins that share a base with one of their regions are dropped
        from every split. A region that extends past its contig is cut, with a warning. None counts
        as no file.
    negatives
        Bins without a positive track: "keep" keeps all, "drop" drops them in every split. A
        number keeps that many per positive bin in training, matched on GC content
        (:func:`danq.datasets.negatives.thin_negatives`); validation and test keep all.
    edge
        Windows that extend past an end of their contig: "pad" keeps them, with N outside the
        contig; "drop" drops them.
    max_n
        Largest fraction of a window, 0 to 1, that may be N; padding counts.
    chrom_map
        Contig names in peak and exclude files to names in the genome, or a file of two
        tab-separated columns.
    skip_contigs
        Contigs to leave out, as a sequence or separated by commas; the packed genome does not
        hold them either. ``*`` and ``?`` stand for any letters, as in ``*_alt``.
    drop_leaked
        Whether to drop training windows that contain the sequence of held-out windows
        (:mod:`danq.datasets.shared_sequence`). Held-out windows are never dropped.
    seed
        Random seed for the sampling of negatives.
    signal
        Signals whose amounts are tracks, too: a folder, files or a track sheet
        (:func:`danq.datasets.signal_files.find_signals`). None for no such tracks.
    amounts
        How signals become amounts of bins; their contig names are matched by ``chrom_map`` above.
    oriented
        Whether tracks belong to the forward strand, so that no command uses reverse complements.

    Raises
    ------
    InputError
        When a value is outside its limits.
    """

    bin: int = 200
    stride: int | None = None
    min_overlap: float = 0.5
    exclude: Paths | None = ()
    negatives: Literal["keep", "drop"] | float = "keep"
    edge: Literal["pad", "drop"] = "pad"
    max_n: float = 0.5
    chrom_map: str | Path | Mapping[str, str] | None = None
    skip_contigs: str | Sequence[str] = ()
    drop_leaked: bool = False
    seed: int = 0
    signal: Paths | None = None
    amounts: SignalOptions = field(default_factory=SignalOptions)
    oriented: bool = False

    def __post_init__(self) -> None:
        least_cover(self.bin, self.min_overlap)
        if isinstance(self.negatives, str):
            if self.negatives not in ("keep", "drop"):
                raise InputError(f"negatives is '{self.negatives}', not keep, drop or a number")
        elif not 0 < self.negatives < float("inf"):
            raise InputError(
                f"{self.negatives} negatives per positive bin is not above 0",
                remedy="Use drop to keep none",
            )
        if self.edge not in ("pad", "drop"):
            raise InputError(f"edge is '{self.edge}', not pad or drop")
        for name in ("drop_leaked", "oriented"):
            if not isinstance(getattr(self, name), bool):
                raise InputError(f"{name} is '{getattr(self, name)}', not true or false")
        if self.signal is not None:
            self.amounts.steps(self.bin)
        if not 0 <= self.max_n <= 1:
            raise InputError(f"max_n is {self.max_n:g}, not from 0 to 1")

    def geometry(self, window: int) -> Geometry:
        """Sizes of windows and bins.

        Raises
        ------
        InputError
            When they do not fit each other.
        """
        return Geometry(window, self.bin, self.stride)

    @property
    def excluded(self) -> list[Path]:
        """The files of ``exclude``."""
        if isinstance(self.exclude, str | Path):
            return [Path(self.exclude)]
        return [Path(path) for path in self.exclude or ()]


OPTIONS = tuple(one.name for one in fields(LabelOptions) if one.name not in ("signal", "amounts"))
ARGUMENTS = ("genome", "tracks", "window", "valid", "test")
"""Parameters of :func:`danq.datasets.build.label_genome` other than ``options``."""

SIGNAL = tuple(one.name for one in fields(SignalOptions) if one.name != "chrom_map")
"""Options of signals."""


def label_arguments(table: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of :func:`danq.datasets.build.label_genome` from one flat table.

    Parameters
    ----------
    table
        Values by the names in ``ARGUMENTS``, ``OPTIONS`` and ``SIGNAL``, and ``signal``, as the
        ``[data]`` table of a run configuration holds them.

    Raises
    ------
    InputError
        When a name is unknown, is one of signals and there is no signal, or a value is outside its
        limits.
    """
    known = (*ARGUMENTS, *OPTIONS, "signal", *SIGNAL)
    for name in table:
        if name not in known:
            raise InputError(
                f"'{name}' is not an option of a dataset",
                remedy=f"The options are {', '.join(known)}",
            )
        if name in SIGNAL and "signal" not in table:
            raise InputError(f"'{name}' is an option of signals", remedy="Give signals, too")
    arguments = {name: value for name, value in table.items() if name in ARGUMENTS}
    options = {name: value for name, value in table.items() if name in (*OPTIONS, "signal")}
    amounts = {name: value for name, value in table.items() if name in SIGNAL}
    return {**arguments, "options": LabelOptions(**options, amounts=SignalOptions(**amounts))}
