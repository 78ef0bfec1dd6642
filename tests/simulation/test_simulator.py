from __future__ import annotations

import filecmp
import json
import logging
from pathlib import Path

import numpy as np
import pytest
from Bio import SeqIO
from sklearn.metrics import average_precision_score

from danq.errors import InputError
from danq.genome import Genome
from danq.genome.bed import read_bed
from danq.genome.bed_checks import check_bounds
from danq.genome.bin_coverage import positive_indices
from danq.genome.nucleotide_codes import encode, reverse_complement
from danq.simulation.factor_catalogue import RULES
from danq.simulation.simulator import Truth, read_truth, simulate

SIZE = 900_000
VARIANTS = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("simulation") / "sim"
    simulate(out, seed=3, genome_size=SIZE, contigs=3, variants=VARIANTS)
    return out


@pytest.fixture(scope="module")
def truth(folder) -> Truth:
    return read_truth(folder)


@pytest.fixture(scope="module")
def genome(folder) -> dict[str, np.ndarray]:
    """The genome as Biopython reads it."""
    with (folder / "genome.fa").open() as handle:
        return {one.id: encode(str(one.seq)) for one in SeqIO.parse(handle, "fasta")}


def labels(folder: Path, truth: Truth, contig: str) -> np.ndarray:
    count = truth.contigs[contig] // truth.model.bin
    labels = np.zeros((count, len(truth.tracks)), dtype=bool)
    for column, track in enumerate(truth.tracks):
        bed = read_bed(folder / "tracks" / f"{track}.bed")
        bed = bed.filter(bed["chrom"] == contig)
        positive = positive_indices(bed["start"], bed["end"], count, truth.model.bin, 0.5)
        labels[positive, column] = True
    return labels


def windows(truth: Truth, codes: np.ndarray) -> np.ndarray:
    """Windows centred on the bins of a contig, unknown beyond its ends."""
    half = truth.model.window // 2
    padded = np.concatenate([np.full(half, 4), codes, np.full(half, 4)]).astype(np.uint8)
    centres = np.arange(codes.size // truth.model.bin) * truth.model.bin + truth.model.bin // 2
    return np.stack([padded[centre : centre + truth.model.window] for centre in centres])


def test_genome_has_contigs_line_length_and_n_at_its_ends(folder, truth, genome):
    assert {name: codes.size for name, codes in genome.items()} == truth.contigs
    assert list(genome) == ["chr1", "chr2", "chr3"]
    assert sum(truth.contigs.values()) == SIZE
    assert {len(line) for line in (folder / "genome.fa").read_text().splitlines()[1:100]} == {60}
    for codes in genome.values():
        assert (codes[:300] == 4).all()
        assert (codes[300:] < 4).all()
    assert truth.valid == ("chr2",)
    assert truth.test == ("chr3",)


def test_background_has_a_mammals_composition(genome):
    codes = np.concatenate([one[300:] for one in genome.values()])
    gc = np.isin(codes, [1, 2]).mean()
    assert 0.40 < gc < 0.47
    cpg = ((codes[:-1] == 1) & (codes[1:] == 2)).mean()
    expected = (codes == 1).mean() * (codes == 2).mean()
    assert cpg < 0.6 * expected


def test_truth_is_calibrated_and_is_the_best_score(folder, truth, genome):
    """Labels follow the truth's probability, and planted sites rank first."""
    known = np.concatenate([truth.probability(windows(truth, one)) for one in genome.values()])
    seen = np.concatenate([labels(folder, truth, name) for name in genome])
    for k in range(len(truth.tracks)):
        assert seen[:, k].sum() == pytest.approx(known[:, k].sum(), rel=0.2)
        assert average_precision_score(seen[:, k], known[:, k]) > 0.7
    for low, high in ((0, 0.01), (0.1, 0.4), (0.4, 0.7), (0.7, 0.9), (0.9, 1)):
        inside = (known >= low) & (known < high)
        spread = np.sqrt((known * (1 - known))[inside].sum()) / inside.sum()
        assert seen[inside].mean() == pytest.approx(known[inside].mean(), abs=4 * spread + 0.01)


def test_peaks_are_valid_bed_with_jitter(folder, truth):
    for track in truth.tracks:
        bed = read_bed(folder / "tracks" / f"{track}.bed")
        check_bounds(bed, truth.contigs, folder)
        width = (bed["end"] - bed["start"]).to_numpy()
        assert len(bed) > 80
        assert width.max() <= truth.model.peaks.max_width
        assert np.unique(width).size > 20
        assert (bed["score"] == 0).sum() > 0
        for contig in truth.contigs:
            assert bed.filter(bed["chrom"] == contig)["start"].is_sorted()


def test_planted_motifs_are_at_the_positions_of_the_truth(truth, genome):
    kinds = {site.kind for site in truth.sites}
    assert {"element", "shuffled", "lookalike", "lone-anchor", "lone-partner"} <= kinds
    assert {"wrong-gap", "wrong-side", "blocked"} <= kinds
    model = truth.model
    for site in truth.sites:
        for motif in site.motifs:
            codes = genome[site.contig][motif.start : motif.end]
            number = model.names.index(motif.name)
            both = np.stack([codes, reverse_complement(codes)])
            assert model.affinity(number, both).max() >= 0.5
    starts = {name: [s.start for s in truth.sites if s.contig == name] for name in genome}
    assert all(one == sorted(one) for one in starts.values())


def test_elements_have_peaks_and_decoys_do_not(folder, truth, genome):
    chances = {name: truth.model.site_probability(codes) for name, codes in genome.items()}
    means = {}
    for kind in ("element", "lone-anchor", "wrong-gap", "wrong-side", "blocked", "shuffled"):
        values = [
            chances[site.contig][truth.tracks.index(site.track), site.start : site.end].max()
            for site in truth.sites
            if site.kind == kind
        ]
        means[kind] = np.mean(values)
    element = means.pop("element")
    assert element > 0.7
    assert max(means.values()) < 0.25


def apply(codes: np.ndarray, pos: int, ref: str, alt: str) -> np.ndarray:
    """The contig with a variant in it."""
    assert np.array_equal(codes[pos - 1 : pos - 1 + len(ref)], encode(ref))
    return np.concatenate([codes[: pos - 1], encode(alt), codes[pos - 1 + len(ref) :]])


def test_vcf_is_read_by_htslib_and_matches_genome_and_truth(folder, truth, genome):
    pysam = pytest.importorskip("pysam")
    with pysam.VariantFile(str(folder / "variants.vcf")) as vcf:
        assert {name: one.length for name, one in vcf.header.contigs.items()} == truth.contigs
        records = [(r.chrom, r.pos, r.id, r.ref, r.alts, r.info["KIND"]) for r in vcf]
    assert records == [
        (one.contig, one.pos, one.id, one.ref, (one.alt,), one.kind) for one in truth.variants
    ]
    assert len({record[:2] for record in records}) == len(records) >= 0.8 * VARIANTS
    assert records == sorted(records, key=lambda record: record[:2])


def test_effects_of_variants_follow_from_the_sequence(truth, genome):
    half = truth.model.window // 2
    for one in truth.variants:
        left = one.pos - 1 - half
        changed = apply(genome[one.contig], one.pos, one.ref, one.alt)
        pair = np.stack([codes[left : left + 2 * half] for codes in (genome[one.contig], changed)])
        p = truth.probability(pair)
        effect = np.log(p[1] / (1 - p[1])) - np.log(p[0] / (1 - p[0]))
        assert effect == pytest.approx([one.effect[track] for track in truth.tracks], abs=1e-3)


def test_variants_have_the_effect_of_their_kind(truth):
    by_kind: dict[str, list] = {}
    for one in truth.variants:
        by_kind.setdefault(one.kind, []).append(one)
    assert set(by_kind) == {"breaking", "releasing", "neutral-inside", "neutral-outside", "indel"}
    assert all(one.effect[one.track] <= -1 for one in by_kind["breaking"])
    assert all(one.effect[one.track] >= 1 for one in by_kind["releasing"])
    for kind in ("neutral-inside", "neutral-outside"):
        assert all(max(map(abs, one.effect.values())) <= 0.05 for one in by_kind[kind])
    planted = [(site.contig, site.start, site.end) for site in truth.sites]
    for one in by_kind["neutral-outside"]:
        assert not any(c == one.contig and s < one.pos <= e for c, s, e in planted)
    sizes = [len(one.alt) - len(one.ref) for one in by_kind["indel"]]
    assert min(sizes) < 0 < max(sizes)
    assert all(one.ref[0] == one.alt[0] for one in by_kind["indel"])
    assert all(len(one.ref) == len(one.alt) == 1 for one in by_kind["breaking"])
    assert len({one.track for one in by_kind["breaking"]}) == len(truth.tracks)


def small(out: Path, **changes) -> Truth:
    options = {"seed": 1, "genome_size": 60_000, "contigs": 3, "variants": 20}
    return simulate(out, **{**options, **changes})


def test_files_depend_only_on_the_seed(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        small(tmp_path / name, seed=seed)
    files = [str(p.relative_to(tmp_path / "a")) for p in (tmp_path / "a").rglob("*") if p.is_file()]
    assert len(files) == 4 + len(RULES)
    match, mismatch, errors = filecmp.cmpfiles(tmp_path / "a", tmp_path / "b", files, shallow=False)
    assert (sorted(match), mismatch, errors) == (sorted(files), [], [])
    _, mismatch, _ = filecmp.cmpfiles(tmp_path / "a", tmp_path / "c", files, shallow=False)
    assert {"genome.fa", "variants.vcf", "truth.json"} <= set(mismatch)


def test_more_variants_do_not_change_genome_and_peaks(tmp_path):
    small(tmp_path / "a")
    small(tmp_path / "b", variants=0)
    for name in ("genome.fa", "tracks/CTCF.bed"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert read_truth(tmp_path / "b").variants == ()


def test_tracks_may_be_chosen(tmp_path):
    truth = small(tmp_path / "a", tracks=["SP1", "CTCF"])
    assert truth.tracks == ("CTCF", "SP1")
    assert sorted(p.name for p in (tmp_path / "a" / "tracks").iterdir()) == ["CTCF.bed", "SP1.bed"]
    assert "REST" in truth.model.names


def test_truth_is_read_as_written(tmp_path):
    made = small(tmp_path / "a")
    back = read_truth(tmp_path / "a" / "truth.json")
    assert (back.sites, back.variants, back.contigs) == (made.sites, made.variants, made.contigs)
    assert (back.seed, back.valid, back.test) == (made.seed, made.valid, made.test)
    codes = np.random.default_rng(0).integers(0, 4, (4, 500)).astype(np.uint8)
    assert back.probability(codes) == pytest.approx(made.probability(codes), rel=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "a seed of -1 is below 0"),
        ({"contigs": 2}, "2 contigs are fewer than 3"),
        ({"genome_size": 29_999}, "29,999 bases has fewer than 10,000 for each of 3 contigs"),
        ({"variants": -1}, "-1 variants are fewer than 0"),
        (
            {"variants": 601, "genome_size": 30_000},
            "601 variants are too many for a genome of 30,000 bases. Choose at most 600",
        ),
        ({"tracks": ["CTCF", "YY1"]}, "simulation has no track 'YY1'. The tracks are ABF1, CTCF"),
        ({"tracks": []}, "no track is named"),
        ({"tracks": ["CTCF", "CTCF"]}, "'CTCF' is named twice"),
    ],
)
def test_bad_numbers_are_refused_and_no_file_is_written(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        small(tmp_path / "a", **options)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_simulation_is_refused_or_replaced(tmp_path):
    out = tmp_path / "a"
    small(out)
    before = (out / "genome.fa").read_bytes()
    with pytest.raises(InputError, match="exists already"):
        small(out, seed=9)
    assert (out / "genome.fa").read_bytes() == before
    (out / "stray.txt").write_text("x")
    with pytest.raises(InputError, match=r"contains 'stray\.txt', which danq did not write"):
        small(out, seed=9, overwrite=True)
    assert (out / "genome.fa").read_bytes() == before
    (out / "stray.txt").unlink()
    with Genome(out / "genome.fa"):
        assert (out / "genome.fa.fai").exists()
    small(out, seed=9, overwrite=True)
    assert (out / "genome.fa").read_bytes() != before
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_with_other_files_is_never_replaced(tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.txt").write_text("x")
    with pytest.raises(InputError, match=r"has no valid danq-folder\.json"):
        small(out, overwrite=True)
    assert [p.name for p in out.iterdir()] == ["chapter1.txt"]
    with pytest.raises(InputError, match="is a file, not a folder"):
        small(out / "chapter1.txt", overwrite=True)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no folder"):
        small(tmp_path / "no" / "where")
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    try:
        with pytest.raises(InputError, match="is not writable"):
            small(locked / "a")
    finally:
        locked.chmod(0o755)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "is a text file, not the truth.json of a simulation"),
        ("[]", "is not the truth.json of a simulation"),
        (
            '{"magic": "danq-truth", "format_version": 1}',
            "is of format version 1, but this version of danq reads version 2",
        ),
        ('{"magic": "danq-truth", "format_version": 2}', "is incomplete or damaged"),
    ],
)
def test_files_that_are_not_a_truth_are_refused(tmp_path, text, message):
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_truth(path)


def test_a_missing_truth_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_truth(tmp_path)


def test_the_result_is_logged(tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="danq"):
        small(tmp_path / "a")
    assert "simulated 60,000 bases" in caplog.text
    assert json.loads((tmp_path / "a" / "truth.json").read_text())["seed"] == 1
