"""Strata of variants: kinds, classes of regions, and the background that p is from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import from_table
from danq.inference.variants.region_classes import RegionClasses, read_region_classes
from danq.inference.variants.strata import KINDS, Strata, Stratum, kinds, members, nested

GENOME = {"chr1": "ACGTTACCGGTAGCTTAGGC" * 10, "chr2": "TTGCAAGCCTAGGATCCTAA" * 5}


@pytest.fixture
def packed() -> PackedGenome:
    return PackedGenome.from_contigs((name, encode(text)) for name, text in GENOME.items())


def bed(folder: Path, text: str) -> Path:
    path = folder / "regions.bed"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("ref", "alt", "kind"),
    [
        ("A", "C", "SNV"),
        ("", "A", "insertion of 1"),
        ("", "AC", "insertion of 2 to 5"),
        ("", "ACGTA", "insertion of 2 to 5"),
        ("", "ACGTAC", "insertion of 6 or more"),
        ("A", "", "deletion of 1"),
        ("ACGTA", "", "deletion of 2 to 5"),
        ("A" * 50, "", "deletion of 6 or more"),
        ("AC", "GT", "other"),
        ("A", "GT", "other"),
    ],
)
def test_kinds_of_trimmed_alleles(ref, alt, kind):
    assert KINDS[kinds([ref], [alt])[0]] == kind


def test_a_stratum_is_nested_in_larger_ones():
    alone = nested((".",))
    assert alone[0] == (Stratum("SNV", ""),)
    assert alone[KINDS.index("insertion of 1")] == (
        Stratum("insertion of 1", ""),
        Stratum("insertion", ""),
    )
    several = nested((".", "promoter"))
    assert several[len(KINDS) + KINDS.index("deletion of 1")] == (
        Stratum("deletion of 1", "promoter"),
        Stratum("deletion of 1", ""),
        Stratum("deletion", ""),
    )
    found = members((".", "promoter"))
    assert found[Stratum("SNV", "")] == [0, len(KINDS)]
    assert len(found[Stratum("insertion", "")]) == 6


def test_overlapping_classes_are_painted_base_by_base(tmp_path, packed):
    rng = np.random.default_rng(3)
    names = ("promoter", "exon", "repeat")
    rows = []
    for number in range(60):
        chrom = ("chr1", "chr2")[rng.integers(2)]
        start, size = int(rng.integers(0, 90)), int(rng.integers(1, 12))
        name = names[number] if number < 3 else names[rng.integers(3)]
        rows.append((chrom, start, start + size, name))
    path = bed(tmp_path, "".join("\t".join(map(str, row)) + "\n" for row in rows))
    classes = read_region_classes(path, packed)
    assert classes.names == (".", *names)
    lookup = classes.lookup(packed, str(path))
    for number, (chrom, text) in enumerate(GENOME.items()):
        expected = np.zeros(len(text), int)
        for one, start, end, name in rows[::-1]:
            if one == chrom:
                own = slice(start, end)
                rank = names.index(name) + 1
                now = expected[own]
                expected[own] = np.where((now == 0) | (now > rank), rank, now)
        positions = np.arange(len(text))
        found = lookup(np.full(len(text), number), positions)
        np.testing.assert_array_equal(found, expected)


def test_the_region_of_an_allele_is_that_of_its_first_base(tmp_path, packed):
    classes = read_region_classes(bed(tmp_path, "chr1\t10\t12\tsite\n"), packed)
    strata = Strata(classes, classes.lookup(packed, "regions.bed"))
    text = GENOME["chr1"]
    rows = [
        ("chr1", 10, text[9], "ACGT"["ACGT".index(text[9]) - 1]),
        ("chr1", 11, text[10], "ACGT"["ACGT".index(text[10]) - 1]),
        ("chr1", 13, text[12], "ACGT"["ACGT".index(text[12]) - 1]),
        # The inserted bases follow base 12, which is inside.
        ("chr1", 12, text[11], text[11] + "TTTTTTTT"),
    ]
    (block,) = from_table(rows, packed)
    number = strata.of(block)
    assert not block.moved.any()
    assert [one // len(KINDS) for one in number] == [0, 1, 0, 1]
    assert KINDS[number[3] % len(KINDS)] == "insertion of 6 or more"


def test_regions_follow_contig_names_of_another_genome(tmp_path, packed, caplog):
    classes = read_region_classes(bed(tmp_path, "chr2\t0\t9\tsite\n"), packed)
    assert classes.contigs == ("chr2",)
    other = PackedGenome.from_contigs((name[3:], encode(text)) for name, text in GENOME.items())
    lookup = classes.lookup(other, "common.h5")
    np.testing.assert_array_equal(lookup(np.array([0, 1, 1]), np.array([3, 3, 9])), [0, 1, 0])
    lost = PackedGenome.from_contigs([("scaffold7", encode("ACGT"))])
    with pytest.raises(InputError, match="none of its contigs is in the genome"):
        classes.lookup(lost, "common.h5")
    assert RegionClasses().lookup(lost, "")(np.array([0]), np.array([2])).tolist() == [0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1\t1\t2\n", r"regions\.bed: has no names in column 4\. Put the class"),
        ("chr1\t1\t2\texon\nchr1\t4\t5\t.\n", "interval 2 has no class in column 4"),
        ("chr9\t1\t2\texon\n", "none of its contigs is in the genome"),
        (
            "".join(f"chr1\t{i}\t{i + 1}\tpeak_{i}\n" for i in range(101)),
            "has 101 classes in column 4 .'peak_0', 'peak_1', ....; at most 100",
        ),
        ("chr1\t1\t2\t../exon\n", "the name '../exon' of a class of regions is a path"),
    ],
)
def test_unusable_regions_are_refused(tmp_path, packed, text, message):
    with pytest.raises(InputError, match=message):
        read_region_classes(bed(tmp_path, text), packed)
