from __future__ import annotations

import sys
import tracemalloc

import h5py
import numpy as np
import polars as pl
import pytest
import torch

from danq.errors import InputError
from danq.inference import (
    OneHotFile,
    Regions,
    Tiles,
    WrittenPredictions,
    predict,
    predict_codes,
    write_predictions,
)
from danq.inference.ensemble import Ensemble
from danq.inference.sources import source_from_options
from danq.models import load_model, save_model
from danq.models.run_options import RunOptions
from tests.watched import watched

# The package re-exports the function under the name of its module.
MODULE = sys.modules["danq.inference.prediction.row_blocks"]


def check(table: pl.DataFrame, sequences, expect, **options) -> None:
    assert table.columns[1:6] == ["start", "end", "G", "C", "N"]
    for name, start, end, *values in table.iter_rows():
        expected = expect(sequences[name], start, end, **options)
        np.testing.assert_allclose(values, expected, rtol=1e-6)


@pytest.fixture
def bed(tmp_path):
    path = tmp_path / "rows.bed"
    path.write_text("chrI\t30\t41\nchrIV\t190\t205\nchrI\t0\t7\n")
    return path


def test_a_fasta_file_gives_a_table(toy, sequences, genome, expect):
    table = predict(toy().with_options(batch_size=4), genome).to_polars()
    assert table.schema["G"] == pl.Float32
    assert table.columns[0] == "name"
    assert table.height == sum(-(-len(text) // 8) for text in sequences.values())
    check(table, sequences, expect)


def test_the_package_exports_predict():
    import danq

    assert danq.predict is predict


def test_the_forward_strand_is_predicted_alone(toy, sequences, genome, expect):
    table = predict(toy().with_options(strand="forward"), Tiles(genome, 10)).to_polars()
    check(table, sequences, expect, both=False)


def test_bed_rows_keep_their_order(toy, sequences, genome, bed, expect):
    table = predict(toy(), Regions(bed, genome)).to_polars()
    assert table.select("chrom", "start", "end").rows() == [
        ("chrI", 30, 41),
        ("chrIV", 190, 205),
        ("chrI", 0, 7),
    ]
    check(table, sequences, expect)


def test_names_of_bed_records_are_kept(toy, genome, tmp_path):
    named = tmp_path / "named.bed"
    named.write_text("I\t30\t41\tMUC1, 5'\t7\t-\nIV\t190\t205\tb\t0\t+\nI\t0\t7\t.\t1\t.\n")
    names = ["MUC1, 5'", "b", "."]
    table = predict(toy().with_options(batch_size=2), Regions(named, genome)).to_polars()
    assert table.columns == ["chrom", "start", "end", "name", "G", "C", "N"]
    assert table["name"].to_list() == names
    for ending in ("tsv", "parquet", "h5", "bw"):
        write_predictions(toy(), Regions(named, genome), tmp_path / f"a.{ending}")
    lines = (tmp_path / "a.tsv").read_text().splitlines()
    assert [line.split("\t")[3] for line in lines if line[0] != "#"] == ["name", *names]
    assert pl.read_parquet(tmp_path / "a.parquet").equals(table)
    with h5py.File(tmp_path / "a.h5") as file:
        assert [name.decode() for name in file["rows/name"][()]] == names  # type: ignore[index]
    named.write_text(named.read_text().replace("\tb\t", "\t.\t").replace("MUC1, 5'", "."))
    columns = predict(toy(), Regions(named, genome)).to_polars().columns
    assert columns == ["chrom", "start", "end", "G", "C", "N"]


def test_an_ensemble_with_the_same_model_twice_is_refused(small_model, genome, tmp_path):
    made = small_model()
    for name in ("a", "b"):
        save_model(tmp_path / f"{name}.safetensors", made.module, made.spec)
    models = [load_model(tmp_path / f"{name}.safetensors") for name in ("a", "b")]
    message = r"b\.safetensors is the same model as .*a\.safetensors"
    with pytest.raises(InputError, match=message):
        predict(models, genome)


def test_tiles_stay_inside_their_region(toy, sequences, genome, expect):
    table = predict(toy(), Tiles(genome, 25, "chrIV:11-100")).to_polars()
    assert table["start"].to_list() == [10, 35, 60, 85]
    assert table["end"].to_list() == [35, 60, 85, 100]
    check(table, sequences, expect)


def test_all_formats_contain_the_same_predictions(toy, genome, tmp_path, read_bigwig, monkeypatch):
    monkeypatch.setattr(MODULE, "BLOCK_VALUES", 30)
    table = predict(toy(), Tiles(genome, 9)).to_polars()
    values = table.select("G", "C", "N").to_numpy()
    written = {}
    for name in ("a.tsv", "a.tsv.gz", "a.h5", "a.parquet", "tracks/"):
        written[name] = write_predictions(
            toy().with_options(batch_size=7), Tiles(genome, 9), f"{tmp_path}/{name}"
        )
        assert written[name] == WrittenPredictions(
            tmp_path / name, table.height, *[("G", "C", "N")] * 2
        )
    for name in ("a.tsv", "a.tsv.gz"):
        read = pl.read_csv(tmp_path / name, separator="\t", comment_prefix="#", schema=table.schema)
        assert read.equals(table)
    assert pl.read_parquet(tmp_path / "a.parquet").equals(table)
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["predictions"][:], values)
        assert file["tracks/group"].asstr()[0] == "group of G"
    for track in ("G", "C", "N"):
        _, entries = read_bigwig(tmp_path / "tracks" / f"{track}.bw")
        assert entries == sorted(table.select("chrom", "start", "end", track).rows())


def test_predictions_do_not_depend_on_the_batch_size(toy, genome):
    tables = [
        predict(toy().with_options(batch_size=size), Tiles(genome, 8)).to_polars()
        for size in (1, 5, 1000)
    ]
    assert tables[0].equals(tables[1])
    assert tables[0].equals(tables[2])


def test_bigwigs_of_bed_rows_are_sorted_and_use_the_genomes_names(
    toy, genome, tmp_path, read_bigwig
):
    bed = tmp_path / "rows.bed"
    bed.write_text("IV\t190\t205\nI\t30\t41\nIV\t5\t9\n")
    table = predict(toy(), Regions(bed, genome)).to_polars()
    write_predictions(toy(), Regions(bed, genome), tmp_path / "tracks")
    sizes, entries = read_bigwig(tmp_path / "tracks" / "G.bw")
    assert entries == sorted(
        (f"chr{name}", start, end, value)
        for name, start, end, value in table.select("chrom", "start", "end", "G").rows()
    )
    assert set(sizes) >= {"chrI", "chrIV"}


def test_the_header_describes_the_run(toy, genome, tmp_path):
    model = toy(path=tmp_path / "m.safetensors", sha256="ab12")
    write_predictions(model, Tiles(genome, 50, "chrI"), tmp_path / "a.tsv")
    head = [line for line in (tmp_path / "a.tsv").read_text().splitlines() if line[0] == "#"]
    assert f"# model: {tmp_path}/m.safetensors sha256:ab12" in head
    assert f"# input: {genome}" in head
    assert "# region: chrI" in head
    assert "# tile: 50" in head
    assert "# strand: both" in head
    assert "# precision: fp32 on cpu" in head
    assert head[0].startswith("# danq: ")


def test_an_ensemble_has_mean_and_standard_deviation(toy, sequences, genome, expect, tmp_path):
    factors = (0.1, 0.25, -0.4)
    models = [toy(path=tmp_path / f"{number}") for number in range(3)]
    for model, factor in zip(models, factors, strict=True):
        model.module.factor.data.fill_(factor)
    table = predict(
        [one.with_options(batch_size=6) for one in models], Tiles(genome, 10)
    ).to_polars()
    assert table.columns == ["chrom", "start", "end", "G", "C", "N", "G_sd", "C_sd", "N_sd"]
    for name, start, end, *values in table.iter_rows():
        each = [expect(sequences[name], start, end, factor=factor) for factor in factors]
        expected = [*np.mean(each, axis=0), *np.std(each, axis=0, ddof=1)]
        np.testing.assert_allclose(values, expected, rtol=1e-4, atol=1e-6)
    assert not torch.is_inference_mode_enabled()
    write_predictions(models, Tiles(genome, 10), tmp_path / "a.tsv")
    head = (tmp_path / "a.tsv").read_text()
    assert f"# model 3: {tmp_path}/2 sha256:" in head


def test_models_keep_their_training_mode_after_an_interrupt(toy, genome, tmp_path):
    models = [toy(), toy()]
    for model in models:
        model.module.train()

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), watched(stop, "rows"):
        write_predictions(
            [one.with_options(batch_size=3) for one in models],
            Tiles(genome, 10),
            tmp_path / "a.tsv",
        )
    assert all(model.module.training for model in models)
    assert not torch.is_inference_mode_enabled()
    assert [entry.name for entry in tmp_path.iterdir() if "a.tsv" in entry.name] == []


def test_tracks_are_selected_in_the_given_order(toy, genome):
    complete = predict(toy(), genome).to_polars()
    selected = predict(toy(), genome, tracks=["N", "G"]).to_polars()
    assert selected.equals(complete.select("name", "start", "end", "N", "G"))


def test_progress_counts_rows(toy, genome):
    seen = []
    with watched(lambda *pair: seen.append(pair), "rows"):
        predict(toy().with_options(batch_size=16), Tiles(genome, 10)).to_polars()
    assert seen == [(16, 34), (32, 34), (34, 34)]


def test_predict_codes_equals_predict(toy, genome):
    from danq.genome.fasta import Genome

    with Genome(genome) as opened:
        codes = opened.codes("chrI", 14, 34)[None]
    table = predict(toy(), Tiles(genome, 10, "chrI:20-29")).to_polars()
    direct = predict_codes(toy().module, codes, RunOptions("cpu", "fp32"))
    np.testing.assert_array_equal(table.select("G", "C", "N").to_numpy(), direct)


def peak_memory(toy, fasta, out) -> int:
    tracemalloc.start()
    try:
        write_predictions(toy().with_options(batch_size=64), Tiles(fasta, 2), out)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("ending", ["tsv", "h5", "bw"])
def test_memory_does_not_grow_with_the_input(toy, write_fasta, tmp_path, monkeypatch, ending):
    monkeypatch.setattr(MODULE, "BLOCK_VALUES", 3_000)
    peaks = []
    for number, size in enumerate((10_000, 10_000, 100_000)):
        fasta = write_fasta({"chr1": "ACGTN" * (size // 5)}, f"{size}.fa")
        peaks.append(peak_memory(toy, fasta, tmp_path / f"{number}.{ending}"))
    # The first run includes the memory of imports and caches.
    assert peaks[2] < 2 * peaks[1]


def test_an_unknown_extension_is_refused(toy, genome, tmp_path):
    with pytest.raises(InputError, match="a.csv: does not have the extension of an output format"):
        write_predictions(toy(), genome, tmp_path / "a.csv")


def test_a_bed_file_without_its_genome_is_refused(toy, bed):
    with pytest.raises(InputError, match=r"is not FASTA.*danq\.Regions"):
        predict(toy(), bed)
    with pytest.raises(InputError, match="a BED file needs its genome"):
        source_from_options(bed)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (lambda genome: Tiles(genome, 0), "tile of 0 bases is below 1"),
        (lambda genome: Tiles(genome, -3), "tile of -3 bases is below 1"),
        (lambda genome: Tiles(genome, 5, "chrI:80-100"), "which has 90 bases"),
        (lambda genome: Tiles(genome, 5, "chr9"), "chr9"),
        (lambda genome: Tiles(genome, 5, "chrI:9-3"), "ends at 3, below its start"),
        (lambda genome: OneHotFile(genome), "genome.fa"),
        (lambda genome: source_from_options(genome, genome, tile=10), "the input itself"),
        (lambda genome: source_from_options(genome, genome), "needs no genome"),
        (lambda genome: source_from_options(genome, region="chrI"), "chrI.*tile size"),
        (
            lambda genome: source_from_options(genome, chrom_map="names.tsv"),
            "names.tsv: a contig map was given, but",
        ),
        (
            lambda genome: source_from_options(genome, chrom_map="names.tsv", tile=10),
            "names.tsv: a contig map was given, but",
        ),
    ],
)
def test_invalid_sources_are_refused(toy, genome, source, message):
    with pytest.raises(InputError, match=message):
        predict(toy(), source(genome))


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (["G", "Z"], r"no track 'Z'.*G, C, N"),
        (["G", "G"], "twice"),
        ([], "no track"),
        ("GC", r"the string 'GC', not a list.*\['GC'\]"),
    ],
)
def test_invalid_tracks_are_refused(toy, genome, tracks, message):
    with pytest.raises(InputError, match=message):
        predict(toy(), genome, tracks=tracks)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": -1}, "batch_size is -1"),
        ({"strand": "minus"}, "strand is 'minus'"),
        ({"threads": 0}, "0"),
        ({"device": "cuda:99"}, "'cuda:99'"),
        ({"precision": "fp8"}, "precision is 'fp8'"),
        ({"tolerance": -1.0}, "tolerance is -1"),
        ({"tolerance": float("nan")}, "tolerance is nan"),
        ({"stand": "both"}, "no option 'stand'.*strand"),
    ],
)
def test_invalid_run_options_are_refused(small_model, options, message):
    with pytest.raises(InputError, match=message):
        small_model().with_options(**options)


def test_a_path_instead_of_a_model_is_refused(genome):
    for path in ("runs/yeast", genome):
        with pytest.raises(InputError, match=r"is not loaded\. Use danq\.load"):
            predict(path, "ACGT")


def test_models_of_an_ensemble_need_the_same_options(small_model, genome):
    models = [small_model(seed=seed) for seed in (0, 1)]
    with pytest.raises(InputError, match="different run options"):
        predict([models[0], models[1].with_options(strand="forward")], genome)


def test_a_tile_longer_than_a_contig_covers_the_contig(toy, genome):
    complete = predict(toy(), Tiles(genome, 10**20)).to_polars()
    assert complete.equals(predict(toy(), Tiles(genome, 10**6)).to_polars())
    assert complete["start"].to_list() == [0] * complete.height


def test_a_bed_file_cannot_be_tiled(toy, bed):
    with pytest.raises(InputError, match="only a genome can be tiled"):
        source_from_options(bed, tile=5)
    with pytest.raises(InputError, match="rows.bed"):
        predict(toy(), Tiles(bed, 5))


@pytest.mark.parametrize("text", ["", "\n\n", "# only words\n"])
@pytest.mark.parametrize("name", ["a.fa", "a.bed"])
def test_an_empty_input_is_refused(toy, genome, tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(InputError, match=str(path)):
        predict(toy(), Regions(path, genome)).to_polars()


def test_missing_files_and_models_are_refused(toy, genome, bed, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        predict(toy(), tmp_path / "missing.fa").to_polars()
    with pytest.raises(InputError, match="no such file"):
        predict(toy(), Regions(bed, tmp_path / "missing.fa")).to_polars()
    with pytest.raises(InputError, match="no such model"):
        load_model(tmp_path / "missing")
    with pytest.raises(InputError, match="no model was given"):
        predict([], genome).to_polars()


def test_bigwigs_of_standalone_sequences_are_refused(toy, genome, tmp_path):
    with pytest.raises(InputError, match="Tile a genome"):
        write_predictions(toy(), genome, tmp_path / "tracks")
    assert not (tmp_path / "tracks").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"window": 30}, "window 20 and 30"),
        ({"bin": 4}, "bin 8 and 4"),
        ({"tracks": ("G", "C", "X")}, "only one of them has 'N'"),
        ({"tracks": ("C", "G", "N")}, "the order of the tracks differs"),
    ],
)
def test_models_with_different_windows_or_tracks_are_refused(
    toy, genome, tmp_path, change, message
):
    first, second = toy(path=tmp_path / "first"), toy(path=tmp_path / "second", **change)
    with pytest.raises(InputError, match=message) as caught:
        Ensemble.of([first, second])
    assert str(first.path) in str(caught.value)
    assert str(second.path) in str(caught.value)


def test_an_invalid_record_leaves_no_output(toy, tmp_path):
    path = tmp_path / "a.fa"
    path.write_text(">a\n" + "ACGT" * 50 + "\n>b\nACGT!\n")
    with pytest.raises(InputError, match="record 'b'"):
        write_predictions(toy().with_options(batch_size=4), path, tmp_path / "out.h5")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.fa"]


def test_a_full_disk_leaves_no_output(toy, genome, tmp_path, full_disk, monkeypatch):
    monkeypatch.setattr(MODULE, "BLOCK_VALUES", 300)
    genome.with_name("genome.fa.fai").unlink(missing_ok=True)
    predict(toy(), Tiles(genome, 1)).to_polars()
    with full_disk(9_000), pytest.raises(InputError, match="cannot be written: File too large"):
        write_predictions(toy(), Tiles(genome, 1), tmp_path / "out.tsv")
    assert [entry.name for entry in tmp_path.iterdir() if "out" in entry.name] == []


def test_an_existing_file_is_replaced_only_with_overwrite(toy, genome, tmp_path):
    (tmp_path / "out.tsv").write_text("mine")
    with pytest.raises(InputError, match="exists already"):
        write_predictions(toy(), genome, tmp_path / "out.tsv")
    assert (tmp_path / "out.tsv").read_text() == "mine"
    write_predictions(toy(), genome, tmp_path / "out.tsv", overwrite=True)
    assert (tmp_path / "out.tsv").read_text().startswith("# danq")
