"""From scored variants of two kinds to a judgement of how well the scores tell them apart."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import UInt8

from danq._version import __version__
from danq.errors import InputError
from danq.inference.writers.tsv import write_table
from danq.interpretation.variant_classification.boosted_trees import (
    FOLDS,
    CrossValidation,
    Groups,
    cross_validate,
    fit,
    functional_probability,
)
from danq.interpretation.variant_classification.effect_features import (
    KEYS,
    EffectFeatures,
    read_effects,
    read_table,
    refuse_repeats,
)
from danq.output import check_target, replacing

LABEL = "label"

log = logging.getLogger("danq")


@dataclass(frozen=True, eq=False)
class ClassificationReport:
    """How well functional variants are told from others.

    Attributes
    ----------
    table
        A row a variant: ``chrom``, ``pos``, ``id``, ``ref``, ``alt``, ``label``, the ``fold`` that
        held it out, and the ``probability`` that it is functional.
    folds
        A row a fold: ``fold``, ``variants``, ``functional``, ``auroc``, ``aupr``.
    result
        The figures behind it.
    provenance
        Files and settings.
    """

    table: pl.DataFrame = field(repr=False)
    folds: pl.DataFrame
    result: CrossValidation = field(repr=False)
    provenance: dict[str, Any]

    def describe(self) -> str:
        """Figures fold by fold, their means, and the pooled ones."""
        lines = ["fold  variants  functional   AUROC    AUPR"]
        for row in self.folds.iter_rows(named=True):
            lines.append(
                f"{row['fold']:4}  {row['variants']:8,}  {row['functional']:10,}  "
                f"{_shown(row['auroc'])}  {_shown(row['aupr'])}"
            )
        spread = [_mean(self.folds[name]) for name in ("auroc", "aupr")]
        lines += [
            "",
            f"mean over folds: AUROC {spread[0]}, AUPR {spread[1]}; base rate "
            f"{self.result.base_rate:.4f}",
            f"all variants at once: AUROC {self.result.pooled_auroc:.4f}, "
            f"AUPR {self.result.pooled_aupr:.4f}",
        ]
        return "\n".join(lines)


def classify_variants(
    effects: str | Path | Sequence[str | Path],
    out: str | Path | None = None,
    *,
    labels: str | Path | None = None,
    conservation: Sequence[str | Path] = (),
    folds: int = FOLDS,
    groups: Groups = "chrom",
    seed: int = 0,
    apply: tuple[str | Path, str | Path] | None = None,
    overwrite: bool = False,
) -> ClassificationReport:
    """Cross-validate a classifier of functional variants on their predicted effects.

    No model is kept: it would have to be pickled, and trains in seconds. What it says of further
    variants is asked for together with its training, by ``apply``.

    Parameters
    ----------
    effects
        Two files of `danq variants`, the functional variants and the others; or one of both, with
        ``labels``.
    out
        TSV to write: a row a variant with its label, fold and probability. Nothing where None.
    labels
        TSV with a column ``label`` (1 functional, 0 other), and ``chrom``, ``pos``, ``ref`` and
        ``alt``, or ``id``. Variants that it does not name are left out.
    conservation
        TSVs with ``chrom``, ``pos``, ``ref``, ``alt`` and columns of numbers, each a feature, such
        as conservation scores. Variants that one lacks count as unknown there.
    folds, groups, seed
        As `danq.interpretation.variant_classification.boosted_trees.cross_validate` takes them.
    apply
        File of further scored variants, and the TSV to write with the probability that each is
        functional, by a model trained on all labelled ones.
    overwrite
        Replace files that exist.

    Raises
    ------
    InputError
        When a file cannot be read, is of other tracks, names a variant twice or the same one as
        functional and not; when a label is neither 0 nor 1; as `cross_validate`; and when an
        output exists or cannot be written.
    """
    paths = [effects] if isinstance(effects, str | Path) else list(effects)
    targets = [
        target for target in (out, None if apply is None else apply[1]) if target is not None
    ]
    for target in targets:
        check_target(target, overwrite)
    features, marks = _labelled(paths, labels)
    extra = [(Path(path), read_table(path, *KEYS)) for path in conservation]
    more = None
    if apply is not None:
        more = read_effects(apply[0])
        _same_tracks(features, more, paths[0])
        more = _with_extra(more, extra)
    features = _with_extra(features, extra)
    result = cross_validate(
        features.values, marks, features.variants["chrom"].to_list(),
        folds=folds, groups=groups, seed=seed,
    )  # fmt: skip
    about = {
        "created_by": f"danq {__version__}",
        "effects": ", ".join(map(str, paths)),
        "labels": None if labels is None else str(labels),
        "conservation": ", ".join(map(str, conservation)) or None,
        "features": len(features.names),
        "folds": folds,
        "groups": groups,
        "seed": seed,
    }
    report = ClassificationReport(
        _table(features, marks, result), _fold_table(marks, result), result, about
    )
    with ExitStack() as stack:
        if out is not None:
            write_table(stack.enter_context(replacing(out, overwrite)), report.table, about)
        if more is not None and apply is not None:
            model = fit(features.values, marks, seed)
            said = pl.Series("probability", functional_probability(model, more.values))
            about = {**about, "applied_to": str(apply[0])}
            path = stack.enter_context(replacing(apply[1], overwrite))
            write_table(path, more.variants.with_columns(said), about)
    return report


def _labelled(
    paths: Sequence[str | Path], labels: str | Path | None
) -> tuple[EffectFeatures, UInt8[np.ndarray, " V"]]:
    if len(paths) != (2 if labels is None else 1):
        raise InputError(
            f"{len(paths)} files of effects {'without' if labels is None else 'with'} labels",
            remedy="Give the functional variants and the others, or one file and labels",
        )
    parts = [read_effects(path) for path in paths]
    if labels is not None:
        refuse_repeats(parts[0].variants, paths[0])
        return _with_labels(parts[0], Path(labels))
    functional, other = parts
    _same_tracks(functional, other, paths[0])
    both = pl.concat([functional.variants, other.variants])
    common = functional.variants.join(other.variants, on=KEYS, how="semi")
    if common.height:
        row = common.row(0, named=True)
        raise InputError(
            f"{common.height} variants are in {paths[0]} too",
            file=paths[1],
            record=" ".join(str(row[key]) for key in KEYS),
            remedy="A variant is functional or not: take it out of one file",
        )
    for part, path in zip(parts, paths, strict=True):
        refuse_repeats(part.variants, path)
    marks = np.repeat(np.array([1, 0], np.uint8), [len(part.values) for part in parts])
    values = np.concatenate([functional.values, other.values])
    return EffectFeatures(both, values, functional.names), marks


def _with_labels(
    features: EffectFeatures, path: Path
) -> tuple[EffectFeatures, UInt8[np.ndarray, " V"]]:
    table = read_table(path, LABEL)
    keys = list(KEYS) if set(KEYS) <= set(table.columns) else ["id"]
    if not set(keys) <= set(table.columns):
        raise InputError(
            f"has neither the columns {', '.join(KEYS)} nor id",
            file=path,
            remedy="Name the variants",
        )
    values = table[LABEL].cast(pl.String)
    bad = ~values.is_in(["0", "1"]).fill_null(False)
    if bad.any():
        raise InputError(
            f"a label is '{values[int(bad.arg_max() or 0)]}', not 0 or 1",
            file=path,
            record=str(table[keys[-1]][int(bad.arg_max() or 0)]),
        )
    if table.select(keys).is_duplicated().any():
        raise InputError("labels a variant twice", file=path, remedy="Leave one row a variant")
    small = table.select(*keys, pl.col(LABEL).cast(pl.Int8))
    joined = features.variants.join(small, on=keys, how="left", maintain_order="left")
    known = joined[LABEL].is_not_null().to_numpy()
    if not known.any():
        raise InputError(f"names none of the variants of {features.path}", file=path)
    if not known.all():
        log.info("variants without a label are left out: %s", f"{int((~known).sum()):,}")
    marks = joined[LABEL].drop_nulls().to_numpy().astype(np.uint8)
    return features.take(known), marks


def _same_tracks(ours: EffectFeatures, theirs: EffectFeatures, path: str | Path) -> None:
    if ours.names != theirs.names:
        raise InputError(
            f"its tracks are not those of {path}",
            file=theirs.path,
            remedy="Score both with the same models and tracks",
        )


def _with_extra(
    features: EffectFeatures, extra: Sequence[tuple[Path, pl.DataFrame]]
) -> EffectFeatures:
    for path, table in extra:
        features = features.with_columns(table, path)
    return features


def _table(
    features: EffectFeatures, marks: UInt8[np.ndarray, " V"], result: CrossValidation
) -> pl.DataFrame:
    return features.variants.with_columns(
        pl.Series(LABEL, marks),
        pl.Series("fold", result.fold),
        pl.Series("probability", result.probability),
    )


def _fold_table(marks: UInt8[np.ndarray, " V"], result: CrossValidation) -> pl.DataFrame:
    numbers = np.arange(1, len(result.auroc) + 1)
    return pl.DataFrame(
        {
            "fold": numbers,
            "variants": [int((result.fold == number).sum()) for number in numbers],
            "functional": [int(marks[result.fold == number].sum()) for number in numbers],
            "auroc": result.auroc,
            "aupr": result.aupr,
        }
    )


def _mean(values: pl.Series) -> str:
    known = values.drop_nans()
    return f"{known.mean():.4f} (sd {known.std() or 0:.4f})" if len(known) else "-"


def _shown(value: float) -> str:
    return "     -" if np.isnan(value) else f"{value:.4f}"
