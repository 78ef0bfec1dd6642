"""Signals of bins against pyBigWig, which also writes the files."""

from __future__ import annotations

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from danq.errors import InputError
from danq.genome.signal import Bins, BinSums, check_not_negative, read_signal
from danq.genome.signal.bin_sums import _plain_values

pyBigWig = pytest.importorskip("pyBigWig", reason="pyBigWig is not installed")

GENOME = {"chrI": 5_000, "chrII": 3_001, "chrM": 700}


def segments(seed: int, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random segments with gaps between some of them, as float32."""
    rng = np.random.default_rng(seed)
    cuts = np.unique(rng.integers(0, length + 1, length // 8))
    keep = rng.random(cuts.size - 1) < 0.7
    value = rng.gamma(1, 3, cuts.size - 1).astype(np.float32)
    return cuts[:-1][keep], cuts[1:][keep], value[keep]


def write_bigwig(path: Path, contigs: dict[str, int], data: dict) -> Path:
    with pyBigWig.open(str(path), "w") as file:
        file.addHeader(list(contigs.items()))
        for name, (start, end, value) in data.items():
            if len(start):
                names = np.repeat(name, len(start)).tolist()
                file.addEntries(
                    names, start.tolist(), ends=end.tolist(), values=value.astype(float).tolist()
                )
    return path


def write_bedgraph(path: Path, data: dict, separator: str = "\t") -> Path:
    lines = [
        separator.join([name, str(low), str(high), repr(float(value))])
        for name, parts in data.items()
        for low, high, value in zip(*parts, strict=True)
    ]
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "wt") as file:
        file.write("track type=bedGraph name=x\n# comment\n\n" + "\n".join(lines) + "\n")
    return path


def write_wiggle(path: Path, data: dict, *, fixed: bool) -> Path:
    """Sections of one value (fixed), or of values with one span."""
    lines = ["track type=wiggle_0 name=x", "#comment", ""]
    for name, (start, end, value) in data.items():
        span = 0
        for low, high, v in zip(start.tolist(), end.tolist(), value.tolist(), strict=True):
            if fixed:
                lines += [f"fixedStep chrom={name} start={low + 1} step=1"]
                lines += [repr(v)] * (high - low)
                continue
            if high - low != span:
                span = high - low
                lines.append(f"variableStep chrom={name} span={span}")
            lines.append(f"{low + 1} {v!r}")
    text = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    return path


@pytest.fixture(scope="module")
def data() -> dict:
    return {name: segments(seed, length) for seed, (name, length) in enumerate(GENOME.items())}


@pytest.fixture
def bigwig(tmp_path, data) -> Path:
    return write_bigwig(tmp_path / "signal.bw", GENOME, data)


def random_bins(seed: int) -> dict[str, Bins]:
    rng = np.random.default_rng(seed)
    found = {}
    for name, length in GENOME.items():
        start = rng.integers(0, length - 1, 300)
        end = np.minimum(length, start + rng.integers(1, 200, 300))
        found[name] = Bins(start, end)
    return found


def oracle(path: Path, bins: dict[str, Bins], statistic: str) -> np.ndarray:
    with pyBigWig.open(str(path)) as file:
        values = [
            file.stats(name, int(low), int(high), type=statistic, exact=True)[0]
            for name, part in bins.items()
            for low, high in zip(*part, strict=True)
        ]
    return np.array([np.nan if value is None else value for value in values], np.float64)


@pytest.mark.parametrize("statistic", ["mean", "sum", "max", "coverage"])
@pytest.mark.parametrize(
    "form", ["bw", "bedgraph", "bedgraph.gz", "spaces", "fixed", "variable.gz"]
)
def test_random_intervals_equal_exact_statistics_of_pybigwig(
    tmp_path, data, bigwig, statistic, form
):
    path = {
        "bw": lambda: bigwig,
        "bedgraph": lambda: write_bedgraph(tmp_path / "a.bedgraph", data),
        "bedgraph.gz": lambda: write_bedgraph(tmp_path / "a.bg.gz", data),
        "spaces": lambda: write_bedgraph(tmp_path / "a.bg", data, "  "),
        "fixed": lambda: write_wiggle(tmp_path / "a.wig", data, fixed=True),
        "variable.gz": lambda: write_wiggle(tmp_path / "a.wig.gz", data, fixed=False),
    }[form]()
    bins = random_bins(3)
    found = read_signal(path, GENOME, bins, statistic=statistic, gaps="mask")
    wanted = oracle(bigwig, bins, statistic)
    if statistic == "coverage":
        wanted = np.nan_to_num(wanted)
    assert np.isnan(wanted).any() == (statistic != "coverage")
    np.testing.assert_allclose(found.values, wanted, rtol=1e-6)
    covered = sum(int((end - start).sum()) for start, end, _ in data.values())
    assert found.counts.covered == covered
    assert found.counts.gaps == pytest.approx(1 - covered / sum(GENOME.values()))
    total = sum(float((end - start) @ v.astype(float)) for start, end, v in data.values())
    assert found.counts.total == pytest.approx(total)


def test_sums_in_float64_equal_those_of_pybigwig(bigwig):
    with pyBigWig.open(str(bigwig)) as file:
        base = np.array(file.values("chrI", 0, 5_000))
        rows = file.intervals("chrI")
        wanted = [
            file.stats("chrI", i, i + 40, type="sum", exact=True)[0] for i in range(0, 5000, 40)
        ]
    bins = BinSums(np.arange(0, 5_000, 40), np.arange(40, 5_040, 40))
    start, end, value = (np.array(part) for part in zip(*rows, strict=True))
    for low in range(0, len(start), 17):
        bins.add(start[low : low + 17], end[low : low + 17], value[low : low + 17])
    wanted = np.array(wanted, np.float64)
    # pyBigWig rounds the products of bases and values to float32.
    np.testing.assert_allclose(bins.values("sum"), wanted, rtol=1e-7)
    np.testing.assert_allclose(
        bins.values("sum"), _plain_values(base, bins.start, bins.end, "sum", "mask"), rtol=1e-12
    )


@settings(max_examples=80)
@given(
    st.integers(0, 10_000), st.integers(1, 40), st.sampled_from(["mean", "sum", "max", "coverage"])
)
@pytest.mark.parametrize("gaps", ["mask", "zero"])
def test_kernel_equals_its_plain_twin(gaps, seed, chunk, statistic):
    rng = np.random.default_rng(seed)
    start, end, value = segments(seed, 200)
    value = value.astype(np.float64) - 2
    value[rng.random(value.size) < 0.2] = np.nan
    base = np.full(200, np.nan)
    for low, high, v in zip(start, end, value, strict=True):
        base[low:high] = v
    low = rng.integers(0, 199, 30)
    bins = BinSums(low, np.minimum(200, low + rng.integers(1, 60, 30)))
    for at in range(0, len(start), chunk):
        bins.add(start[at : at + chunk], end[at : at + chunk], value[at : at + chunk])
    order = np.argsort(low, kind="stable")
    wanted = _plain_values(base, bins.start, bins.end, statistic, gaps)
    np.testing.assert_allclose(bins.values(statistic, gaps)[order], wanted, rtol=1e-12)


def test_gaps_as_zero(bigwig, data):
    bins = random_bins(5)
    with pyBigWig.open(str(bigwig)) as file:
        wanted = [
            np.nan_to_num(np.array(file.values(name, int(low), int(high)))).mean()
            for name, part in bins.items()
            for low, high in zip(*part, strict=True)
        ]
    found = read_signal(bigwig, GENOME, bins, gaps="zero").values
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_many_gaps_need_a_decision(tmp_path, bigwig):
    with pytest.raises(InputError, match=r"of the bases of its contigs have no value.*gaps.*zero"):
        read_signal(bigwig, GENOME, random_bins(0))
    full = {
        name: (np.arange(length), np.arange(length) + 1, np.ones(length))
        for name, length in GENOME.items()
    }
    found = read_signal(write_bigwig(tmp_path / "b.bw", GENOME, full), GENOME, random_bins(0))
    assert (found.values == 1).all()


def test_steps_of_profiles(bigwig):
    start = np.arange(0, 4_800, 200)
    bins = {"chrI": Bins.of(start, 200, parts=8)}
    found = read_signal(bigwig, GENOME, bins, statistic="sum", gaps="zero").values.reshape(-1, 8)
    whole = read_signal(
        bigwig, GENOME, {"chrI": Bins.of(start, 200)}, statistic="sum", gaps="zero"
    ).values
    np.testing.assert_allclose(found.sum(1), whole, rtol=1e-5)
    with pytest.raises(InputError, match="200 bases cannot be divided into 7 equal steps"):
        Bins.of(start, 200, parts=7)


def test_overlapping_bins_in_any_order(bigwig):
    start = np.array([400, 0, 200, 250, 0])
    bins = {"chrI": Bins.of(start, 300, parts=3)}
    alone = [
        read_signal(bigwig, GENOME, {"chrI": Bins.of(np.array([s]), 300, 3)}, gaps="zero").values
        for s in start
    ]
    found = read_signal(bigwig, GENOME, bins, gaps="zero").values
    np.testing.assert_array_equal(found, np.concatenate(alone))


def test_contigs_are_matched_by_name_and_length(tmp_path, data, caplog):
    caplog.set_level(logging.INFO, "danq")
    bare = {name.removeprefix("chr"): length for name, length in GENOME.items()}
    renamed = {name.removeprefix("chr"): parts for name, parts in data.items()}
    path = write_bigwig(tmp_path / "a.bw", bare, renamed)
    bins = random_bins(1)
    found = read_signal(path, GENOME, bins, gaps="mask")
    np.testing.assert_allclose(found.values, oracle(path, {
        name.removeprefix("chr"): part for name, part in bins.items()
    }, "mean"), rtol=1e-6)  # fmt: skip
    assert "contig names differ from the genome's; matched I as chrI" in caplog.text
    other = GENOME | {"chrII": 3_000}
    with pytest.raises(InputError, match="'II' has 3,001 bases, but chrII of the genome has 3,000"):
        read_signal(path, other, bins, gaps="mask")
    with pytest.raises(InputError, match="none of its contigs is in the genome"):
        read_signal(path, {"scaffold_7": 100}, {}, gaps="mask")


def test_contigs_that_a_file_lacks_are_masked(tmp_path, data, caplog):
    part = {name: GENOME[name] for name in ("chrII", "chrM")} | {"plasmid": 90}
    path = write_bigwig(tmp_path / "a.bw", part, {"chrII": data["chrII"]})
    bins = random_bins(1)
    for gaps, masked in (("mask", 600), ("zero", 300)):
        found = read_signal(path, GENOME, bins, gaps=gaps, statistic="sum")
        assert found.counts.absent == ("chrI",)
        assert found.counts.unknown == ("plasmid",)
        assert np.isnan(found.values[:300]).all()
        assert np.isnan(found.values).sum() >= masked
    assert not np.isnan(found.values[300:]).any()
    assert "has no data of 1 of 3 contigs; their 300 bins are masked: chrI" in caplog.text
    assert "1 of 3 contigs are not in the genome and are skipped: plasmid" in caplog.text


def test_negative_missing_and_infinite_values_are_counted_or_refused(tmp_path):
    path = tmp_path / "a.bg"
    path.write_text("chrI\t0\t10\t-1.5\nchrI\t10\t30\tNA\nchrI\t30\t40\tnan\nchrI\t40\t45\t2\n")
    bins = {"chrI": Bins(np.array([0, 10, 40]), np.array([10, 40, 50]))}
    found = read_signal(path, GENOME, bins, statistic="sum", gaps="mask")
    np.testing.assert_array_equal(found.values, [-15, np.nan, 10])
    counts = found.counts
    assert (counts.negative, counts.missing, counts.covered) == (10, 30, 15)
    assert (counts.smallest, counts.largest, counts.total) == (-1.5, 2, -5)
    with pytest.raises(InputError, match=r"10 of 15 bases have negative values, down to -1.5; the"):
        check_not_negative(path, counts, "the Poisson loss")
    path.write_text("chrI\t0\t10\t1\nchrI\t10\t30\tinf\n")
    with pytest.raises(InputError, match=r"a\.bg, line 2: the value at chrI:11 is infinite"):
        read_signal(path, GENOME, bins, gaps="mask")
    bad = write_bigwig(
        tmp_path / "a.bw", GENOME, {"chrI": (np.array([7]), np.array([9]), np.array([np.inf]))}
    )
    with pytest.raises(InputError, match=r"a\.bw: the value at chrI:8 is infinite"):
        read_signal(bad, GENOME, bins, gaps="mask")


def test_nan_in_a_bigwig_is_missing(tmp_path):
    parts = (np.array([0, 5]), np.array([5, 9]), np.array([np.nan, 2.0]))
    path = write_bigwig(tmp_path / "a.bw", GENOME, {"chrI": parts})
    bins = {"chrI": Bins(np.array([0, 0, 4]), np.array([5, 9, 9]))}
    found = read_signal(path, GENOME, bins, gaps="mask")
    np.testing.assert_array_equal(found.values, [np.nan, 2, 2])
    assert (found.counts.missing, found.counts.covered) == (5, 4)


def test_a_column_of_a_bed_file_is_a_signal(tmp_path):
    path = tmp_path / "a.narrowPeak"
    path.write_text("chrI\t0\t10\tp1\t9\t.\t2.5\nchrI\t20\t30\tp2\t9\t.\t4\n")
    bins = {"chrI": Bins(np.array([0, 20]), np.array([10, 30]))}
    found = read_signal(path, GENOME, bins, column=7, gaps="zero")
    np.testing.assert_array_equal(found.values, [2.5, 4])
    with pytest.raises(
        InputError, match=r"line 1: the line has 7 columns, but bedGraph has 4.*colu"
    ):
        read_signal(path, GENOME, bins, gaps="zero")
    with pytest.raises(InputError, match=r"line 1: the line has 7 columns, not 9"):
        read_signal(path, GENOME, bins, column=9, gaps="zero")
    path.write_text("chrI\t0\t10\tp1\n")
    with pytest.raises(InputError, match=r"line 1: the value 'p1' is not a number"):
        read_signal(path, GENOME, bins, gaps="zero")


SIGNAL = "chrI\t0\t10\t1\nchrI\t10\t20\t2\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SIGNAL + "chrI\t20\t30\t1,5\n", r"line 3: the value '1,5' is not a number: it has a deci"),
        (SIGNAL + "\n\nchrI\t30\tx\t1\n", r"line 5: 'x' is not a whole number"),
        (SIGNAL + "chrI\t1e3\t2000\t1\n", r"line 3: '1e3' is not a whole number: it is in floatin"),
        (SIGNAL + "chrI\t20\t30\n", r"line 3: the line has 3 columns, not 4"),
        (SIGNAL + "chrI\t20\t30\t1_000\n", r"line 3: the value '1_000' is not a number"),
        (SIGNAL + "#c\nchrI\t19\t30\t1\n", r"line 4: the segment 19-30 of chrI overlaps the one b"),
        (SIGNAL + "chrI\t5\t6\t1\n", r"line 3: the segment 5-6 of chrI comes after one.*sort -k1,"),
        (SIGNAL + "chrI\t-5\t6\t1\n", r"line 3: the segment -5-6 of chrI starts below 0"),
        (SIGNAL + "chrI\t50\t46\t1\n", r"line 3: the segment 50-46 of chrI starts below 0 or ends"),
        (SIGNAL + "chrI\t4990\t5001\t1\n", r"line 3: the segment 4990-5001 extends past the end o"),
        (SIGNAL + "chrM\t0\t9\t1\nchrI\t30\t40\t1\n", r"line 4: returns to 'chrI' after other con"),
        (SIGNAL + "1\t0\t9\t1\nI\t30\t40\t1\n", r"line 4: 'chrI' and 'I' are the same contig"),
        ("chrI,0,10,1\n", r"line 1: the fields are separated by commas"),
        ("scaffold\t0\t10\t1\n", r"none of its contigs is in the genome"),
        ("fixedStep chrom=chrI start=1 step=2 span=3\n1\n1\n", r"line 3: the segment 2-5 of chrI "),
        ("fixedStep chrom=chrI start=1 step=1\n1\n1,5\n", r"line 3: the value '1,5' is not a num"),
        ("fixedStep chrom=chrI start=0 step=1\n1\n", r"line 1: start is '0', not a whole number f"),
        ("fixedStep chrom=chrI step=1\n1\n", r"line 1: the section is incomplete or has unknown p"),
        ("fixedStep chrom=chrI start=1 steps=1\n1\n", r"line 1: the section is incomplete or has "),
        ("variableStep chrom=chrI\n1 5\n7\n", r"line 3: the line is not a position and a value"),
        ("variableStep chrom=chrI\n5 5\n5 7\n", r"line 3: the segment 4-5 of chrI overlaps"),
        ("variableStep chrom=chrI\n0 5\n", r"line 2: the segment -1-0 of chrI starts below 0"),
        ("variableStep chrom=chrI\n5000 5\n5001 1\n", r"line 3: the segment 5000-5001 extends pas"),
        ("fixedStep chrom=chrI start=1 step=1\n1\nfoo\n", r"line 3: the line is neither a section"),
        ("fixedStep chrom=chrI start=1 step=1\n1\ntrack x\n2\n", r"line 4: a value comes before t"),
        ("fixedStep chrom=chrI start=99999999999999999 step=99999999999999999\n" + "1\n" * 500,
         r"line 2: the segment 99999999999999998-.* extends past the end"),
    ],
)  # fmt: skip
def test_bad_lines_are_refused_with_their_number(tmp_path, text, message):
    path = tmp_path / "signal.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_signal(path, GENOME, {}, gaps="mask")


def test_unknown_statistics_and_other_formats_are_refused(tmp_path, bigwig):
    with pytest.raises(InputError, match="no statistic of bins is named 'median'.*mean, sum, max"):
        read_signal(bigwig, GENOME, {}, statistic="median", gaps="mask")
    path = tmp_path / "a.bb"
    path.write_bytes(bytes.fromhex("ebf28987") + bytes(100))
    with pytest.raises(InputError, match="is a bigBed file"):
        read_signal(path, GENOME, {}, gaps="mask")
    with pytest.raises(InputError, match="no such file"):
        read_signal(tmp_path / "none.bw", GENOME, {}, gaps="mask")


def test_blocks_of_text_continue_contigs_and_sections(tmp_path, monkeypatch, data, bigwig):
    """Files larger than a block, with lines that end in CR LF."""
    import danq.files.text_tables as tables

    for module in ("bedgraph", "wiggle"):
        monkeypatch.setattr(
            f"danq.genome.signal.{module}.text_blocks", lambda path: tables.text_blocks(path, 300)
        )
    bins = random_bins(4)
    wanted = oracle(bigwig, bins, "mean")
    for path in (
        write_bedgraph(tmp_path / "a.bg", data),
        write_wiggle(tmp_path / "a.wig", data, fixed=True),
        write_wiggle(tmp_path / "b.wig", data, fixed=False),
    ):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        found = read_signal(path, GENOME, bins, gaps="mask").values
        np.testing.assert_allclose(found, wanted, rtol=1e-6)
        content = path.read_text().splitlines()
        path.write_text("\n".join([*content[:200], "chrI x", *content[200:]]))
        with pytest.raises(InputError, match="line 201: "):
            read_signal(path, GENOME, bins, gaps="mask")


def test_long_fixed_sections(tmp_path):
    values = np.random.default_rng(0).random(2_500).round(3)
    path = tmp_path / "a.wig"
    path.write_text(
        "fixedStep chrom=chrI start=101 step=2 span=2\n" + "\n".join(map(str, values)) + "\n"
    )
    bins = {"chrI": Bins(np.array([100, 102, 4_999]), np.array([104, 106, 5_000]))}
    with pytest.raises(InputError, match="extends past the end of chrI"):
        read_signal(path, GENOME, bins, gaps="mask")
    path.write_text(
        "fixedStep chrom=chrI start=1 step=2 span=2\n" + "\n".join(map(str, values)) + "\n"
    )
    found = read_signal(path, GENOME, bins, gaps="mask").values
    np.testing.assert_allclose(
        found, [values[50:52].mean(), values[51:53].mean(), values[-1]], 1e-6
    )
