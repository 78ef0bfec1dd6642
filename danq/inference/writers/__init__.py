"""Output files of predictions, variant effects and mutation effects, one writer for each format."""
