"""How models run on windows, for all commands.

`forward` evaluates whole windows, batch after batch, on one strand or on both: predictions,
evaluation, validation during training. Windows that overlap, such as the tiles of a genome, are
segments of their sequences (`overlapping_windows`). On a CPU, `shared_convolution` then computes
the first layer once for each position.

`incremental` evaluates variants: windows that each differ from a reference window at a few
positions. It computes the reference once and, for each variant, only what the difference changes;
at tolerance 0 the logits equal those of whole windows up to the rounding of float32. A pass has
three stages:

1. `split_model` holds the copied layers of a model. The encoder runs on all steps of a reference,
   and on those steps of a variant that read a changed base.
2. `recurrent_scan` runs a recurrent layer over references and variants together. A variant joins
   at its first changed step with the states of its reference. It leaves once its states are within
   the tolerance of its reference's.
3. The first dense layer is a sum over steps: a variant adds its differences to the sum of its
   reference. The later layers run on all sums.

`pass_planning` finds the changed steps, and chooses the references and variants that one pass
evaluates together. `packed_matrix` multiplies by weights that are stored in oneDNN's layout.

Models that do not fit this scheme, and `Incremental` says why, are evaluated window by window.

`whole_windows` evaluates variants on a GPU, where steps of few operations take longer than complete
windows. `device_genome` has the genome there and composes their windows.
"""
