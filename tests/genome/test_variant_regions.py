"""Records in regions, through an index and without one, against ``bcftools view --regions``."""

from __future__ import annotations

import gzip
import io
import logging
import os
import random
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

import pysam
import pysam.bcftools
import pytest

from danq.errors import InputError
from danq.genome.nucleotide_codes import encode
from danq.genome.packed_genome import PackedGenome
from danq.genome.regions import Region, parse_regions
from danq.genome.variants import Blocks, VariantBlock, from_table, open_variants, read_haplotypes
from danq.genome.variants.open_regions import checksum_of_records, open_regions
from danq.genome.variants.variant_index import read_index

SIZES = {"chr1": 60_000, "chr2": 45_000, "chr3": 20_000}
RANDOM = random.Random(11)
TEXT = {name: "".join(RANDOM.choices("ACGT", k=size)) for name, size in SIZES.items()}
GENOME = PackedGenome.from_contigs((name, encode(text)) for name, text in TEXT.items())
HEAD = (
    "##fileformat=VCFv4.2\n"
    + "".join(f"##contig=<ID={name},length={size}>\n" for name, size in SIZES.items())
    + '##INFO=<ID=END,Number=1,Type=Integer,Description="Last base">\n'
    + '##ALT=<ID=DEL,Description="Deletion">\n'
    + '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">\n'
    + "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\ts\n"
)
REGIONS = [
    ["chr1:10,000-20,000"],
    ["chr1:16385-32768", "chr2"],
    ["chr2:100-100", "chr1:5-6", "chr2:20,000-"],
    ["chr1:1-30000", "chr1:20000-40000", "chr1:40001-40002"],
    ["chr3"],
    ["chr2:-50", "chr3:19,999-20,000"],
]


def lines() -> list[str]:
    """Records in order: SNVs, long deletions, and symbolic ones with END."""
    made = []
    for name in ("chr1", "chr2"):
        places = sorted(RANDOM.sample(range(1, SIZES[name] - 700), 900))
        for i, pos in enumerate(places):
            size = 1 if i % 9 else RANDOM.choice([2, 30, 400])
            ref = TEXT[name][pos - 1 : pos - 1 + size]
            alt, info = ref[0] if size > 1 else "ACGT"["TACG".index(ref)], "."
            if i % 31 == 0:
                ref, alt, info = ref[0], "<DEL>", f"END={pos + RANDOM.choice([3, 600, 5_000])}"
            made.append(f"{name}\t{pos}\tid{len(made)}\t{ref}\t{alt}\t.\t.\t{info}\tGT\t0|1\n")
    return made


LINES = lines()


def stored(folder: Path, form: str, listed: Sequence[str] = LINES) -> Path:
    """A file of variants, with its index."""
    text = (HEAD + "".join(listed)).encode()
    path = folder / {"bcf": "a.bcf", "plain": "a.vcf"}.get(form, "a.vcf.gz")
    if form in ("plain", "gzip"):
        path.write_bytes(text if form == "plain" else gzip.compress(text))
        return path
    zipped = folder / "a.vcf.gz"
    with pysam.BGZFile(str(zipped), "wb", None) as file:
        for start in range(0, len(text), 3_000):
            file.write(text[start : start + 3_000])
            if start % 9_000 == 0:
                file.flush()
    if form == "bcf":
        with (
            pysam.VariantFile(str(zipped)) as source,
            pysam.VariantFile(str(path), "wb", header=source.header) as out,
        ):
            for one in source:
                out.write(one)
        pysam.tabix_index(str(path), preset="bcf", csi=True, force=True)
    else:
        pysam.tabix_index(str(path), preset="vcf", csi=form == "csi", force=True)
    return path


FORMS = ["tbi", "csi", "bcf", "plain", "gzip"]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    return {form: stored(tmp_path_factory.mktemp(form), form) for form in FORMS}


def ids(blocks: Sequence[VariantBlock]) -> list[str]:
    """IDs of all records, rejected ones too, by their numbers."""
    found = {}
    for block in blocks:
        found |= dict(zip(block.record.tolist(), block.id, strict=True))
        found |= {one.record: one.id for one in block.rejects}
    assert sorted(found) == list(range(1, len(found) + 1)) or not found
    return [found[number] for number in sorted(found)]


def read(path: Path | str, regions: list[str], blocks: Blocks | None = None, **options):
    within = [one for text in regions for one in parse_regions(text, GENOME.contigs)]
    with open_variants(path, GENOME, regions=within, blocks=blocks, **options) as reader:
        return list(reader)


def of_bcftools(path: Path, regions: list[str]) -> list[str]:
    text = ",".join(one.replace(",", "").replace(":-", ":1-") for one in regions)
    shown = pysam.bcftools.view("-H", "-r", text, str(path))  # type: ignore[attr-defined]
    return [line.split("\t")[2] for line in shown.splitlines()]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("regions", REGIONS, ids=", ".join)
def test_records_are_those_of_bcftools(files, form, regions):
    expected = of_bcftools(files["tbi"], regions)
    assert ids(read(files[form], regions)) == sorted(expected, key=lambda one: int(one[2:]))
    for size in (7, 4096):
        whole = read(files[form], regions, block=size)
        assert [one.records for one in whole[:-1]] == [size] * (len(whole) - 1)
        part = read(files[form], regions, lambda number: number % 3 == 1, block=size)
        assert [one.id for one in part] == [one.id for one in whole[1::3]]
        assert [one.first for one in part] == [one.first for one in whole[1::3]]


def test_random_regions_are_those_of_bcftools(files):
    chance = random.Random(2)
    for _ in range(60):
        name = chance.choice(["chr1", "chr2"])
        start = chance.randrange(1, SIZES[name])
        end = min(SIZES[name], start + chance.choice([0, 10, 500, 20_000]))
        regions = [f"{name}:{start}-{end}"]
        expected = of_bcftools(files["tbi"], regions)
        for form in ("tbi", "csi", "bcf"):
            assert ids(read(files[form], regions)) == expected, regions


def test_tables_and_streams_are_filtered(files, monkeypatch, tmp_path, caplog):
    regions = [Region("chr1", 9_999, 20_000)]
    rows = [line.split("\t")[:5] for line in LINES if "<" not in line]
    table = [(c, int(p), r, a, i) for c, p, i, r, a in rows]
    kept = [
        i for c, p, r, _, i in table if c == "chr1" and p <= 20_000 and p + len(r) - 1 >= 10_000
    ]
    assert ids(list(from_table(table, GENOME, regions=regions))) == kept
    path = tmp_path / "a.tsv"
    text = "".join("\t".join(map(str, row)) + "\n" for row in table)
    path.write_text("chrom\tpos\tref\talt\tid\n" + text)
    with caplog.at_level(logging.INFO, logger="danq"):
        assert ids(read(path, ["chr1:10000-20000"])) == kept
    assert "has no index, so all of it is read" in caplog.text
    for form in ("plain", "tbi", "bcf"):
        with files[form].open("rb") as handle:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(handle))
            found = ids(read("-", ["chr1:10000-20000"]))
        assert found == of_bcftools(files["tbi"], ["chr1:10000-20000"])


def test_only_the_parts_of_the_regions_are_read(files, tmp_path):
    """Damage elsewhere is not seen through the index."""
    path = tmp_path / "a.vcf.gz"
    for suffix in ("", ".tbi"):
        shutil.copy(f"{files['tbi']}{suffix}", f"{path}{suffix}")
    parts = read_index(tmp_path / "a.vcf.gz.tbi").parts(1, 20_000, 25_000)
    data = bytearray(path.read_bytes())
    middle = (parts[0][0] >> 16) // 2
    data[middle : middle + 40] = bytes(40)
    path.write_bytes(data)
    regions = ["chr2:20001-25000"]
    assert ids(read(path, regions)) == of_bcftools(files["tbi"], regions)
    with pytest.raises(InputError, match="damaged"):
        read(path, ["chr1"])


def test_names_are_matched_as_elsewhere(tmp_path):
    renamed = [line.replace("chr", "", 1) for line in LINES]
    path = tmp_path / "a.vcf.gz"
    with pysam.BGZFile(str(path), "wb", None) as file:
        file.write((HEAD.replace("ID=chr", "ID=") + "".join(renamed)).encode())
    pysam.tabix_index(str(path), preset="vcf")
    assert ids(read(path, ["chr2:1-1000"])) == of_bcftools(path, ["2:1-1000"])
    mapped = tmp_path / "mapped.vcf.gz"
    with pysam.BGZFile(str(mapped), "wb", None) as file:
        file.write((HEAD + "".join(LINES)).replace("chr2", "second").encode())
    pysam.tabix_index(str(mapped), preset="vcf")
    found = read(mapped, ["chr2:1-1000"], chrom_map={"second": "chr2"})
    assert ids(found) == of_bcftools(mapped, ["second:1-1000"])
    assert found


def test_the_checksum_does_not_depend_on_the_index(files):
    regions = parse_regions("chr1:100-9000,chr2", GENOME.contigs)
    sums = {form: checksum_of_records(files[form], regions, GENOME.contigs) for form in FORMS[:2]}
    assert len(set(sums.values())) == 1
    other = checksum_of_records(files["tbi"], regions[:1], GENOME.contigs)
    assert other not in sums.values()


def test_the_checksum_has_what_is_used_of_the_records(tmp_path):
    regions = parse_regions("chr1", GENOME.contigs)
    changes = [("0|1", "1|1"), ("\t.\tGT", "\tEND=30000\tGT"), ("\t.\t.\t", "\t9\t.\t")]
    options = [{}, {"sample": "s"}, {"keep_lines": True}]
    sums = []
    for number, (old, new) in enumerate([("", ""), *changes]):
        changed = [LINES[0], LINES[1].replace(old, new), *LINES[2:]]
        (folder := tmp_path / str(number)).mkdir()
        path = stored(folder, "plain", changed)
        sums.append([checksum_of_records(path, regions, GENOME.contigs, **o) for o in options])
    bare, sample, lines = zip(*sums, strict=True)
    assert len({bare[0], *bare[1:]}) == 1
    assert len({*sample}) == 3
    assert sample[3] == sample[0]
    assert len({*lines}) == 4


def test_records_of_a_bcf_come_in_its_order(tmp_path):
    """The header names the contigs in another order."""
    listed = [*(one for one in LINES if one.startswith("chr2")), *LINES[:900]]
    path = stored(tmp_path, "bcf", listed)
    regions = ["chr1:1-30000", "chr2"]
    expected = of_bcftools(path, ["chr2", *regions[:1]])
    assert ids(read(path, regions)) == expected
    assert ids(read(stored(tmp_path, "plain", listed), regions)) == expected


@pytest.mark.parametrize("shift", [4, 10, 20])
def test_long_contigs_and_bins_of_other_sizes(shift, tmp_path):
    """A contig longer than a tabix index allows, and contigs without records."""
    contigs = {"empty": 1_000, "long": 1 << (27 if shift == 4 else 31), "last": 1 << 20}
    head = "".join(f"##contig=<ID={name},length={size}>\n" for name, size in contigs.items())
    chance = random.Random(shift)
    edges = [1 << chance.randrange(5, contigs["long"].bit_length() - 1) for _ in range(300)]
    places = sorted(edge + chance.randrange(-2, 3) for edge in edges)
    rows = [
        f"long\t{pos}\tid{i}\t{'A' * (1 + i % 3)}\tC\t.\t.\t.\n" for i, pos in enumerate(places)
    ]
    columns = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    plain, path = tmp_path / "a.vcf", tmp_path / "a.vcf.gz"
    plain.write_text("##fileformat=VCFv4.2\n" + head + columns + "".join(rows))
    pysam.tabix_compress(str(plain), str(path))
    pysam.bcftools.index("-c", "-m", str(shift), str(path))  # type: ignore[attr-defined]
    for edge in [*edges[:40], contigs["long"] - 5]:
        regions = [Region("long", edge - 1, min(edge + chance.choice([1, 900]), contigs["long"]))]
        if edge == edges[0]:
            regions = [Region("empty", 0, 1_000), Region("long", 0, contigs["long"] - 1)]
        with open_regions(path, regions, contigs) as source:
            found = [
                one for records in iter(lambda s=source: s.read(7), None) for one in records.id
            ]
        texts = [f"{name}:{start + 1}-{end}" for name, start, end in regions]
        assert found == of_bcftools(path, texts)


def test_many_regions_of_one_contig(files):
    chance = random.Random(3)
    starts = sorted(chance.sample(range(SIZES["chr1"] - 60), 400))
    regions = [f"chr1:{start + 1}-{start + chance.randrange(1, 60)}" for start in starts]
    expected = sorted({*of_bcftools(files["tbi"], regions)}, key=lambda one: int(one[2:]))
    for form in FORMS:
        assert ids(read(files[form], regions)) == expected


def test_haplotypes_have_the_alleles_of_the_regions(files):
    whole = [Region("chr2", 0, SIZES["chr2"])]
    found = read_haplotypes(files["tbi"], GENOME, "s", regions=whole)
    every = read_haplotypes(files["plain"], GENOME, "s")
    assert found.edits.start.size == (every.edits.first[-1] - every.edits.first[1]) > 0


def replaced(files, folder: Path, form: str, listed: Sequence[str]) -> Path:
    """A file with other records, and the index of the first one."""
    suffix = {"tbi": ".tbi", "csi": ".csi", "bcf": ".csi"}[form]
    path = stored(folder, form, listed)
    shutil.copy(f"{files[form]}{suffix}", f"{path}{suffix}")
    return path


@pytest.mark.parametrize("form", ["tbi", "csi", "bcf"])
@pytest.mark.parametrize("age", [-1, 1])
def test_an_index_of_another_version_is_refused(files, form, age, tmp_path):
    changed = [one.replace("id", "longer", 1) if i % 40 else one for i, one in enumerate(LINES)]
    last = LINES[-1].replace("chr2", "chr3")
    versions = [LINES[:-1], LINES[1:], LINES[:900], changed, [*LINES, last]]
    for number, listed in enumerate(versions):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = replaced(files, folder, form, listed)
        state = path.stat()
        beside = next(one for one in folder.iterdir() if one.suffix in (".tbi", ".csi"))
        os.utime(beside, (state.st_atime, state.st_mtime + age))
        with pytest.raises(InputError, match="does not (end|begin)"):
            read(path, ["chr1:1-1000"])


def test_an_older_index_of_the_same_file_is_used_with_a_notice(files, caplog, tmp_path):
    path = tmp_path / "a.vcf.gz"
    for suffix in ("", ".tbi"):
        shutil.copy(f"{files['tbi']}{suffix}", f"{path}{suffix}")
    os.utime(f"{path}.tbi", (1, 1))
    with caplog.at_level(logging.INFO, logger="danq"):
        assert ids(read(path, ["chr2"])) == of_bcftools(files["tbi"], ["chr2"])
    assert "a.vcf.gz.tbi: is older than the file" in caplog.text


def test_damaged_indexes_are_refused(files, tmp_path):
    path = tmp_path / "a.vcf.gz"
    shutil.copy(files["tbi"], path)
    for suffix in (".tbi", ".csi"):
        beside = Path(f"{path}{suffix}")
        good = Path(f"{files[suffix[1:]]}{suffix}").read_bytes()
        text = gzip.decompress(good)
        wrong = [
            good[:-40],
            good[: len(good) // 2],
            b"not an index",
            gzip.compress(text[:-30]),
            gzip.compress(text[: len(text) // 2]),
            gzip.compress(text + b"more"),
            gzip.compress(b"BAI\x01" + text[4:]),
            gzip.compress(text[:4] + b"\xff" * 4 + text[8:]),
        ]
        for content in wrong:
            beside.write_bytes(content)
            with pytest.raises(InputError):
                read(path, ["chr1:1-1000"])
        beside.unlink()


def test_flipped_bytes_of_an_index_give_the_right_records_or_an_error(files, tmp_path):
    path = tmp_path / "a.vcf.gz"
    shutil.copy(files["tbi"], path)
    chance = random.Random(4)
    refused = 0
    expected = of_bcftools(files["tbi"], ["chr2"])
    for suffix in (".tbi", ".csi"):
        beside = Path(f"{path}{suffix}")
        text = gzip.decompress(Path(f"{files[suffix[1:]]}{suffix}").read_bytes())
        for _ in range(60):
            changed = bytearray(text)
            changed[chance.randrange(len(text))] ^= 1 << chance.randrange(8)
            beside.write_bytes(gzip.compress(bytes(changed)))
            try:
                found = ids(read(path, ["chr2"]))
            except InputError:
                refused += 1
                continue
            assert found == expected
        beside.unlink()
    assert refused > 10


def test_records_that_an_index_lacks_at_a_boundary_are_found(files, tmp_path):
    """The last part of an interval is made shorter, so that it ends before its last records."""
    path = tmp_path / "a.vcf.gz"
    shutil.copy(files["tbi"], path)
    text = gzip.decompress(Path(f"{files['tbi']}.tbi").read_bytes())
    index = read_index(Path(f"{files['tbi']}.tbi"))
    ((begin, end),) = index.parts(0, 0, None)
    with pysam.BGZFile(str(path), "rb") as file:
        file.seek(begin)
        for _ in range(500):
            file.readline()
        earlier = file.tell()
    assert earlier < end
    before, after = (
        begin.to_bytes(8, "little") + one.to_bytes(8, "little") for one in (end, earlier)
    )
    Path(f"{path}.tbi").write_bytes(gzip.compress(text.replace(before, after)))
    with pytest.raises(InputError, match="lacks records"):
        read(path, ["chr1:1-50000"])
    with pytest.raises(InputError, match=r"counts 900|lacks records"):
        read(path, ["chr1"])
