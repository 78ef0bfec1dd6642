"""Motifs of the filters of a model's first layer."""
