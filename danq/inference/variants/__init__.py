"""Effects of variants: their windows, scores, background, and runs that resume."""
