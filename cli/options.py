"""Options that several commands share, each defined once with its parser.

Each name below makes a decorator: ``@options.device()``, or with changes for one command,
``@options.genome(required=True)``. ``apply_all`` applies several.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from .input_path import InputPath
from .load_models import given as given
from .load_models import load_models as load_models
from .load_models import pop as pop
from .load_models import split_models as split_models
from .overwrite import overwrite as overwrite

F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[F], F]

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9}
_SIZE = re.compile(r"(\d+(?:_\d{3})*|\d*\.\d+|\d+\.)([kKmMgG]?)")


class Size(click.ParamType):
    """A whole number, optionally with k, M or G (powers of 1000).

    Parameters
    ----------
    minimum
        Smallest allowed value.
    """

    name = "size"

    def __init__(self, minimum: int = 1) -> None:
        self.minimum = minimum

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"'{value}' is not a size; write 2000, 2k, 1.5M or 3G.", param, ctx)
        # In whole numbers throughout, so that 1.001k is 1001 and not 1000.9999999999999.
        whole, _, fraction = match[1].replace("_", "").partition(".")
        unit = _UNITS[match[2].lower()]
        scaled = int(whole or 0) * unit * 10 ** len(fraction) + int(fraction or 0) * unit
        number, rest = divmod(scaled, 10 ** len(fraction))
        if rest:
            self.fail(f"'{value}' is not a whole number.", param, ctx)
        if number < self.minimum:
            self.fail(f"{value} is below the minimum, {self.minimum}.", param, ctx)
        return number


class Names(click.ParamType):
    """A comma-separated list of names without commas, as a tuple."""

    name = "list"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        names = tuple(part.strip() for part in str(value).split(","))
        if not all(names):
            self.fail(f"'{value}' has an empty entry; write names as chr8,chr9.", param, ctx)
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            self.fail(f"'{value}' names {', '.join(repeated)} more than once.", param, ctx)
        return names


class Negatives(click.ParamType):
    """``keep``, ``drop``, or a positive number: bins kept per bin with a positive track."""

    name = "keep|drop|ratio"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | float:
        if value in ("keep", "drop") or isinstance(value, float):
            return value
        try:
            ratio = float(value)
        except ValueError:
            self.fail(f"'{value}' is neither keep, drop nor a number.", param, ctx)
        if not 0 < ratio < float("inf"):
            self.fail(f"{value} is not a positive number; use drop to keep none.", param, ctx)
        return ratio


class ShardType(click.ParamType):
    """``I/N``, the I-th of N shards."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from danq.errors import InputError
        from danq.inference.blocks.shard import Shard

        if isinstance(value, Shard):
            return value
        try:
            return Shard.parse(str(value))
        except InputError as error:
            self.fail(str(error), param, ctx)


def example(*lines: str) -> str:
    """Epilog of a command's help: one line per call, printed as written."""
    head = "Example:" if len(lines) == 1 else "Examples:"
    return "\n".join(["\b", head, *(f"  {line}" for line in lines)])


def apply_all(*decorators: Decorator) -> Decorator:
    """Apply several options; help lists them in this order."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate


def option(*names: str, **settings: Any) -> Callable[..., Decorator]:
    """Define an option: a function that makes its decorator, with changes for one command."""

    def make(**changes: Any) -> Decorator:
        return click.option(*names, **{**settings, **changes})

    return make


_FILE = InputPath(dir_okay=False)
_ANY = InputPath()
_TARGET = click.Path(path_type=Path)


def models() -> Decorator:
    """The argument of one or more models."""
    return click.argument("models", metavar="MODEL...", nargs=-1, required=True, type=_ANY)


# Defaults belong to the library: an option that is not given is None, and `given` removes it. Help
# repeats the default as text, because reading it from the library would import torch.

# Running a model.
device = option(
    "--device",
    metavar="DEVICE",
    help="Device: auto, cpu, cuda, cuda:N or mps.  [default: auto]",
)
precision = option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16"]),
    help="Numeric precision; auto uses bf16 if the device has native bf16 arithmetic, else fp32.  "
    "[default: auto]",
)
batch_size = option(
    "--batch-size",
    type=Size(),
    metavar="N",
    help="Batch size (windows); on CUDA devices the default is 2048.  [default: 512]",
)
frozen_epochs = option(
    "--frozen-epochs",
    type=click.IntRange(min=0),
    metavar="N",
    help="Freeze the convolutions for the first N epochs.  [default: 0]",
)
threads = option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    help="CPU threads.  [default: all cores]",
)
strand = option(
    "--strand",
    type=click.Choice(["both", "forward"]),
    help="both: average over the forward and the reverse-complement strand.  [default: both]",
)
tolerance = option(
    "--tolerance",
    type=click.FloatRange(min=0),
    metavar="X",
    help="For speed, stop recomputing the LSTM where its states differ by less than X from those "
    "of the unmutated sequence; 0 recomputes it to the end (exact).  [default: 1e-06]",
)

# Files.
genome = option(
    "--genome",
    type=_FILE,
    metavar="FASTA",
    help="Genome, plain or compressed FASTA.",
)
tracks = option(
    "--tracks",
    type=_ANY,
    multiple=True,
    metavar="PATH",
    help="Peak file (BED, narrowPeak, broadPeak; repeatable), directory of them, or sample sheet "
    "(TSV with the columns name, path and optionally group). Without a sample sheet, a track has "
    "the name of its file.",
)
track = option(
    "--track",
    "tracks",
    multiple=True,
    metavar="NAME",
    callback=lambda ctx, param, value: value or None,
    help="Track to write (repeatable); tracks are written in that order.  [default: all]",
)
chrom_map = option(
    "--chrom-map",
    type=_FILE,
    metavar="FILE",
    help="TSV with two columns: contig name in the peak files, name in the genome.",
)
channels = option(
    "--channels",
    metavar="ORDER",
    help="Channel order of one-hot arrays, such as ACGT. Arrays with DeepSEA's names have the "
    "order AGCT; all others need this option.",
)
names = option(
    "--names",
    type=_FILE,
    metavar="FILE",
    help="Track names: one per line, optionally followed by a tab and the group; or DanQ's "
    "aucs.txt.  [default: track index]",
)
out = option("--out", type=_TARGET, required=True, metavar="PATH", help="Output path.")
shard = option(
    "--shard",
    type=ShardType(),
    metavar="I/N",
    help="Compute only the I-th of N shards, into the directory PATH.shard-I-of-N. Shards can run "
    "at the same time on several machines; danq merge PATH writes the output.",
)
resume = option(
    "--resume", is_flag=True, help="With --shard, continue a shard that was interrupted."
)
seed = option(
    "--seed",
    type=click.IntRange(min=0),
    metavar="N",
    help="Random seed.  [default: 0]",
)

# From peaks to labelled windows.
window = option(
    "--window",
    type=Size(),
    metavar="BASES",
    help="Window length of the model in bp.  [default: 1000]",
)
bin_size = option(
    "--bin",
    "bin_size",
    type=Size(),
    metavar="BASES",
    help="Length of the labelled bin in the middle of the window, in bp.  [default: 200]",
)
stride = option(
    "--stride",
    type=Size(),
    metavar="BASES",
    help="Distance between the starts of two training bins, in bp. Validation and test bins do not "
    "overlap.  [default: the bin size]",
)
min_overlap = option(
    "--min-overlap",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="FRACTION",
    help="A bin is positive if the peaks of a track cover at least this fraction of it.  "
    "[default: 0.5]",
)
exclude = option(
    "--exclude",
    type=_FILE,
    multiple=True,
    metavar="BED",
    help="BED file of regions to exclude (repeatable).",
)
valid = option(
    "--valid",
    metavar="LIST",
    help="Validation contigs or regions: chr8,chr9:1-500000 (1-based, closed).  "
    "[default: whole contigs, about a tenth of the genome]",
)
test = option(
    "--test",
    metavar="LIST",
    help="Test contigs or regions, as for --valid.  [default: whole contigs, about a tenth of the "
    "genome]",
)
skip_contigs = option(
    "--skip-contigs",
    metavar="LIST",
    help="Contigs to exclude, such as chrM; * and ? stand for any letters, as in *_alt.",
)
drop_leaked = option(
    "--drop-leaked",
    is_flag=True,
    default=None,
    help="Drop training windows that contain the sequence of held-out windows, on either strand.",
)
negatives = option(
    "--negatives",
    type=Negatives(),
    metavar="keep|drop|RATIO",
    help="Bins without a peak of any track (negative bins). keep: keep all; drop: drop all; RATIO: "
    "in the training split, keep RATIO negative bins per positive bin, matched on GC content; in "
    "the other splits, keep all.  [default: keep]",
)

edge = option(
    "--edge",
    type=click.Choice(["pad", "drop"]),
    help="Windows that extend past an end of their contig: pad with N, or drop.  [default: pad]",
)
max_n = option(
    "--max-n",
    type=click.FloatRange(0, 1),
    metavar="FRACTION",
    help="Drop windows with a larger fraction of N.  [default: 0.5]",
)

WINDOW_NAMES = {
    "window": "window",
    "bin_size": "bin",
    "stride": "stride",
    "min_overlap": "min_overlap",
    "exclude": "exclude",
    "valid": "valid",
    "test": "test",
    "negatives": "negatives",
    "edge": "edge",
    "max_n": "max_n",
    "skip_contigs": "skip_contigs",
    "drop_leaked": "drop_leaked",
    "chrom_map": "chrom_map",
}
"""Parameters of `window_options`, with their names in `danq.build_dataset`."""


def run_options(**changes: dict[str, Any]) -> Decorator:
    """The options of every command that runs a model; ``changes`` by parameter name."""
    options = {
        "device": device,
        "precision": precision,
        "batch_size": batch_size,
        "threads": threads,
        "strand": strand,
    }
    return apply_all(*(make(**changes.get(name, {})) for name, make in options.items()))


def is_stdout(out: str | Path) -> bool:
    """Whether an output is ``-``: messages then go to stderr."""
    return str(out) == "-"


def window_options() -> Decorator:
    """The options of every command that labels windows with peaks."""
    return apply_all(
        window(),
        bin_size(),
        stride(),
        min_overlap(),
        exclude(),
        valid(),
        test(),
        negatives(),
        edge(),
        max_n(),
        skip_contigs(),
        drop_leaked(),
        chrom_map(),
    )
