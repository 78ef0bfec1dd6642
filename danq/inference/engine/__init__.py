"""How models run: batches of windows, and variants as differences from their reference."""
