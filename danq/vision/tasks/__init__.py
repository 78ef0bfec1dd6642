"""One module a family of tasks: its data, its systems, its baselines."""
