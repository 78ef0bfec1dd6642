"""Simulate a small genome with known motifs, binding rules, peaks and variant effects."""

from danq.simulation.simulator import Truth, read_truth, simulate

__all__ = ["Truth", "read_truth", "simulate"]
