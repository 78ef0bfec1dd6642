"""Warnings at the end of a variant run, from its counts."""

from __future__ import annotations

import logging

from danq.genome.variants.reference_alleles import FEW, MOST_MISMATCHES
from danq.inference.variants.background import FEWEST
from danq.inference.variants.variant_tally import VariantTally

log = logging.getLogger("danq")


def warn_without_rows(tally: VariantTally, name: str) -> None:
    """Warn about variants without any record, or without any that could be scored.

    Parameters
    ----------
    tally
        Counts of the whole run.
    name
        Name of the variants.
    """
    if tally.records == 0:
        log.warning("%s: contains no record", name)
    elif tally.rows == 0:
        log.warning("none of the variants could be scored")


def warn(tally: VariantTally, name: str, check_assembly: bool) -> None:
    """Warn about REF that differ in many of all alleles, though not in the records that were
    compared before the run, and about alleles without their own stratum.

    Parameters
    ----------
    tally
        Counts of the whole run.
    name
        Name of the variants.
    check_assembly
        As `danq.Variants.check_assembly`.
    """
    if unmatched := tally.flags["unmatched"]:
        log.warning(
            "%s of %s alleles: the background has fewer than %s variants of their kind and "
            "region, so their p compares them with more kinds or regions (flag unmatched); a "
            "larger background avoids this",
            f"{unmatched:,}",
            f"{tally.rows:,}",
            f"{FEWEST:,}",
        )
    wrong = tally.rejects["ref-mismatch"]
    total = wrong + tally.rows
    if check_assembly and wrong >= FEW and wrong > MOST_MISMATCHES * total:
        log.warning(
            "%s: REF differs from the genome in %s of %s alleles: wrong assembly, or N in the "
            "genome?",
            name,
            f"{wrong:,}",
            f"{total:,}",
        )
