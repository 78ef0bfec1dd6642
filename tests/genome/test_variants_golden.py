"""Variants against bcftools norm and bcftools consensus; golden/make_variants.py made the files."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

import numpy as np
import pytest

from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import decode, encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import (
    VariantBlock,
    anchored_windows,
    from_table,
    haplotype_windows,
    longest_allele,
    open_variants,
    read_haplotypes,
)
from danq.genome.variants.normalise import _plain_normalise

GOLDEN = Path(__file__).parent / "golden"
WINDOW = 40


def table(name: str) -> list[dict[str, str]]:
    lines = gzip.decompress((GOLDEN / name).read_bytes()).decode().splitlines()
    names = lines[0].split("\t")
    return [dict(zip(names, line.split("\t"), strict=True)) for line in lines[1:]]


@pytest.fixture(scope="module")
def letters() -> dict[str, str]:
    text = gzip.decompress((GOLDEN / "variants_genome.fa.gz").read_bytes()).decode()
    parts = [part.partition("\n") for part in text.split(">")[1:]]
    return {name: body.replace("\n", "").upper() for name, _, body in parts}


@pytest.fixture(scope="module")
def genome(letters: dict[str, str]) -> PackedGenome:
    return PackedGenome.from_contigs((name, encode(text)) for name, text in letters.items())


def as_vcf(block: VariantBlock, row: int, letters: dict[str, str]) -> tuple[int, str, str]:
    """POS, REF and ALT with the base that VCF adds where an allele is empty."""
    start, ref, alt = int(block.start[row]), block.ref_allele[row], block.alt_allele[row]
    if ref and alt:
        return start + 1, ref, alt
    text = letters[block.chrom[row]]
    if start == 0:
        return 1, ref + text[len(ref)], alt + text[len(ref)]
    return start, text[start - 1] + ref, text[start - 1] + alt


@pytest.mark.parametrize("block", [64, 10_000])
def test_normalised_alleles_equal_those_of_bcftools(genome, letters, block):
    seen = []
    with open_variants(GOLDEN / "variants_random.vcf.gz", genome, block=block) as reader:
        for part in reader:
            assert part.rejects == []
            seen += [
                (int(part.record[i]), int(part.allele[i]), *as_vcf(part, i, letters), part.moved[i])
                for i in range(len(part))
            ]
            moved = [as_vcf(part, i, letters)[0] < part.pos[i] for i in range(len(part))]
            assert moved == part.moved.tolist()
    known = [
        (
            int(row["record"]),
            int(row["allele"]),
            int(row["pos"]),
            row["ref"].upper(),
            row["alt"].upper(),
        )
        for row in table("variants_norm.tsv.gz")
    ]
    assert [row[:5] for row in seen] == known
    assert len(known) > 3000
    assert sum(row[5] for row in seen) > 100


@pytest.mark.parametrize("anchor", ["left", "right"])
def test_windows_equal_those_of_bcftools_consensus(genome, letters, anchor):
    known = table("variants_norm.tsv.gz")
    at = 0
    with open_variants(GOLDEN / "variants_random.vcf.gz", genome, block=1000) as reader:
        for block in reader:
            windows = anchored_windows(genome, block, WINDOW, anchor=anchor)
            for i in range(len(block)):
                row = known[at + i]
                if block.start[i] == 0 and not (block.ref_allele[i] and block.alt_allele[i]):
                    # VCF's POS is then the base after the indel, danq's the one before it.
                    continue
                low = int(row["pos"]) - 1 - (WINDOW // 2 - 1)
                text = letters[block.chrom[i]]
                reference = "".join(
                    text[j] if 0 <= j < len(text) else "N" for j in range(low, low + WINDOW)
                )
                expected = row["left"] if anchor == "left" or row["right"] == "=" else row["right"]
                assert decode(windows.reference[i]) == reference
                assert decode(windows.alternate[i]) == expected
            at += len(block)
    assert at == len(known)


@pytest.mark.parametrize("sample", ["first", "second"])
def test_haplotype_windows_equal_those_of_bcftools_consensus(genome, sample):
    path = GOLDEN / "variants_phased.vcf.gz"
    haplotypes = read_haplotypes(path, genome, sample)
    assert haplotypes.unphased == 0
    known = {
        (int(row["record"]), int(row["allele"])): row
        for row in table("variants_phased.tsv.gz")
        if row["sample"] == sample
    }
    neighbours = 0
    with open_variants(path, genome, longest=longest_allele(WINDOW), block=50) as reader:
        for block in reader:
            made = haplotype_windows(genome, block, haplotypes, WINDOW)
            for i in range(len(block)):
                row = known.pop((int(block.record[i]), int(block.allele[i])), None)
                if row is None:
                    continue
                assert made.haplotype[i] == int(row["haplotype"])
                assert made.left_out[i] == 0
                assert decode(made.reference[i]) == row["without"]
                assert decode(made.alternate[i]) == row["with"]
                neighbours += int(made.neighbours[i])
    assert known == {}
    assert neighbours > 200


def random_rows(letters: dict[str, str], count: int, seed: int) -> list[tuple[str, int, str, str]]:
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        name = draw.choice(list(letters))
        text = letters[name]
        at = draw.choice([draw.randrange(len(text)), draw.randrange(30), len(text) - 1])
        ref = text[at : at + draw.choice([1, 1, 2, 5, 9])]
        kind = draw.randrange(4)
        if kind == 0:
            alt = ref[: draw.randint(1, len(ref))]
        elif kind == 1:
            alt = ref + ref[draw.randrange(len(ref)) :]
        else:
            alt = "".join(draw.choice("ACGT") for _ in range(draw.randint(1, 8)))
        rows.append((name, at + 1, ref, alt))
    return rows


@pytest.mark.parametrize("center", [None, 1, 30, 37])
def test_windows_are_cut_from_whole_haplotypes(genome, letters, center):
    at = WINDOW // 2 - 1 if center is None else center
    limit = longest_allele(WINDOW, center)
    rows = random_rows(letters, 4000, seed=at)
    pad = "N" * 500
    scored = rejected = 0
    for block in from_table(rows, genome, longest=limit, block=700):
        rejected += len(block.rejects)
        scored += len(block)
        left, right = (
            anchored_windows(genome, block, WINDOW, center=center, anchor=anchor)
            for anchor in ("left", "right")
        )
        np.testing.assert_array_equal(left.reference, right.reference)
        for i in range(len(block)):
            text, first = letters[block.chrom[i]], int(block.pos[i]) - 1
            ref, alt = block.ref_allele[i], block.alt_allele[i]
            assert (int(block.start[i]), ref, alt) == _plain_normalise(
                text, first, block.ref[i], block.alt[i]
            )
            haplotype = text[:first] + block.alt[i] + text[first + len(block.ref[i]) :]
            # The first base of the window, on the contig with pads.
            low = 500 + int(block.start[i]) - (not (ref and alt)) - at
            grown = len(alt) - len(ref)
            assert decode(left.reference[i]) == (pad + text + pad)[low : low + WINDOW]
            assert decode(left.alternate[i]) == (pad + haplotype + pad)[low : low + WINDOW]
            low += grown
            assert decode(right.alternate[i]) == (pad + haplotype + pad)[low : low + WINDOW]
            low = int(block.start[i]) - (not (ref and alt)) - at
            high = low + WINDOW
            assert left.padded[i] == (low < 0 or high - min(grown, 0) > len(text))
            assert right.padded[i] == (low + min(grown, 0) < 0 or high > len(text))
    assert scored + rejected == 4000
    assert scored > 500


def test_every_record_of_the_yeast_cross_agrees_with_the_genome(shared_data):
    with Genome(shared_data / "yeast" / "genome" / "sacCer3.fa.gz") as reference:
        genome = reference.pack()
    path = shared_data / "yeast" / "variants" / "BYxRM.vcf.gz"
    blocks = list(open_variants(path, genome, longest=longest_allele(1000)))
    assert sum(block.records for block in blocks) == 45_543
    assert [block.rejects for block in blocks] == [[]] * len(blocks)
    assert sum(block.alleles for block in blocks) == sum(map(len, blocks)) == 45_565
    assert sum(int((block.allele == 2).sum()) for block in blocks) == 22
    sizes = [pair for block in blocks for pair in zip(block.ref, block.alt, strict=True)]
    # 41,551 records of one SNV, and what some of the 22 with two ALT are.
    assert 41_551 <= sum(len(ref) == len(alt) == 1 for ref, alt in sizes) <= 41_551 + 44


def test_yeast_windows_equal_the_other_parents_sequence(shared_data):
    with Genome(shared_data / "yeast" / "genome" / "sacCer3.fa.gz") as reference:
        codes = reference.codes("chrI")
    genome = PackedGenome.from_contigs([("chrI", codes)])
    path = shared_data / "yeast" / "variants" / "BYxRM.vcf.gz"
    haplotypes = read_haplotypes(path, genome, "RMx")
    text = decode(codes)
    # The whole chromosome of RM, put together from the file's own columns.
    parts, end, shift, where = [], 0, 0, {}
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        fields = line.split("\t")
        if fields[0] != "chrI" or fields[10][0] in "0.":
            continue
        at, ref, alt = int(fields[1]) - 1, fields[3], fields[4].split(",")[int(fields[10][0]) - 1]
        where[at] = at + shift
        while ref and alt and ref[0] == alt[0]:
            at, ref, alt = at + 1, ref[1:], alt[1:]
        if at >= end:
            parts += [text[end:at], alt]
            end, shift = at + len(ref), shift + len(alt) - len(ref)
    other = "".join(parts) + text[end:]
    seen = 0
    for block in open_variants(path, genome):
        made = haplotype_windows(genome, block, haplotypes, 200)
        for i in np.flatnonzero((made.haplotype == 1) & (made.left_out == 0) & ~block.moved):
            low = where[int(block.pos[i]) - 1] - 99
            anchor = int(block.start[i]) - (not (block.ref_allele[i] and block.alt_allele[i]))
            low += anchor - (int(block.pos[i]) - 1)
            assert decode(made.alternate[i]) == other[low : low + 200]
            seen += 1
    assert seen > 900
