"""A run whose blocks can be made in any order, or a shard of it: predictions, mutation effects."""

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
from danq.inference.blocks import (
    Blocks,
    FinishedBlock,
    FinishedBlocks,
    Shard,
    check_unfinished,
    folder_of,
)
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
    """A run in blocks to compute, or a shard and what it shares with the other shards.

    Attributes
    ----------
    out
        Output of the run.
    kind
        What the blocks hold.
    shard
        Which blocks are computed; None for all.
    provenance
        What the bytes of the blocks depend on.
    unchanged
        The input files, which must not change until the last block is made.
    resume, overwrite
        Continue or discard the stored blocks.
    """

    out: Path
    kind: str
    shard: Shard | None
    provenance: Provenance
    unchanged: UnchangedInputs
    resume: bool = False
    overwrite: bool = False

    @property
    def folder(self) -> Path:
        """Folder of the blocks."""
        return folder_of(self.out, self.shard)

    def store(
        self,
        make: MakeBlocks,
        content: Mapping[str, Any],
        write: Callable[[Blocks], None] | None = None,
    ) -> Counter[str]:
        """Make and store the blocks that are missing.

        Parameters
        ----------
        make
            Makes blocks.
        content
            What the merge needs in addition to the blocks, as JSON can store it.
        write
            Writes the output from all blocks, which are then deleted; None for a shard.

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
                if write is None:
                    log.info("%s: is complete, nothing remains to be done", self.folder)
            else:
                first, part = finished.next, finished.part
                with closing(make(lambda n: n >= first and part.owns(n))) as blocks:
                    for block in blocks:
                        self.unchanged.check()
                        finished.add(block)
                self.unchanged.check()
                finished.complete(content)
            totals: Counter[str] = Counter()
            for counts in finished.counts:
                totals.update(counts)
            if write is not None:
                write(finished)
                finished.remove()
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
    _refuse_pipes(source, "every shard reads the whole input")
    # The merge decides whether the output is replaced.
    output.check(overwrite=True)
    check_unfinished(output.path, overwrite or resume, shard)


def check_stored_run(output: Output, source: Source, *, resume: bool, overwrite: bool) -> bool:
    """Check that a run without shards can store its blocks, and write its output.

    Parameters
    ----------
    output
        Output of the run.
    source
        Input of the run.
    resume, overwrite
        Continue or discard the stored blocks.

    Returns
    -------
    bool
        Whether an existing output may be replaced: also by a run that is resumed, which was allowed
        to replace it when it began.

    Raises
    ------
    InputError
        When ``resume`` is set with ``overwrite``, or without stored blocks for an output that
        exists; when the source is a pipe; as `Output.check` and
        `danq.inference.blocks.check_unfinished`.
    """
    check_not_both(output.path, "run", resume=resume, overwrite=overwrite)
    _refuse_pipes(source, "a run that is resumed reads it again")
    folder = folder_of(output.path)
    stored = resume and folder.exists()
    if resume and not stored:
        if output.path.exists():
            raise InputError(
                "exists already, and no unfinished run of it is stored",
                file=output.path,
                remedy="The output is complete; allow overwriting (overwrite) to compute it again",
            )
        log.info("%s: no unfinished run was found; starting a new one", output.path)
    output.check(overwrite=overwrite or stored)
    check_unfinished(output.path, overwrite or resume)
    return overwrite or stored


def _refuse_pipes(source: Source, reason: str) -> None:
    for path in source.files().values():
        if _is_pipe(path):
            raise InputError(
                f"is a pipe, which can be read only once, and {reason}",
                file=path,
                remedy="Write its content to a file, and give that file",
            )


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
