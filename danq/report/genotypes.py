"""Genotypes: what a report shows of them, which is nothing unless it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from danq.files.open_input import open_bytes

SAMPLES = 8
"""Samples of a VCF whose genotypes are shown, the first ones."""

HAPLOTYPES = "haplotypes"
"""Entry of the provenance that names the sample whose haplotypes were scored."""

HIDDEN = "of one sample, whose name is not shown"
PERSONAL = ("neighbours", "left-out")
"""Flags of a row that depend on the genotypes of that sample."""


def without_sample(provenance: Mapping[str, str]) -> dict[str, str]:
    """A provenance in which the sample is not named."""
    return {name: HIDDEN if name == HAPLOTYPES else text for name, text in provenance.items()}


def without_personal_flags(flags: pl.Series) -> pl.Series:
    """Flags without those that depend on genotypes."""
    kept = [
        ",".join(one for one in text.split(",") if one not in PERSONAL) for text in flags.to_list()
    ]
    return pl.Series(flags.name, kept, dtype=pl.String)


def read_genotypes(path: Path, rows: pl.DataFrame) -> pl.DataFrame:
    """Genotypes of variants in a VCF, a column per sample.

    Parameters
    ----------
    path
        The VCF.
    rows
        ``chrom``, ``pos``, ``id``, ``ref`` of each variant.

    Returns
    -------
    pl.DataFrame
        The field GT of each variant of ``rows`` in the first `SAMPLES` samples; no column without
        samples. A record without GT has an empty text.

    Raises
    ------
    InputError
        As `danq.files.open_input.open_bytes`.
    """
    keys = ["\t".join(map(str, row)).encode() for row in rows.iter_rows()]
    wanted, found, samples = set(keys), {}, []
    with open_bytes(path) as file:
        for line in file:
            if line.startswith(b"##"):
                continue
            if line.startswith(b"#"):
                samples = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")[9:][:SAMPLES]
                if not samples:
                    break
                continue
            fields = line.split(b"\t", 4)
            if (key := b"\t".join(fields[:4])) in wanted:
                found[key] = _genotypes(line)
    texts = [found.get(key, []) for key in keys]
    return pl.DataFrame(
        {
            f"genotype of {name}": [one[at] if at < len(one) else "" for one in texts]
            for at, name in enumerate(samples)
        }
    )


def _genotypes(line: bytes) -> list[str]:
    fields = line.decode("utf-8", "replace").rstrip("\r\n").split("\t")
    if len(fields) < 10 or "GT" not in (format := fields[8].split(":")):
        return []
    at = format.index("GT")
    values = [one.split(":") for one in fields[9 : 9 + SAMPLES]]
    return [one[at] if at < len(one) else "" for one in values]
