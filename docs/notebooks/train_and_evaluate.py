# %% [markdown]
# # Train and evaluate
#
# A simulated genome has known motifs and peaks, so every result can be compared with the truth. The steps are the
# same for your own genome and peaks. This notebook takes less than two minutes on a laptop.

# %%
import danq

# %% [markdown]
# ## Simulate a genome
#
# Three factors bind it. REST has one motif. ETS1 needs its own motif (ETS) and that of a partner (AP1), 1 to 3 bases
# downstream. SP1 does not bind near a REST motif. The simulation writes a FASTA file, a BED file of peaks for each
# factor, and a VCF.

# %%
truth = danq.simulate(
    "sim", genome_size=1_500_000, tracks=["REST", "ETS1", "SP1"], variants=100, overwrite=True
)
truth

# %% [markdown]
# ## Build a dataset
#
# The genome is cut into bins of 200 bases. For each bin, the dataset has one label per factor: does a peak cover at
# least half of it? The model sees a window of 400 bases around the bin. Chromosome 5 is for validation, and
# chromosome 6 for the test; the model is not trained on them.

# %%
danq.build_dataset(
    "data.h5", "sim/genome.fa", "sim/tracks", window=400, valid="chr5", test="chr6", overwrite=True
)

# %% [markdown]
# ## Train
#
# `danq-small` is a convolution that finds motifs, an LSTM that reads their order and distances, and dense layers. Its
# sizes are reduced here, because three factors need few filters.

# %%
small = danq.ModelSettings("danq-small", filters=64, width=22, pool=8, hidden=32, dense=(64,))
result = danq.train(
    "data.h5",
    out="run",
    model=small,
    recipe=danq.Recipe(epochs=8, batch_size=128),
    run=danq.RunSettings(quiet=True),
    overwrite=True,
)
result

# %% [markdown]
# ## Evaluate
#
# AUROC is the probability that a window with a peak gets a higher prediction than one without: .5 is random. AUPR is
# the area under the precision-recall curve: random predictions have the base rate.

# %%
model = danq.load("run")
report = danq.evaluate(model, "data.h5", bootstrap=100)
report.table.select("track", "positives", "windows", "base_rate", "auroc", "aupr")

# %%
for row in report.table.iter_rows(named=True):
    assert row["auroc"] > 0.9, row
    assert row["aupr"] > 4 * row["base_rate"], row

# %% [markdown]
# The curves show the trade-off: to find more of the peaks (recall), one has to accept more false ones (precision).

# %%
from danq.plots import plot_precision_recall

plot_precision_recall(report.curves, report.table)

# %% [markdown]
# Are the probabilities right? Of windows with a prediction of .8, 80 % should have a peak: the points should be on the
# diagonal. Few windows have very low or very high predictions, so the ends are uncertain.

# %%
from danq.plots import plot_calibration

plot_calibration(report.calibration, report.table)
