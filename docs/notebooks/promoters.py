# %% [markdown]
# # Amounts: sequences with measured expression
#
# An MPRA or a promoter library measures an amount for each sequence. danq learns it from a table, without a genome.
# This table is made: two motifs raise the expression, and one lowers it.

# %%
import numpy as np
import polars as pl

import danq

rng = np.random.default_rng(1)
MOTIFS = {"TGACTCAG": 2.0, "CCGGAAGT": 1.0, "GGGGCGTG": -1.0}


def promoter() -> tuple[str, float]:
    """A random sequence of 80 bases with some of the motifs, and its log2 expression."""
    bases, expression = rng.choice(list("ACGT"), 80), 5.0
    for slot, (motif, effect) in zip(rng.permutation(3), MOTIFS.items(), strict=True):
        if rng.random() < 0.5:
            at = 26 * slot + int(rng.integers(0, 18))
            bases[at : at + len(motif)] = list(motif)
            expression += effect
    return "".join(bases), expression + rng.normal(0, 0.3)


rows = [promoter() for _ in range(2500)]
table = pl.DataFrame(rows, schema=["sequence", "log2_expression"], orient="row")
table.write_csv("promoters.tsv", separator="\t")
table.head(3)

# %% [markdown]
# Random tenths of the sequences are for validation and for the test. A name that begins with `log2` says that the
# amounts are logarithms.

# %%
result = danq.train(
    danq.DataSettings(sequences="promoters.tsv"),
    out="run-promoters",
    model=danq.ModelSettings("danq-small", filters=32, width=12, pool=4, hidden=16, dense=(32,)),
    recipe=danq.Recipe(epochs=10, batch_size=32),
    run=danq.RunSettings(quiet=True),
    overwrite=True,
)
result

# %% [markdown]
# ## Evaluate
#
# The noise of the measurement is .3, so no model can have a smaller error.

# %%
model = danq.load("run-promoters")
report = danq.evaluate(model, "run-promoters/dataset.h5", bootstrap=100)
report.table.select("track", "windows", "pearson", "spearman")

# %%
error = np.sqrt(np.mean((report.predicted - report.measured) ** 2))
print(f"root mean squared error: {error:.2f}")
assert report.table["pearson"][0] > 0.9
assert error < 0.6

# %%
from danq.plots import plot_scatter

plot_scatter(report.predicted, report.measured, report.table, report.units)

# %% [markdown]
# ## What does a motif do?
#
# In random sequences, each motif changes the predicted expression in the direction of the table. The sizes agree within
# half a unit; the model, trained on 2,000 sequences, underestimates some.

# %%
effects = danq.marginalize(
    model, list(MOTIFS), background=danq.Backgrounds(0.5, count=50), copies=1, distances=[10]
)
known = pl.DataFrame({"motif": list(MOTIFS), "in the table": list(MOTIFS.values())})
effects.effects.filter(strand="+").select("motif", "effect", "se").join(known, on="motif")

# %%
found = dict(effects.effects.filter(strand="+").select("motif", "effect").iter_rows())
assert all(abs(found[motif] - effect) < 0.5 for motif, effect in MOTIFS.items()), found

# %% [markdown]
# ## Design
#
# A few edits of random sequences raise the predicted expression. In each step, danq evaluates all allowed edits.

# %%
goals = danq.DesignGoals(maximize=list(model.tracks))
designs = danq.design(model, danq.RandomStarts(3), goals, edits=6, beam=2)
assert (designs.table["objective"] > designs.table["start_objective"] + 1).all()
designs

# %%
from danq.plots import plot_trajectories

plot_trajectories(designs.trajectory, "log2 expression")
