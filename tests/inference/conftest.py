"""A model whose outputs follow from counts of letters, and readers without code of danq."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from danq.inference import Variants
from danq.models import Model, RunOptions, architecture, untrained

WINDOW, BIN = 20, 8


class Counts(nn.Module):
    """Logits: numbers of G, C and unknown bases in a window, times a factor."""

    def __init__(self, factor: float = 0.25) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        counts = [(codes == code).sum(1) for code in (2, 1, 4)]
        return torch.stack(counts, 1) * self.factor


@dataclass
class Toy:
    module: nn.Module = field(default_factory=Counts)
    tracks: tuple[str, ...] = ("G", "C", "N")
    window: int = WINDOW
    bin: int = BIN
    path: Path | None = None
    sha256: str = ""
    data_sha256: str = ""
    options: RunOptions = field(default_factory=lambda: RunOptions("cpu", "fp32"))

    def with_options(self, **changes) -> Toy:
        return replace(self, options=replace(self.options, **changes))

    @property
    def spec(self) -> SimpleNamespace:
        groups = tuple(f"group of {name}" for name in self.tracks)
        return SimpleNamespace(
            tracks=self.tracks,
            groups=groups,
            window=self.window,
            bin=self.bin,
            preset="toy",
            data_sha256=self.data_sha256,
            targets=(),
            kinds=("peaks",) * len(self.tracks),
            track_units=(None,) * len(self.tracks),
            oriented=False,
            has_amounts=False,
        )


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def expected_outputs(
    sequence: str, start: int, end: int, *, both: bool = True, factor: float = 0.25
) -> list[float]:
    """Outputs of `Toy` for the window centred on a row, computed from text."""
    first = (start + end) // 2 - WINDOW // 2
    text = "".join(
        sequence[i] if 0 <= i < len(sequence) else "N" for i in range(first, first + WINDOW)
    )
    forward = [sigmoid(factor * text.count(letter)) for letter in "GCN"]
    reverse = [sigmoid(factor * text.count(letter)) for letter in "CGN"]
    return [(a + b) / 2 if both else a for a, b in zip(forward, reverse, strict=True)]


@pytest.fixture
def toy() -> type[Toy]:
    return Toy


@pytest.fixture
def expect() -> Callable[..., list[float]]:
    return expected_outputs


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DANQ_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def _same_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def random_sequence(length: int, seed: int) -> str:
    letters = np.random.default_rng(seed).choice(list("ACGTN"), length, p=[0.24] * 4 + [0.04])
    return "".join(letters)


@pytest.fixture
def sequences() -> dict[str, str]:
    """Contigs that are not in alphabetical order."""
    lengths = {"chrIV": 205, "chrI": 90, "chrM": 33}
    return {name: random_sequence(size, seed) for seed, (name, size) in enumerate(lengths.items())}


@pytest.fixture
def write_fasta(tmp_path) -> Callable[..., Path]:
    def write(records: dict[str, str], name: str = "genome.fa") -> Path:
        path = tmp_path / name
        path.write_text("".join(f">{key}\n{text}\n" for key, text in records.items()))
        return path

    return write


@pytest.fixture
def genome(write_fasta, sequences) -> Path:
    return write_fasta(sequences)


@pytest.fixture
def small_model() -> Callable[..., Model]:
    """Make a small model whose outputs differ between windows."""

    def make(tracks=("Reb1", "Abf1", "Rap1"), window: int = 40, seed: int = 0) -> Model:
        shape = {"filters": 8, "width": 5, "pool": 3, "hidden": 4, "dense": (6,)}
        made = untrained("danq-small", architecture("danq-small", **shape), tracks, window, 10)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weights in made.module.parameters():
                weights.normal_(0, 0.3, generator=generator)
        return made.with_options(device="cpu", precision="fp32")

    return make


@pytest.fixture
def as_on_a_gpu(monkeypatch) -> Callable[[], None]:
    """Compute effects from whole windows that are composed on the device, which is the CPU."""

    def switch() -> None:
        for module in (
            "danq.inference.engine.whole_windows",
            "danq.inference.variants.prepare",
            "danq.inference.mutagenesis.effects",
        ):
            monkeypatch.setattr(f"{module}.evaluates_whole_windows", lambda device: True)

    return switch


@pytest.fixture
def split_options() -> Callable[[dict], tuple[dict, dict, dict]]:
    """Split options into those of the model, of the variants, and of the function."""

    def split(options: dict) -> tuple[dict, dict, dict]:
        model, variants = ({one.name for one in fields(kind)} for kind in (RunOptions, Variants))
        return (
            {name: value for name, value in options.items() if name in model},
            {name: value for name, value in options.items() if name in variants},
            {name: value for name, value in options.items() if name not in model | variants},
        )

    return split


def plain_bigwig(path: Path) -> tuple[dict[str, int], list[tuple[str, int, int, np.float32]]]:
    """Contigs and entries of a bigWig file, read as the format is described.

    Kent et al. 2010, Bioinformatics 26:2204, supplement. Blocks are found through the R tree.
    """
    data = path.read_bytes()
    magic, version, _, tree, _, index = struct.unpack_from("<IHHQQQ", data, 0)
    assert magic == 0x888FFC26
    assert version >= 3
    compressed = struct.unpack_from("<I", data, 52)[0] > 0
    names, sizes = {}, {}
    magic, _, key, value, count = struct.unpack_from("<IIIIQ", data, tree)
    assert magic == 0x78CA8C91
    assert value == 8
    _walk_names(data, tree + 32, key, names, sizes)
    assert len(names) == count
    entries = []
    for offset, size in _leaves(data, index + 48):
        block = data[offset : offset + size]
        block = zlib.decompress(block) if compressed else block
        contig, start, end, step, span, kind, _, items = struct.unpack_from("<IIIIIBBH", block)
        for item in range(items):
            if kind == 1:
                low, high, number = struct.unpack_from("<IIf", block, 24 + 12 * item)
            elif kind == 2:
                low, number = struct.unpack_from("<If", block, 24 + 8 * item)
                high = low + span
            else:
                (number,) = struct.unpack_from("<f", block, 24 + 4 * item)
                low, high = start + step * item, start + step * item + span
            assert start <= low < high <= max(end, high)
            entries.append((names[contig], low, high, np.float32(number)))
    return sizes, entries


def _walk_names(data: bytes, at: int, key: int, names: dict, sizes: dict) -> None:
    leaf, _, count = struct.unpack_from("<BBH", data, at)
    for item in range(count):
        offset = at + 4 + item * (key + 8)
        if not leaf:
            (child,) = struct.unpack_from("<Q", data, offset + key)
            _walk_names(data, child, key, names, sizes)
            continue
        name = data[offset : offset + key].rstrip(b"\0").decode()
        number, size = struct.unpack_from("<II", data, offset + key)
        names[number], sizes[name] = name, size


def _leaves(data: bytes, at: int) -> Iterator[tuple[int, int]]:
    leaf, _, count = struct.unpack_from("<BBH", data, at)
    for item in range(count):
        if leaf:
            yield struct.unpack_from("<QQ", data, at + 4 + 32 * item + 16)
        else:
            (child,) = struct.unpack_from("<Q", data, at + 4 + 24 * item + 16)
            yield from _leaves(data, child)


@pytest.fixture
def read_bigwig() -> Callable:
    return plain_bigwig
