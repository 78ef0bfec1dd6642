"""`danq design`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .amount_options import measured
from .input_path import InputPath
from .show import show


class TrackNumber(click.ParamType):
    """``TRACK=NUMBER``; the name may contain ``=``."""

    name = "track=number"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, float]:
        if isinstance(value, tuple):
            return value
        track, _, number = str(value).rpartition("=")
        try:
            found = float(number)
        except ValueError:
            found = None
        if not track or found is None:
            self.fail(f"'{value}' is not TRACK=NUMBER, such as Reb1=0.5.", param, ctx)
        return track, found


class FixedPositions(InputPath):
    """``START-END``, 1-based and closed, or a BED file."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from danq.interpretation.sequence_design.fixed_positions import is_interval

        return value if is_interval(str(value)) else super().convert(value, param, ctx)


class FractionRange(click.ParamType):
    """``LOW-HIGH``, fractions."""

    name = "low-high"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        low, _, high = str(value).partition("-")
        try:
            return float(low), float(high)
        except ValueError:
            self.fail(f"'{value}' is not a range of fractions, such as 0.4-0.6.", param, ctx)


@click.command(
    epilog=options.example(
        "danq design runs/yeast --random 20 --maximize Reb1 --out reb1-sites",
        "danq design runs/yeast promoters.fa --maximize Reb1 --minimize Rap1 --edits 12 \\",
        "    --fixed 240-260 --forbid GAATTC --gc 0.35-0.45 --out reb1-not-rap1",
        "danq design runs/yeast promoters.fa --target Reb1=0.5 --beam 1 --out half",
    )
)
@click.argument("paths", metavar="MODEL... [STARTS]", nargs=-1, required=True, type=InputPath())
@options.out(metavar="DIR", help="Output directory: FASTA files, tables and a plot.")
@click.option(
    "--maximize",
    multiple=True,
    metavar="TRACK",
    help="Maximise a track: log2 odds of peaks, or amount (repeatable).",
)
@click.option(
    "--minimize",
    multiple=True,
    metavar="TRACK",
    help="Minimise a track (repeatable); with --maximize, the difference is maximised.",
)
@click.option(
    "--target",
    "targets",
    multiple=True,
    type=TrackNumber(),
    metavar="TRACK=VALUE",
    help="Bring a track to a probability or an amount (repeatable).",
)
@click.option(
    "--weight",
    "weights",
    multiple=True,
    type=TrackNumber(),
    metavar="TRACK=NUMBER",
    help="Multiply the term of a track in the objective (repeatable).  [default: 1 for all]",
)
@click.option(
    "--edits",
    type=click.IntRange(min=1),
    metavar="N",
    help="Largest number of edits of a start.  [default: 8]",
)
@click.option(
    "--beam",
    type=click.IntRange(min=1),
    metavar="N",
    help="Keep the N best sequences after each edit; 1 is a greedy search.  [default: 5]",
)
@click.option(
    "--proposals",
    type=click.IntRange(min=1),
    metavar="N",
    help="For speed, evaluate only the N substitutions of each sequence with the largest "
    "first-order effects (gradients).  [default: all]",
)
@click.option(
    "--random",
    type=click.IntRange(min=1),
    metavar="N",
    help="Start from N random sequences; omit STARTS.",
)
@options.seed(help="Random seed of --random.  [default: 0]")
@click.option(
    "--fixed",
    multiple=True,
    type=FixedPositions(dir_okay=False),
    metavar="START-END|BED",
    help="Do not change these positions: of every start (1-based, closed), or of the starts that "
    "the first column of a BED file names (repeatable).",
)
@click.option(
    "--forbid",
    "forbidden",
    multiple=True,
    metavar="MOTIF",
    help="Forbid a motif on both strands: IUPAC letters, or the name of a motif of --motifs, whose "
    "consensus counts (repeatable).",
)
@click.option(
    "--motifs",
    "motif_files",
    multiple=True,
    type=InputPath(dir_okay=False),
    metavar="FILE",
    help="Motif file for --forbid: MEME, JASPAR, HOMER, HOCOMOCO, TRANSFAC (repeatable).",
)
@click.option(
    "--gc",
    type=FractionRange(),
    metavar="LOW-HIGH",
    help="Range of the GC content of designs, as fractions: 0.4-0.6.",
)
@options.run_options(
    precision={
        "help": "Numeric precision; auto is fp32, because effects are small differences.  "
        "[default: auto]"
    },
    batch_size={
        "help": "Batch size (mutated windows); on CUDA devices the default is 2048.  "
        "[default: 2048]"
    },
)
@options.tolerance()
@measured()
@options.overwrite()
def design(
    paths: tuple[Path, ...],
    out: Path,
    overwrite: bool,
    random: int | None,
    seed: int | None,
    **given: Any,
) -> None:
    """Design sequences by directed evolution.

    MODEL is a run directory, model file or folder of folds; predictions of several models are
    averaged. STARTS is a FASTA of sequences as long as the window of the model. danq edits each of
    them one base at a time: in each step it evaluates every allowed substitution of every sequence
    of the beam, and keeps the best. The objective is the sum over the tracks of --maximize,
    --minimize and --target. All reported values come from a full evaluation of the designs.
    """
    from danq.interpretation import (
        DesignConstraints,
        DesignGoals,
        RandomStarts,
        check_design_folder,
        write_designs,
    )
    from danq.interpretation import design as run

    if random is None and seed is not None:
        raise click.UsageError("--seed is of random sequences; give --random, or leave it out.")
    models, file = (paths, None) if random is not None else (paths[:-1], paths[-1])
    if not models:
        raise click.UsageError("Give a model, then a FASTA file of starts or --random.")
    check_design_folder(out, overwrite)
    goals = DesignGoals(
        given.pop("maximize"),
        given.pop("minimize"),
        _by_track(given.pop("targets"), "--target"),
        _by_track(given.pop("weights"), "--weight"),
    )
    names = ("fixed", "forbidden", "motif_files", "gc")
    constraints = DesignConstraints(**options.pop(given, *names))
    starts = file if random is None else RandomStarts(random, **options.given({"seed": seed}))
    loaded = options.load_models(models, given, input_option=None if file else "--random")
    report = run(loaded, starts, goals, constraints=constraints, **options.given(given))
    write_designs(report, out, overwrite=overwrite)
    show(f"{report.describe()}\nwritten to {out}", {"path": out, **report.to_dict()})


def _by_track(pairs: tuple[tuple[str, float], ...], option: str) -> dict[str, float]:
    """Numbers by track; each track once."""
    found = dict(pairs)
    if len(found) < len(pairs):
        tracks = [track for track, _ in pairs]
        twice = next(track for track in tracks if tracks.count(track) > 1)
        raise click.UsageError(f"{option} names the track '{twice}' more than once.")
    return found
