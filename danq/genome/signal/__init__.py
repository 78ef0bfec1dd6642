"""Signals along a genome: bigWig, bedGraph and wiggle files as values of bins."""

from danq.genome.signal.bin_sums import STATISTICS, BinSums
from danq.genome.signal.read_signal import (
    Bins,
    Signal,
    SignalCounts,
    check_not_negative,
    read_signal,
)

__all__ = [
    "STATISTICS",
    "BinSums",
    "Bins",
    "Signal",
    "SignalCounts",
    "check_not_negative",
    "read_signal",
]
