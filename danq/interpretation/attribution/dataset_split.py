"""Windows of a split of a dataset, as sequences to explain."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from danq.datasets.dataset_format import split_number
from danq.typing import Location

if TYPE_CHECKING:
    from danq.datasets.dataset import Dataset


@dataclass(frozen=True)
class DatasetSplit:
    """The windows of a split of a dataset that are positive for one of the explained tracks.

    Of a track of amounts, they are the tenth of the windows with the highest amounts, as for
    `danq.find_motifs`.

    Attributes
    ----------
    dataset
        A dataset with the window, bin and tracks of the model, or its file.
    split
        ``"train"``, ``"valid"`` or ``"test"``.

    Raises
    ------
    InputError
        When there is no such split.
    """

    dataset: Dataset | Location
    split: str = "test"

    def __post_init__(self) -> None:
        split_number(self.split)

    @property
    def path(self) -> Path | None:
        """The file of the dataset; None if it has none."""
        return Path(self.dataset) if isinstance(self.dataset, str | Path) else self.dataset.path
