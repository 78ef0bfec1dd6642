"""BLEU, the overlap of short phrases of texts with those of references."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

Text = Sequence[Any]
"""Words, as text or as indices."""


def bleu(texts: Sequence[Text], references: Sequence[Sequence[Text]], order: int = 4) -> float:
    """Corpus BLEU without smoothing, in [0, 1].

    Parameters
    ----------
    texts
        Words of each text.
    references
        One or more references for each text.
    order
        Number of words in the longest phrases.

    Notes
    -----
    Papineni et al., ACL 2002; the reference length is the one closest to that of the text, the
    shorter one of a tie.
    """
    matched, total = [0] * order, [0] * order
    length = reference_length = 0
    for text, known in zip(texts, references, strict=True):
        length += len(text)
        reference_length += min((abs(len(one) - len(text)), len(one)) for one in known)[1]
        for n in range(1, order + 1):
            found = _phrases(text, n)
            most: Counter[tuple[Any, ...]] = Counter()
            for one in known:
                most |= _phrases(one, n)
            matched[n - 1] += (found & most).total()
            total[n - 1] += found.total()
    if not all(matched):
        return 0.0
    precision = sum(math.log(a / b) for a, b in zip(matched, total, strict=True)) / order
    return math.exp(precision + min(0.0, 1 - reference_length / length))


def _phrases(text: Text, n: int) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
