"""One module per family of tasks: its examples, models and baselines."""
