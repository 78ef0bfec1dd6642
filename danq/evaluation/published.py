"""Published figures of DeepSEA's test set, and ours beside them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from danq.errors import InputError

MODELS = ("DeepSEA", "DanQ", "DanQ-JASPAR")
TRACKS = 919
FIGURES = ("auroc", "aupr")
WORDS = {"auroc": "AUROC", "aupr": "AUPR"}

PUBLISHED = {
    ("auroc", "mean", "all"): (0.9326, 0.9384, 0.9417),
    ("auroc", "median", "all"): (0.9445, 0.9514, 0.9534),
    ("auroc", "mean", "DNase"): (0.9155, 0.9208, 0.9246),
    ("auroc", "mean", "TF"): (0.9478, 0.9535, 0.9569),
    ("auroc", "mean", "histone"): (0.8522, 0.8596, 0.8622),
    ("aupr", "mean", "all"): (0.3425, 0.3709, 0.3794),
    ("aupr", "median", "all"): (0.3438, 0.3726, 0.3834),
    ("aupr", "mean", "DNase"): (0.4443, 0.4636, 0.4752),
    ("aupr", "mean", "TF"): (0.3203, 0.3520, 0.3606),
    ("aupr", "mean", "histone"): (0.3676, 0.3850, 0.3883),
}
"""Figure, what is made of it over which tracks, and its value for each of `MODELS`.

Quang & Xie, Nucleic Acids Research 2016: 227,512 windows of chr8 and chr9, both strands averaged,
over the 918 of 919 tracks that have a positive there.
"""

_NUMBERED = re.compile(r"#\d+$")


@dataclass(frozen=True)
class Comparison:
    """Our figures beside the published ones.

    Attributes
    ----------
    means
        A row for each of `PUBLISHED`: ``figure``, ``of`` ("mean" or "median"), ``group``,
        ``ours`` (null where there is no such group) and a column for each of `MODELS`.
    tracks
        A row a track: ``track``, ``group``, ``auroc``, ``aupr`` and the same of each model that
        the authors' table has, as ``danq_auroc``, ``danq_jaspar_aupr``; or None without it.
    """

    means: pl.DataFrame
    tracks: pl.DataFrame | None = None

    def describe(self) -> list[str]:
        """Lines for a person to read."""
        lines = [f"{'beside the published figures':30}{'ours':>9}{''.join(map(_head, MODELS))}"]
        for row in self.means.iter_rows(named=True):
            group = "" if row["group"] == "all" else f", {row['group']}"
            values = [row["ours"], *(row[model] for model in MODELS)]
            name = f"{WORDS[row['figure']]} {row['of']}{group}"
            shown = f"{_show(values[0]):>9}" + "".join(f"{_show(v):>13}" for v in values[1:])
            lines.append(f"{name:30}{shown}")
        for model in models_of(self.tracks):
            counts = [self._better(model, figure) for figure in FIGURES]
            told = " and ".join(
                f"{WORDS[figure]} on {better:,} of {known:,}"
                for figure, (better, known) in zip(FIGURES, counts, strict=True)
            )
            lines.append(f"better than {model} by {told} tracks")
        return lines

    def _better(self, model: str, figure: str) -> tuple[int, int]:
        assert self.tracks is not None
        theirs = column(model, figure)
        known = self.tracks.drop_nulls([figure, theirs])
        return int((known[figure] > known[theirs]).sum()), known.height


def compare(
    table: pl.DataFrame, groups: pl.DataFrame, paper: pl.DataFrame | None = None
) -> Comparison:
    """Put figures of a model beside the published ones.

    Parameters
    ----------
    table
        As `danq.evaluation.table.track_table` makes it.
    groups
        As `danq.evaluation.table.group_table` makes it.
    paper
        As `read_paper` gives it.

    Raises
    ------
    InputError
        When the authors' table has other tracks: another number, or other names where ours
        are theirs (``cell|mark|treatment``).
    """
    ours = {row["group"]: row for row in groups.iter_rows(named=True)}
    rows = [
        {
            "figure": figure,
            "of": of,
            "group": group,
            "ours": ours.get(group, {}).get(f"{figure}_{of}"),
            **dict(zip(MODELS, values, strict=True)),
        }
        for (figure, of, group), values in PUBLISHED.items()
    ]
    means = pl.DataFrame(rows, schema_overrides={"ours": pl.Float64})
    if paper is None:
        return Comparison(means)
    _refuse_others(table["track"].to_list(), paper["name"].to_list())
    chosen = table.select("track", "group", *FIGURES)
    return Comparison(means, chosen.hstack(paper.drop("name")))


def read_paper(path: str | Path) -> pl.DataFrame:
    """Read the authors' table of figures by track.

    Parameters
    ----------
    path
        Text with tabs or commas. Its head names ``Cell Type``, ``TF/DNase/HistoneMark`` and
        ``Treatment`` first, then ``<model> ROC AUC`` and ``<model> PR AUC`` for some of `MODELS`.

    Returns
    -------
    polars.DataFrame
        ``name`` (``cell|mark|treatment``), then columns such as ``danq_auroc``; a figure that is
        missing is null.

    Raises
    ------
    InputError
        When it cannot be read, has other columns, or a figure is no number from 0 to 1.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", file=path) from error
    between = "\t" if lines and "\t" in lines[0] else ","
    head = [field.strip().strip('"').lower() for field in lines[0].split(between)] if lines else []
    places = {name: head.index(words) for name, words in _columns() if words in head}
    if len(head) < 4 or head[0] != "cell type" or not places:
        raise InputError(
            "not the authors' table: its head names no 'Cell Type' first, or no model's figures",
            file=path,
            remedy="Columns are Cell Type, TF/DNase/HistoneMark, Treatment, DanQ ROC AUC, "
            "DanQ PR AUC and the same of DeepSEA and DanQ-JASPAR",
        )
    names: list[str] = []
    values: dict[str, list[float | None]] = {name: [] for name in places}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        fields = [field.strip().strip('"') for field in line.split(between)]
        if len(fields) != len(head):
            raise InputError(f"{len(fields)} columns, not {len(head)}", file=path, line=number)
        names.append("|".join(fields[:3]))
        for name, place in places.items():
            values[name].append(_figure(fields[place], path, number))
    return pl.DataFrame(
        {"name": names, **values},
        schema={"name": pl.String, **dict.fromkeys(values, pl.Float64)},
    )


def models_of(tracks: pl.DataFrame | None) -> list[str]:
    """Models whose figures a table of tracks has in full."""
    if tracks is None:
        return []
    return [m for m in MODELS if all(column(m, figure) in tracks.columns for figure in FIGURES)]


def column(model: str, figure: str) -> str:
    """Name of the column with a model's figure, such as ``danq_jaspar_aupr``."""
    return f"{model.lower().replace('-', '_')}_{figure}"


def _columns() -> Iterator[tuple[str, str]]:
    for figure, words in zip(FIGURES, ("roc auc", "pr auc"), strict=True):
        for model in MODELS:
            yield column(model, figure), f"{model.lower()} {words}"


def _figure(text: str, path: Path, line: int) -> float | None:
    if text.lower() in ("", "nan", "na", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise InputError(f"'{text}' is no number from 0 to 1", file=path, line=line)
    return value


def _refuse_others(ours: Sequence[str], theirs: Sequence[str]) -> None:
    if len(ours) != len(theirs):
        raise InputError(
            f"the authors' table has {len(theirs):,} tracks, the dataset {len(ours):,}"
        )
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), start=1):
        plain = _NUMBERED.sub("", one)
        if "|" in plain and plain != other:
            raise InputError(
                f"track {number} is '{plain}' in the dataset, but '{other}' in the authors' table"
            )


def _head(model: str) -> str:
    return f"{model:>13}"


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
