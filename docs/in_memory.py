"""Predict, score variants and mutate sequences in memory.

    python docs/in_memory.py MODEL

MODEL is a run directory or a model file, for example that of `danq demo`. Only the model is read
from disk. The cells (`# %%`) run one by one in Jupyter, VS Code or Spyder.
"""

# %% Load a model. It carries how it runs.
import random
import sys

import numpy as np

import danq

model = danq.load(sys.argv[1], device="cpu")
print(f"{len(model.tracks)} tracks, window of {model.window} bp: {', '.join(model.tracks[:5])}")

# %% Two sequences of the length of the window. A str is always a sequence.
rng = random.Random(1)
promoter = "".join(rng.choices("ACGT", k=model.window))
enhancer = "".join(rng.choices("ACGT", k=model.window))

# %% Predict. The rows of the result are in the order of the sequences.
predictions = danq.predict(model, {"promoter": promoter, "enhancer": enhancer})
print(predictions.to_polars())
best = predictions.values[0].argmax()
print(f"highest probability for the promoter: {predictions.tracks[best]}")

# %% A longer sequence has one row per bin. NumPy arrays and lists work as well.
print(danq.predict(model, promoter + enhancer).rows)
one_hot = np.eye(4, dtype=np.float32)[["ACGT".index(base) for base in promoter]].T[None]
assert np.array_equal(danq.predict(model, one_hot).values[0], predictions.values[0])

# %% Score variants. The genome is a dict of contig name to sequence; positions are 1-based.
genome = {"chr1": promoter + enhancer}
middle = model.window
variants = [
    ("chr1", middle, genome["chr1"][middle - 1], "A", "to_a"),
    ("chr1", middle, genome["chr1"][middle - 1], genome["chr1"][middle - 1] + "GATA", "insertion"),
]
scores = danq.score_variants(model, variants, genome, scores=["logit"])
print(scores.to_polars())
print(scores.rejected)  # an allele that equals REF is rejected, with the reason

# %% Mutate every base: values are (bases, 4, tracks), mutant minus reference, in bits.
effects = danq.mutate(model, promoter)
position, base, track = np.unravel_index(np.nanargmax(np.abs(effects.values)), effects.values.shape)
print(
    f"largest effect: {promoter[position]}{position + 1}{'ACGT'[base]} changes the log2 odds of "
    f"{effects.tracks[track]} by {effects.values[position, base, track]:.2f} bits"
)
