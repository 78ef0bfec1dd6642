"""What a motif does to predictions: insertions into backgrounds, and ablations."""
