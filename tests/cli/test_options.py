from __future__ import annotations

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from danq.device import BATCH_SIZES
from danq.models import RunOptions
from danq_cli import options


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("200", 200),
        ("2k", 2_000),
        ("2K", 2_000),
        ("1.5M", 1_500_000),
        (".5m", 500_000),
        ("3G", 3_000_000_000),
        ("12_000", 12_000),
        ("1.001k", 1_001),
    ],
)
def test_size_reads_units(text, number):
    assert options.Size().convert(text, None, None) == number


@given(st.integers(1, 10**12))
def test_sizes_are_parsed_exactly(number):
    assert options.Size().convert(str(number), None, None) == number
    assert options.Size().convert(f"{number}k", None, None) == 1000 * number
    assert options.Size().convert(f"{number / 1000:.3f}k", None, None) == number


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ten", "'ten' is not a size; write 2000, 2k, 1.5M or 3G"),
        ("2kb", "'2kb' is not a size"),
        ("-5", "'-5' is not a size"),
        ("", "'' is not a size"),
        (".", "'.' is not a size"),
        ("1.5", "'1.5' is not a whole number"),
        ("1.0005k", "'1.0005k' is not a whole number"),
        ("0", "0 is below the minimum, 1"),
    ],
)
def test_invalid_sizes_are_refused(text, message):
    with pytest.raises(click.BadParameter) as caught:
        options.Size().convert(text, None, None)
    assert message in caught.value.message


def test_names_split_at_commas():
    names = options.Names().convert("ref, alt,logit", None, None)
    assert names == ("ref", "alt", "logit")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chr1,,chr2", "'chr1,,chr2' has an empty entry"),
        ("", "'' has an empty entry"),
        ("chr1,chr2,chr1", "names chr1 more than once"),
    ],
)
def test_invalid_names_are_refused(text, message):
    with pytest.raises(click.BadParameter) as caught:
        options.Names().convert(text, None, None)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("text", "value"), [("keep", "keep"), ("drop", "drop"), ("2", 2.0), ("0.5", 0.5)]
)
def test_negatives_are_a_name_or_a_ratio(text, value):
    assert options.Negatives().convert(text, None, None) == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some", "'some' is neither keep, drop nor a number"),
        ("0", "0 is not a positive number; use drop to keep none"),
        ("-1", "-1 is not a positive number"),
        ("nan", "nan is not a positive number"),
        ("inf", "inf is not a positive number"),
    ],
)
def test_invalid_negatives_are_refused(text, message):
    with pytest.raises(click.BadParameter) as caught:
        options.Negatives().convert(text, None, None)
    assert message in caught.value.message


def test_run_options_reach_the_command_as_values():
    seen = {}

    @click.command
    @options.run_options()
    def probe(**values):
        seen.update(values)

    line = "--device cuda:1 --precision bf16 --batch-size 2k --threads 3 --strand forward"
    result = CliRunner().invoke(probe, line.split())
    assert result.exit_code == 0, result.output
    assert seen == {
        "device": "cuda:1",
        "precision": "bf16",
        "batch_size": 2000,
        "threads": 3,
        "strand": "forward",
    }


def test_run_options_default_to_none():
    seen = {}

    @click.command
    @options.run_options()
    def probe(**values):
        seen.update(values)

    assert CliRunner().invoke(probe, []).exit_code == 0
    names = ("device", "precision", "batch_size", "threads", "strand")
    assert seen == dict.fromkeys(names)


def test_help_shows_the_defaults_of_run_options():
    """Help repeats the defaults of `RunOptions` as text, because importing it loads torch."""
    defaults = RunOptions()
    for make, value in (
        (options.device, defaults.device),
        (options.precision, defaults.precision),
        (options.strand, defaults.strand),
        (options.tolerance, defaults.tolerance),
        (options.batch_size, BATCH_SIZES["cpu"]),
    ):

        @click.command
        @make()
        def probe(**values):
            pass

        assert f"[default: {value}]" in " ".join(
            CliRunner().invoke(probe, ["--help"]).output.split()
        )


def test_window_options_that_are_not_given_are_none():
    seen = {}

    @click.command
    @options.window_options()
    def probe(**values):
        seen.update(values)

    result = CliRunner().invoke(probe, ["--valid", "chr8,chr9"])
    assert result.exit_code == 0, result.output
    assert options.given(seen) == {"valid": "chr8,chr9", "exclude": ()}
    assert set(options.WINDOW_NAMES) == set(seen)


def test_missing_file_is_named(tmp_path):
    @click.command
    @options.genome(required=True)
    def probe(genome):
        raise AssertionError(genome)

    missing = tmp_path / "absent.fa"
    result = CliRunner().invoke(probe, ["--genome", str(missing)])
    assert result.exit_code == 2
    assert "absent.fa" in result.output
    assert "does not exist" in result.output


def test_example_is_shown_as_written():
    @click.command(epilog=options.example("danq probe a", "danq probe b \\"))
    def probe():
        """Probe."""

    text = CliRunner().invoke(probe, ["--help"]).output
    assert "  Examples:\n    danq probe a\n    danq probe b \\\n" in text
