"""Variant effects: windows, scores, background distribution, and runs that can be resumed."""
