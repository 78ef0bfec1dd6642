"""Evaluation of a model on one split of a dataset, and the written report."""
