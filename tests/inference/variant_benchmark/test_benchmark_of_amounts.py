"""Benchmarks of models of amounts against scored variants, numpy, and the ridge on k-mers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from danq.amounts import AmountUnit
from danq.datasets.column_summary import total_amounts
from danq.errors import InputError
from danq.evaluation.amount_baseline import fit_amount_baseline
from danq.inference import benchmark_variants, score_variants, write_variant_benchmark
from danq.models import TargetGroup, architecture, untrained
from tests.amount_dataset import READS, amount_dataset
from tests.inference.mutagenesis.test_mutate_amounts import made
from tests.inference.variants.test_variants_of_amounts import MIXED
from tests.one_contig import random_bases, substitutions

TEXT = random_bases(400)
GENOME = {"chr1": TEXT}


def measured(seed: int = 0) -> pl.DataFrame:
    rows = substitutions(TEXT, range(30, 380, 5))
    effect = np.random.default_rng(seed).normal(size=len(rows))
    table = pl.DataFrame(rows, schema=["chrom", "pos", "ref", "alt"], orient="row")
    return table.with_columns(effect=effect)


def row_of(report, name: str) -> dict:
    return report.table.filter(pl.col("name") == name).row(0, named=True)


def test_metrics_are_those_of_scored_variants(tmp_path):
    model, table = made("gaussian", "poisson"), measured()
    report = benchmark_variants(model, table, GENOME, bootstrap=50)
    scored = score_variants(model, table.rows(), GENOME).to_polars()
    effect = table["effect"].to_numpy()
    names = report.table["name"].to_list()
    assert {"t0", "t1", "log2fc_max", "log2fc_l2", "log2fc_sum", "diff_max"} <= set(names)
    assert not any(name.startswith("logit") for name in names)
    for name, column in (("t0", "t0_log2fc"), ("t1", "t1_log2fc"), ("diff_max", "diff_max")):
        row = row_of(report, name)
        right = np.corrcoef(scored[column].to_numpy().astype(np.float64), effect)[0, 1]
        assert row["pearson"] == pytest.approx(right, abs=1e-6)
        assert row["pearson_low"] <= row["pearson"] <= row["pearson_high"]
    assert np.isnan(row_of(report, "log2fc_l2")["pearson"])
    assert report.reference == "log2fc_max"
    assert row_of(report, "log2fc_max")["difference"] == 0
    assert "of log2fc_max minus that of the row" in report.describe()
    write_variant_benchmark(report, tmp_path / "out.tsv")
    text = (tmp_path / "out.tsv").read_text()
    assert "# units: log1p(0.5 x reads)\n" in text
    assert "# pearson: Pearson correlation of signed effects\n" in text


def test_peaks_and_amounts_have_their_own_summaries():
    report = benchmark_variants(made(*MIXED), measured(), GENOME, bootstrap=0)
    names = set(report.table["name"])
    assert {"logit_max", "log2fc_max", "peaks_diff_sum", "amounts_diff_sum"} <= names
    assert "diff_max" not in names
    assert report.reference == "logit_max"


@pytest.fixture
def saved(tmp_path):
    """A dataset of peaks and amounts, and a model of its tracks."""
    dataset = amount_dataset(400, peaks=True)
    dataset.save(tmp_path / "data.h5")
    groups = TargetGroup(loss="binary", tracks=1), TargetGroup(loss="gaussian", tracks=2)
    small = architecture("danq", filters=8, width=8, pool=4, hidden=4, dense=(6,))
    model = untrained("danq", small, dataset.tracks, 60, 20, groups, dataset.units)
    return dataset, model.with_options(device="cpu", threads=1), tmp_path / "data.h5"


def test_the_baseline_of_amounts_is_the_ridge_of_the_dataset(saved):
    dataset, model, path = saved
    table = measured()
    report = benchmark_variants(model, table, GENOME, baselines=[path], bootstrap=0)
    names = set(report.table.filter(pl.col("kind") == "baseline")["name"])
    assert {"kmer_max", "kmer_l2", "kmer_amount_max", "kmer_amount_l2"} <= names
    fitted = fit_amount_baseline(
        *(
            [(dataset.codes(rows), total_amounts(dataset, rows))]
            for rows in (dataset.indices("train"), dataset.indices("valid"))
        )
    )
    codes = np.array([["ACGT".index(base) for base in TEXT]], np.uint8)[0]
    changes = []
    for _, pos, _, alt, _ in table.iter_rows():
        window = codes[pos - 1 - 29 : pos - 1 + 31].copy()
        other = window.copy()
        other[29] = "ACGT".index(alt)
        changes.append(fitted.predict(np.stack([window, other])))
    change = np.array([alt - ref for ref, alt in changes])
    largest = change[np.arange(len(change)), np.abs(change).argmax(axis=1)]
    right = np.corrcoef(largest.astype(np.float64), table["effect"].to_numpy())[0, 1]
    assert row_of(report, "kmer_amount_max")["pearson"] == pytest.approx(right, abs=1e-4)


def test_a_dataset_of_other_amounts_is_refused_as_baseline(saved, tmp_path):
    _, model, _ = saved
    other = tmp_path / "other.h5"
    amount_dataset(400, peaks=True, unit=AmountUnit(unit="RPKM")).save(other)
    with pytest.raises(InputError, match="the unit of 'strong' is RPKM, that of the model reads"):
        benchmark_variants(model, measured(), GENOME, baselines=[other])
    peaks = replace(model, spec=model.spec.model_copy(update={"targets": (), "units": ()}))
    with pytest.raises(InputError, match=f"is {READS}, that of the model probability"):
        benchmark_variants(peaks, measured(), GENOME, baselines=[tmp_path / "data.h5"])
