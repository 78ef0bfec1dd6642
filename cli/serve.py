"""`danq serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import options
from .amount_options import measured
from .input_path import InputPath
from .show import show


@click.command(
    epilog=options.example(
        "danq serve runs/yeast --genome sacCer3.fa",
        "danq serve runs/human --genome hg38.fa --ids common.vcf.gz",
        "DANQ_TOKEN=$(openssl rand -hex 16) danq serve runs/yeast --genome sacCer3.fa \\",
        "    --host 0.0.0.0",
    )
)
@options.models()
@options.genome(required=True, help="Reference genome, plain or compressed FASTA.")
@click.option(
    "--host",
    metavar="ADDRESS",
    help="Address to listen on. Others than those of this machine need --token.  "
    "[default: 127.0.0.1]",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    metavar="N",
    help="Port; 0 selects a free one.  [default: 8765]",
)
@click.option(
    "--token",
    metavar="TOKEN",
    envvar="DANQ_TOKEN",
    help="Secret of at least 16 characters that users must give. Other users of this machine can "
    "see options; the environment variable DANQ_TOKEN is safer.",
)
@click.option(
    "--ids",
    type=InputPath(dir_okay=False),
    metavar="VCF",
    help="VCF or BCF with the IDs of variants, such as rsIDs, that users may type.",
)
@options.device()
@options.precision()
@options.threads()
@options.strand()
@options.tolerance()
@measured()
def serve(models: tuple[Path, ...], genome: Path, **given: Any) -> None:
    """Open a private web page and JSON API of models.

    MODEL is a run directory, model file or folder of folds. The page shows predictions for
    sequences and regions, effects of variants, and mutagenesis maps, with the numbers of danq
    predict, danq variants and danq mutate. Only programs on this machine can reach it unless --host
    is given. Nothing that users send is logged or kept. /api describes the JSON API. Ctrl-C stops
    the server. Needs the extra danq[serve].
    """
    from danq.server import ServerSettings
    from danq.server import serve as run_server

    settings = ServerSettings(**options.pop(given, "host", "port", "token", "ids"))
    loaded = options.load_models(models, given)
    run_server(loaded, genome, settings, started=_show)


def _show(address: str) -> None:
    show(f"danq: serving {address} (Ctrl-C stops)", {"address": address}, err=True)
