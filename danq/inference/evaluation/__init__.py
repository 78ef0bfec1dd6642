"""How good a model is on a split of a data set, and the report of it."""
