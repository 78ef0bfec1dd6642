"""Motifs of the bases that contribute most to predictions, and their sites."""
