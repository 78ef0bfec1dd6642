"""Read the effects of variants that `danq.write_variant_scores` wrote, in any format.

Of a VCF, only the columns from CHROM to INFO are read: no genotype and no name of a sample.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from danq.errors import InputError
from danq.files.data_frames import is_parquet
from danq.files.hdf5_input import Hdf5Input, is_hdf5
from danq.files.open_input import open_bytes
from danq.files.sealed_hdf5 import open_sealed
from danq.inference.writers.variant_hdf5 import EXPECTED, FORMAT_VERSION, KIND
from danq.inference.writers.variant_layout import CALIBRATED, FLAGS, NO_FLAG
from danq.inference.writers.variant_layout import KEYS as KEY_TYPES
from danq.report.provenance_text import parse_provenance
from danq.report.read_tables import read_stored_table

MOST_ROWS = 5_000_000
"""Largest number of variants that a report reads."""

SCORES = ("logit", "log2fc", "diff", "product")
"""Scores that rank variants, the first that an output has."""

LABELS = {
    "logit": "Effect (change in log2 odds, bits)",
    "log2fc": "Effect (log2 fold change, bits)",
    "diff": "Effect (change in probability or amount)",
    "product": "Effect (product of both changes)",
}
BITS = ("logit", "log2fc")
STRONG = 1.0
"""Absolute effect in bits from which a variant counts as strong."""

KEYS = ("chrom", "pos", "id", "ref", "alt")
_TYPES = {**KEY_TYPES, "kind": pl.String, "q_min_track": pl.String}
_SUMMARY = re.compile(r"((peaks|amounts)_)?(logit|log2fc|diff|product)_(max|l2)")
_OTHER = re.compile(r"_(sd|ref|alt|evalue|quantile|p|q|agreement|logit|log2fc|diff|product)$")
_AGAIN = "Score the variants again"
_BLOCK = 1 << 22
_FIELD = re.compile(rb'##INFO=<ID=(DANQ_[^,]+),.*Description="(.*)">')


@dataclass(frozen=True, eq=False)
class VariantScores:
    """Largest effects of V variant-alleles over K tracks.

    Attributes
    ----------
    rows
        ``chrom``, ``pos`` (1-based), ``id``, ``ref``, ``alt``, and ``flags`` and summaries such as
        ``q_min`` where the output has them.
    tracks
        Names of the tracks.
    score
        The score, one of `SCORES`.
    largest, track
        ``(V,)`` effect with the largest magnitude, NaN without scores, and the index of its track.
    strong, most
        ``(K,)`` number of variants with an effect of at least `STRONG`, and largest magnitude.
    provenance
        How the effects were computed.
    """

    rows: pl.DataFrame
    tracks: tuple[str, ...]
    score: str
    largest: np.ndarray
    track: np.ndarray
    strong: np.ndarray
    most: np.ndarray
    provenance: Mapping[str, str]

    def __len__(self) -> int:
        return len(self.largest)

    def ranked(self) -> np.ndarray:
        """Rows from the largest magnitude to the smallest; rows without scores are left out."""
        order = np.argsort(-np.nan_to_num(np.abs(self.largest), nan=-1.0), kind="stable")
        return order[: np.count_nonzero(np.isfinite(self.largest))]


def read_variant_scores(path: Path) -> VariantScores:
    """Read an output of variant effects: HDF5, TSV, Parquet or VCF.

    Raises
    ------
    InputError
        When it is damaged, has no effects, or has more than `MOST_ROWS` rows.
    """
    if is_hdf5(path):
        return _from_hdf5(path)
    if is_vcf(path):
        return _from_vcf(path)
    stored = read_stored_table(path, _TYPES, complete=KEYS[:2], needed=KEYS[2:])
    frame = stored.frame
    _check_rows(frame.height, path)
    columns = [name for name in frame.columns if name not in (*KEYS, "flags", "kind")]
    score, tracks = _effect_columns(columns, stored.provenance.get("scores", ""), path)
    extra = [name for name in frame.columns if name in ("flags", *CALIBRATED)]
    values = frame.select(pl.col(list(tracks.values())).cast(pl.Float32)).fill_null(np.nan)
    return _gathered(
        frame.select(*KEYS, *extra), tuple(tracks), score, [values.to_numpy()], stored.provenance
    )


def _check_rows(rows: int, path: Path) -> None:
    if rows > MOST_ROWS:
        raise InputError(
            f"has {rows:,} variants; a report reads at most {MOST_ROWS:,}",
            file=path,
            remedy="Select variants, for example by contig",
        )


def _effect_columns(columns: Sequence[str], scores: str, path: Path) -> tuple[str, dict[str, str]]:
    """The score that ranks variants, and its column by track."""
    for score in SCORES:
        found = {
            name.removesuffix(f"_{score}"): name
            for name in columns
            if name.endswith(f"_{score}") and not _SUMMARY.fullmatch(name)
        }
        known = [
            track
            for track in found
            if track.removesuffix("_known") in found and track.endswith("_known")
        ]
        for track in known:
            del found[track]
        if found:
            return score, found
    plain = [
        n
        for n in columns
        if not _SUMMARY.fullmatch(n) and n not in CALIBRATED and not _OTHER.search(n)
    ]
    if not plain:
        raise InputError("has no column of effects", file=path, remedy=_AGAIN)
    score = next((one for one in SCORES if scores.startswith(one)), "diff")
    return score, {name: name for name in plain}


def _gathered(
    rows: pl.DataFrame,
    tracks: tuple[str, ...],
    score: str,
    blocks: Iterable[np.ndarray],
    provenance: Mapping[str, str],
) -> VariantScores:
    """Reduce blocks of effects ``(n, K)`` to the largest of each row and each track."""
    largest, track = [np.empty(0, np.float32)], [np.empty(0, np.int64)]
    strong, most = np.zeros(len(tracks), np.int64), np.zeros(len(tracks))
    for block in blocks:
        size = np.nan_to_num(np.abs(block), nan=-1.0)
        best = size.argmax(axis=1)
        largest.append(block[np.arange(len(block)), best])
        track.append(best)
        strong += (size >= STRONG).sum(axis=0)
        most = np.maximum(most, size.max(axis=0, initial=0))
    return VariantScores(
        rows,
        tracks,
        score,
        np.concatenate(largest),
        np.concatenate(track),
        strong,
        most,
        provenance,
    )


def _from_hdf5(path: Path) -> VariantScores:
    with open_sealed(path, KIND, EXPECTED, remedy=_AGAIN) as file:
        version = file.attributes.get("format_version")
        if version != FORMAT_VERSION:
            raise InputError(
                f"has format version {version}, not {FORMAT_VERSION}", file=path, remedy=_AGAIN
            )
        names = file.texts("tracks/name")
        count = file.info("variants/pos").shape[0]
        _check_rows(count, path)
        columns = {
            name: file.read("variants/pos", np.int64, (count,))
            if name == "pos"
            else list(file.texts(f"variants/{name}"))
            for name in KEYS
        }
        if "variants/flags" in file:
            bits = file.read("variants/flags", np.uint8, (count,))
            columns["flags"] = _flag_texts(bits)
        for name in ("q_min", "significance"):
            if f"summary/{name}" in file:
                columns[name] = file.read(f"summary/{name}", np.float32, (count,))
        score, parts = _scores(file, len(names), path)
        provenance = parse_provenance(file.attributes.get("provenance"))
        blocks = (_block(file, parts, rows, len(names)) for rows in _row_blocks(count, len(names)))
        return _gathered(pl.DataFrame(columns), names, score, blocks, provenance)


def _flag_texts(bits: np.ndarray) -> list[str]:
    texts = {
        number: ",".join(name for name, bit in FLAGS.items() if number & bit) or NO_FLAG
        for number in np.unique(bits).tolist()
    }
    return [texts[number] for number in bits.tolist()]


def _scores(file: Hdf5Input, tracks: int, path: Path) -> tuple[str, dict[str, np.ndarray]]:
    """The score that ranks variants, and its arrays with the tracks of their columns."""
    kind = file.read("tracks/kind", np.uint8, (tracks,))
    by_kind = {"logit": np.flatnonzero(kind == 0), "log2fc": np.flatnonzero(kind == 1)}
    bits = {name: own for name, own in by_kind.items() if f"scores/{name}" in file and own.size}
    if bits:
        return next(iter(bits)), bits
    for name in SCORES:
        if f"scores/{name}" in file:
            return name, {name: np.arange(tracks)}
    raise InputError("has no scores that rank variants", file=path, remedy=_AGAIN)


def _row_blocks(rows: int, tracks: int) -> Iterator[tuple[int, int]]:
    step = max(1, _BLOCK // max(1, tracks))
    for start in range(0, rows, step):
        yield start, min(rows, start + step)


def _block(
    file: Hdf5Input, parts: Mapping[str, np.ndarray], rows: tuple[int, int], tracks: int
) -> np.ndarray:
    block = np.full((rows[1] - rows[0], tracks), np.nan, np.float32)
    for name, own in parts.items():
        info = file.info(f"scores/{name}")
        if len(info.shape) != 2 or info.shape[1] != len(own) or info.dtype != np.float32:
            raise InputError(f"/scores/{name} does not have a column for each of its tracks")
        block[:, own] = file.read_part(f"scores/{name}", info, [rows, (0, len(own))])
    return block


def is_vcf(path: Path) -> bool:
    """Whether a file is a VCF, plain or gzip."""
    if is_hdf5(path) or is_parquet(path):
        return False
    with open_bytes(path) as file:
        return file.read(16).startswith(b"##fileformat=VCF")


class _Fields(NamedTuple):
    """INFO fields of the effects by track, the score, and the flags."""

    tracks: dict[str, bytes]
    score: str


def _from_vcf(path: Path) -> VariantScores:
    described: dict[str, str] = {}
    about: dict[str, str] = {}
    fields: _Fields | None = None
    rows: list[tuple[str, int, str, str, str, str]] = []
    values: list[list[float]] = []
    with open_bytes(path) as file:
        for number, line in enumerate(file, start=1):
            if line.startswith(b"##"):
                if found := _FIELD.match(line.strip()):
                    text = found[2].decode("utf-8", "replace")
                    described[found[1].decode()] = re.sub(r"\\(.)", r"\1", text)
                elif line.startswith(b"##DANQ_"):
                    name, _, value = line[7:].decode("utf-8", "replace").strip().partition("=")
                    about[name.replace("_", " ")] = value
            elif not line.startswith(b"#"):
                fields = fields or _described(described, path)
                # Columns after INFO hold samples and are not looked at.
                columns = line.rstrip(b"\r\n").split(b"\t", 8)[:8]
                if len(columns) < 8:
                    raise InputError(
                        "the line has fewer than 8 columns", file=path, line=number, remedy=_AGAIN
                    )
                _add(columns, fields, rows, values, path, number)
                _check_rows(len(rows), path)
    fields = fields or _described(described, path)
    names = (*KEYS, "flags")
    frame = pl.DataFrame(rows, schema={name: _TYPES[name] for name in names}, orient="row")
    array = np.array(values, np.float32).reshape(-1, len(fields.tracks))
    return _gathered(frame, tuple(fields.tracks), fields.score, [array], about)


def _described(described: Mapping[str, str], path: Path) -> _Fields:
    for score in SCORES:
        fields = {
            text.rpartition("; track ")[2].partition("; unit ")[0]: name.encode()
            for name, text in described.items()
            if name.endswith(f"_{score}") and "; track " in text
        }
        if fields:
            return _Fields(fields, score)
    single = {
        text.rpartition("; track ")[2].partition("; unit ")[0]: name.encode()
        for name, text in described.items()
        if "; track " in text
    }
    if not single:
        raise InputError("has no fields of effects", file=path, remedy=_AGAIN)
    first = next(text for text in described.values() if "; track " in text)
    return _Fields(
        single, "logit" if "log2 odds" in first else "log2fc" if "fold" in first else "diff"
    )


def _add(
    columns: list[bytes],
    fields: _Fields,
    rows: list[tuple[str, int, str, str, str, str]],
    values: list[list[float]],
    path: Path,
    number: int,
) -> None:
    pairs = (one.partition(b"=") for one in columns[7].split(b";"))
    info = {name: value for name, _, value in pairs}
    contig, position, name, ref = (one.decode("utf-8", "replace") for one in columns[:4])
    flags = info.get(b"DANQ_flags", b".").split(b",")
    split = {track: info.get(field, b".").split(b",") for track, field in fields.tracks.items()}
    for at, alt in enumerate(columns[4].split(b",")):
        try:
            row = [_number(one[at]) for one in split.values()]
            where = int(position)
        except (ValueError, IndexError) as error:
            raise InputError(
                "the line has effects that are not one number per ALT",
                file=path,
                line=number,
                remedy=_AGAIN,
            ) from error
        if all(np.isnan(row)):
            continue  # a rejected allele
        flag = flags[at] if at < len(flags) else b"."
        rows.append(
            (
                contig,
                where,
                name,
                ref,
                alt.decode("utf-8", "replace"),
                flag.decode("utf-8", "replace").replace("&", ","),
            )
        )
        values.append(row)


def _number(text: bytes) -> float:
    return float("nan") if text == b"." else float(text)
