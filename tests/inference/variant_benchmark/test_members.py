"""The spread over the members of an ensemble of the metrics of measured variants."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
import torch

from danq.inference import benchmark_variants, write_variant_benchmark
from tests.inference.variant_benchmark.test_benchmark_variants import contig, fasta, table_of
from tests.watched import watched

assert contig
assert fasta


@pytest.fixture
def models(toy):
    """Two models with different tracks of the same names."""

    class Other(torch.nn.Module):
        def __init__(self, module: torch.nn.Module) -> None:
            super().__init__()
            self.module = module

        def forward(self, codes: torch.Tensor) -> torch.Tensor:
            return self.module(codes).flip(1)

    first, second = (toy().with_options(strand="forward") for _ in range(2))
    second.module = Other(second.module)
    return [first, second]


@pytest.fixture
def table(contig) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return table_of(contig, effect=rng.normal(size=40), label=rng.integers(0, 2, 40))


def by_name(report) -> dict[tuple[str, str], dict]:
    return {(row["kind"], row["name"]): row for row in report.table.iter_rows(named=True)}


@pytest.mark.parametrize("bootstrap", [0, 50])
def test_the_spread_is_that_of_the_members_alone(models, table, fasta, bootstrap):
    both = benchmark_variants(models, table, fasta, bootstrap=bootstrap)
    alone = [by_name(benchmark_variants(one, table, fasta, bootstrap=0)) for one in models]
    differing = 0
    for key, row in by_name(both).items():
        for name in ("auroc", "ap", "spearman_size", "spearman_signed", "sign_agreement"):
            values = [one[key][name] for one in alone]
            found = row[f"{name}_sd"]
            if key[0] == "baseline":
                assert found is None
            elif np.isnan(values).any():
                assert np.isnan(found)
            else:
                assert found == pytest.approx(np.std(values, ddof=1))
                differing += found > 0
    assert differing > 0
    first = [one["summary", "logit_max"]["auroc"] for one in alone]
    assert both.notes[0] == (
        f"mean of 2 models; auroc of logit_max of each alone: {min(first):.3f} to {max(first):.3f}"
    )
    assert both.notes[0] in both.describe()


def test_the_spread_follows_the_interval(models, table, fasta):
    columns = benchmark_variants(models, table, fasta, bootstrap=50).table.columns
    at = columns.index("auroc")
    assert columns[at : at + 5] == ["auroc", "auroc_low", "auroc_high", "auroc_sd", "ap"]
    columns = benchmark_variants(models, table, fasta, bootstrap=0).table.columns
    assert columns[2:5] == ["auroc", "auroc_sd", "ap"]


def test_one_model_has_no_spread(models, table, fasta):
    report = benchmark_variants(models[:1], table, fasta, bootstrap=0)
    assert not [name for name in report.table.columns if name.endswith("_sd")]
    assert "models" not in report.notes[0]


def test_the_spread_is_written_and_defined(models, table, fasta, tmp_path):
    report = benchmark_variants(models, table, fasta, bootstrap=0)
    write_variant_benchmark(report, tmp_path / "out.tsv")
    text = (tmp_path / "out.tsv").read_text()
    assert "# _sd: sample standard deviation of the metrics of the models, each alone" in text
    assert "auroc_sd" in text
    assert "mean of 2 models" in text


def test_progress_counts_the_members(models, table, fasta):
    seen = []
    with watched(lambda *pair: seen.append(pair)):
        benchmark_variants(models, table, fasta, bootstrap=0)
    # The mean, then each of two models.
    assert [pair for pair in seen if pair[0] == 40] == [(40, 40)] * 3
