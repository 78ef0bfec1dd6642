"""Batches gathered on the device equal those of the host, on CPU tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from danq.amounts import AmountUnit
from danq.datasets.batches import Batches
from danq.datasets.dataset import Dataset
from danq.datasets.track_amounts import Amounts, WindowValues
from danq.errors import InputError
from danq.genome.packed_genome import PackedGenome
from danq.training import device_batches
from danq.training.device_batches import DeviceBatches, DeviceWindows, device_bytes

AUGMENTED = {"shuffle": True, "reverse_complement": True, "max_shift": 9, "seed": 4}


def patchy(
    seed: int = 0, windows: int = 70, tracks: int = 19, *, n_share: float = 0.3, window: int = 121
) -> Dataset:
    """Contigs of odd lengths, one all N, runs of N of any length, windows over contig ends."""
    rng = np.random.default_rng(seed)
    contigs = []
    for name, size in (("a", 501), ("short", 30), ("bare", 222), ("b", 1003), ("c", 87)):
        codes = rng.integers(0, 4, size, dtype=np.uint8)
        if n_share and name == "bare":
            codes[:] = 4
        elif name != "c":
            for start in rng.integers(0, size, int(n_share * size / 10)):
                codes[start : start + int(rng.integers(1, 20))] = 4
        contigs.append((name, codes))
    genome = PackedGenome.from_contigs(contigs)
    contig = rng.integers(0, len(contigs), windows).astype(np.uint32)
    labels = (rng.random((windows, tracks)) < 0.3).astype(np.uint8)
    return Dataset(
        genome=genome,
        contig=contig,
        start=rng.integers(-20, genome.lengths[contig] + 20),
        split=np.zeros(windows, np.uint8),
        packed=np.packbits(labels, axis=1, bitorder="little"),
        tracks=tuple(f"t{number}" for number in range(tracks)),
        groups=("",) * tracks,
        sources=("",) * tracks,
        peaks=labels.sum(axis=0).astype(np.int64),
        window=window,
        bin=20,
        stride=20,
        min_overlap=0.5,
    )


@pytest.mark.parametrize("seed", range(6))
def test_windows_equal_the_host_s_bit_for_bit(seed: int):
    dataset = patchy(seed, tracks=1 + 7 * seed, n_share=(0.0, 0.3, 2.0)[seed % 3], window=60 + seed)
    rng = np.random.default_rng(seed)
    rows = rng.permutation(70)
    reverse, shift = rng.random(70) < 0.5, rng.integers(-9, 10, 70)
    windows = DeviceWindows(dataset, max_shift=9)
    for flips in (None, reverse):
        for moves in (None, shift):
            got = windows.codes(rows, flips, moves)
            assert got.dtype == torch.uint8
            np.testing.assert_array_equal(got.numpy(), dataset.codes(rows, flips, moves))
    labels = windows.labels(rows)
    assert labels.dtype == torch.uint8
    assert labels.is_contiguous()
    np.testing.assert_array_equal(labels.numpy(), dataset.labels(rows))


@pytest.mark.parametrize(
    "options",
    [{}, AUGMENTED, {"reverse_complement": True}, {"reverse_complement": "both", "shuffle": True}],
)
def test_epochs_equal_the_host_s_from_any_batch(options):
    dataset = patchy()
    rows = np.arange(3, 70)
    host = Batches(dataset, rows, 16, prefetch=0, **options)
    device = DeviceBatches(host)
    count = 9 if options.get("reverse_complement") == "both" else 5
    assert len(device) == len(host) == count
    for epoch in (0, 3):
        for start in (0, 2, 5):
            pairs = list(zip(device.epoch(epoch, start), host.epoch(epoch, start), strict=True))
            assert len(pairs) == count - start
            for (codes, labels), (host_codes, host_labels) in pairs:
                np.testing.assert_array_equal(codes.numpy(), host_codes)
                np.testing.assert_array_equal(labels.numpy(), host_labels)


@pytest.mark.parametrize("steps", [0, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_epochs_of_amounts_equal_the_host_s(steps: int, weighted: bool):
    rng = np.random.default_rng(3)
    values = rng.gamma(1, 2, (70, 2, steps or 1)).astype(np.float32)
    values[rng.random(values.shape) < 0.2] = np.nan
    plain = patchy()
    dataset = replace(
        plain,
        tracks=(*plain.tracks, "a", "b"),
        groups=("",) * (len(plain.tracks) + 2),
        sources=("",) * (len(plain.tracks) + 2),
        measured=Amounts(values if steps else values[:, :, 0], (AmountUnit(),) * 2, steps and 5),
        values=WindowValues(weights=rng.random(70).astype(np.float32) if weighted else None),
    )
    assert device_bytes(dataset) == device_bytes(plain) + values.nbytes + 280 * weighted
    host = Batches(dataset, np.arange(3, 70), 16, prefetch=0, **AUGMENTED)
    for own, theirs in zip(DeviceBatches(host).epoch(1), host.epoch(1), strict=True):
        assert len(own) == len(theirs) == 2 + weighted
        for one, other in zip(own, theirs, strict=True):
            np.testing.assert_array_equal(one.numpy(), other)


def test_splits_share_the_data_on_the_device():
    dataset = patchy()
    windows = DeviceWindows(dataset, max_shift=9)
    one = DeviceBatches(Batches(dataset, np.arange(10), 4, max_shift=9), windows=windows)
    two = DeviceBatches(Batches(dataset, np.arange(10, 20), 4), windows=windows)
    assert one.windows is two.windows
    np.testing.assert_array_equal(next(two.epoch(0))[0].numpy(), dataset.codes(range(10, 14)))
    with pytest.raises(InputError, match="allow shifts of 9 bases where 10 are needed"):
        DeviceBatches(Batches(dataset, [0], 4, max_shift=10), windows=windows)
    with pytest.raises(InputError, match="belong to another dataset"):
        DeviceBatches(Batches(patchy(1), [0], 4), windows=windows)


def test_invalid_arguments_are_refused():
    windows = DeviceWindows(patchy(), max_shift=2)
    with pytest.raises(InputError, match="window index 70 is outside 0 to 69"):
        windows.codes([0, 70])
    with pytest.raises(InputError, match="window index -1 is outside"):
        windows.labels([-1])
    with pytest.raises(InputError, match=r"shape \(1, 1\), not \(B,\)"):
        windows.labels([[0]])
    with pytest.raises(InputError, match="a shift of -3 bases is larger than max_shift, 2"):
        windows.codes([0, 1], shift=[1, -3])
    with pytest.raises(InputError, match="max_shift is -1, the minimum is 0"):
        DeviceWindows(patchy(), max_shift=-1)
    with pytest.raises(InputError, match="epoch 0, batch -1"):
        DeviceBatches(Batches(patchy(), [0], 1)).epoch(0, -1)


def test_a_device_too_small_is_refused_before_anything_is_copied(monkeypatch):
    dataset = patchy()
    need = device_bytes(dataset)
    monkeypatch.setattr(device_batches, "_free_memory", lambda _: need - 1)
    with pytest.raises(InputError, match="GB on cpu, which has 0.0 GB free"):
        DeviceWindows(dataset)
    monkeypatch.setattr(device_batches, "_free_memory", lambda _: need)
    DeviceWindows(dataset)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_windows_on_a_cuda_device_are_the_same():
    dataset = patchy(windows=500)
    rows = np.arange(500)
    host = Batches(dataset, rows, 64, prefetch=0, **AUGMENTED)
    device = DeviceBatches(host, "cuda")
    for (codes, labels), (host_codes, host_labels) in zip(
        device.epoch(1), host.epoch(1), strict=True
    ):
        assert codes.is_cuda
        assert labels.is_cuda
        np.testing.assert_array_equal(codes.cpu().numpy(), host_codes)
        np.testing.assert_array_equal(labels.cpu().numpy(), host_labels)
