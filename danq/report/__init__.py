"""One HTML page of the outputs of danq."""
