"""`danq marginalize`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from . import options
from .amount_options import measured
from .input_path import InputPath
from .show import show

_DISTANCES = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


class Distances(click.ParamType):
    """A number of bases, or a range with both ends included."""

    name = "distances"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> range:
        if isinstance(value, range):
            return value
        match = _DISTANCES.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"'{value}' is not a number of bases or a range such as 0-60.", param, ctx)
        first = int(match[1])
        last = first if match[2] is None else int(match[2])
        if last < first:
            self.fail(f"'{value}' ends before it starts.", param, ctx)
        return range(first, last + 1)


class Background(click.ParamType):
    """A GC content, or the path of a FASTA file or dataset."""

    name = "background"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | Path:
        if isinstance(value, float | Path):
            return value
        try:
            return float(value)
        except ValueError:
            return InputPath(dir_okay=False).convert(value, param, ctx)


@click.command(
    epilog=options.example(
        "danq marginalize runs/yeast --motif TTACCCG --background yeast.h5 --out reb1",
        "danq marginalize runs/k562 --motif GATA1 --motif TAL1 --motifs JASPAR.meme \\",
        "    --distances 0-30 --out grammar",
        "danq marginalize runs/yeast --motif TTACCCG --ablate promoters.fa --out promoters",
    )
)
@options.models()
@click.option(
    "--motif",
    "motifs",
    multiple=True,
    required=True,
    metavar="NAME|SEQUENCE",
    help="Motif to insert (repeatable): name in a --motifs file, or a sequence in IUPAC letters. "
    "Two or more are also inserted together, in all orientations and distances.",
)
@options.out(metavar="DIR", help="Output directory: tables and plots.")
@click.option(
    "--motifs",
    "motif_files",
    type=InputPath(dir_okay=False),
    multiple=True,
    metavar="FILE",
    help="Motif file: MEME, JASPAR, HOMER, HOCOMOCO, TRANSFAC (repeatable).",
)
@click.option(
    "--background",
    type=Background(),
    metavar="GC|FASTA|DATASET",
    help="Backgrounds: random sequences of a GC content, the sequences of a FASTA file, or "
    "shuffled test windows of a dataset, which keep their dinucleotides.  [default: 0.4]",
)
@click.option(
    "--backgrounds",
    "count",
    type=options.Size(minimum=2),
    metavar="N",
    help="Number of backgrounds, and largest number of sequences of --ablate.  [default: 100]",
)
@click.option(
    "--copies",
    type=click.IntRange(min=1),
    metavar="N",
    help="Insert 1 to N copies of each motif, 10 bp apart.  [default: 4, or fewer in a short "
    "window]",
)
@click.option(
    "--distances",
    type=Distances(),
    metavar="MIN-MAX",
    help="Bases between two motifs; with a single --motif, between two copies of it.  "
    "[default: 0-60 between two motifs, or less in a short window]",
)
@click.option(
    "--ablate",
    type=InputPath(dir_okay=False),
    metavar="FASTA|DATASET",
    help="Also replace all instances of each motif in these sequences, and shuffle their flanks.",
)
@options.track(help="Track to report (repeatable).  [default: all]")
@options.seed()
@options.run_options(batch_size={"help": "Batch size (changed windows).  [default: 2048]"})
@options.tolerance()
@measured()
@options.overwrite()
def marginalize(
    models: tuple[Path, ...], motifs: tuple[str, ...], out: Path, overwrite: bool, **given: Any
) -> None:
    """Compute what motifs do to the predictions of all tracks.

    MODEL is a run directory, model file or folder of folds; of several models, the mean is
    reported. danq inserts each motif into background sequences, and reports mean, standard
    deviation and standard error of the effect, in the unit of danq mutate. For two motifs, it
    reports the effect of both at all distances and orientations, and its excess over the sum of
    the effects of each alone.
    """
    from danq.interpretation import (
        Backgrounds,
        check_marginalization_folder,
        marginalize,
        write_marginalization,
    )

    check_marginalization_folder(out, overwrite)
    names = {"background": "source", "count": "count", "seed": "seed"}
    settings = options.pop(given, *names)
    background = Backgrounds(**{names[name]: value for name, value in settings.items()})
    loaded = options.load_models(models, given)
    report = marginalize(loaded, motifs, background=background, **options.given(given))
    write_marginalization(report, out, overwrite=overwrite)
    show(f"{report.describe()}\nwritten to {out}", {"path": out, **report.to_dict()})
