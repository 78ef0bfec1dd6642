"""Three files of DeepSEA's layout, at any size, from which something can be learnt.

``python -m benchmarks.studies.deepsea_trio OUT --rows 40000 800 4000`` writes ``train.mat`` (v7.3,
which is HDF5), ``valid.mat`` and ``test.mat`` (MATLAB v5) with DeepSEA's names, shapes, dtypes and
order of channels (A, G, C, T), and ``names.txt``. The second half of each file is the reverse
complement of the first. Every track reads one of `MOTIFS` random motifs: it is positive where
that motif was planted, some times over, near the middle and chance does not hide it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
import scipy.io

TRACKS, LENGTH = 919, 1000
MOTIFS, WIDTH = 16, 12
PLANTED, COPIES = 2, 4
HEARD, NOISE = 0.8, 0.002
SPLITS = ("train", "valid", "test")


def motifs(seed: int = 0) -> np.ndarray:
    """``(MOTIFS, WIDTH)`` uint8 words of channels."""
    return np.random.default_rng([seed, 0]).integers(0, 4, (MOTIFS, WIDTH), np.uint8)


def windows(
    rows: int, tracks: int, length: int, seed: int, split: int
) -> tuple[np.ndarray, np.ndarray]:
    """Channels ``(rows, length)`` 0 to 3 and labels ``(rows, tracks)``, both strands.

    Channels are in DeepSEA's order, so a base's complement is A 0 - T 3 and G 1 - C 2.
    """
    rng = np.random.default_rng([seed, 1, split])
    half = rows // 2
    words = motifs(seed)
    channels = rng.integers(0, 4, (half, length), np.uint8)
    planted = np.zeros((half, MOTIFS), np.bool_)
    low, high = length // 2 - min(100, length // 4), length // 2 + min(100, length // 4) - WIDTH
    every = np.arange(half)
    for _ in range(PLANTED):
        chosen = rng.integers(0, MOTIFS, half)
        # Of two motifs at one place the later is there to be read: the rest are copies enough.
        planted[every, chosen] = True
        for _ in range(COPIES):
            word, at = words[chosen], rng.integers(low, high, half)
            flip = rng.random(half) < 0.5
            word[flip] = 3 - word[flip, ::-1]
            channels[every[:, None], at[:, None] + np.arange(WIDTH)] = word
    labels = planted[:, np.arange(tracks) % MOTIFS] & (rng.random((half, tracks)) < HEARD)
    labels |= rng.random((half, tracks)) < NOISE
    both = np.concatenate([channels, 3 - channels[:, ::-1]])
    return both, np.concatenate([labels, labels]).astype(np.uint8)


def one_hot(channels: np.ndarray) -> np.ndarray:
    """``(n, 4, L)`` uint8."""
    return (channels[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]).view(np.uint8)


def write_trio(
    folder: Path,
    rows: tuple[int, int, int],
    *,
    tracks: int = TRACKS,
    length: int = LENGTH,
    seed: int = 0,
    compress: bool = False,
) -> list[Path]:
    """Write the three files and the names; the files' paths.

    Parameters
    ----------
    folder
        Where; made if it is not there.
    rows
        Sequences in train, valid and test, both strands counted.
    compress
        Whether the v5 files are compressed (-v7) and the v7.3 file is chunked and compressed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{split}.mat" for split in SPLITS]
    for number, (split, path, count) in enumerate(zip(SPLITS, paths, rows, strict=True)):
        channels, labels = windows(count, tracks, length, seed, number)
        if split == "train":
            _write_train(path, channels, labels, compress)
        else:
            arrays = {f"{split}xdata": one_hot(channels), f"{split}data": labels}
            scipy.io.savemat(path, arrays, do_compression=compress)
    names = [f"cell{k // MOTIFS}|motif{k % MOTIFS}|None" for k in range(tracks)]
    (folder / "names.txt").write_text("\n".join(names) + "\n")
    return paths


def _write_train(path: Path, channels: np.ndarray, labels: np.ndarray, compress: bool) -> None:
    count, length = channels.shape
    zipped = {"compression": "gzip", "compression_opts": 3, "chunks": True} if compress else {}
    # MATLAB puts 512 bytes of its own before HDF5's.
    with h5py.File(path, "w", userblock_size=512) as file:
        x = file.create_dataset("trainxdata", (length, 4, count), np.uint8, **zipped)
        y = file.create_dataset("traindata", (labels.shape[1], count), np.uint8, **zipped)
        for data in (x, y):
            data.attrs["MATLAB_class"] = np.bytes_(b"uint8")
        for low in range(0, count, 4096):
            part = slice(low, low + 4096)
            x[:, :, part] = one_hot(channels[part]).transpose(2, 1, 0)
            y[:, part] = labels[part].T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def main() -> None:
    """Write the files that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, nargs=3, default=(40_000, 800, 4_000))
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compress", action="store_true")
    given = vars(parser.parse_args())
    for path in write_trio(given.pop("out"), tuple(given.pop("rows")), **given):
        print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
