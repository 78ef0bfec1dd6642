"""Where windows come from: FASTA records, BED rows, a tiled genome, one-hot arrays."""
