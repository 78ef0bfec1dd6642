"""What `danq.write_mutations` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from danq.inference.blocks.shard import Shard, describe_complete
from danq.notebook_display import Display, display_html, display_text
from danq.output import name_of_output


class WrittenMutations(NamedTuple):
    """Effects of mutations in a file.

    Attributes
    ----------
    path
        The file, or the folder of a shard.
    sequences
        Regions or records that were mutated.
    substitutions
        Number of substitutions of one base.
    pairs
        Number of pairs of substitutions.
    columns
        Names of the value columns.
    shard
        The shard; None for an output.
    """

    path: Path
    sequences: int
    substitutions: int
    pairs: int
    columns: tuple[str, ...]
    shard: Shard | None = None

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        return Display.of_text(self.describe())

    def describe(self) -> str:
        """Path, substitutions and sequences on one line, and what to do after a shard."""
        pairs = f" and {self.pairs:,} pairs of substitutions" if self.pairs else ""
        text = (
            f"{name_of_output(self.path)}: {self.substitutions:,} substitutions{pairs} "
            f"in {self.sequences:,} sequence{'s' * (self.sequences != 1)}"
        )
        return text if self.shard is None else f"{text}\n{describe_complete(self.shard)}"
