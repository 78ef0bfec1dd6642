"""Plant motifs into background sequence: complete elements, and incomplete decoys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from danq.genome.nucleotide_codes import reverse_complement
from danq.simulation.binding_model import BindingModel
from danq.simulation.binding_rules import Rule
from danq.simulation.factor_catalogue import LOOKALIKES
from danq.typing import Codes

SLOT = 400
"""Bases of a slot; a slot has at most one element or decoy."""
ELEMENTS, DECOYS = 0.6, 0.25
"""Fractions of slots with an element and with a decoy; the others are background only."""
POOL = 3000
CLEAR = 0.5
"""Smallest affinity of a planted motif."""


@dataclass(frozen=True)
class PlantedMotif:
    """One motif of an element: its name and interval, 0-based half-open on the contig."""

    name: str
    start: int
    end: int


@dataclass(frozen=True)
class Site:
    """A planted element or decoy.

    Attributes
    ----------
    contig, start, end
        Interval, 0-based half-open.
    strand
        "+" or "-".
    kind
        "element" (a complete rule), or the kind of decoy: "shuffled" (a site with its bases in
        random order), "lookalike" (a motif that no rule needs), "lone-anchor", "lone-partner",
        "wrong-gap", "wrong-side", "blocked".
    track
        Track of the element or decoy; empty for a lookalike.
    motifs
        Its motifs, from left to right.
    """

    contig: str
    start: int
    end: int
    strand: str
    kind: str
    track: str
    motifs: tuple[PlantedMotif, ...]


class Planter:
    """Draws elements and decoys and writes them into sequences.

    Parameters
    ----------
    model
        The true model.
    rng
        Random number generator.
    """

    def __init__(self, model: BindingModel, rng: np.random.Generator) -> None:
        self.model = model
        self.rng = rng
        self.lookalikes = [name for name in LOOKALIKES if name in model.names]
        self.pools: list[np.ndarray] = []
        for number in range(len(model.motifs)):
            sites = model.draw_sites(number, POOL, rng)
            self.pools.append(sites[model.affinity(number, sites) >= CLEAR])

    def plant(self, contig: str, codes: Codes) -> list[Site]:
        """Plant elements and decoys into a contig, in place.

        Parameters
        ----------
        contig
            Name of the contig.
        codes
            ``(L,)`` uint8, modified. Slots with N are not changed.

        Returns
        -------
        list of Site
            Elements and decoys, from left to right.
        """
        sites = []
        for left in range(0, codes.size - SLOT + 1, SLOT):
            draw = self.rng.random()
            if draw >= ELEMENTS + DECOYS or (codes[left : left + SLOT] > 3).any():
                continue
            rule = self.model.rules[self.rng.integers(len(self.model.rules))]
            kind = "element" if draw < ELEMENTS else self._decoy(rule)
            pieces, at = self._pieces(rule, kind)
            sequence = np.concatenate(pieces)
            flip = bool(self.rng.random() < 0.5)
            start = left + int(self.rng.integers(0, SLOT - sequence.size + 1))
            end = start + sequence.size
            # Bases between the motifs are background.
            written = reverse_complement(sequence) if flip else sequence
            target = codes[start:end]
            target[written < 4] = written[written < 4]
            track = "" if kind == "lookalike" else rule.track
            motifs = [
                PlantedMotif(name, *((end - b, end - a) if flip else (start + a, start + b)))
                for name, a, b in at
            ]
            motifs.sort(key=lambda motif: motif.start)
            sites.append(Site(contig, start, end, "-+"[not flip], kind, track, tuple(motifs)))
        return sites

    def _decoy(self, rule: Rule) -> str:
        kinds = ["shuffled"] + ["lookalike"] * bool(self.lookalikes)
        if rule.partner:
            kinds = ["lone-anchor", "lone-anchor", "lone-partner", "wrong-gap", *kinds]
            kinds += ["wrong-side"] * (rule.side != "either")
        if rule.blocker:
            kinds = ["blocked"] * 5 + kinds
        return kinds[self.rng.integers(len(kinds))]

    def _pieces(self, rule: Rule, kind: str) -> tuple[list[np.ndarray], list[tuple[str, int, int]]]:
        """Pieces of codes (4: keep the background), and each motif's name, start and end."""
        if kind == "lookalike":
            name = self.lookalikes[self.rng.integers(len(self.lookalikes))]
            return self._joined([name], [])
        if kind == "shuffled":
            pieces, _ = self._joined([rule.anchor], [])
            return [self.rng.permutation(pieces[0])], []
        if kind == "blocked" and rule.blocker:
            order = [rule.anchor, rule.blocker]
            if self.rng.random() < 0.5:
                order.reverse()
            return self._joined(order, [int(self.rng.integers(2, max(3, rule.reach // 2)))])
        if rule.partner is None or kind == "lone-anchor":
            return self._joined([rule.anchor], [])
        if kind == "lone-partner":
            return self._joined([rule.partner], [])
        least, most = rule.gap
        gap = int(self.rng.integers(least, most + 1))
        if kind == "wrong-gap":
            gap = most + int(self.rng.integers(8, 60))
        order = [rule.anchor, rule.partner]
        upstream = rule.side == "upstream" or (rule.side == "either" and self.rng.random() < 0.5)
        if upstream != (kind == "wrong-side"):
            order.reverse()
        return self._joined(order, [gap])

    def _joined(
        self, names: list[str], gaps: list[int]
    ) -> tuple[list[np.ndarray], list[tuple[str, int, int]]]:
        pieces: list[np.ndarray] = []
        at: list[tuple[str, int, int]] = []
        end = 0
        for number, name in enumerate(names):
            if number:
                pieces.append(np.full(gaps[number - 1], 4, dtype=np.uint8))
                end += gaps[number - 1]
            pool = self.pools[self.model.names.index(name)]
            site = pool[self.rng.integers(len(pool))]
            # Anchors define the strand of the element; other motifs have a random strand.
            if name not in (rule.anchor for rule in self.model.rules) and self.rng.random() < 0.5:
                site = reverse_complement(site)
            pieces.append(site)
            at.append((name, end, end + site.size))
            end += site.size
        return pieces, at
