"""Effects of every single-base change of a sequence, and of pairs of them."""
