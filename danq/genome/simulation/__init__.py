"""The parts of the simulator: motifs and grammar, background, planting, truth, variants."""
