# %% [markdown]
# # Explain a model
#
# Which bases does a prediction depend on? How must two motifs stand to each other? Here, the answers are known,
# because the genome is simulated. The notebook uses the files of [Train and evaluate](train_and_evaluate.md); run that
# one first, in the same folder.

# %%
import numpy as np
import polars as pl

import danq
from danq.simulation.ground_truth import read_truth

model = danq.load("run")
truth = read_truth("sim/truth.json")

# %% [markdown]
# ## Which bases matter?
#
# ETS1 binds where its motif and that of AP1 are next to each other. This is one such place on the test chromosome.

# %%
site = next(
    one
    for one in truth.sites
    if one.contig == "chr6" and one.kind == "element" and one.track == "ETS1" and one.start > 1000
)
site

# %% [markdown]
# In silico mutagenesis changes each base to the three others. The contribution of a base is how much the prediction
# falls without it, in bits.

# %%
start = (site.start + site.end) // 2 - 40
region = danq.Regions(f"{site.contig}:{start + 1}-{start + 80}", "sim/genome.fa")
found = danq.attribute(model, region, tracks=["ETS1"])

# %%
from danq.plots import plot_attributions

plot_attributions(
    found.base,
    found.hypothetical,
    tracks=found.tracks,
    unit="log2 odds (bits)",
    name=site.contig,
    start=start,
)

# %%
inside = np.zeros(80, bool)
for motif in site.motifs:
    inside[motif.start - start : motif.end - start] = True
size = np.abs(found.attributions[:, 0])
print(
    f"mean size of a contribution: {size[inside].mean():.2f} bits in motifs, {size[~inside].mean():.2f} outside"
)
assert size[inside].mean() > 3 * size[~inside].mean()

# %% [markdown]
# ## How must two motifs stand to each other?
#
# `danq.marginalize` inserts motifs into random sequences. The excess is the effect of both motifs minus the sum of
# their effects alone; it is positive where each needs the other.

# %%
effects = danq.marginalize(
    model,
    ["RCCGGAAGTR", "RTGAGTCAY"],
    background=danq.Backgrounds(0.42, count=30),
    copies=1,
    distances=range(13),
    tracks=["ETS1"],
)
effects

# %%
from danq.plots import plot_spacing

plot_spacing(effects.spacing, effects.unit)

# %% [markdown]
# The simulation requires AP1 at 1 to 3 bases downstream of ETS. The excess is largest there: the model has found the
# distances from the peaks alone. It has learned only a part of the rule, though: the excess is not positive, because
# each motif alone already raises the prediction, which the simulation does not allow.

# %%
downstream = (
    effects.spacing.filter(pl.col("side") == "downstream")
    .group_by("distance")
    .agg(pl.col("excess").mean())
)
best = downstream.sort("excess", descending=True)["distance"].head(3).to_list()
print(f"distances with the largest excess: {sorted(best)}")
assert sorted(best) == [1, 2, 3]
