# %% [markdown]
# # Score the variants of a VCF
#
# What does a variant do to the binding of each factor? Here, the answer is known, because the genome is simulated. The
# notebook uses the files of [Train and evaluate](train_and_evaluate.md); run that one first, in the same folder.

# %%
import numpy as np

import danq

model = danq.load("run")
model

# %% [markdown]
# For each ALT allele, danq predicts the reference and the alternate sequence. The score `logit` is the difference of
# their log2 odds: -3 bits means that the odds of a peak fall to an eighth. Alleles that danq cannot score are listed
# with the reason, and none is dropped silently.

# %%
scores = danq.score_variants(model, "sim/variants.vcf", "sim/genome.fa", scores=["logit"])
scores.rejected.height

# %%
scores.to_polars().head(5)

# %% [markdown]
# ## Largest effects
#
# These are the largest effects on REST. A variant of another factor's site can be among them: the model is not
# perfect.

# %%
import polars as pl

table = scores.to_polars()
table.sort(pl.col("REST").abs(), descending=True).head(5)

# %% [markdown]
# ## Compare with the truth
#
# `truth.json` has the effect of each variant in the simulation, in natural units: 1 of them is 1.44 bits. Effects on
# the track whose motif is broken should agree in sign, and neutral variants should have none. Some of the variants are
# on chromosomes that the model was trained on; for a fair judgement of your own model, use the test chromosome.

# %%
from danq.simulation.ground_truth import read_truth

truth = read_truth("sim/truth.json")
values = {track: scores.track(track) for track in scores.tracks}
row_of = {name: row for row, name in enumerate(table["id"])}
broken = [one for one in truth.variants if one.kind == "breaking" and one.id in row_of]
neutral = [one for one in truth.variants if one.kind.startswith("neutral") and one.id in row_of]
predicted = np.array([values[one.track][row_of[one.id]] for one in broken])
known = np.array([one.effect[one.track] for one in broken]) * np.log2(np.e)
quiet = np.array([np.abs([values[t][row_of[one.id]] for t in values]).mean() for one in neutral])
print(f"{len(broken)} variants break a motif: same sign {np.mean(predicted * known > 0):.0%}")
print(
    f"median effect: {np.median(np.abs(predicted)):.1f} bits; of neutral ones {np.median(quiet):.2f} bits"
)

# %%
assert np.mean(predicted * known > 0) > 0.85
assert np.median(np.abs(predicted)) > 5 * np.median(quiet)

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(4.5, 4), layout="constrained")
axes = figure.subplots()
axes.axhline(0, color="0.8", lw=1)
axes.axvline(0, color="0.8", lw=1)
axes.scatter(known, predicted, s=14)
axes.set(
    xlabel="Known effect (bits)",
    ylabel="Predicted effect (bits)",
    title="Variants that break a motif",
)
figure

# %% [markdown]
# The signs are right, and neutral variants have almost no effect. The size of an effect is predicted less well: this
# small model underestimates it, and does not rank it.
