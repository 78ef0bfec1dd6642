"""Motifs that a model's first layer has learned: found, compared, drawn."""
