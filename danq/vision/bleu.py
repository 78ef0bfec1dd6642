"""BLEU: how much of a text's short phrases its references share."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

Text = Sequence[str]


def bleu(texts: Sequence[Text], references: Sequence[Sequence[Text]], order: int = 4) -> float:
    """Corpus BLEU without smoothing, in [0, 1].

    Parameters
    ----------
    texts
        Words of each text.
    references
        One or more references of each.
    order
        Longest phrase that counts, in words.

    Notes
    -----
    Papineni et al., ACL 2002; the reference length is that closest to the text's, the shorter of
    two equally close.
    """
    matched, total = [0] * order, [0] * order
    length = wanted = 0
    for text, known in zip(texts, references, strict=True):
        length += len(text)
        wanted += min((abs(len(one) - len(text)), len(one)) for one in known)[1]
        for n in range(1, order + 1):
            found = _phrases(text, n)
            most: Counter[tuple[str, ...]] = Counter()
            for one in known:
                most |= _phrases(one, n)
            matched[n - 1] += (found & most).total()
            total[n - 1] += found.total()
    if not all(matched):
        return 0.0
    precision = sum(math.log(a / b) for a, b in zip(matched, total, strict=True)) / order
    return math.exp(precision + min(0.0, 1 - wanted / length))


def _phrases(text: Text, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1))
