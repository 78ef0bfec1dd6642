"""Design of sequences by directed evolution."""
