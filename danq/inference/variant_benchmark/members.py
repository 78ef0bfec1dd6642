"""Each member of an ensemble alone, compared with the same measured effects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import polars as pl

from danq.inference.variant_benchmark.comparison import HIGH, METRICS, first_metric
from danq.inference.variants.device_scorer import DeviceScorer
from danq.inference.variants.scorer import Scorer
from danq.inference.writers.layout import SPREAD

KEYS = ["kind", "name"]


def members(scorer: Scorer | DeviceScorer) -> Iterator[Scorer | DeviceScorer]:
    """A scorer of each model of an ensemble; none for one model."""
    if len(scorer.engines) > 1:
        layout = replace(scorer.layout, spread=False)
        for engine in scorer.engines:
            yield replace(scorer, engines=(engine,), layout=layout)


def with_spread(table: pl.DataFrame, each: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Add the sample standard deviation over members of each metric, null for baselines.

    Parameters
    ----------
    table
        Result of `danq.inference.variant_benchmark.comparison.compare` for the mean.
    each
        Its results for the members, without intervals and baselines.
    """
    metrics = [name for name in METRICS if name in table.columns]
    spread = pl.concat(each).group_by(KEYS).agg(pl.col(metrics).std().name.suffix(SPREAD))
    order = []
    for name in table.columns:
        order.append(name)
        metric = name.removesuffix(HIGH)
        if metric in metrics and (name != metric or metric + HIGH not in table.columns):
            order.append(metric + SPREAD)
    return table.join(spread, on=KEYS, how="left", maintain_order="left").select(order)


def describe_members(each: Sequence[pl.DataFrame], reference: str) -> str:
    """Range over members of the first metric of a predictor, as a line of text."""
    first = first_metric(each[0])
    values = [one.filter(pl.col("name") == reference)[first].item() for one in each]
    return (
        f"mean of {len(each)} models; {first} of {reference} of each alone: "
        f"{min(values):.3f} to {max(values):.3f}"
    )
