"""Predictions for the rows of a source."""
