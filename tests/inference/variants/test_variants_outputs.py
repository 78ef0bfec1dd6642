"""All output formats contain the same values and account for every record."""

from __future__ import annotations

import csv
import errno
import gzip
import json
import os
import sys
from pathlib import Path

import h5py
import numpy as np
import polars as pl
import pytest

from danq.errors import InputError
from danq.inference import score_variants, write_variant_scores

RUN = sys.modules["danq.inference.variants.prepare"]
REFERENCES = sys.modules["danq.genome.variants.reference_alleles"]
KEYS = ["chrom", "pos", "id", "ref", "alt", "flags"]
TEXT = "".join(np.random.default_rng(7).choice(list("ACGT"), 400))


def other(base: str) -> str:
    return "ACGT"["ACGT".index(base) - 1]


def records() -> list[str]:
    """Lines of a VCF. Some alternate alleles and some records cannot be scored."""
    rows = []
    for number, at in enumerate(range(5, 390, 7)):
        ref = TEXT[at]
        alts = {
            0: [other(ref)],
            1: [other(ref), "*", ref + "GA"],
            2: ["<DEL>"],
            3: [ref + "T[chr1:3["],
            4: [ref + "TTT", other(other(ref))],
            5: ["."],
        }[number % 6]
        if number % 13 == 12:
            ref, alts = other(ref), [other(other(other(ref)))]
        info = "." if number % 2 else f"DP={number};DANQ_old=1"
        rows.append(f"chr1\t{at + 1}\tv{number}\t{ref}\t{','.join(alts)}\t.\tPASS\t{info}\tGT\t0/1")
    return rows


@pytest.fixture
def fasta(tmp_path) -> Path:
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n")
    return path


@pytest.fixture
def vcf(tmp_path) -> Path:
    head = [
        "##fileformat=VCFv4.2",
        '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">',
        '##INFO=<ID=DANQ_old,Number=1,Type=Float,Description="Of an earlier run">',
        '##ALT=<ID=DEL,Description="Deletion">',
        '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
        "##contig=<ID=chr1,length=400>",
        "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tsample",
    ]
    path = tmp_path / "in.vcf.gz"
    path.write_bytes(gzip.compress(("\n".join([*head, *records()]) + "\n").encode()))
    return path


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 11)
    # Four of 30 records have another REF than the genome.
    monkeypatch.setattr(REFERENCES, "MOST_MISMATCHES", 0.2)


def new_files(folder: Path, *names: str) -> set[str]:
    expected = {"genome.fa", "genome.fa.fai", "in.vcf.gz", *names}
    return {entry.name for entry in folder.iterdir()} - expected


def read_tsv(path: Path, schema) -> pl.DataFrame:
    return pl.read_csv(path, separator="\t", comment_prefix="#", schema=schema)


def read_hdf5(path: Path) -> pl.DataFrame:
    with h5py.File(path) as file:
        assert file.attrs["magic"] == "danq-variants"
        assert file.attrs["format_version"] == 3
        tracks = file["tracks/name"].asstr()[:].tolist()
        variants = file["variants"]
        columns = {
            name: variants[name].asstr()[:].tolist() for name in ("chrom", "id", "ref", "alt")
        }
        columns["pos"] = variants["pos"][:]
        bits = dict(variants["flags"].attrs)
        columns["flags"] = [
            ",".join(name for name, bit in bits.items() if flag & bit) or "."
            for flag in variants["flags"][:]
        ]
        for score in json.loads(file.attrs["provenance"])["scores"].split("; "):
            name = score.split(" ")[0]
            assert file[f"scores/{name}"].attrs["meaning"]
            values = file[f"scores/{name}"][:]
            columns |= {f"{track}_{name}": values[:, k] for k, track in enumerate(tracks)}
        columns |= {name: file[f"summary/{name}"][:] for name in file["summary"]}
    return pl.DataFrame(columns)


def test_all_formats_have_the_same_values(small_model, fasta, vcf, tmp_path):
    model = small_model()
    table = score_variants(model, vcf, fasta).to_polars()
    for name in ("a.tsv", "a.tsv.gz", "a.h5", "a.parquet"):
        written = write_variant_scores(model, vcf, fasta, tmp_path / name)
        assert (written.path, written.tally.rows) == (tmp_path / name, table.height)
        assert written.columns == tuple(table.columns[6:])
    for name in ("a.tsv", "a.tsv.gz"):
        assert read_tsv(tmp_path / name, table.schema).equals(table)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(table)
    assert read_hdf5(tmp_path / "a.h5").select(table.columns).equals(table)
    outputs = ["a.tsv", "a.tsv.gz", "a.h5", "a.parquet"]
    assert new_files(tmp_path, *outputs, *(f"{name}.rejected.tsv" for name in outputs)) == set()


def test_the_header_describes_the_run(small_model, fasta, vcf, tmp_path):
    model = small_model()
    write_variant_scores(model, vcf, fasta, tmp_path / "a.tsv", scores="logit")
    head = [line for line in (tmp_path / "a.tsv").read_text().splitlines() if line[0] == "#"]
    assert head[0].startswith("# danq: ")
    assert f"# variants: {vcf}" in head
    assert "# window: 40 bases, the variant at index 19" in head
    assert "# strand: both" in head
    assert "# precision: fp32 on cpu" in head
    assert any(line.startswith(f"# genome: {fasta} sha256:") for line in head)
    assert "# scores: logit (change in log2 odds (bits), alternate minus reference)" in head


def test_every_allele_is_scored_or_rejected(small_model, fasta, vcf, tmp_path):
    written = write_variant_scores(small_model(), vcf, fasta, tmp_path / "a.tsv")
    lines = [line.split("\t") for line in records()]
    alleles = [(n, alt) for n, line in enumerate(lines, 1) for alt in line[4].split(",")]
    assert written.tally.records == len(lines)
    assert written.tally.alleles == len(alleles)
    assert written.tally.rows + sum(written.tally.rejects.values()) == len(alleles)
    kinds = {"star": "*", "symbolic": "<DEL>", "missing-alt": "."}
    mismatches = {n for n in range(len(lines)) if n % 13 == 12}
    for kind, alt in kinds.items():
        expected = sum(a == alt and n - 1 not in mismatches for n, a in alleles)
        assert written.tally.rejects[kind] == expected
    assert written.tally.rejects["ref-mismatch"] == len(mismatches)
    text = written.describe()
    assert f"{len(lines)} records, {len(alleles)} alleles = {written.tally.rows} scored + " in text
    rows = [line for line in written.rejected.read_text().splitlines() if line[0] != "#"]
    listed = list(csv.DictReader(rows, delimiter="\t"))
    scored = read_tsv(tmp_path / "a.tsv", None)
    every = {(row["id"], row["alt"]) for row in listed} | set(scored.select("id", "alt").rows())
    assert every == {(lines[n - 1][2], alt) for n, alt in alleles}
    assert len(listed) + scored.height == len(alleles)
    mismatch = next(row for row in listed if row["reason"] == "ref-mismatch")
    at = int(mismatch["pos"])
    assert mismatch["detail"] == f"the file has {mismatch['ref']}, the genome {TEXT[at - 1]}"


def test_the_annotated_vcf_keeps_its_fields_and_gains_scores(small_model, fasta, vcf, tmp_path):
    pysam = pytest.importorskip("pysam")
    model, out = small_model(), tmp_path / "out.vcf.gz"
    table = score_variants(model, vcf, fasta).to_polars()
    write_variant_scores(model, vcf, fasta, out)
    assert new_files(tmp_path) == {"out.vcf.gz", "out.vcf.gz.tbi", "out.vcf.gz.rejected.tsv"}
    by_key = {(row["pos"], row["alt"]): row for row in table.iter_rows(named=True)}
    with pysam.VariantFile(str(out)) as file:
        assert "bits" in file.header.info["DANQ_Reb1_logit"].description
        assert "DANQ_old" not in file.header.info
        assert list(file.header.samples) == ["sample"]
        found = list(file)
        near = [record.pos for record in file.fetch("chr1", 100, 200)]
    assert near == [record.pos for record in found if 101 <= record.pos <= 200]
    assert len(found) == len(records())
    for record, line in zip(found, records(), strict=True):
        columns = line.split("\t")
        alts = columns[4].split(",")
        assert (record.id, record.ref) == (columns[2], columns[3])
        assert record.info.get("DP") == (int(columns[2][1:]) if "DP" in line else None)
        assert "DANQ_old" not in record.info
        if not any((record.pos, alt) in by_key for alt in alts):
            assert not any(name.startswith("DANQ") for name in record.info)
            continue
        for column in table.columns[6:]:
            expected = [by_key.get((record.pos, alt), {}).get(column) for alt in alts]
            values = record.info[f"DANQ_{column}"]
            assert len(values) == len(expected)
            for one, value in zip(expected, values, strict=True):
                assert (one is None) == (value is None)
                assert one is None or value == pytest.approx(one, rel=1e-5)
        flags = [by_key.get((record.pos, alt), {"flags": "."})["flags"] for alt in alts]
        assert [flag or "." for flag in record.info["DANQ_flags"]] == flags


def test_an_unsorted_vcf_gets_no_index(small_model, fasta, tmp_path, caplog):
    pysam = pytest.importorskip("pysam")
    path, out = tmp_path / "unsorted.vcf", tmp_path / "out.vcf.gz"
    head = "##fileformat=VCFv4.2\n##contig=<ID=chr1,length=400>\n#CHROM\tPOS\tID\tREF\tALT\n"
    rows = [f"chr1\t{at + 1}\t.\t{TEXT[at]}\t{other(TEXT[at])}" for at in (90, 30, 60)]
    path.write_text(head + "\n".join(rows) + "\n")
    write_variant_scores(small_model(), path, fasta, out, scores="logit")
    assert "not sorted" in caplog.text
    assert not (tmp_path / "out.vcf.gz.tbi").exists()
    with pysam.VariantFile(str(out)) as file:
        assert [record.pos for record in file] == [91, 31, 61]
    path.write_text(head + "\n".join(sorted(rows)) + "\n")
    write_variant_scores(small_model(), path, fasta, out, scores="logit", overwrite=True)
    assert (tmp_path / "out.vcf.gz.tbi").exists()


def test_vcf_output_needs_vcf_input(small_model, fasta, tmp_path):
    rows = [("chr1", 4, TEXT[3], other(TEXT[3]))]
    with pytest.raises(InputError, match="only be made from a VCF with a header"):
        write_variant_scores(small_model(), rows, fasta, tmp_path / "out.vcf.gz")


def test_tracks_with_the_same_field_name_are_refused(small_model, fasta, vcf, tmp_path):
    model = small_model(tracks=("a b", "a|b"))
    with pytest.raises(InputError, match="'a b_logit' and 'a|b_logit' would both be the field"):
        write_variant_scores(model, vcf, fasta, tmp_path / "out.vcf.gz")
    write_variant_scores(model, vcf, fasta, tmp_path / "out.tsv")
    twice = small_model(tracks=("a", "logit_max"))
    with pytest.raises(InputError, match="two columns of the output would be named 'logit_max'"):
        write_variant_scores(twice, vcf, fasta, tmp_path / "twice.tsv", scores="logit")


def test_deepsea_files_contain_the_scores(small_model, fasta, vcf, tmp_path, caplog):
    model = small_model(tracks=("8988T|DNase|None", "a,b", "Rap1"))
    table = score_variants(model, vcf, fasta).to_polars()
    out = tmp_path / "in.vcf.out"
    with caplog.at_level("INFO", "danq"):
        write_variant_scores(model, vcf, fasta, out, format="deepsea")
    assert "evalue is not written" in caplog.text
    files = {"ref": "ref", "alt": "alt", "diff": "diff", "logfoldchange": "logit"}
    assert new_files(tmp_path) == {f"in.vcf.out.{end}" for end in [*files, "rejected.tsv"]}
    for ending, score in files.items():
        with (tmp_path / f"in.vcf.out.{ending}").open(newline="") as file:
            head, *rows = csv.reader(file)
        assert head == ["", "chr", "pos", "name", "ref", "alt", *model.tracks]
        assert [row[0] for row in rows] == [str(n) for n in range(table.height)]
        keys = [(row[1], int(row[2]), *row[3:6]) for row in rows]
        assert keys == table.select("chrom", "pos", "id", "ref", "alt").rows()
        values = table.select(f"{track}_{score}" for track in model.tracks).rows()
        assert [row[6:] for row in rows] == [[f"{v:.4e}" for v in row] for row in values]


@pytest.mark.parametrize("name", ["out.tsv", "out.h5", "out.parquet", "out.vcf.gz"])
@pytest.mark.parametrize("kind", ["none", "all rejected", "one"])
def test_inputs_with_few_or_no_scored_records_are_written(
    small_model, fasta, tmp_path, caplog, name, kind
):
    pytest.importorskip("pysam")
    rows = {
        "none": [],
        "all rejected": ["chr1\t5\t.\tN\t<DEL>\t.\t.\t.", "chr1\t9\t.\tA\t.\t.\t.\t."],
        "one": [f"chr1\t5\t.\t{TEXT[4]}\t{other(TEXT[4])}\t.\t.\t."],
    }[kind]
    path = tmp_path / "few.vcf"
    head = ["##fileformat=VCFv4.2", "##contig=<ID=chr1,length=400>"]
    head.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    path.write_text("\n".join([*head, *rows]) + "\n")
    written = write_variant_scores(small_model(), path, fasta, tmp_path / name)
    assert written.tally.rows == (1 if kind == "one" else 0)
    assert written.tally.records == len(rows)
    messages = {
        "none": "contains no record",
        "all rejected": "none of the variants could be scored",
    }
    assert messages.get(kind, "") in caplog.text
    if name == "out.parquet":
        assert pl.read_parquet(tmp_path / name).height == written.tally.rows


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.vcf", "End the name with .vcf.gz"),
        (
            "out.csv",
            r"the extension of an output format for variant effects.*\.vcf\.gz",
        ),
        ("out", "the extension of an output format for variant effects"),
        ("tracks.bw", "the extension of an output format for variant effects"),
        ("missing/out.tsv", "there is no folder"),
    ],
)
def test_invalid_output_names_are_refused(small_model, fasta, vcf, tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        write_variant_scores(small_model(), vcf, fasta, tmp_path / name)


@pytest.mark.parametrize("existing", ["a.vcf.gz", "a.vcf.gz.tbi", "a.vcf.gz.rejected.tsv"])
def test_existing_files_are_replaced_only_with_overwrite(
    small_model, fasta, vcf, tmp_path, existing
):
    pytest.importorskip("pysam")
    (tmp_path / existing).write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_variant_scores(small_model(), vcf, fasta, tmp_path / "a.vcf.gz")
    assert (tmp_path / existing).read_text() == "mine"
    assert new_files(tmp_path) == {existing}
    if existing != "a.vcf.gz":
        # The user did not name this file, and danq did not write it.
        with pytest.raises(InputError, match="would be replaced, and danq did not write it"):
            write_variant_scores(small_model(), vcf, fasta, tmp_path / "a.vcf.gz", overwrite=True)
        assert (tmp_path / existing).read_text() == "mine"
        (tmp_path / existing).unlink()
    for _ in range(2):
        out = tmp_path / "a.vcf.gz"
        written = write_variant_scores(small_model(), vcf, fasta, out, overwrite=True)
    assert written.tally.rows > 0
    assert (tmp_path / existing).read_bytes() != b"mine"


def add_distant_variant(vcf: Path, path: Path) -> Path:
    """Write the variants and one more beyond the range of a TBI index."""
    row = f"chr1\t{600_000_000}\tfar\tA\tC\t.\t.\t.\tGT\t0/1\n"
    path.write_bytes(gzip.compress(gzip.decompress(vcf.read_bytes()) + row.encode()))
    return path


def test_contigs_too_long_for_tbi_get_a_csi_index(small_model, fasta, vcf, tmp_path):
    pysam = pytest.importorskip("pysam")
    model, out = small_model(), tmp_path / "a.vcf.gz"
    tbi, csi = (tmp_path / f"a.vcf.gz.{ending}" for ending in ("tbi", "csi"))
    far = add_distant_variant(vcf, tmp_path / "far.vcf.gz")
    for source, present, absent in ((vcf, tbi, csi), (far, csi, tbi), (vcf, tbi, csi)):
        write_variant_scores(model, source, fasta, out, overwrite=out.exists())
        assert present.exists()
        assert not absent.exists()
        assert (
            gzip.decompress(present.read_bytes())[:4] == present.suffix[1:].upper().encode() + b"\1"
        )
        with pysam.VariantFile(str(out)) as file:
            assert [record.id for record in file.fetch("chr1", 30, 50)] == ["v4", "v5", "v6"]
            assert len(list(file.fetch("chr1", 599_999_000, 600_000_001))) == (source == far)
    csi.write_text("mine")
    out.unlink()
    tbi.unlink()
    with pytest.raises(InputError, match=r"a.vcf.gz.csi: exists already"):
        write_variant_scores(model, vcf, fasta, out)


def test_the_index_is_not_written_before_its_vcf(small_model, fasta, vcf, tmp_path, monkeypatch):
    pytest.importorskip("pysam")
    out, link = tmp_path / "a.vcf.gz", os.link

    def refused(source, target, **options):
        if Path(target) == out:
            raise OSError(errno.EIO, "no")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(InputError, match="cannot be written"):
        write_variant_scores(small_model(), vcf, fasta, out)
    assert new_files(tmp_path) == {"a.vcf.gz.unfinished"}


@pytest.mark.parametrize("damage", ["truncated", "no header", "bad position"])
def test_damaged_input_leaves_no_files(small_model, fasta, vcf, tmp_path, damage):
    text = gzip.decompress(vcf.read_bytes())
    if damage == "truncated":
        vcf.write_bytes(vcf.read_bytes()[:-20])
        message = "truncated"
    elif damage == "no header":
        vcf.write_bytes(gzip.compress(b"\n".join(text.splitlines()[7:]) + b"\n"))
        message = "starts neither as VCF nor with column names"
    else:
        vcf.write_bytes(gzip.compress(text.replace(b"chr1\t300", b"chr1\t3x0")))
        message = "line .*3x0"
    with pytest.raises(InputError, match=message):
        write_variant_scores(small_model(), vcf, fasta, tmp_path / "a.tsv")
    assert new_files(tmp_path) == set()
