"""Attributions of one track as the two files that the command line of TF-MoDISco reads."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from danq.errors import InputError, few
from danq.inference.writers.attribution_layout import AttributionLayout, WindowAttributions
from danq.inference.writers.layout import Layout
from danq.inference.writers.writer import Writer
from danq.output import OutputFile, replacing_files

ONE_HOT = ".onehot.npz"
"""End of the name of the file of one-hot sequences, instead of ``.npz``."""

ARRAY = "arr_0.npy"


def is_one_hot(path: Path) -> bool:
    """Whether a file is an npz with one array, of the name that these files have."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist() == [ARRAY]
    except (OSError, zipfile.BadZipFile):
        return False


class ModiscoWriter(Writer):
    """One-hot sequences and hypothetical contributions, each ``(N, 4, L)`` in an npz.

    Both are 0 at unknown bases. The contributions are in the file of the output's name, the one-hot
    sequences in one beside it.

    Parameters
    ----------
    paths
        File of contributions, and of one-hot sequences.
    layout
        One track, and sequences of one length.

    Raises
    ------
    InputError
        As `check_layout`.
    """

    def __init__(self, paths: tuple[Path, Path], layout: AttributionLayout) -> None:
        self.check_layout(layout)
        _, start, end = layout.intervals[0]
        shape = (len(layout.intervals), 4, end - start)
        self._parts: list[WindowAttributions] = []
        self._open = ExitStack()
        self._contributions, self._one_hot = (
            self._array(path, shape, dtype)
            for path, dtype in zip(paths, ("<f4", "|i1"), strict=True)
        )

    def _array(self, path: Path, shape: tuple[int, ...], dtype: str) -> IO[bytes]:
        archive = self._open.enter_context(zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED))
        file = self._open.enter_context(archive.open(ARRAY, "w", force_zip64=True))
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        return file

    @classmethod
    def files(cls, out: Path) -> tuple[Path, ...]:
        return (out, out.with_name(out.name[: -len(".npz")] + ONE_HOT))

    @classmethod
    def outputs(cls, out: Path) -> tuple[OutputFile, ...]:
        main, beside = cls.files(out)
        return (OutputFile(beside, is_one_hot), OutputFile(main))

    @classmethod
    def check_layout(cls, layout: Layout) -> None:
        """Check that the attributions can be written.

        Raises
        ------
        InputError
            When there are several tracks, or sequences of several lengths.
        """
        assert isinstance(layout, AttributionLayout)
        if len(layout.tracks) > 1:
            raise InputError(
                f"an npz for TF-MoDISco holds one track, and there are {len(layout.tracks):,} "
                f"({few(layout.tracks)})",
                remedy="Select one track, or choose an output that ends with .h5",
            )
        lengths = sorted({end - start for _, start, end in layout.intervals})
        if len(lengths) > 1:
            raise InputError(
                f"an npz for TF-MoDISco holds sequences of one length, and these have "
                f"{lengths[0]:,} to {lengths[-1]:,} bases",
                remedy="Give sequences of one length, or choose an output that ends with .h5",
            )

    @classmethod
    @contextmanager
    def open(cls, out: Path, layout: AttributionLayout, overwrite: bool) -> Iterator[Writer]:
        with (
            replacing_files(cls.outputs(out), overwrite) as (beside, main),
            cls((main, beside), layout) as writer,
        ):
            yield writer

    def write(self, block: WindowAttributions) -> None:
        """Append a window; those of a sequence follow each other."""
        self._parts.append(block)
        window = block.window
        if window.first + window.high < window.target.end:
            return
        values = np.concatenate([one.hypothetical[:, :, 0] for one in self._parts])
        codes = np.concatenate([one.codes for one in self._parts])
        self._contributions.write(np.nan_to_num(values.T).astype("<f4").tobytes())
        self._one_hot.write((codes == np.arange(4)[:, None]).astype("|i1").tobytes())
        self._parts = []

    def finish(self) -> None:
        self._open.close()

    def release(self) -> None:
        self._open.close()
