"""Train and cross-validate a classifier of functional variants on predicted variant effects."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import UInt8

from danq._version import __version__
from danq.errors import InputError
from danq.inference.writers.tsv import write_table
from danq.interpretation.variant_classification.boosted_trees import (
    fit_trees,
    functional_probability,
)
from danq.interpretation.variant_classification.cross_validation import (
    FOLDS,
    CrossValidation,
    Groups,
    cross_validate,
)
from danq.interpretation.variant_classification.effect_features import (
    EffectFeatures,
    add_columns,
    read_effects,
    read_table,
)
from danq.interpretation.variant_classification.match_variants import (
    KEYS,
    LABEL,
    LINE,
    check_distinct,
    contig_groups,
    keyed,
    match_rows,
)
from danq.interpretation.variant_classification.scoring_conditions import (
    warn_of_differences,
)
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.output import OutputFile, replacing_files
from danq.typing import Location

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """Result of `classify_variants`.

    Attributes
    ----------
    variants
        One row per labelled variant: ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``,
        ``label``, the ``fold`` in which it was held out, and the ``probability`` that it is
        functional.
    folds
        One row per fold: ``fold``, ``variants``, ``functional``, ``auroc``, ``aupr``.
    result
        The cross-validation.
    applied
        ``chrom``, ``pos``, ``id``, ``ref``, ``alt`` and ``probability`` of the further variants,
        or None.
    notes
        Texts about labels, values and variants that had no match.
    provenance
        Files, settings and notes.
    """

    variants: pl.DataFrame = field(repr=False)
    folds: pl.DataFrame
    result: CrossValidation = field(repr=False)
    applied: pl.DataFrame | None = field(repr=False)
    notes: tuple[str, ...]
    provenance: dict[str, Any]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        tables = [
            FirstRows.of("Metrics of each fold", self.folds),
            FirstRows.of("Labelled variants", self.variants),
        ]
        if self.applied is not None:
            tables.append(FirstRows.of("Further variants", self.applied))
        summary = f"{self.variants.height:,} labelled variants in {self.folds.height:,} folds"
        lines = self.describe().splitlines()[self.folds.height + 2 :]
        return Display(summary, "\n".join(lines), tables=tables)

    def describe(self) -> str:
        """Metrics of each fold, their means, the pooled metrics, and the notes, as text."""
        lines = ["fold  variants  functional   AUROC    AUPR"]
        for row in self.folds.iter_rows(named=True):
            lines.append(
                f"{row['fold']:4}  {row['variants']:8,}  {row['functional']:10,}  "
                f"{_format(row['auroc'])}  {_format(row['aupr'])}"
            )
        auroc, aupr = (_mean_and_sd(self.folds[name]) for name in ("auroc", "aupr"))
        lines += [
            "",
            f"mean over folds: AUROC {auroc}, AUPR {aupr}; base rate {self.result.base_rate:.4f}",
            f"all folds pooled: AUROC {self.result.pooled_auroc:.4f}, "
            f"AUPR {self.result.pooled_aupr:.4f}",
            *self.notes,
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Metrics of the folds, their means, the pooled metrics, notes and provenance."""
        result = self.result
        return {
            "variants": len(self.variants),
            "folds": self.folds.to_dicts(),
            "auroc": self.folds["auroc"].fill_nan(None).mean(),
            "aupr": self.folds["aupr"].fill_nan(None).mean(),
            "pooled_auroc": result.pooled_auroc,
            "pooled_aupr": result.pooled_aupr,
            "base_rate": result.base_rate,
            "notes": list(self.notes),
            "provenance": self.provenance,
        }


def classify_variants(
    effects: Location | Sequence[Location],
    *,
    labels: Location | None = None,
    conservation: Sequence[Location] = (),
    folds: int = FOLDS,
    groups: Groups = "chrom",
    seed: int = 0,
    apply: Location | None = None,
) -> ClassificationReport:
    """Train and cross-validate a classifier of functional variants on their predicted effects.

    The classifier itself is not kept, because scikit-learn stores models as pickles only. It trains
    in seconds; ``apply`` predicts for further variants in the same call.

    Parameters
    ----------
    effects
        Two outputs of `danq.write_variant_scores`, one of functional and one of other variants;
        or one output with both, and ``labels``.
    labels
        TSV with a column ``label`` (1 functional, 0 other), and either ``chrom``, ``pos``,
        ``ref`` and ``alt``, or ``id``. Variants without a label are left out and counted, and so
        are labels without a variant; rows are matched as in
        `danq.interpretation.variant_classification.match_variants.match_rows`.
    conservation
        TSVs with ``chrom``, ``pos``, ``ref``, ``alt`` and numeric columns, such as conservation
        scores. Each column is a feature; it is unknown for variants that the file lacks. These
        are counted, and so are rows without a variant.
    folds, groups, seed
        As in `danq.interpretation.variant_classification.cross_validation.cross_validate`.
    apply
        Output of `danq.write_variant_scores` with further variants. The report holds the
        probability that each is functional, from a classifier trained on all labelled variants.

    Raises
    ------
    InputError
        When a file cannot be read, has other tracks, or names a variant twice; when a variant is
        both functional and not, or a label is neither 0 nor 1; and as `cross_validate`.
    """
    paths = [effects] if isinstance(effects, str | Path) else list(effects)
    features, label, chroms = _labelled(paths, labels)
    extra = [(Path(path), read_table(path, *KEYS)) for path in conservation]
    further = [] if apply is None else [read_effects(apply)]
    for one in further:
        _check_same_tracks(features, one, paths[0])
    for path, table in extra:
        features, *further = add_columns([features, *further], table, path)
    result = cross_validate(
        features.values, label, chroms,
        folds=folds, groups=groups, seed=seed,
    )  # fmt: skip
    applied, notes = None, features.notes
    for unlabelled in further:
        trees = fit_trees(features.values, label, seed)
        probability = functional_probability(trees, unlabelled.values)
        notes += unlabelled.notes
        applied = unlabelled.variants.with_columns(pl.Series("probability", probability))
    provenance = {
        "created_by": f"danq {__version__}",
        "effects": ", ".join(map(str, paths)),
        "labels": None if labels is None else str(labels),
        "conservation": ", ".join(map(str, conservation)) or None,
        "features": len(features.names),
        "folds": folds,
        "groups": groups,
        "seed": seed,
        "without match": "; ".join(notes) or None,
    } | ({} if apply is None else {"applied_to": str(apply)})
    variants = features.variants.with_columns(
        pl.Series(LABEL, label),
        pl.Series("fold", result.fold),
        pl.Series("probability", result.probability),
    )
    folds_of = _fold_table(label, result)
    return ClassificationReport(variants, folds_of, result, applied, notes, provenance)


def write_variant_classes(
    report: ClassificationReport,
    out: Location,
    *,
    applied: Location | None = None,
    overwrite: bool = False,
) -> None:
    """Write the variants of a report as TSV, with the provenance in comment lines.

    Parameters
    ----------
    report
        Result of `classify_variants`.
    out
        File for ``report.variants``.
    applied
        File for ``report.applied``. None does not write it.
    overwrite
        Whether to replace existing files.

    Raises
    ------
    InputError
        When ``applied`` is given and the report has no such variants, or is ``out``; when an
        output exists and ``overwrite`` is false, or cannot be written.
    """
    if applied is not None and report.applied is None:
        raise InputError(
            "the classifier was not applied to further variants",
            file=Path(applied),
            remedy="Pass their file to classify_variants as apply",
        )
    if applied is not None and Path(out).absolute() == Path(applied).absolute():
        raise InputError(
            "is named twice, for the labelled and for the further variants",
            file=Path(out),
            remedy="Give two names",
        )
    tables = {Path(out): report.variants}
    if applied is not None and report.applied is not None:
        tables = {Path(applied): report.applied} | tables
    with replacing_files([OutputFile(path) for path in tables], overwrite) as temporaries:
        for temporary, table in zip(temporaries, tables.values(), strict=True):
            write_table(temporary, table, report.provenance)


def _labelled(
    paths: Sequence[Location], labels: Location | None
) -> tuple[EffectFeatures, UInt8[np.ndarray, " V"], list[str]]:
    """Features, labels and contigs of all labelled variants."""
    if len(paths) != (2 if labels is None else 1):
        raise InputError(
            f"{len(paths)} file{'' if len(paths) == 1 else 's'} of variant effects "
            f"{'without' if labels is None else 'with'} labels",
            remedy="Give one file for functional and one for other variants, or one file and "
            "labels",
        )
    tables = [read_effects(path) for path in paths]
    for table, path in zip(tables, paths, strict=True):
        check_distinct(table.variants, KEYS, KEYS, path)
    if labels is not None:
        features, label = _join_labels(tables[0], Path(labels))
        return features, label, features.variants["chrom"].to_list()
    functional, other = tables
    _check_same_tracks(functional, other, paths[0])
    ours, theirs = (one.variants["chrom"].to_list() for one in tables)
    groups = contig_groups(theirs, ours, paths[1])
    names = dict(zip(theirs, groups, strict=True))
    keys = [name for name in keyed(functional.variants.clear()).columns if name[0] == "_"]
    common = keyed(other.variants, names).join(keyed(functional.variants), on=keys, how="semi")
    if common.height:
        row = common.row(0, named=True)
        raise InputError(
            f"{common.height} variants are also in {paths[0]}",
            file=paths[1],
            record=" ".join(str(row[key]) for key in KEYS),
            remedy="Remove each from one of the two files",
        )
    label = np.repeat(np.array([1, 0], np.uint8), [len(table.values) for table in tables])
    variants = pl.concat([functional.variants, other.variants])
    values = np.concatenate([functional.values, other.values])
    return EffectFeatures(variants, values, functional.names), label, [*ours, *groups]


def _join_labels(
    features: EffectFeatures, path: Path
) -> tuple[EffectFeatures, UInt8[np.ndarray, " V"]]:
    table = read_table(path, LABEL)
    keys = list(KEYS) if set(KEYS) <= set(table.columns) else ["id"]
    if not set(keys) <= set(table.columns):
        raise InputError(
            f"has neither the columns {', '.join(KEYS)} nor id",
            file=path,
            remedy="Add columns that identify the variants",
        )
    values = table[LABEL]
    bad = ~values.is_in(["0", "1"])
    if bad.any():
        row = int(bad.arg_max() or 0)
        raise InputError(
            f"a label is '{values[row]}', not 0 or 1",
            file=path,
            line=table[LINE][row],
            record=str(table[keys[-1]][row]),
        )
    matches = match_rows(features.variants, table, path, keys, scored=features.path)
    labelled = matches.row.is_not_null()
    notes = [matches.note]
    if not labelled.all():
        notes.append(f"left out {int((~labelled).sum()):,} variants without a label")
    if keys == ["id"]:
        shared = int(features.variants.filter(labelled)["id"].is_duplicated().sum())
        if shared:
            notes.append(f"{shared:,} variants share their id, and its label, with another one")
    for note in filter(None, notes):
        log.warning(note)
    features = replace(features.take(labelled.to_numpy()), notes=tuple(filter(None, notes)))
    return features, values[matches.row.drop_nulls()].cast(pl.UInt8).to_numpy()


def _check_same_tracks(first: EffectFeatures, second: EffectFeatures, path: Location) -> None:
    if first.names != second.names:
        raise InputError(
            f"its tracks differ from those of {path}",
            file=second.path,
            remedy="Score both with the same models and tracks",
        )
    if second.path is not None:
        warn_of_differences(Path(path), second.path)


def _fold_table(label: UInt8[np.ndarray, " V"], result: CrossValidation) -> pl.DataFrame:
    numbers = np.arange(1, len(result.auroc) + 1)
    return pl.DataFrame(
        {
            "fold": numbers,
            "variants": [int((result.fold == number).sum()) for number in numbers],
            "functional": [int(label[result.fold == number].sum()) for number in numbers],
            "auroc": result.auroc,
            "aupr": result.aupr,
        }
    )


def _mean_and_sd(values: pl.Series) -> str:
    known = values.drop_nans()
    return f"{known.mean():.4f} (sd {known.std() or 0:.4f})" if len(known) else "-"


def _format(value: float) -> str:
    return "     -" if np.isnan(value) else f"{value:.4f}"
