"""Predictions for every row of an input, and the outputs that hold them."""
