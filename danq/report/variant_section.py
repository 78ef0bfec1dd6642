"""The section on variant effects: top hits with their surroundings, distribution, rejects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.genome.variants.reject_reasons import REASONS
from danq.inference.mutagenesis.mutate import mutate
from danq.inference.sources import Regions
from danq.inference.variants.finished_output import read_finished
from danq.inference.writers.variant_layout import NO_FLAG
from danq.models import Model
from danq.output import REJECTED
from danq.report.content import Absent, Axis, Chart, MutationMap, Part, Plot, Section, Series, Table
from danq.report.genotypes import read_genotypes, without_personal_flags
from danq.report.mutation_section import map_plot
from danq.report.read_tables import read_stored_table
from danq.report.variant_scores import (
    BITS,
    LABELS,
    STRONG,
    VariantScores,
    is_vcf,
    read_variant_scores,
)
from danq.typing import Location

TOP = 50
"""Variants in the table of the largest effects."""

MAPPED = 3
"""Variants with a map of the mutations around them."""

FLANK = 20
"""Bases on each side of a mapped variant."""

_BINS = 61

_EXPLAINED = {
    "q_min": "The q-value is the smallest of all tracks.",
    "significance": "Significance is DeepSEA's: low where effects on many tracks are larger than "
    "those of background variants.",
    "flags": "Flags are: padded, the window extends past its contig; moved, the "
    "variant was shifted to the left; swapped, REF and ALT were exchanged; neighbours or left-out, "
    "other variants are in the window, with or without their alleles; unmatched, few background "
    "variants are of its kind.",
}
"""What columns of the table of the largest effects are."""


class Surroundings(NamedTuple):
    """What the maps around variants need.

    Attributes
    ----------
    model
        The model, loaded; or why there is none.
    genome
        FASTA of the genome, if it was given.
    """

    model: Model | Absent
    genome: Location | None


def variant_section(
    path: Path, surroundings: Surroundings | None = None, *, genotypes: bool = False
) -> Section:
    """Section on an output of variant effects, and the table of rejects beside it.

    Parameters
    ----------
    path
        HDF5, TSV, Parquet or VCF.
    surroundings
        Model and genome for the mutations around the variants with the largest effects.
    genotypes
        Whether genotypes, and flags that depend on them, are shown.
    """
    title = f"Variant effects: {path.name}"
    try:
        scores = read_variant_scores(path)
    except InputError as error:
        parts = (Absent("the variant effects", str(error)), *_rejects(path))
        return Section(title, path, parts=parts)
    facts = {
        "variants": f"{len(scores):,}",
        "tracks": f"{len(scores.tracks):,}",
        "score": scores.score,
    }
    if scores.score in BITS:
        count = int((np.abs(scores.largest) >= STRONG).sum())
        facts["strong effects"] = f"{count:,} of at least {STRONG:g} bit"
    rejects = list(_rejects(path))
    if not rejects:
        facts["rejected alleles"] = "0"
    parts = (
        *_distribution(scores),
        *_top(scores, path, genotypes=genotypes),
        *_maps(scores, surroundings),
        *_by_track(scores),
        *rejects,
    )
    return Section(title, path, facts, parts, scores.provenance)


def _distribution(scores: VariantScores) -> Iterator[Part]:
    known = scores.largest[np.isfinite(scores.largest)].astype(np.float64)
    if not known.size:
        yield Absent("the distribution of effects", "no variant has a score")
        return
    end = float(np.abs(known).max()) or 1.0
    low = 0.0 if scores.score == "product" else -end
    counts, edges = np.histogram(known, np.linspace(low, end, _BINS))
    numbers = pl.DataFrame({"low": edges[:-1], "high": edges[1:], "variants": counts})
    middle, last = np.quantile(np.abs(known), [0.5, 0.99])
    yield Plot(
        "Distribution of effects",
        "Number of variants by their largest effect over all tracks: to the right the alternate "
        "allele raises a prediction, to the left it lowers it. Most variants should be near 0. "
        "The vertical axis is logarithmic.",
        Chart(
            Axis(LABELS[scores.score]),
            Axis("Variants (count)", 0.5, None, "log"),
            (Series("variants", edges, counts.astype(np.float64), "bars"),),
        ),
        numbers,
        f"Median magnitude {middle:.3g}; 99 % of the variants are below {last:.3g}.",
    )


def _top(scores: VariantScores, path: Path, *, genotypes: bool) -> Iterator[Part]:
    rows = scores.ranked()[:TOP]
    if not rows.size:
        return
    table = scores.rows[rows].with_columns(
        pl.Series("effect", scores.largest[rows]),
        pl.Series("track", [scores.tracks[k] for k in scores.track[rows]], dtype=pl.String),
    )
    named = pl.format("{}:{} {}>{}", "chrom", "pos", _short("ref"), _short("alt")).alias("variant")
    extra = [one for one in ("q_min", "significance", "flags") if one in table.columns]
    if "flags" in extra:
        table = table.with_columns(pl.col("flags").replace(NO_FLAG, ""))
        if not genotypes:
            table = table.with_columns(without_personal_flags(table["flags"]))
    found = None
    if genotypes and is_vcf(path):
        found = read_genotypes(path, table.select("chrom", "pos", "id", "ref"))
    table = table.select(named, "id", "effect", "track", *extra)
    if found is not None and found.width:
        table = table.hstack(found)
    more = "".join(f" {_EXPLAINED[one]}" for one in extra)
    size = min(TOP, len(scores))
    yield Table(
        "Largest effects",
        f"The {size:,} variants with the largest effect on any track, and that track. Above 0, the "
        f"alternate allele raises the prediction.{more}",
        table,
        {"id": "Name", "q_min": "Smallest q-value", "effect": f"Effect ({scores.score})"},
        limit=TOP,
    )


def _short(column: str) -> pl.Expr:
    """An allele, the middle of a long one left out."""
    text = pl.col(column)
    cut = pl.format("{}…{}", text.str.head(8), text.str.tail(3))
    return pl.when(text.str.len_chars() > 16).then(cut).otherwise(text)


def _by_track(scores: VariantScores) -> Iterator[Part]:
    table = pl.DataFrame({"track": scores.tracks, "largest": scores.most.astype(np.float32)})
    if scores.score in BITS:
        table = table.insert_column(1, pl.Series("strong", scores.strong))
    yield Table(
        "Effects by track",
        f"Number of variants with an effect of at least {STRONG:g} bit, and the largest magnitude "
        "of an effect."
        if scores.score in BITS
        else "Largest magnitude of an effect.",
        table,
        {"strong": f"Variants of at least {STRONG:g} bit", "largest": "Largest magnitude"},
        "largest",
    )


def _maps(scores: VariantScores, surroundings: Surroundings | None) -> Iterator[Part]:
    what = "the mutations around the variants with the largest effects"
    if surroundings is None or surroundings.genome is None:
        yield Absent(what, "they need the genome, which was not given")
        return
    model = surroundings.model
    if isinstance(model, Absent):
        yield Absent(what, model.why)
        return
    for row in scores.ranked()[:MAPPED]:
        one = scores.rows.row(int(row), named=True)
        track = scores.tracks[scores.track[row]]
        try:
            yield _map(model, surroundings.genome, one, track)
        except InputError as error:
            yield Absent(f"the mutations around {one['chrom']}:{one['pos']}", str(error))


def _map(model: Model, genome: Location, variant: dict, track: str) -> Plot:
    first = max(1, variant["pos"] - FLANK)
    last = variant["pos"] + FLANK
    name = variant["chrom"]
    braced = f"{{{name}}}" if ":" in name or "," in name else name
    effects = mutate(model, Regions([f"{braced}:{first}-{last}"], genome), tracks=[track])
    codes = np.array(["ACGTN".index(base) for base in effects.rows["ref"]], np.uint8)
    unit = (
        "change in log2 odds, bits"
        if model.spec.kinds[model.spec.tracks.index(track)] == "peaks"
        else "change in amount"
    )
    drawn = MutationMap(name, first - 1, codes, effects.values[:, :, 0], unit, variant["pos"])
    shown = f"{variant['ref'][:12]}>{variant['alt'][:12]}"
    return map_plot(
        f"{name}:{variant['pos']} {shown} and its surroundings, track {track}", drawn, track
    )


def _rejects(path: Path) -> Iterator[Part]:
    """Rejects by reason; nothing if every allele was scored."""
    file = path.with_name(path.name + REJECTED)
    if not file.is_file():
        yield Absent("the rejected variants", f"there is no {file.name} beside the output")
        return
    try:
        note = read_finished(file)
        if note is not None and path.exists():
            note.check(path)
        table = read_stored_table(
            file,
            dict.fromkeys(("chrom", "id", "ref", "alt", "reason", "detail"), pl.String),
            needed=("reason",),
            numeric=False,
        ).frame
    except InputError as error:
        yield Absent("the rejected variants", str(error))
        return
    if not table.height:
        return
    counts = (
        table.group_by("reason").len("alleles").sort("alleles", "reason", descending=[True, False])
    )
    meaning = [REASONS.get(reason, "") for reason in counts["reason"]]
    yield Table(
        "Rejected alleles by reason",
        f"{table.height:,} alleles have no scores. {file.name} lists each of them.",
        counts.with_columns(pl.Series("meaning", meaning, dtype=pl.String)),
        sorted_by="alleles",
    )
