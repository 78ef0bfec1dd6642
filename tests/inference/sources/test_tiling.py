from __future__ import annotations

import gzip
import itertools
import logging

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.harness.chunk_codes import codes_of
from danq.errors import InputError
from danq.genome.fasta import Genome
from danq.genome.nucleotide_codes import decode, encode
from danq.inference.engine.overlapping_windows import OverlappingWindows
from danq.inference.sources import FastaFile, Regions, Tiles
from danq.inference.sources.row_streams import GenomeTiles
from danq.inference.sources.tiling import Chunker, Rows, beyond, overlapping, tiles, window_starts


def text_window(sequence: str, first: int, window: int) -> str:
    return "".join(
        sequence[i] if 0 <= i < len(sequence) else "N" for i in range(first, first + window)
    )


def everything(
    source, size: int = 7, *, ordered: bool = False
) -> tuple[list[tuple[str, int, int]], list[str]]:
    """Rows and windows as text; checks that all chunks but the last are full."""
    rows, windows, sizes = [], [], []
    with source.open(20, 8, ordered=ordered) as stream:
        for chunk in stream.chunks(size):
            sizes.append(len(chunk.windows))
            regions = zip(chunk.rows.names, chunk.rows.start, chunk.rows.end, strict=True)
            rows += [(name, int(start), int(end)) for name, start, end in regions]
            windows += map(decode, codes_of(chunk))
        assert all(count == size for count in sizes[:-1])
        assert stream.total in (None, len(rows))
    return rows, windows


@settings(max_examples=60)
@given(
    sequence=st.text("ACGTN", min_size=1, max_size=80),
    starts=st.lists(st.integers(-40, 9_000), min_size=1, max_size=12),
    window=st.integers(1, 30),
)
def test_windows_equal_slices_of_padded_text(sequence, starts, window):
    codes = encode(sequence)
    asked = []

    def read(low, high):
        assert 0 <= low < high <= len(sequence)
        asked.append(high - low)
        return codes[low:high]

    starts = np.sort(np.array(starts, dtype=np.int64))
    found = overlapping(read, len(sequence), starts, window)
    expected = [text_window(sequence, int(first), window) for first in starts]
    assert [decode(row) for row in found.cut()] == expected
    assert found.unknown() == sum(set(text) == {"N"} for text in expected)
    padded = beyond(starts, window, len(sequence))
    assert padded == sum(first < 0 or first + window > len(sequence) for first in starts)
    assert sum(asked) <= len(sequence) * len(starts)


def test_distant_windows_are_read_separately():
    asked = []

    def read(low, high):
        asked.append((low, high))
        return np.zeros(high - low, np.uint8)

    found = overlapping(read, 10**9, np.array([0, 100, 5 * 10**8]), 10)
    assert len(found.codes) == 120
    assert asked == [(0, 110), (5 * 10**8, 5 * 10**8 + 10)]


def test_windows_are_centred_as_labels_are():
    # A bin of 200 at 1000 in a window of 500: from 1000 + 100 - 250.
    assert window_starts(np.array([1000]), np.array([1200]), 500).tolist() == [850]


def test_the_last_tile_ends_where_the_region_ends():
    found = [(start.tolist(), end.tolist()) for start, end in tiles(10, 45, 10, 3)]
    assert found == [([10, 20, 30], [20, 30, 40]), ([40], [45])]


@given(pieces=st.lists(st.integers(0, 9), max_size=12), size=st.integers(1, 6))
def test_chunker_keeps_every_row_in_order(pieces, size):
    chunker, chunks, number = Chunker(size), [], 0
    for count in pieces:
        start = np.arange(number, number + count)
        rows = Rows([str(n) for n in start], start, start + 1)
        windows = OverlappingWindows((start % 200).astype(np.uint8), np.arange(count), 1)
        chunks += chunker.add(rows, windows)
        number += count
    chunks += chunker.flush()
    assert [name for chunk in chunks for name in chunk.rows.names] == [
        str(n) for n in range(number)
    ]
    flat = np.concatenate([np.empty(0), *(codes_of(chunk)[:, 0] for chunk in chunks)])
    assert flat.tolist() == [n % 200 for n in range(number)]
    assert all(len(chunk.windows) == size for chunk in chunks[:-1])


def test_tiles_cover_the_genome_once(genome, sequences, caplog):
    caplog.set_level(logging.INFO, "danq")
    rows, windows = everything(Tiles(genome, 8))
    for name, text in sequences.items():
        places = [(start, end) for contig, start, end in rows if contig == name]
        assert places[0][0] == 0
        assert places[-1][1] == len(text)
        assert all(a[1] == b[0] for a, b in itertools.pairwise(places))
    assert list(dict.fromkeys(name for name, *_ in rows)) == list(sequences)
    for (name, start, end), window in zip(rows, windows, strict=True):
        assert window == text_window(sequences[name], (start + end) // 2 - 10, 20)
    hanging = sum(
        (start + end) // 2 < 10 or (start + end) // 2 + 10 > len(sequences[name])
        for name, start, end in rows
    )
    assert f"padded with N: {hanging} of {len(rows)}\n" in caplog.text


def test_tiles_of_a_region(genome, sequences):
    rows, windows = everything(Tiles(genome, 30, "chrIV:101-185"))
    assert rows == [("chrIV", 100, 130), ("chrIV", 130, 160), ("chrIV", 160, 185)]
    # Bases around a region are those of the contig, not N.
    assert windows[0] == sequences["chrIV"][105:125]


def test_a_region_without_the_prefix_of_its_contig(genome):
    rows, _ = everything(Tiles(genome, 50, "I"))
    assert rows == [("chrI", 0, 50), ("chrI", 50, 90)]


def test_contigs_whose_names_look_like_regions(write_fasta):
    bases = {"HLA-A*01:01": "ACGTA" * 8, "chr1": "GGCAT" * 9, "chr1:11-30": "TTGCA" * 4}
    path = write_fasta(bases)
    whole = [(name, 0, len(text)) for name, text in bases.items()]
    assert [everything(Tiles(path, 50, name))[0] for name in bases] == [[one] for one in whole]
    assert everything(Regions(list(bases), path))[0] == whole
    parts = ["HLA-A*01:01:11-20", "{HLA-A*01:01}:11-20", "{chr1}:11-30", "chr1:11-30:2-3"]
    rows, windows = everything(Regions(parts, path))
    assert rows == [("HLA-A*01:01", 10, 20)] * 2 + [("chr1", 10, 30), ("chr1:11-30", 1, 3)]
    assert windows[2] == bases["chr1"][10:30]
    typed = "chr1:1,1-2"
    with pytest.raises(InputError, match="has '1,1-2' after the colon"):
        everything(Tiles(path, 50, typed))


@pytest.mark.parametrize("step", [0, -5])
def test_a_tile_below_one_base(genome, step):
    with Genome(genome) as opened, pytest.raises(InputError, match=f"tile of {step} bases"):
        GenomeTiles(opened, 20, step)


@pytest.mark.parametrize(("start", "end"), [(51, 91), (91, 91), (201, 300)])
@pytest.mark.parametrize("source", [lambda g, r: Tiles(g, 8, r), lambda g, r: Regions(r, g)])
def test_a_region_beyond_its_contig(genome, source, start, end):
    with pytest.raises(InputError, match=f"chrI:{start}-{end}.*which has 90 bases.*chrI:1-90"):
        everything(source(genome, f"chrI:{start}-{end}"))


@pytest.mark.parametrize("source", [lambda g, r: Tiles(g, 8, r), lambda g, r: Regions(r, g)])
def test_a_region_on_an_unknown_contig(genome, source):
    with pytest.raises(
        InputError,
        match=r"no contig 'chr99': the genome has chrIV, chrI, chrM.*a BED file is given as",
    ):
        everything(source(genome, "chr99"))


@pytest.fixture
def bed(tmp_path):
    def write(*rows: tuple[str, int, int]):
        path = tmp_path / "rows.bed"
        path.write_text("".join("\t".join(map(str, row)) + "\n" for row in rows))
        return path

    return write


def test_bed_rows_keep_order_and_names(genome, sequences, bed, caplog):
    caplog.set_level(logging.INFO, "danq")
    given = [("I", 30, 41), ("IV", 190, 205), ("MT", 0, 1), ("I", 5, 6), ("IV", 0, 205)]
    rows, windows = everything(Regions(bed(*given), genome), size=3)
    assert rows == given
    ours = {"I": "chrI", "IV": "chrIV", "MT": "chrM"}
    for (name, start, end), window in zip(rows, windows, strict=True):
        assert window == text_window(sequences[ours[name]], (start + end) // 2 - 10, 20)
    # 197 + 10 > 205; 0 - 10 < 0; 5 - 10 < 0.
    assert "padded with N: 3 of 5" in caplog.text


def test_bed_rows_on_unknown_contigs_are_left_out_with_a_warning(genome, bed, caplog):
    rows, _ = everything(Regions(bed(("chr9", 0, 5), ("chrI", 0, 5)), genome))
    assert rows == [("chrI", 0, 5)]
    assert "chr9" in caplog.text


def test_bed_rows_all_on_unknown_contigs(genome, bed):
    with pytest.raises(InputError, match=r"chr9.*chrIV"):
        everything(Regions(bed(("chr9", 0, 5)), genome))


def test_chrom_map(genome, bed, tmp_path):
    names = tmp_path / "map.tsv"
    names.write_text("NC_001136\tchrIV\n")
    source = Regions(bed(("NC_001136", 0, 5)), genome, names)
    assert everything(source)[0] == [("NC_001136", 0, 5)]
    assert everything(Regions("NC_001136:1-5", genome, names))[0] == [("chrIV", 0, 5)]


def test_a_bed_row_beyond_its_contig(genome, bed):
    with pytest.raises(InputError) as caught:
        everything(Regions(bed(("chrI", 0, 9), ("chrI", 90, 91)), genome))
    assert "chrI:90-91" in str(caught.value)
    assert "90 bases" in str(caught.value)
    assert "same assembly" in str(caught.value)


def test_a_bed_row_that_ends_a_little_beyond_its_contig_is_clipped(genome, bed, caplog):
    rows, codes = everything(Regions(bed(("chrI", 0, 9), ("chrI", 80, 95)), genome))
    assert rows == [("chrI", 0, 9), ("chrI", 80, 90)]
    again = everything(Regions(bed(("chrI", 0, 9), ("chrI", 80, 90)), genome))
    np.testing.assert_array_equal(codes, again[1])
    assert "clipped to its end: 1" in caplog.text


def test_regions_longer_than_the_window_are_counted(genome, bed, caplog):
    with caplog.at_level("INFO", "danq"):
        everything(Regions(bed(("chrI", 0, 9), ("chrI", 5, 80)), genome))
    assert "regions longer than the window of" in caplog.text
    assert "bases: 1; their values" in caplog.text


def test_records_on_the_reverse_strand_are_reported(genome, tmp_path, caplog):
    path = tmp_path / "r.bed"
    path.write_text("chrI\t0\t9\tn\t0\t-\nchrI\t20\t29\tn\t0\t+\n")
    with caplog.at_level("INFO", "danq"):
        rows, _ = everything(Regions(path, genome))
    assert len(rows) == 2
    assert "1 of 2 records are on the strand '-'" in caplog.text


def test_ordered_bed_rows(genome, bed):
    given = [("IV", 50, 60), ("I", 9, 12), ("IV", 5, 9), ("I", 0, 9)]
    rows, _ = everything(Regions(bed(*given), genome), ordered=True)
    assert rows == [("chrI", 0, 9), ("chrI", 9, 12), ("chrIV", 5, 9), ("chrIV", 50, 60)]


def test_ordered_bed_rows_that_overlap(genome, bed):
    with pytest.raises(InputError, match=r"1 records.*chrI:8-12"):
        everything(Regions(bed(("chrI", 8, 12), ("chrI", 0, 9)), genome), ordered=True)


def test_regions_as_text(genome, sequences):
    typed = ["chrIV:11-30", "I", "chrIV:1-4"]
    rows, windows = everything(Regions(typed, genome))
    assert rows == [("chrIV", 10, 30), ("chrI", 0, 90), ("chrIV", 0, 4)]
    assert windows[0] == sequences["chrIV"][10:30]
    assert everything(Regions("chrIV:11-30", genome))[0] == rows[:1]
    assert everything(Regions(typed, genome), ordered=True)[0] == [rows[1], rows[2], rows[0]]
    with pytest.raises(InputError, match="1 records overlap"):
        everything(Regions(["chrI:1-9", "chrI:9-12"], genome), ordered=True)


def test_fasta_records(write_fasta, caplog):
    caplog.set_level(logging.INFO, "danq")
    records = {"short": "ACGTA", "exact": "ACGTG" * 4, "long": "AACCGGTTN" * 3, "odd": "GGG"}
    rows, windows = everything(FastaFile(write_fasta(records)), size=4)
    long = [("long", 0, 8), ("long", 8, 16), ("long", 16, 24), ("long", 24, 27)]
    assert rows == [("short", 0, 5), ("exact", 0, 20), *long, ("odd", 0, 3)]
    for (name, start, end), window in zip(rows, windows, strict=True):
        assert window == text_window(records[name], (start + end) // 2 - 10, 20)
    assert windows[1] == records["exact"]
    assert windows[0] == "N" * 8 + "ACGTA" + "N" * 7
    assert "longer than the window of 20 bases: 1, tiled every 8 bases to 4 rows" in caplog.text
    assert "shorter than the window of 20 bases, centred and padded with N: 2" in caplog.text
    assert "an end of their sequence, padded with N: 3 of 7" in caplog.text


def test_a_gzip_fasta_streams(write_fasta, tmp_path):
    path = tmp_path / "records.fa.gz"
    path.write_bytes(gzip.compress(b">a\nACGT\n>b\nGG\n"))
    assert everything(FastaFile(path))[0] == [("a", 0, 4), ("b", 0, 2)]


def test_windows_without_a_known_base_are_reported(write_fasta, caplog):
    everything(FastaFile(write_fasta({"a": "NNNN", "b": "ANN"})))
    assert "without any known base: 1" in caplog.text
