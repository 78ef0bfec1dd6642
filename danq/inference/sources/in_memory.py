"""Read sequences in memory: text, tables, codes and one-hot arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from danq.errors import InputError
from danq.genome.nucleotide_codes import N, encode
from danq.inference.sources.source_types import Sequences
from danq.names import check_name
from danq.typing import CodeBatch

SINGLE = "sequence"
"""Name of a sequence that is given alone."""

FORMS = (
    "Give text, a list or a dictionary of text, a polars or pandas table with a column "
    "'sequence', integer codes (B, L), or one-hot arrays (B, 4, L); a file as pathlib.Path"
)
LETTERS = "Allowed are A C G T U, N and the IUPAC letters R Y S W K M B D H V, in any case"
_NAME_COLUMNS = ("name", "id")


def read_sequences(X: Any) -> Sequences:
    """Sequences from any of the forms in memory.

    Parameters
    ----------
    X
        - text: one sequence, named ``sequence``;
        - a list or tuple of text, or a column of a table: named by number from 1;
        - a dictionary: name to text;
        - a polars or pandas data frame with a column ``sequence``, and the names in a column
          ``name`` or ``id`` if there is one;
        - integer codes (A 0, C 1, G 2, T 3, unknown 4), ``(L,)`` or ``(B, L)``, or one-hot
          arrays ``(B, 4, L)`` in the order A, C, G, T, of numpy or torch. A base with 0 or with
          0.25 in all four channels is unknown.

    Raises
    ------
    InputError
        When it is none of these or empty, a letter is no IUPAC letter, a code is above 4, a base
        is not one-hot, or two sequences have one name.
    """
    if isinstance(X, str):
        return _from_texts([SINGLE], [X])
    if isinstance(X, Mapping):
        return _from_texts(list(X), list(X.values()))
    if hasattr(X, "iter_rows") or hasattr(X, "itertuples"):
        return _from_frame(X)
    if isinstance(X, torch.Tensor):
        if X.layout != torch.strided:
            raise InputError("the tensor is sparse", remedy="Use its to_dense()")
        X = X.detach().cpu()
        X = (X.float() if X.is_floating_point() else X).numpy()
    if np.ma.isMaskedArray(X):
        raise InputError(
            "the array is masked", remedy="Use its filled(4): code 4 is an unknown base"
        )
    if isinstance(X, np.ndarray) and X.dtype.kind not in "OUT":
        return _from_array(X)
    texts = _column(X) if hasattr(X, "to_list") or isinstance(X, np.ndarray) else X
    if not isinstance(texts, list | tuple):
        raise InputError(f"the sequences have the type {_type(X)}", remedy=FORMS)
    return _from_texts([str(number) for number in range(1, len(texts) + 1)], texts)


def _from_texts(names: Sequence[Any], texts: Sequence[Any]) -> Sequences:
    if not texts:
        raise InputError("there are no sequences", remedy="Give at least one")
    for name in names:
        if not isinstance(name, str) or not name:
            raise InputError(
                f"the name {name!r} of a sequence is not text, or empty",
                remedy="Name every sequence by text",
            )
        check_name(name, "sequence")
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            f"several sequences are named '{repeated[0]}'", remedy="Give each a different name"
        )
    return Sequences(tuple(names), tuple(map(_encoded, names, texts)))


def _encoded(name: str, text: Any) -> np.ndarray:
    if not isinstance(text, str):
        remedy = "Pass a file alone, not in a list" if isinstance(text, Path) else FORMS
        raise InputError(
            f"the sequence has the type {_type(text)}, not text", record=name, remedy=remedy
        )
    if not text:
        raise InputError("the sequence is empty", record=name, remedy="Leave it out")
    try:
        return encode(text)
    except InputError as error:
        shown = text if len(text) <= 80 else f"{text[:40]}..."
        raise InputError(
            error.problem,
            record=name,
            remedy=f"{LETTERS}; if this is a file, pass pathlib.Path({shown!r})",
        ) from error


def _from_frame(frame: Any) -> Sequences:
    columns = list(frame.columns)
    if "sequence" not in columns:
        raise InputError(
            f"the table has no column 'sequence', only {', '.join(map(str, columns)) or 'none'}",
            remedy="Name the column with the sequences 'sequence'",
        )
    twice = [one for one in ("sequence", *_NAME_COLUMNS) if columns.count(one) > 1]
    if twice:
        raise InputError(
            f"the table has several columns '{twice[0]}'", remedy="Keep one of each name"
        )
    texts = _column(frame["sequence"])
    named = [column for column in _NAME_COLUMNS if column in columns]
    if not named:
        return _from_texts([str(number) for number in range(1, len(texts) + 1)], texts)
    names = _column(frame[named[0]])
    # Numbers are names too, but a missing value is not.
    names = [
        str(name) if isinstance(name, int) and not isinstance(name, bool) else name
        for name in names
    ]
    return _from_texts(names, texts)


def _column(values: Any) -> list[Any]:
    found = values.tolist() if isinstance(values, np.ndarray) else values.to_list()
    return found if isinstance(found, list) else [found]


def _from_array(array: np.ndarray) -> Sequences:
    if array.ndim not in (1, 2, 3) or array.dtype.kind not in "biuf":
        raise InputError(f"the array is {array.dtype} of shape {array.shape}", remedy=FORMS)
    if array.size == 0:
        raise InputError(
            f"the array of shape {array.shape} is empty", remedy="Give at least one sequence"
        )
    if array.ndim == 3:
        codes = _from_one_hot(array)
    else:
        _check_codes(array)
        codes = np.ascontiguousarray(np.atleast_2d(array), dtype=np.uint8)
    if array.ndim == 1:
        return Sequences((SINGLE,), codes)
    return Sequences(tuple(str(number) for number in range(1, len(codes) + 1)), codes)


def _check_codes(array: np.ndarray) -> None:
    whole = array.dtype.kind in "iu"
    if array.ndim == 2 and (not whole or _looks_one_hot(array)):
        raise InputError(
            f"a {array.dtype} array of shape {array.shape} is not a batch of codes, which are "
            "integers from 0 to 4",
            remedy="Give one-hot arrays with a batch axis, (B, 4, L): x[None] adds one",
        )
    if not whole:
        raise InputError(
            f"the array is {array.dtype} of shape {array.shape}; codes are integers from 0 to 4",
            remedy=FORMS,
        )
    wrong = np.argwhere(np.atleast_2d((array < 0) | (array > N)))
    if len(wrong):
        row, position = wrong[0].tolist()
        raise InputError(
            f"code {np.atleast_2d(array)[row, position]} at position {position + 1:,} of sequence "
            f"{row + 1:,} is not from 0 to 4",
            remedy="Codes are A 0, C 1, G 2, T 3, unknown 4; give letters as text",
        )


def _looks_one_hot(array: np.ndarray) -> bool:
    """Whether integers ``(4, L)`` or ``(L, 4)`` are one sequence, one-hot, not four codes each.

    Unknown bases are 0 in all channels, so a 1 at more than half of the bases is enough.
    """
    if array.size and not ((array == 0) | (array == 1)).all():
        return False
    for axis in (0, 1):
        ones = (array == 1).sum(axis)
        known = np.count_nonzero(ones)
        if array.shape[axis] == 4 and (ones <= 1).all() and 2 * known > len(ones):
            return True
    return False


def _from_one_hot(array: np.ndarray) -> CodeBatch:
    if array.shape[1] != 4:
        turned = array.shape[2] == 4
        raise InputError(
            f"the array has shape {array.shape}, not (B, 4, L)",
            remedy="Swap its last two axes" if turned else "Give four channels, A, C, G, T",
        )
    ones, zeros = array == 1, array == 0
    counts = ones.sum(1, dtype=np.uint8), zeros.sum(1, dtype=np.uint8)
    known = (counts[0] == 1) & (counts[1] == 3)
    unknown = (counts[1] == 4) | (array == 0.25).all(1)
    wrong = np.argwhere(~(known | unknown))
    if len(wrong):
        row, position = wrong[0].tolist()
        values = ", ".join(f"{float(value):g}" for value in array[row, :, position])
        raise InputError(
            f"base {position + 1:,} of sequence {row + 1:,} is not one-hot ({values})",
            remedy="Each base has a 1 in one channel and 0 in the others; an unknown one has 0 or "
            "0.25 in all four",
        )
    codes = ones[:, 1] + 2 * ones[:, 2].view(np.uint8) + 3 * ones[:, 3].view(np.uint8)
    codes[unknown] = N
    return codes


def _type(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )
