from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import (
    anchored_windows,
    from_table,
    haplotype_windows,
    open_variants,
    read_haplotypes,
)

TEXT = "ACGTTGCAACTGATCGGCTAAGTCCATGCA"
GENOME = PackedGenome.from_contigs([("one", encode(TEXT))])
HEAD = "##fileformat=VCFv4.2\n##contig=<ID=one>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def vcf(path: Path, rows: list[tuple], samples: str = "s") -> Path:
    """Rows of POS, REF, ALT, FORMAT and genotypes."""
    lines = [HEAD + "\tFORMAT\t" + samples]
    lines += [
        f"one\t{pos}\t.\t{ref}\t{alt}\t.\t.\t.\t" + "\t".join(rest) for pos, ref, alt, *rest in rows
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def only(path: Path, genome: PackedGenome = GENOME, window: int = 12, **options):
    """The only block, and its windows on the haplotypes of sample s."""
    haplotypes = read_haplotypes(path, genome, "s")
    with open_variants(path, genome) as reader:
        (block,) = reader
    return block, haplotype_windows(genome, block, haplotypes, window, **options)


def test_neighbours_on_the_same_haplotype_are_in_both_windows(tmp_path):
    path = vcf(
        tmp_path / "a.vcf",
        [
            (10, "C", "CAA", "GT", "0|1"),
            (12, "G", "T", "GT", "0|1"),
            (14, "T", "A", "GT", "1|0"),
            (15, "CG", "C", "GT", "1|1"),
        ],
    )
    _, made = only(path)
    # GCAACTGATCGGCT: the SNV of 12 at index 5, AA put in before it, a G taken out after it.
    assert decode(made.reference[1]) == "ACAATGATCGCT"
    assert decode(made.alternate[1]) == "ACAATTATCGCT"
    # The other haplotype has neither.
    assert decode(made.reference[2]) == "ACTGATCGCTAA"
    assert decode(made.alternate[2]) == "ACTGAACGCTAA"
    assert made.haplotype.tolist() == [2, 2, 1, 1]
    assert made.neighbours.tolist() == [1, 2, 1, 1]
    assert made.left_out.tolist() == [0, 0, 0, 0]


def test_alleles_of_unknown_phase_are_left_out_and_counted(tmp_path):
    path = vcf(
        tmp_path / "a.vcf",
        [
            (12, "G", "T", "GT", "0/1"),
            (13, "A", "C", "GT", "0|1"),
            (14, "T", "A", "GT", "1/1"),
            (15, "C", "G", "GT", "./."),
        ],
    )
    block, made = only(path)
    plain = anchored_windows(GENOME, block, 12)
    assert made.haplotype.tolist() == [0, 2, 1, -1]
    assert made.left_out.tolist() == [1, 1, 1, 0]
    assert made.neighbours.tolist() == [1, 1, 0, 0]
    assert decode(made.alternate[0]) == "CAACTTAACGGC"
    np.testing.assert_array_equal(made.alternate[3], plain.alternate[3])
    np.testing.assert_array_equal(made.reference[3], plain.reference[3])


def test_phase_sets_are_not_phased_with_each_other(tmp_path):
    path = vcf(
        tmp_path / "a.vcf",
        [
            (12, "G", "T", "GT:PS", "0|1:5"),
            (13, "A", "C", "GT:PS", "0|1:5"),
            (14, "T", "A", "GT:PS", "0|1:14"),
        ],
    )
    _, made = only(path)
    assert made.neighbours.tolist() == [1, 1, 0]
    assert made.left_out.tolist() == [1, 1, 2]


def test_a_phase_set_without_a_value_is_the_same_in_bcf(tmp_path):
    pysam = pytest.importorskip("pysam")
    rows = [
        (12, "G", "T", "GT:PS", "0|1:."),
        (13, "A", "C", "GT", "0|1"),
        (14, "T", "A", "GT:PS", "0|1:14"),
    ]
    path = vcf(tmp_path / "a.vcf", rows)
    kinds = "".join(
        f'##FORMAT=<ID={name},Number=1,Type={kind},Description="{name}">\n'
        for name, kind in (("GT", "String"), ("PS", "Integer"))
    )
    path.write_text(path.read_text().replace("#CHROM", f"{kinds}#CHROM"))
    binary = tmp_path / "a.bcf"
    with (
        pysam.VariantFile(str(path)) as source,
        pysam.VariantFile(str(binary), "wb", header=source.header) as sink,
    ):
        for record in source:
            sink.write(record)
    (_, text), (_, made) = only(path), only(binary)
    assert made.neighbours.tolist() == text.neighbours.tolist() == [1, 1, 0]
    assert made.left_out.tolist() == text.left_out.tolist() == [1, 1, 2]
    np.testing.assert_array_equal(made.alternate, text.alternate)


def test_of_overlapping_neighbours_the_nearest_is_applied(tmp_path):
    path = vcf(
        tmp_path / "a.vcf",
        [
            (12, "G", "T", "GT", "1"),
            (13, "ATCG", "A", "GT", "1"),
            (15, "C", "T", "GT", "1"),
            (12, "GA", "G", "GT", "1"),
        ],
    )
    block, made = only(path)
    assert block.start.tolist() == [11, 13, 14, 12]
    # The deletion of 13 to 15 and that of 12 touch; the SNV at 14 is inside the former.
    assert made.neighbours.tolist() == [2, 2, 2, 2]
    assert made.left_out.tolist() == [1, 1, 1, 1]


def test_two_insertions_at_one_position_are_not_joined(tmp_path):
    path = vcf(tmp_path / "a.vcf", [(12, "G", "GTT", "GT", "1|0"), (12, "G", "GC", "GT", "1|0")])
    _, made = only(path)
    assert made.neighbours.tolist() == [0, 0]
    assert made.left_out.tolist() == [1, 1]


def test_no_neighbour_comes_between_both_positions_of_a_moved_allele(tmp_path):
    text = "ACGTCTAAAAAAGCTTGACC"
    genome = PackedGenome.from_contigs([("one", encode(text))])
    path = vcf(tmp_path / "a.vcf", [(12, "A", "AA", "GT", "1"), (9, "A", "G", "GT", "1")])
    block, made = only(path, genome)
    assert block.moved.tolist() == [True, False]
    assert made.left_out.tolist() == [1, 0]
    # The other way round the insertion stays where the file has it.
    assert made.neighbours.tolist() == [0, 1]
    assert decode(made.alternate[1]) == "TCTAAGAAAAGC"


def test_a_table_is_scored_on_a_samples_haplotypes(tmp_path):
    path = vcf(tmp_path / "a.vcf", [(12, "G", "T", "GT", "1"), (14, "T", "A", "GT", "1")])
    haplotypes = read_haplotypes(path, GENOME, "s")
    (block,) = from_table([("one", 11, "TG", "TT"), ("one", 14, "T", "C")], GENOME)
    made = haplotype_windows(GENOME, block, haplotypes, 12)
    assert made.haplotype.tolist() == [1, -1]
    assert made.neighbours.tolist() == [1, 0]


def test_an_unknown_sample_is_refused(tmp_path):
    path = vcf(tmp_path / "a.vcf", [(12, "G", "T", "GT", "1", "0")], "s\tt")
    with pytest.raises(InputError, match="has no sample 'u'; it has s, t"):
        read_haplotypes(path, GENOME, "u")
    (tmp_path / "b.tsv").write_text("chrom\tpos\tref\talt\none\t12\tG\tT\n")
    with pytest.raises(InputError, match="it has none"):
        read_haplotypes(tmp_path / "b.tsv", GENOME, "s")


def carried(text: str, alleles: list[tuple[int, str, str]], own: int) -> list[tuple[int, str, str]]:
    """Alleles that go with one of them: outwards from it, none that overlaps a nearer one."""
    start, ref, _ = alleles[own]
    inner = (start, start + len(ref))
    chosen: list[tuple[int, str, str]] = []
    spans = sorted({(at, at + len(r), a) for at, r, a in alleles})
    left = [one for one in spans if one[:2] < inner]
    right = [one for one in spans if one[:2] >= inner and one != (*inner, alleles[own][2])]
    point = start if start == inner[1] else None
    edge = start
    for low, high, put in reversed(left):
        if high <= edge and not (low == high == point):
            chosen.append((low, text[low:high], put))
            edge, point = low, low if low == high else point
    edge, point = inner[1], start if start == inner[1] else None
    for low, high, put in right:
        if low >= edge and not (low == high == point):
            chosen.append((low, text[low:high], put))
            edge, point = high, low if low == high else point
    return chosen


def applied(text: str, alleles: list[tuple[int, str, str]]) -> str:
    for start, ref, alt in sorted(alleles, key=lambda one: (one[0], len(one[1])), reverse=True):
        text = text[:start] + alt + text[start + len(ref) :]
    return text


@pytest.mark.parametrize("anchor", ["left", "right"])
@pytest.mark.parametrize("seed", range(6))
def test_windows_equal_haplotypes_assembled_by_hand(tmp_path, seed, anchor):
    draw = random.Random(seed)
    text = "".join(draw.choice("ACGT") for _ in range(400))
    genome = PackedGenome.from_contigs([("one", encode(text))])
    rows, trimmed = [], []
    for _ in range(70):
        at = draw.randrange(5, 380)
        ref = text[at : at + draw.choice([1, 1, 3, 6])]
        alt = draw.choice([ref[0], ref[0] + "GA", "T" + ref[1:], "CTG"])
        if alt != ref and trim(at, ref, alt) not in trimmed:
            rows.append((at + 1, ref, alt, "GT", draw.choice(["0|1", "1|0", "1|1"])))
            trimmed.append(trim(at, ref, alt))
    path = vcf(tmp_path / "a.vcf", rows)
    block, made = only(path, genome, 30, anchor=anchor)
    pad, seen = "N" * 60, 0
    for i in np.flatnonzero(~block.moved):
        haplotype = int(made.haplotype[i])
        on = [k for k, row in enumerate(rows) if row[4].split("|")[haplotype - 1] == "1"]
        alleles = [trimmed[k] for k in on]
        start, ref, alt = own = trimmed[i]
        others = carried(text, alleles, alleles.index(own))
        before = sum(
            len(a) - len(r) for at, r, a in others if (at, at + len(r)) < (start, start + len(ref))
        )
        low = 60 + start - (not (ref and alt)) - 14 + before
        without = pad + applied(text, others) + pad
        whole = pad + applied(text, [*others, own]) + pad
        assert decode(made.reference[i]) == without[low : low + 30]
        low += len(alt) - len(ref) if anchor == "right" else 0
        assert decode(made.alternate[i]) == whole[low : low + 30]
        seen += 1
    assert seen > 30
    assert made.neighbours.sum() > 50
    assert made.left_out.sum() > 10


def trim(start: int, ref: str, alt: str) -> tuple[int, str, str]:
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    return start, ref, alt
