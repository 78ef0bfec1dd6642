"""A small simulated genome with known truth: motifs, grammar, peaks and variants."""

from danq.simulation.simulator import Truth, read_truth, simulate

__all__ = ["Truth", "read_truth", "simulate"]
