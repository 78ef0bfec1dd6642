"""Windows with a planted motif, and a model whose filters detect it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from danq.datasets.dataset import Dataset
from danq.genome.packed_genome import PackedGenome
from danq.models import Model, first_layer
from danq.models.architecture import Architecture
from danq.models.model_file import untrained

MOTIF = np.array([2, 0, 3, 0, 0, 2, 1, 3], np.uint8)  # GATAAGCT


@pytest.fixture(scope="session")
def planted_set() -> Dataset:
    """Random contig; track "planted" is positive where the bin contains GATAAGCT.

    Track "noise" has random labels. Every third window belongs to the test split.
    """
    rng = np.random.default_rng(0)
    bins, size = 600, 60
    codes = rng.integers(0, 4, bins * size).astype(np.uint8)
    labels = (rng.random((bins, 2)) < (0.3, 0.1)).astype(np.uint8)
    for number in np.flatnonzero(labels[:, 0]):
        at = number * size + int(rng.integers(5, size - 15))
        codes[at : at + len(MOTIF)] = MOTIF
    return Dataset(
        genome=PackedGenome.from_contigs([("c", codes)]),
        contig=np.zeros(bins, np.uint32),
        start=np.arange(bins, dtype=np.int64) * size,
        split=(np.arange(bins) % 3).astype(np.uint8),
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=("planted", "noise"),
        groups=("", ""),
        sources=("", ""),
        peaks=labels.sum(axis=0).astype(np.int64),
        window=100,
        bin=size,
        stride=size,
        min_overlap=0.5,
    )


@pytest.fixture
def motif_model() -> Model:
    """Filter 0 detects the motif, filter 1 its reverse complement; filter 2 is never active."""
    architecture = Architecture(filters=3, width=12, pool=5, hidden=3, dense=(4,))
    model = untrained("test", architecture, ("planted", "noise"), 100, 60)
    layer = first_layer(model.module)
    with torch.no_grad():
        layer.weight.zero_()
        for index, sequence in enumerate((MOTIF, 3 - MOTIF[::-1])):
            layer.weight[index, torch.from_numpy(sequence.copy()).long(), torch.arange(2, 10)] = 1.0
        layer.bias.copy_(torch.tensor([-7.0, -7.0, -1.0]))
    return model
