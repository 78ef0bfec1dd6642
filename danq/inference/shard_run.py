"""One shard of a run whose blocks can be made in any order: predictions and mutation effects."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from danq._version import __version__
from danq.errors import InputError
from danq.files.pipes import is_pipe
from danq.files.unchanged_inputs import UnchangedInputs
from danq.inference.blocks import FinishedBlock, FinishedBlocks, Shard, check_unfinished, folder_of
from danq.inference.blocks.folder import check_not_both
from danq.inference.ensemble import Ensemble
from danq.inference.sources import Source
from danq.inference.sources.tiling import Selection
from danq.inference.weights_checksums import weights_checksums
from danq.inference.writers.open_output import Output
from danq.output import is_standard_output
from danq.provenance import Inputs, Provenance, Setting

log = logging.getLogger("danq")

MakeBlocks = Callable[[Selection], Generator[FinishedBlock, None, None]]
"""Makes the blocks of a run whose numbers are selected, in order."""


@dataclass(frozen=True)
class ShardRun:
    """A shard to compute, and what it shares with the other shards of its run.

    Attributes
    ----------
    out
        Output of the run.
    kind
        What the blocks hold.
    shard
        Which blocks are computed.
    provenance
        What the bytes of the blocks depend on.
    unchanged
        The input files, which must not change until the last block is made.
    resume, overwrite
        Continue or discard the stored blocks of this shard.
    """

    out: Path
    kind: str
    shard: Shard
    provenance: Provenance
    unchanged: UnchangedInputs
    resume: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        """Folder of the blocks."""
        return folder_of(self.out, self.shard)

    def store(self, make: MakeBlocks, content: Mapping[str, Any]) -> Counter[str]:
        """Make and store the blocks that are missing.

        Parameters
        ----------
        make
            Makes blocks.
        content
            What the merge needs in addition to the blocks, as JSON can store it.

        Returns
        -------
        Counter
            Sums of the counts of all stored blocks.

        Raises
        ------
        InputError
            As ``make``; when an input file has changed, or as
            `danq.inference.blocks.FinishedBlocks`. The stored blocks are kept.
        """
        with FinishedBlocks(
            self.out,
            self.provenance,
            kind=self.kind,
            shard=self.shard,
            resume=self.resume,
            overwrite=self.overwrite,
        ) as finished:
            if finished.completed is not None:
                log.info("%s: is complete, nothing remains to be done", self.folder)
            else:
                first = finished.next
                with closing(make(lambda n: n >= first and self.shard.owns(n))) as blocks:
                    for block in blocks:
                        self.unchanged.check()
                        finished.add(block)
                self.unchanged.check()
                finished.complete(content)
            totals: Counter[str] = Counter()
            for counts in finished.counts:
                totals.update(counts)
            return totals


def check_shard(
    output: Output, source: Source, shard: Shard | None, *, resume: bool, overwrite: bool
) -> None:
    """Check that a run can be divided into shards, and an output be written.

    Parameters
    ----------
    output
        Output of the run, which the merge writes.
    source
        Input of the run.
    shard
        The shard; None for the whole run.
    resume, overwrite
        Continue or discard the stored blocks of the shard.

    Raises
    ------
    InputError
        When ``resume`` is set without a shard or with ``overwrite``; when the output is standard
        output or the source is a pipe; as `Output.check` and
        `danq.inference.blocks.check_unfinished`.
    """
    if shard is None:
        if resume:
            raise InputError(
                "only a shard of a run can be resumed",
                file=output.path,
                remedy="Compute the run as a shard, 1/1 for all of it, and merge it",
            )
        output.check(overwrite=overwrite)
        return
    check_not_both(output.path, "shard", resume=resume, overwrite=overwrite)
    if is_standard_output(output.path):
        raise InputError("a shard cannot be written to standard output", remedy="Name a file")
    for path in source.files().values():
        if _is_pipe(path):
            raise InputError(
                "is a pipe, which can be read only once, and every shard reads the whole input",
                file=path,
                remedy="Write its content to a file, and give that file",
            )
    # The merge decides whether the output is replaced.
    output.check(overwrite=True)
    check_unfinished(output.path, overwrite or resume, shard)


def shard_provenance(
    ensemble: Ensemble, source: Source, settings: Mapping[str, Setting]
) -> Provenance:
    """What the bytes of all blocks of a run depend on.

    Parameters
    ----------
    ensemble
        Models, tracks and run options.
    source
        Input of the run.
    settings
        Further settings.

    Raises
    ------
    InputError
        When a file of the source cannot be read.
    """
    options = ensemble.options
    shared = {
        "danq": __version__,
        "tracks": ensemble.tracks,
        "strand": options.strand,
        "precision": f"{options.resolved_precision} on {options.torch_device.type}",
        **({"amounts": "measured"} if options.measured else {}),
        **source.settings(),
        **settings,
    }
    models = Inputs(ensemble.names, weights_checksums(ensemble.models))
    return Provenance(settings=shared, inputs={"model": models, **source.contents()})


def _is_pipe(path: object) -> bool:
    try:
        return is_pipe(Path(str(path)))
    except OSError:
        return False  # the reader names the problem
