"""Write three files in DeepSEA's layout, of any size, with labels that a model can learn.

    python -m benchmarks.studies.deepsea_files OUT --rows 40000 800 4000

writes ``train.mat`` (MATLAB v7.3, which is HDF5), ``valid.mat`` and ``test.mat`` (MATLAB v5) with
DeepSEA's names, shapes, dtypes and channel order (A, G, C, T), and ``names.txt``. The second half
of each file is the reverse complement of the first. Every track is associated with one of
`MOTIFS` random motifs: a window with that motif near its middle is positive, apart from noise.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import h5py
import numpy as np
import scipy.io

TRACKS, LENGTH = 919, 1000
MOTIFS, WIDTH = 16, 12
MOTIFS_PER_WINDOW, COPIES = 2, 4
SENSITIVITY, NOISE = 0.8, 0.002
SPLITS = ("train", "valid", "test")


def motifs(seed: int = 0) -> np.ndarray:
    """``(MOTIFS, WIDTH)`` uint8 channel indices."""
    return np.random.default_rng([seed, 0]).integers(0, 4, (MOTIFS, WIDTH), np.uint8)


def windows(
    rows: int, tracks: int, length: int, seed: int, split: int
) -> tuple[np.ndarray, np.ndarray]:
    """Channels ``(rows, length)`` 0 to 3 and labels ``(rows, tracks)``, both strands.

    In DeepSEA's channel order, the complement of channel c is 3 - c.
    """
    rng = np.random.default_rng([seed, 1, split])
    half = rows // 2
    all_motifs = motifs(seed)
    channels = rng.integers(0, 4, (half, length), np.uint8)
    planted = np.zeros((half, MOTIFS), np.bool_)
    low, high = length // 2 - min(100, length // 4), length // 2 + min(100, length // 4) - WIDTH
    every = np.arange(half)
    for _ in range(MOTIFS_PER_WINDOW):
        chosen = rng.integers(0, MOTIFS, half)
        # A copy may be overwritten by a later one; the window has further copies.
        planted[every, chosen] = True
        for _ in range(COPIES):
            motif, position = all_motifs[chosen], rng.integers(low, high, half)
            flip = rng.random(half) < 0.5
            motif[flip] = 3 - motif[flip, ::-1]
            channels[every[:, None], position[:, None] + np.arange(WIDTH)] = motif
    labels = planted[:, np.arange(tracks) % MOTIFS] & (rng.random((half, tracks)) < SENSITIVITY)
    labels |= rng.random((half, tracks)) < NOISE
    both = np.concatenate([channels, 3 - channels[:, ::-1]])
    return both, np.concatenate([labels, labels]).astype(np.uint8)


def one_hot(channels: np.ndarray) -> np.ndarray:
    """``(n, 4, L)`` uint8."""
    return (channels[:, None, :] == np.arange(4, dtype=np.uint8)[:, None]).view(np.uint8)


def write_deepsea_files(
    folder: Path,
    rows: tuple[int, int, int],
    *,
    tracks: int = TRACKS,
    length: int = LENGTH,
    seed: int = 0,
    compress: bool = False,
) -> list[Path]:
    """Write the three files and the names, and return the files' paths.

    Parameters
    ----------
    folder
        Folder, created if it does not exist.
    rows
        Sequences in the training, validation and test file, including both strands.
    compress
        Compress the v5 files (-v7); chunk and compress the v7.3 file.
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
    options = {"compression": "gzip", "compression_opts": 3, "chunks": True} if compress else {}
    # A MATLAB file has 512 bytes before the HDF5 content.
    with h5py.File(path, "w", userblock_size=512) as file:
        x = file.create_dataset("trainxdata", (length, 4, count), np.uint8, **options)
        y = file.create_dataset("traindata", (labels.shape[1], count), np.uint8, **options)
        for data in (x, y):
            data.attrs["MATLAB_class"] = np.bytes_(b"uint8")
        for low in range(0, count, 4096):
            block = slice(low, low + 4096)
            x[:, :, block] = one_hot(channels[block]).transpose(2, 1, 0)
            y[:, block] = labels[block].T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(116) + bytes(8) + b"\x00\x02IM")


def main() -> None:
    """Write the files and print their sizes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--rows", type=int, nargs=3, default=(40_000, 800, 4_000))
    parser.add_argument("--tracks", type=int, default=TRACKS)
    parser.add_argument("--length", type=int, default=LENGTH)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compress", action="store_true")
    options = vars(parser.parse_args())
    for path in write_deepsea_files(options.pop("out"), tuple(options.pop("rows")), **options):
        print(f"{path}: {path.stat().st_size / 1e6:,.1f} MB")


if __name__ == "__main__":
    main()
