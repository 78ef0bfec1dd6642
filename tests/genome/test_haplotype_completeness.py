"""Every allele that a sample carries in a window is applied or counted as left out."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import decode, encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.variants import (
    HaplotypeWindows,
    RefMismatch,
    VariantBlock,
    haplotype_windows,
    open_variants,
    read_haplotypes,
)
from danq.genome.variants.reference_spans import allele_span

HEAD = (
    "##fileformat=VCFv4.4\n##contig=<ID=one>\n"
    '##INFO=<ID=END,Number=1,Type=Integer,Description="end">\n'
    '##INFO=<ID=SVLEN,Number=A,Type=Integer,Description="length">\n'
    + "".join(
        f'##FORMAT=<ID={name},Number=1,Type={kind},Description="{name}">\n'
        for name, kind in (
            ("GT", "String"),
            ("PS", "Integer"),
            ("PGT", "String"),
            ("PID", "String"),
        )
    )
    + '##ALT=<ID=DEL,Description="deletion">\n'
    "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
)
Row = tuple[int, str, str, str, str, str]
"""POS, REF, ALT, INFO, FORMAT and the sample's values."""


def write(path: Path, rows: list[Row]) -> Path:
    lines = [
        f"one\t{pos}\t.\t{ref}\t{alt}\t.\t.\t{info}\t{form}\t{values}"
        for pos, ref, alt, info, form, values in rows
    ]
    path.write_text(HEAD + "".join(f"{line}\n" for line in lines))
    return path


def windows(
    path: Path, text: str, window: int = 12, mismatch: RefMismatch = "skip"
) -> tuple[VariantBlock, HaplotypeWindows]:
    genome = PackedGenome.from_contigs([("one", encode(text))])
    haplotypes = read_haplotypes(path, genome, "s", ref_mismatch=mismatch)
    with open_variants(path, genome, ref_mismatch=mismatch) as reader:
        (block,) = reader
    return block, haplotype_windows(genome, block, haplotypes, window)


def bases(draw: random.Random, count: int) -> str:
    return "".join(draw.choice("ACGT") for _ in range(count))


def other(draw: random.Random, base: str) -> str:
    return draw.choice([one for one in "ACGT" if one != base])


Made = tuple[Row, tuple[int, int]]
"""A record, and the bases that its allele replaces, 0-based half-open."""


def snv(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
    return text[at], other(draw, text[at]), ".", (at, at + 1)


def mnv(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
    alt = other(draw, text[at]) + text[at + 1] + other(draw, text[at + 2])
    return text[at : at + 3], alt, ".", (at, at + 3)


def symbolic(
    name: str, info: str, low: int, size: int
) -> Callable[[random.Random, str, int], tuple[str, str, str, tuple[int, int]]]:
    """Symbolic allele that covers ``size`` bases from ``low`` bases after POS."""

    def make(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
        where = info.format(END=at + 1 + size, SVLEN=size)
        return text[at], f"<{name}>", where, (at + low, at + 1 + size)

    return make


def breakend(
    alt: str, low: int, high: int
) -> Callable[[random.Random, str, int], tuple[str, str, str, tuple[int, int]]]:
    def make(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
        base = text[at]
        mate = alt.format(base=base, after=at + 1 + 9, before=at + 1 - 9)
        return base, mate, ".", (at + low, at + high)

    return make


def mismatch(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
    ref, alt = draw.sample([one for one in "ACGT" if one != text[at]], 2)
    return ref, alt, ".", (at, at + 1)


def not_acgt(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
    return text[at : at + 2], text[at] + "N", ".", (at, at + 2)


def star(draw: random.Random, text: str, at: int) -> tuple[str, str, str, tuple[int, int]]:
    return text[at], "*", ".", (at, at + 1)


KINDS = {
    "snv": snv,
    "mnv": mnv,
    "deletion by END": symbolic("DEL", "IMPRECISE;END={END};SVLEN=.", 1, 25),
    "deletion by SVLEN": symbolic("DEL:ME:ALU", "SVLEN=-{SVLEN}", 1, 40),
    "duplication": symbolic("DUP:TANDEM", "SVLEN={SVLEN}", 1, 12),
    "inversion": symbolic("INV", "END={END}", 1, 15),
    "copy number": symbolic("CN0", "END={END}", 1, 18),
    "insertion": symbolic("INS", "SVLEN=300;END=9999", 1, 0),
    "translocation": symbolic("TRA", "CHR2=two;END=90000", 0, 0),
    "any other allele": symbolic("NON_REF", ".", 0, 0),
    "block of any other allele": symbolic("*", "END={END}", 0, 7),
    "breakend elsewhere": breakend("{base}[two:77[", 0, 1),
    "single breakend": breakend("{base}.", 0, 1),
    "deletion as breakend": breakend("{base}[one:{after}[", 0, 9),
    "its mate": breakend("]one:{before}]{base}", -8, 1),
    "inversion as breakend": breakend("{base}]one:{after}]", 0, 1),
    "mismatch": mismatch,
    "not ACGT": not_acgt,
    "star": star,
}
GENOTYPES = ["0|1", "1|0", "1|1", "0/1", "1/1", "1", ".|1", "./1", "./.", "0|0", ".", "0|1|1"]


def status(call: tuple[str, str], haplotype: int, its_set: str) -> bool:
    """Whether allele 1 is, or may be, on a haplotype; 0 is a haplotype of unknown phase."""
    genotype, phase_set = call
    called = genotype.replace("/", "|").split("|")
    if "1" not in called:
        return False
    if set(called) == {"1"}:
        return True
    if "/" in genotype or haplotype == 0 or phase_set != its_set:
        return True
    return haplotype <= len(called) and called[haplotype - 1] in ("1", ".")


def carriers(genotype: str) -> list[int]:
    """Haplotypes with allele 1; 0 where this is unknown."""
    if "/" in genotype and genotype != "1/1":
        return [0] if "1" in genotype else []
    called = genotype.replace("/", "|").split("|")
    return [i for i, one in enumerate(called, start=1) if one == "1"]


@pytest.mark.parametrize("seed", range(12))
def test_carried_alleles_are_applied_or_left_out(tmp_path, seed):
    """Alleles of all kinds, phased or not; those that windows can hold keep the length."""
    draw = random.Random(seed)
    text = bases(draw, 1200)
    rows: list[Row] = []
    spans: dict[int, tuple[int, int]] = {}
    for at in draw.sample(range(20, 1150), 260):
        kind = draw.choice([*["snv"] * 12, *KINDS])
        ref, alt, info, span = KINDS[kind](draw, text, at)
        genotype, phase_set = draw.choice(GENOTYPES), draw.choice([".", ".", "7"])
        rows.append((at + 1, ref, alt, info, "GT:PS", f"{genotype}:{phase_set}"))
        spans[at + 1] = span
    length = draw.choice([12, 30, 61])
    block, made = windows(write(tmp_path / "a.vcf", rows), text, length)
    calls = {row[0]: (row[5].split(":")[0], row[5].split(":")[1]) for row in rows}
    # A mismatch carries alleles that the genome lacks on all haplotypes, whether REF or ALT.
    mismatches = {row[0] for row in rows if row[1] != text[row[0] - 1 : row[0] - 1 + len(row[1])]}
    deletions = [row[0] for row in rows if row[2][:3] in ("<DE", "<CN") or "one:" in row[2]]
    stars = {
        row[0]
        for row in rows
        if row[2] == "*"
        and all(
            any(
                spans[one][0] <= row[0] - 1 < spans[one][1]
                and status(calls[one], haplotype, calls[row[0]][1])
                for one in deletions
            )
            for haplotype in carriers(calls[row[0]][0])
        )
    }
    found = 0
    for i, pos in enumerate(block.pos.tolist()):
        haplotype, low = int(made.haplotype[i]), pos - 1 - (length // 2 - 1)
        if haplotype < 0:
            assert made.left_out[i] == made.neighbours[i] == 0
            continue
        expected = 0
        for at, (start, end) in spans.items():
            if at == pos or at in stars or not (start < low + length and end > low):
                continue
            genotype, phase_set = calls[at]
            codes = ("0", "1") if at in mismatches else ("1",)
            for code in codes:
                marked = genotype if code == "1" else genotype.translate({48: "1", 49: "x"})
                expected += status((marked, phase_set), haplotype, calls[pos][1])
        assert made.neighbours[i] + made.left_out[i] == expected, (pos, rows)
        found += expected
    assert found > 150


def test_a_window_equals_the_consensus_of_bcftools(tmp_path):
    if not all(map(shutil.which, ("bcftools", "tabix", "bgzip"))):
        pytest.skip("bcftools, tabix or bgzip is not installed")
    seen = 0
    for seed in range(8):
        draw = random.Random(seed)
        text = bases(draw, 900)
        rows: list[Row] = []
        at = 40
        while at < 850:
            ref = text[at : at + draw.choice([1, 1, 2, 5])]
            alt = draw.choice([other(draw, ref[0]) + ref[1:], ref[0], ref + bases(draw, 3)])
            if alt != ref:
                call = draw.choice(["0|1", "1|0", "1|1", "1/1", "0|0"])
                rows.append((at + 1, ref, alt, ".", "GT:PS", f"{call}:40"))
            at += len(ref) + draw.choice([1, 2, 4, 9])
        shuffled = draw.sample(rows, len(rows))
        block, made = windows(write(tmp_path / f"{seed}.vcf", shuffled), text, 40)
        bgzip = subprocess.run(
            ["bgzip", "-c", write(tmp_path / "sorted.vcf", rows)], capture_output=True, check=True
        )
        packed = tmp_path / "sorted.vcf.gz"
        packed.write_bytes(bgzip.stdout)
        subprocess.run(["tabix", "-f", "-p", "vcf", packed], check=True)
        for haplotype in (1, 2):
            done = subprocess.run(
                ["bcftools", "consensus", "-H", str(haplotype), "-s", "s", packed],
                input=f">one\n{text}\n",
                capture_output=True,
                text=True,
                check=True,
            )
            whole = "".join(done.stdout.split("\n")[1:])
            for i in np.flatnonzero((made.haplotype == haplotype) & ~block.moved):
                pos = int(block.pos[i])
                before = sum(
                    len(alt) - len(ref)
                    for where, ref, alt, *_, values in rows
                    if where < pos and values[2 * haplotype - 2] == "1"
                )
                low = int(block.start[i]) - (not (block.ref_allele[i] and block.alt_allele[i]))
                low += before - 19
                assert decode(made.alternate[i]) == whole[low : low + 40]
                seen += 1
    assert seen > 300


TEXT = "ACGTTGCAACTGATCGGCTAAGTCCATGCATTGCA"


def flags(made: HaplotypeWindows) -> list[tuple[int, int]]:
    return list(zip(made.neighbours.tolist(), made.left_out.tolist(), strict=True))


def test_ref_and_alt_of_a_neighbour_are_exchanged_with_its_genotype(tmp_path):
    # The genome has T at 14: REF A is the sample's allele where the genotype is 0.
    rows = [
        (12, "G", "C", ".", "GT", "0|1"),
        (14, "A", "T", ".", "GT", "0|0"),
        (16, "T", "G", ".", "GT", "1|0"),
    ]
    path = write(tmp_path / "a.vcf", rows)
    block, made = windows(path, TEXT, mismatch="swap")
    assert block.swapped.tolist() == [False, True, True]
    assert made.haplotype.tolist() == [2, 1, 2]
    assert decode(made.alternate[0]) == "CAACTCAACTGC"
    assert flags(made) == [(2, 0), (0, 0), (2, 0)]
    # Without the exchange, the window cannot hold the sample's allele.
    _, made = windows(path, TEXT)
    assert flags(made) == [(0, 2)]
    assert decode(made.alternate[0]) == "CAACTCATCGGC"


def test_of_several_alts_one_may_be_the_genomes(tmp_path):
    rows = [(12, "G", "C", ".", "GT", "1|1"), (14, "A", "T,C", ".", "GT", "1|2")]
    path = write(tmp_path / "a.vcf", rows)
    block, made = windows(path, TEXT, mismatch="swap")
    # Haplotype 1 has the genome's T, haplotype 2 has C, which is compared with REF A.
    assert block.pos.tolist() == [12, 14]
    assert made.haplotype.tolist() == [1, -1]
    assert flags(made) == [(0, 0), (0, 0)]
    rows[0] = (12, "G", "C", ".", "GT", "0|1")
    _, made = windows(write(path, rows), TEXT, mismatch="swap")
    assert flags(made)[0] == (0, 1)
    _, made = windows(path, TEXT)
    assert flags(made)[0] == (0, 1)


def test_a_half_missing_genotype_is_left_out_where_it_may_be(tmp_path):
    rows = [
        (12, "G", "T", ".", "GT", "1|0"),
        (14, "T", "A", ".", "GT", ".|1"),
        (16, "G", "A", ".", "GT", "0|1"),
        (17, "G", "C", ".", "GT", "1|."),
    ]
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert made.haplotype.tolist() == [1, 2, 2, 1]
    # Haplotype 1: 14 may be on it, 17 is. Haplotype 2: 14 is on it, 17 may be.
    assert flags(made) == [(1, 1), (1, 1), (1, 1), (1, 1)]


def test_a_star_is_covered_by_the_deletion_of_another_record(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    rows = [
        (10, "CTGA", "C", ".", "GT", "0|1"),
        (12, "G", "T,*", ".", "GT", "1|2"),
        (15, "C", "A", ".", "GT", "1|1"),
    ]
    path = write(tmp_path / "a.vcf", rows)
    _, made = windows(path, TEXT)
    # Each haplotype of 12 is known, and the other alleles are applied.
    assert made.haplotype.tolist() == [2, 1, 1]
    assert flags(made) == [(1, 0), (1, 0), (1, 0)]
    assert "windows cannot hold" not in caplog.text
    # Without the deletion, the star is an allele that nothing explains.
    rows[0] = (10, "CTGA", "C", ".", "GT", "1|0")
    _, made = windows(write(path, rows), TEXT)
    assert "1 further alleles that windows cannot hold (1 star)" in caplog.text
    rows[1:] = [(12, "G", "*", ".", "GT", "1|0"), (15, "C", "A", ".", "GT", "0|1")]
    rows[0] = (9, "A", "<DEL>", "END=13", "GT", "1|0")
    _, made = windows(write(path, rows), TEXT)
    assert "(1 symbolic)" in caplog.text
    assert flags(made) == [(0, 0)]


@pytest.mark.parametrize(
    ("alt", "info", "warned"),
    [
        ("<DEL>", "SVTYPE=DEL", True),
        ("<DEL:ME:ALU>", "END=3", True),
        ("<CN0>", "END=1e3", True),
        ("<DUP>", "SVLEN=2", False),
        ("<DEL>", "END=6", False),
        ("<INS>", "SVTYPE=INS", False),
        ("<NON_REF>", ".", False),
    ],
)
def test_symbolic_alleles_of_unknown_length_are_counted(tmp_path, caplog, alt, info, warned):
    rows = [(3, TEXT[2], alt, info, "GT", "0|1"), (15, "C", "A", ".", "GT", "0|1")]
    windows(write(tmp_path / "a.vcf", rows), TEXT)
    text = "1 symbolic alleles of sample s have neither END nor SVLEN after POS"
    assert (text in caplog.text) == warned


def test_a_first_allele_without_phase_is_unphased(tmp_path):
    rows = [(12, "G", "T", ".", "GT", "0|1"), (15, "C", "A", ".", "GT", "/0|1")]
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert made.haplotype.tolist() == [2, 0]
    assert flags(made) == [(0, 1), (0, 1)]


def test_an_edit_before_the_window_does_not_hide_one_that_reaches_into_it(tmp_path):
    # The window of 20 starts at 15: the SNV of 13 ends before, the deletion of 11 to 15 does not.
    rows = [
        (11, "TGATCG", "G", ".", "GT", "1"),
        (13, "A", "C", ".", "GT", "1"),
        (20, "A", "T", ".", "GT", "1"),
    ]
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert flags(made)[2] == (0, 1)
    assert decode(made.alternate[2]) == "CGGCTTAGTCCA"


def test_the_reference_window_may_reach_further(tmp_path):
    # The insertion moves the SNV of 16 out of the alternate window.
    rows = [(12, "G", "GAAAA", ".", "GT", "0|1"), (16, "G", "T", ".", "GT", "1|1")]
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert (made.neighbours[0], made.reference_neighbours[0]) == (0, 1)
    rows[1] = (16, "G", "T", ".", "GT", "0/1")
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert (made.left_out[0], made.reference_left_out[0]) == (0, 1)


def test_alleles_of_one_record_that_is_repeated_with_another_genotype(tmp_path, caplog):
    rows = [
        (12, "G", "T", ".", "GT", "1|1"),
        (14, "T", "A", ".", "GT", "0|1"),
        (14, "T", "A", ".", "GT", "1|0"),
    ]
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert made.haplotype.tolist() == [1, 0, 0]
    assert flags(made) == [(0, 1), (1, 0), (1, 0)]
    assert "1 alleles of sample s are in several records with different genotypes" in caplog.text


def test_pgt_phases_the_records_of_one_pid(tmp_path):
    form = "GT:PGT:PID"
    rows = [
        (12, "G", "T", ".", form, "0/1:0|1:12_G_T"),
        (13, "A", "C", ".", form, "0/1:1|0:12_G_T"),
        (14, "T", "A", ".", form, "0/1:0|1:12_G_T"),
        (16, "G", "A", ".", form, "0/1:0|1:16_G_A"),
        (17, "G", "A", ".", form, "0/1:.:."),
    ]
    path = write(tmp_path / "a.vcf", rows)
    _, made = windows(path, TEXT)
    assert made.haplotype.tolist() == [2, 1, 2, 2, 0]
    assert flags(made) == [(1, 2), (0, 2), (1, 2), (0, 4), (0, 4)]
    # PS wins, and so does a phased GT in another order; PGT with other alleles is ignored.
    form = "GT:PGT:PID:PS"
    rows = [
        (12, "G", "T", ".", form, "0|1:1|0:9:12"),
        (13, "A", "C", ".", form, "0|1:1|0:9:12"),
        (14, "T", "A,C", ".", form, "1/2:0|1:9:."),
        (16, "G", "A", ".", form, "0/1:0|1:9:12"),
    ]
    _, made = windows(write(path, rows), TEXT)
    assert made.haplotype.tolist() == [2, 2, 0, 0, 0]
    # A phased GT that agrees with PGT, without PS, is phased in its PID only.
    rows = [
        (12, "G", "T", ".", form, "0|1:0|1:9:."),
        (13, "A", "C", ".", form, "0|1:0|1:9:."),
        (14, "T", "A", ".", form, "0|1:0|1:14:."),
    ]
    _, made = windows(write(path, rows), TEXT)
    assert flags(made) == [(1, 1), (1, 1), (0, 2)]


def test_bcf_gives_the_same_haplotypes(tmp_path):
    pysam = pytest.importorskip("pysam")
    form = "GT:PGT:PID:PS"
    rows = [
        (8, "A", "<DEL>", "END=10", form, "0|1:.:.:3"),
        (12, "G", "T", ".", form, "0/1:0|1:12_G_T:."),
        (13, "A", "C", ".", form, "0/1:1|0:12_G_T:."),
        (14, "T", "A", ".", form, ".|1:.:.:3"),
        (16, "G", "A", ".", form, "1|0:.:.:3"),
        (17, "G", "A", ".", "GT", "1"),
    ]
    path, binary = write(tmp_path / "a.vcf", rows), tmp_path / "a.bcf"
    with (
        pysam.VariantFile(str(path)) as source,
        pysam.VariantFile(str(binary), "wb", header=source.header) as sink,
    ):
        for record in source:
            sink.write(record)
    (_, text), (_, made) = windows(path, TEXT), windows(binary, TEXT)
    assert text.left_out.sum() > 5
    for one, other_one in zip(text, made, strict=True):
        np.testing.assert_array_equal(one, other_one)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ((12, "G", "T", ".", "GT", "0|2"), "line 12.*'0|2' at one:12 names allele 2, .*1 in ALT"),
        ((12, "G", ".", ".", "GT", "0/1"), "names allele 1, the record has 0 in ALT"),
        ((12, "G", "T", ".", "GT", "A/T"), "the genotype 'A/T' at one:12 cannot be parsed"),
        ((12, "G", "T", ".", "GT", "|".join("1" * 63)), "cannot be parsed"),
        ((12, "G", "T", ".", "DP", "7"), "sample 's' has no genotype .GT. in any of 1 records"),
        ((12, "G", "T", ".", "GT", "./."), "has no genotype"),
    ],
)
def test_bad_genotypes_are_refused(tmp_path, row, problem):
    genome = PackedGenome.from_contigs([("one", encode(TEXT))])
    with pytest.raises(InputError, match=problem):
        read_haplotypes(write(tmp_path / "a.vcf", [row]), genome, "s")


def test_samples_of_one_name_are_refused(tmp_path):
    text = HEAD.replace("\ts\n", "\ts\ts\tt\n") + "one\t12\t.\tG\tT\t.\t.\t.\tGT\t0|1\t1|0\t1|1\n"
    path = tmp_path / "a.vcf"
    path.write_text(text)
    genome = PackedGenome.from_contigs([("one", encode(TEXT))])
    for sample in "st":
        with pytest.raises(InputError, match="has 2 samples named 's'. Give them different names"):
            read_haplotypes(path, genome, sample)
    with (
        pytest.raises(InputError, match="has 2 samples named 's'"),
        open_variants(path, genome, keep_lines=True),
    ):
        pass
    with open_variants(path, genome) as reader:
        assert [len(block) for block in reader] == [1]


def test_missing_genotypes_are_counted(tmp_path, caplog):
    caplog.set_level("INFO", "danq")
    rows = [
        (12, "G", "T", ".", "GT", "0|1"),
        (14, "T", "A", ".", "GT", "./."),
        (16, "G", "A", ".", "GT", ".|0"),
        (17, "G", "A", ".", "DP", "4"),
    ]
    _, made = windows(write(tmp_path / "a.vcf", rows), TEXT)
    assert flags(made)[0] == (0, 0)
    assert "3 genotypes of sample s are missing or partly missing" in caplog.text


@pytest.mark.parametrize(
    ("alt", "info", "span"),
    [
        ("<DEL>", "END=20", (10, 20)),
        ("<DEL>", "END=5", (9, 10)),
        ("<DEL>", "CIEND=-9,9;SVLEN=-4,.", (10, 14)),
        ("<DEL>", "SVTYPE=DEL", (9, 10)),
        ("<DEL>", "SVLEN=4;END=20", (10, 20)),
        ("<INS:ME:L1>", "SVLEN=6000", (10, 10)),
        ("<BND>", "END=5000", (9, 10)),
        ("A[one:20[", ".", (9, 19)),
        ("A[two:20[", ".", (9, 10)),
        ("]one:4]A", ".", (4, 10)),
        ("[one:20[A", ".", (9, 10)),
        (".A", ".", (9, 10)),
    ],
)
def test_bases_that_an_allele_replaces(alt, info, span):
    assert allele_span("one", 10, "A", alt, info) == span
