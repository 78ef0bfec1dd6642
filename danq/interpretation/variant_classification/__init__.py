"""Functional variants told from others by what a model says of them."""
