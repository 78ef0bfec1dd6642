"""Write an output from the shards that it was computed in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from danq.errors import InputError
from danq.files.inputs_in_use import protects_inputs
from danq.inference.blocks.merged_blocks import MergedBlocks
from danq.inference.blocks.shard import Shard
from danq.inference.mutagenesis.shards import KIND as MUTATIONS
from danq.inference.mutagenesis.shards import merge_mutations
from danq.inference.prediction.shards import KIND as PREDICTIONS
from danq.inference.prediction.shards import merge_predictions
from danq.inference.variants.run import VARIANTS
from danq.inference.variants.shards import merge_variants
from danq.notebook_display import Display, display_html, display_text
from danq.typing import Location


class Summary(Protocol):
    """Summary of a run."""

    def describe(self) -> str: ...


MERGES: Mapping[str, Callable[..., Summary]] = {
    MUTATIONS: merge_mutations,
    PREDICTIONS: merge_predictions,
    VARIANTS: merge_variants,
}
"""Kind of the runs of shards, and what writes their output from `MergedBlocks`."""


@dataclass(frozen=True)
class MergeSummary:
    """Summary of a merge.

    Attributes
    ----------
    output
        Summary of the output, as a run without shards gives it.
    folders
        Folders of the shards, which are kept.
    """

    output: Summary
    folders: Mapping[Shard, Path]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display.of_text(self.describe())

    def describe(self) -> str:
        """What was written, and where the shards are."""
        first, *_, last = [*self.folders.values()] * 2
        folders = first.name if len(self.folders) == 1 else f"{first.name} to {last.name}"
        return f"{self.output.describe()}\nshards are kept: {folders}"


@protects_inputs
def merge(out: Location, *, overwrite: bool = False) -> MergeSummary:
    """Write an output from all of its shards, in the order of the input.

    Nothing is computed again: a merge needs neither the model nor the genome. The output is the
    same, byte for byte, as that of a run without shards (of HDF5: its content). Memory does not
    grow with the shards. Every file of a shard is compared with its checksum when it is read. The
    output appears whole or not at all, and the shards are kept.

    Parameters
    ----------
    out
        The output that the shards were computed for.
    overwrite
        Replace an existing output.

    Raises
    ------
    InputError
        When there are no shards beside ``out``, one is missing, not complete, damaged, a link or
        of another run, a process writes it, or there are shards of two numbers of shards; when the
        output exists or cannot be written.

    Examples
    --------
    >>> for index in (1, 2):  # doctest: +SKIP
    ...     danq.write_variant_scores(
    ...         model, "a.vcf.gz", "hg38.fa", "effects.tsv", shard=danq.Shard(index, 2)
    ...     )
    >>> print(danq.merge("effects.tsv").describe())  # doctest: +SKIP
    """
    blocks = MergedBlocks(Path(out))
    write = MERGES.get(blocks.kind)
    if write is None:
        raise InputError(
            f"is a shard of a run of another kind ({blocks.kind})",
            file=blocks.shards[0].folder,
            remedy="Use the version of danq that wrote it",
        )
    summary = write(blocks, overwrite=overwrite)
    return MergeSummary(summary, {one.part: one.folder for one in blocks.shards})
