"""Comparison of predicted with measured effects of variants."""
