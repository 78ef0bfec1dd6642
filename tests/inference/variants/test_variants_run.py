"""Scores of variants equal predictions of windows that are built from text."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import danq
from danq.errors import InputError
from danq.genome.fasta import Genome, read_fasta
from danq.inference import Variants, predict, score_variants, write_variant_scores
from tests.watched import watched

RUN = sys.modules["danq.inference.variants.prepare"]
WINDOW = 40
KEYS = ["chrom", "pos", "id", "ref", "alt"]
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def random_text(length: int, seed: int) -> str:
    return "".join(np.random.default_rng(seed).choice(list("ACGT"), length))


@pytest.fixture(scope="module")
def contigs() -> dict[str, str]:
    repeats = "ACACACACACAC" + "T" * 9 + "GATTAGATTAGATTA"
    return {"chrB": random_text(150, 1) + repeats + random_text(150, 2), "chrA": random_text(90, 3)}


@pytest.fixture(scope="module")
def fasta(contigs, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return path


def random_variants(
    contigs: dict[str, str], count: int, seed: int = 0
) -> list[tuple[str, int, str, str]]:
    """SNVs, MNVs, insertions and deletions; some at contig ends or with several alleles."""
    rng = np.random.default_rng(seed)
    names = list(contigs)
    rows = []
    while len(rows) < count:
        name = names[rng.integers(len(names))]
        text = contigs[name]
        size = int(rng.integers(1, 5))
        start = int(rng.integers(0, len(text) - size))
        ref = text[start : start + size]
        alts = {
            "".join(rng.choice(list("ACGT"), rng.integers(1, 6))),
            ref[0] + random_text(3, len(rows)),
        }
        alts = [alt for alt in sorted(alts) if alt != ref][: rng.integers(1, 3)]
        rows.append((name, start + 1, ref, ",".join(alts)))
    return rows


def write_vcf(path: Path, contigs: dict[str, str], rows: list[tuple[str, int, str, str]]) -> Path:
    lines = ["##fileformat=VCFv4.2", '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth">']
    lines += [f"##contig=<ID={name},length={len(text)}>" for name, text in contigs.items()]
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
    for number, (chrom, pos, ref, alt) in enumerate(rows):
        lines.append(f"{chrom}\t{pos}\tv{number}\t{ref}\t{alt}\t.\tPASS\tDP={number}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def vcf(contigs, tmp_path_factory) -> Path:
    return write_vcf(
        tmp_path_factory.mktemp("vcf") / "in.vcf", contigs, random_variants(contigs, 60)
    )


def left_align(text: str, start: int, ref: str, alt: str) -> tuple[int, str, str]:
    """0-based start and both alleles, left-aligned and without shared bases."""
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    while ref and alt and ref[0] == alt[0]:
        start, ref, alt = start + 1, ref[1:], alt[1:]
    while start > 0 and bool(ref) != bool(alt) and (ref or alt)[-1] == text[start - 1]:
        base = text[start - 1]
        start -= 1
        ref, alt = (base + allele[:-1] if allele else "" for allele in (ref, alt))
    return start, ref, alt


def windows_of(
    text: str, start: int, ref: str, alt: str, center: int, right: bool
) -> tuple[str, str]:
    start, ref, alt = left_align(text, start, ref, alt)
    low = start - (not (ref and alt)) - center
    padded = "N" * WINDOW + text + "N" * WINDOW
    changed = padded[: start + WINDOW] + alt + padded[start + WINDOW + len(ref) :]
    shift = len(alt) - len(ref) if right else 0
    first = low + WINDOW
    return padded[first : first + WINDOW], changed[first + shift : first + shift + WINDOW]


def scores_of_windows(
    model, contigs, rows, tmp_path, *, center: int, anchors=(False,), strand="both"
) -> dict[str, np.ndarray]:
    """Scores of single alleles; each window is predicted as a separate FASTA record."""
    texts = []
    for chrom, pos, ref, alt in rows:
        for right in anchors:
            pair = windows_of(contigs[chrom], pos - 1, ref, alt, center, right)
            texts += [*pair, *(text[::-1].translate(COMPLEMENT) for text in pair)]
    path = tmp_path / "windows.fa"
    path.write_text("".join(f">w{n}\n{text}\n" for n, text in enumerate(texts)))
    table = predict(model.with_options(strand="forward"), path).to_polars()
    p = table.select(model.tracks).to_numpy().astype(np.float64)
    p = p.reshape(len(rows), len(anchors), 2, 2, -1)  # row, anchor, strand, allele, track
    if strand == "forward":
        p = p[:, :, :1]
    ref, alt = p[..., 0, :], p[..., 1, :]
    bits = np.log2(alt / (1 - alt + 1e-12)) - np.log2(ref / (1 - ref + 1e-12))
    means = {"ref": ref, "alt": alt, "diff": alt - ref, "logit": bits}
    scores = {name: value.mean((1, 2)) for name, value in means.items()}
    return scores | {"product": np.abs(scores["diff"] * scores["logit"])}


def alleles(rows) -> list[tuple[str, int, str, str]]:
    return [(c, p, r, alt) for c, p, r, several in rows for alt in several.split(",")]


@pytest.mark.parametrize(
    ("options", "reference"),
    [
        ({}, {}),
        ({"strand": "forward"}, {"strand": "forward"}),
        ({"indel_anchor": "both"}, {"anchors": (False, True)}),
        ({"center": 7}, {"center": 7}),
        ({"tolerance": 0.0}, {}),
    ],
)
def test_scores_equal_those_of_predicted_windows(
    small_model, contigs, fasta, vcf, tmp_path, split_options, options, reference
):
    model = small_model()
    rows = alleles(random_variants(contigs, 60))
    run, windows, _ = split_options(options)
    result = score_variants(model.with_options(**run), Variants(vcf, **windows), fasta)
    table = result.to_polars()
    assert table.select("chrom", "pos", "ref", "alt").rows() == rows
    expected = scores_of_windows(
        model, contigs, rows, tmp_path, **{"center": WINDOW // 2 - 1, **reference}
    )
    for name, values in expected.items():
        found = table.select(f"{track}_{name}" for track in model.tracks).to_numpy()
        np.testing.assert_allclose(found, values, atol=1e-5, err_msg=name)
    assert np.abs(expected["logit"]).max() > 0.3


def test_the_package_exports_score_variants():
    assert danq.score_variants is score_variants


def test_columns_follow_scores_and_tracks(small_model, fasta, vcf):
    table = score_variants(small_model(), vcf, fasta, scores=["logit"]).to_polars()
    tracks = ["Reb1", "Abf1", "Rap1"]
    assert table.columns == [*KEYS, "flags", *tracks, "logit_max", "logit_l2"]
    assert table.schema["Reb1"] == pl.Float32
    selected = score_variants(
        small_model(), vcf, fasta, scores=["ref", "logit"], tracks=["Rap1", "Reb1"]
    ).to_polars()
    assert selected.columns[6:10] == ["Rap1_logit", "Reb1_logit", "Rap1_ref", "Reb1_ref"]
    for track in ("Rap1", "Reb1"):
        assert selected[f"{track}_logit"].equals(table[track])
    magnitude = selected.select("Rap1_logit", "Reb1_logit").to_numpy()
    np.testing.assert_allclose(selected["logit_l2"], np.linalg.norm(magnitude, axis=1), rtol=1e-6)


def test_scores_do_not_depend_on_batches_blocks_order_or_threads(
    small_model, contigs, fasta, vcf, tmp_path, monkeypatch
):
    model = small_model()
    rows = random_variants(contigs, 60)
    base = score_variants(model, vcf, fasta).to_polars()
    values = base.drop(*KEYS, "flags").to_numpy()
    for options in ({"batch_size": 1}, {"batch_size": 7}, {"threads": 2}):
        table = score_variants(model.with_options(**options), vcf, fasta).to_polars()
        assert table.select(KEYS).equals(base.select(KEYS))
        np.testing.assert_allclose(table.drop(*KEYS, "flags").to_numpy(), values, atol=1e-6)
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 9)
    order = np.random.default_rng(5).permutation(len(rows))
    shuffled = write_vcf(tmp_path / "shuffled.vcf", contigs, [rows[i] for i in order])
    table = score_variants(model, shuffled, fasta).to_polars()
    assert table.select("chrom", "pos", "ref", "alt").rows() == alleles([rows[i] for i in order])
    index_of = {row: n for n, row in enumerate(base.select("chrom", "pos", "ref", "alt").rows())}
    back = [index_of[row] for row in table.select("chrom", "pos", "ref", "alt").rows()]
    np.testing.assert_allclose(table.drop(*KEYS, "flags").to_numpy(), values[back], atol=1e-6)


@pytest.mark.parametrize("block", [4096, 7])
@pytest.mark.parametrize("out", [None, "out.parquet"])
def test_duplicate_variants_have_identical_scores_within_a_block(
    small_model, contigs, fasta, tmp_path, monkeypatch, block, out
):
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", block)
    rows = [one for row in random_variants(contigs, 30) for one in (row, row)]
    several = write_vcf(tmp_path / "several.vcf", contigs, [*rows, *reversed(rows), *rows])
    model = small_model().with_options(batch_size=11)
    if out is None:
        table = score_variants(model, several, fasta).to_polars()
    else:
        write_variant_scores(model, several, fasta, tmp_path / out)
        table = pl.read_parquet(tmp_path / out)
    assert table.height == 6 * len(alleles(rows[::2]))
    blocks = table["id"].str.slice(1).cast(pl.Int64) // block
    table = table.drop("id").with_columns(blocks.alias("block"))
    alike = ["chrom", "pos", "ref", "alt"]
    within = table.group_by([*alike, "block"]).n_unique().drop(*alike, "block")
    assert (within.to_numpy() == 1).all()
    # Between blocks, batches differ, and so may the last bits.
    values = table.drop("flags", "block").group_by(alike)
    spread = values.max().sort(alike).drop(alike) - values.min().sort(alike).drop(alike)
    assert spread.to_numpy().max() < 2e-6


def test_flags_describe_each_row(small_model, contigs, fasta):
    text = contigs["chrB"]
    run = text.index("T" * 9)
    rows = [
        ("chrB", 2, text[1], "ACGT"["ACGT".index(text[1]) - 1]),
        ("chrB", run + 5, "T", "TT"),
        ("chrB", 100, "ACGT"["ACGT".index(text[99]) - 1], text[99]),
        ("chrB", 100, text[99], "ACGT"["ACGT".index(text[99]) - 1]),
    ]
    table = score_variants(small_model(), Variants(rows, ref_mismatch="swap"), fasta).to_polars()
    assert table["flags"].to_list() == ["padded", "moved", "swapped", "."]
    swapped, plain = table[2], table[3]
    assert swapped["ref"].item() == plain["ref"].item() == text[99]
    assert swapped["Reb1_logit"].item() == plain["Reb1_logit"].item()


def test_all_forms_of_input_give_the_same_scores(small_model, contigs, fasta, vcf, tmp_path):
    pysam = pytest.importorskip("pysam")
    model = small_model()
    base = score_variants(model, vcf, fasta).to_polars()
    rows = [(*row, f"v{n}") for n, row in enumerate(random_variants(contigs, 60))]
    with Genome(fasta) as genome:
        assert score_variants(model, rows, genome).to_polars().equals(base)
    frame = pl.DataFrame(rows, schema=["chrom", "pos", "ref", "alt", "id"], orient="row")
    assert score_variants(model, frame, fasta).to_polars().equals(base)
    pandas = pytest.importorskip("pandas")
    other = pandas.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "id"])
    assert score_variants(model, other, fasta).to_polars().equals(base)
    bcf = tmp_path / "in.bcf"
    source = pysam.VariantFile(str(vcf))
    with source, pysam.VariantFile(str(bcf), "wb", header=source.header) as sink:
        for record in source:
            sink.write(record)
    assert score_variants(model, bcf, fasta).to_polars().equals(base)
    tsv = tmp_path / "in.tsv"
    frame.write_csv(tsv, separator="\t")
    assert score_variants(model, tsv, fasta).to_polars().equals(base)


def test_an_ensemble_has_mean_and_standard_deviation(small_model, fasta, vcf):
    models = [small_model(seed=seed) for seed in (0, 1, 2)]
    each = [score_variants(model, vcf, fasta, scores="logit").to_polars() for model in models]
    table = score_variants(models, vcf, fasta, scores="logit").to_polars()
    for track in models[0].tracks:
        values = np.stack([one[track].to_numpy() for one in each]).astype(np.float64)
        np.testing.assert_allclose(table[f"{track}_logit"], values.mean(0), atol=1e-6)
        spread = values.std(0, ddof=1)
        np.testing.assert_allclose(table[f"{track}_logit_sd"], spread, atol=1e-6)


def test_haplotypes_apply_neighbouring_variants_to_both_windows(
    small_model, fasta, contigs, tmp_path
):
    text = contigs["chrB"]
    first, second, far = 60, 66, 130
    sites = [(at, text[at], "ACGT"["ACGT".index(text[at]) - 1]) for at in (first, second, far)]
    lines = ["##fileformat=VCFv4.2", f"##contig=<ID=chrB,length={len(text)}>"]
    lines.append('##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">')
    lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\ttwo")
    lines += [f"chrB\t{at + 1}\t.\t{r}\t{a}\t.\t.\t.\tGT\t0|1\t0/0" for at, r, a in sites]
    path = tmp_path / "phased.vcf"
    path.write_text("\n".join(lines) + "\n")
    model = small_model()
    alone = score_variants(model, Variants(path, haplotypes="two"), fasta).to_polars()
    assert alone.equals(score_variants(model, path, fasta).to_polars())
    both = score_variants(model, Variants(path, haplotypes="one"), fasta).to_polars()
    assert both["flags"].to_list() == ["neighbours", "neighbours", "."]
    assert both[2].drop("flags").equals(alone[2].drop("flags"))
    other = text[:second] + sites[1][2] + text[second + 1 :]
    row = ("chrB", first + 1, *sites[0][1:])
    changed = scores_of_windows(model, {"chrB": other}, [row], tmp_path, center=WINDOW // 2 - 1)
    found = both.select(f"{track}_logit" for track in model.tracks).to_numpy()[0]
    np.testing.assert_allclose(found, changed["logit"][0], atol=1e-5)
    with pytest.raises(InputError, match="haplotypes need the genotypes of a file"):
        score_variants(
            model, Variants([("chrB", 3, "A", "C")], haplotypes="one"), fasta
        ).to_polars()
    with pytest.raises(InputError, match="no sample 'three'; it has one, two"):
        score_variants(model, Variants(path, haplotypes="three"), fasta).to_polars()


def test_progress_counts_records(small_model, fasta, vcf, monkeypatch):
    monkeypatch.setattr(RUN, "BLOCK_RECORDS", 25)
    seen = []
    with watched(lambda *pair: seen.append(pair)):
        score_variants(small_model(), vcf, fasta).to_polars()
    assert seen == [(25, 60), (50, 60), (60, 60)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scores": ["lfc"]}, "unknown score 'lfc'"),
        ({"strand": "minus"}, "strand is 'minus'"),
        ({"indel_anchor": "right"}, "indel_anchor is 'right'"),
        ({"center": 39}, "center is 39"),
        ({"ref_mismatch": "ignore"}, "ref_mismatch is 'ignore'"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"tolerance": -1.0}, "tolerance is -1.0"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"tracks": ["Z"]}, "no track 'Z'"),
        ({"device": "gpu"}, "no device is named 'gpu'"),
        ({"chrom_map": "missing.tsv"}, "missing.tsv: no such file"),
        ({"calibrate": "missing.h5"}, "missing.h5: no such file"),
    ],
)
def test_invalid_options_are_refused(small_model, fasta, vcf, split_options, options, message):
    run, windows, rest = split_options(options)
    with pytest.raises(InputError, match=message):
        score_variants(small_model().with_options(**run), Variants(vcf, **windows), fasta, **rest)


def test_a_genome_without_the_contigs_is_refused(small_model, tmp_path, vcf):
    other = tmp_path / "other.fa"
    other.write_text(">scaffold_9\n" + "ACGT" * 30 + "\n")
    with pytest.raises(InputError, match=r"chrB.*scaffold_9.*chrom_map"):
        score_variants(small_model(), vcf, other).to_polars()


def test_contig_names_are_matched_or_mapped(small_model, fasta, contigs, tmp_path, caplog):
    rows = random_variants(contigs, 20)
    unprefixed = [(name.removeprefix("chr"), *rest) for name, *rest in rows]
    renamed = [(f"contig{name}", *rest) for name, *rest in unprefixed]
    model = small_model()
    base = score_variants(model, rows, fasta).to_polars()
    with caplog.at_level("INFO", "danq"):
        matched = score_variants(model, unprefixed, fasta).to_polars()
    assert "contig names differ" in caplog.text
    assert matched.drop("chrom").equals(base.drop("chrom"))
    assert matched["chrom"].to_list() == [name.removeprefix("chr") for name in base["chrom"]]
    mapping = tmp_path / "names.tsv"
    mapping.write_text("contigA\tchrA\ncontigB\tchrB\n")
    mapped = score_variants(model, Variants(renamed, chrom_map=mapping), fasta).to_polars()
    assert mapped.drop("chrom").equals(base.drop("chrom"))


def test_contigs_are_read_in_the_order_of_the_file(contigs, fasta):
    assert [name for name, _ in read_fasta(fasta)] == list(contigs)
