"""A private web page and JSON API of loaded models: predictions, effects of variants, mutagenesis.

Needs the extra ``danq[serve]``. The functions of the library do the work, so that answers are those
of the commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec

from danq.errors import MissingPackage
from danq.models import Model
from danq.server.settings import ServerSettings
from danq.typing import Location

__all__ = ["ServerSettings", "serve"]


def serve(
    models: Sequence[Model],
    genome: Location,
    settings: ServerSettings | None = None,
    *,
    started: Callable[[str], None] | None = None,
) -> None:
    """Answer requests until the process is interrupted.

    Requests are not logged, because they may have sequences and genotypes.

    Parameters
    ----------
    models
        Loaded models.
    genome
        FASTA of the reference genome.
    settings
        Address and limits.
    started
        Called with the address of the page once the server answers.

    Raises
    ------
    InputError
        When a package is not installed, the address cannot be used, a file cannot be read, or the
        models disagree.
    """
    for package in ("starlette", "uvicorn"):
        if find_spec(package) is None:
            raise MissingPackage(
                f"the package {package} is not installed", remedy="Install danq[serve]"
            )
    from danq.server.run_server import run_server

    run_server(models, genome, settings or ServerSettings(), started or (lambda address: None))
