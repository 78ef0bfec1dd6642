"""What inserting a motif into background sequences does to the predictions of all tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from jaxtyping import Float64

from danq._memory import kept_memory
from danq._version import __version__
from danq.datasets.dataset import Dataset
from danq.errors import InputError, few
from danq.genome.motif_choice import choose_motifs
from danq.genome.motif_matrix import Motif
from danq.inference.ensemble import Ensemble, Models
from danq.inference.mutagenesis.effect_kinds import describe_effect
from danq.inference.mutagenesis.effects import EffectScorer
from danq.interpretation.marginalization.ablation import SHUFFLES, ablation_effects
from danq.interpretation.marginalization.backgrounds import (
    SPLIT,
    Backgrounds,
    Windows,
    background_windows,
    real_windows,
)
from danq.interpretation.marginalization.experiments import (
    COPY_GAP,
    ORIENTATIONS,
    check_distances,
    dose_effects,
    largest_distance,
    most_copies,
    single_effects,
    spacing_effects,
)
from danq.interpretation.marginalization.insertions import Inserter
from danq.notebook_display import Display, FirstRows, display_html, display_text
from danq.progress import stage
from danq.typing import Location

COPIES = 4
DISTANCE = 60
"""Defaults: largest number of copies, and largest distance of two motifs."""

SHOWN = 3
"""Tracks that the summary names for a motif or a pair: those with the largest effects."""


@dataclass(frozen=True, eq=False)
class Marginalization:
    """Result of `danq.marginalize`. ``sd`` and ``se`` are over backgrounds or sequences.

    Attributes
    ----------
    motifs
        The motifs.
    tracks
        Names of the selected tracks.
    effects
        One copy of a motif: ``motif``, ``strand``, ``track``, ``prediction`` without the motif,
        ``effect``, ``sd``, ``se``.
    dose
        1 to n copies: ``motif``, ``copies``, ``track``, ``effect``, ``sd``, ``se``. Without rows
        for a single copy.
    spacing
        Two motifs: ``motif``, ``partner``, ``side``, ``strand``, ``distance``, ``track``,
        ``effect`` of both, ``excess`` over the sum of the effects of each alone, ``sd``
        and ``se`` of the excess. Without rows for a single motif.
    ablation
        All instances of a motif replaced in real sequences: ``motif``, ``sequences``,
        ``instances``, ``track``, ``effect``, ``sd``, ``se``; and with shuffled flanks
        ``flanks_effect``, ``flanks_sd``, ``flanks_se``. Without rows if none was requested.
    provenance
        Text fields: models, backgrounds and settings.
    """

    motifs: tuple[Motif, ...] = field(repr=False)
    tracks: tuple[str, ...]
    effects: pl.DataFrame = field(repr=False)
    dose: pl.DataFrame = field(repr=False)
    spacing: pl.DataFrame = field(repr=False)
    ablation: pl.DataFrame = field(repr=False)
    provenance: dict[str, str] = field(repr=False)

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        titles = {
            "Effect of a motif": self.effects,
            "Effect of several copies": self.dose,
            "Effect of two motifs": self.spacing,
            "Effect of an ablation": self.ablation,
        }
        names = few([motif.name for motif in self.motifs])
        return Display(
            f"{names} on {len(self.tracks):,} track{'s' * (len(self.tracks) != 1)}",
            self.describe(),
            facts=self.provenance,
            facts_title="Provenance",
            tables=[FirstRows.of(title, one) for title, one in titles.items() if one.height],
            plots=["danq.plots.plot_motif_effects(report.effects, report.unit)"]
            + ["danq.plots.plot_dose(report.dose, report.unit)"] * (self.dose.height > 0)
            + ["danq.plots.plot_spacing(report.spacing, report.unit)"] * (len(self.pairs) == 1),
        )

    @property
    def unit(self) -> str:
        """What an effect is, such as "change in log2 odds (bits)"."""
        return self.provenance["values"].partition(",")[0]

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Names of both motifs of each pair in ``spacing``."""
        if not self.spacing.height:
            return ()
        return tuple(self.spacing.select("motif", "partner").unique(maintain_order=True).rows())

    @property
    def distances(self) -> tuple[int, ...]:
        """Distances in ``spacing``, in bases."""
        if not self.spacing.height:
            return ()
        return tuple(self.spacing["distance"].unique(maintain_order=True).to_list())

    def spacing_matrix(
        self, motif: str, partner: str, track: str, value: str = "excess"
    ) -> Float64[np.ndarray, "4 D"]:
        """Values of two motifs on one track.

        Parameters
        ----------
        motif, partner, track
            Names.
        value
            ``"excess"``, ``"effect"``, ``"sd"`` or ``"se"``.

        Returns
        -------
        ndarray
            One column per distance. Rows: the partner downstream of the motif on the same strand,
            downstream on the opposite strand, upstream on the same strand, upstream on the opposite
            strand.

        Raises
        ------
        InputError
            When there is no such pair or track.
        """
        if (motif, partner) not in self.pairs or track not in self.tracks:
            raise InputError(
                f"there are no spacings of '{motif}' and '{partner}' on '{track}'",
                remedy=f"The pairs are {few([f'{a} and {b}' for a, b in self.pairs])}",
            )
        chosen = self.spacing.filter(motif=motif, partner=partner, track=track)
        return chosen[value].to_numpy().reshape(len(ORIENTATIONS), -1)

    def to_dict(self) -> dict[str, Any]:
        """Provenance, the effects of each motif, and the largest excess of each pair and track."""
        strongest = self._strongest(self.spacing, "excess", ["motif", "partner", "track"])
        return {
            "provenance": self.provenance,
            "effects": self.effects.to_dicts(),
            "dose": self.dose.to_dicts(),
            "largest_excess": strongest.to_dicts(),
            "ablation": self.ablation.to_dicts(),
        }

    def describe(self) -> str:
        """The largest effects as text."""
        lines = [f"backgrounds: {self.provenance['backgrounds']}", self.provenance["values"]]
        for motif in self.motifs:
            own = self._strongest(self.effects.filter(motif=motif.name), "effect", ["track"])
            lines.append(f"{motif.name}: {self._listed(own, 'effect')}")
        for motif, partner in self.pairs:
            own = self.spacing.filter(motif=motif, partner=partner)
            strongest = self._strongest(own, "excess", ["track"])
            lines.append(
                f"{motif} and {partner}, excess over additivity: "
                f"{self._listed(strongest, 'excess')}"
            )
        for name in self.ablation["motif"].unique(maintain_order=True) if self._ablated else ():
            own = self.ablation.filter(motif=name)
            count, instances = own["sequences"][0], own["instances"][0]
            strongest = self._strongest(own, "effect", ["track"])
            lines.append(
                f"{name}, {instances:,} instances replaced in {count:,} sequences: "
                f"{self._listed(strongest, 'effect')}"
            )
        return "\n".join(lines)

    @property
    def _ablated(self) -> bool:
        return self.ablation.height > 0

    @staticmethod
    def _strongest(table: pl.DataFrame, value: str, keys: list[str]) -> pl.DataFrame:
        """The row with the largest magnitude for each combination of keys, the largest first."""
        if not table.height:
            return table
        ordered = table.sort(pl.col(value).abs(), descending=True, maintain_order=True)
        return ordered.unique(keys, keep="first", maintain_order=True)

    @staticmethod
    def _listed(table: pl.DataFrame, value: str) -> str:
        texts = []
        for row in table.head(SHOWN).iter_rows(named=True):
            error = "" if row["se"] is None or np.isnan(row["se"]) else f" ± {row['se']:.2g}"
            where = ""
            if value == "excess":
                where = f" ({row['side']}, {row['strand']} strand, distance {row['distance']})"
            texts.append(f"{row['track']} {row[value]:+.3g}{error}{where}")
        return ", ".join(texts)


@kept_memory()
def marginalize(
    model: Models,
    motifs: Sequence[str],
    *,
    motif_files: Sequence[Location] = (),
    background: Any = None,
    copies: int | None = None,
    distances: Sequence[int] | None = None,
    ablate: Any = None,
    tracks: Sequence[str] | None = None,
) -> Marginalization:
    """Effects of motifs on the predictions: one copy, several, two at all distances, none.

    Each motif is inserted in the middle of many background sequences; an effect is the mean over
    backgrounds of the prediction with the motif minus that without it, in the unit of
    `danq.mutate`: log2 odds (bits) of peaks; if a track is of amounts, the difference in the
    probability or amount. It is the mean over both strands and over models.

    Parameters
    ----------
    model
        A loaded model, or several.
    motifs
        Names of motifs of ``motif_files``, or sequences in IUPAC letters, see
        `danq.genome.motif_choice.choose_motif`. The most frequent base of each position is
        inserted; see `danq.interpretation.marginalization.insertions.drawn_sites`.
    motif_files
        Files of motifs, in any format of `danq.read_motifs`.
    background
        `danq.Backgrounds`, or the source of one. None: 100 random sequences with a GC content of
        0.4.
    copies
        Largest number of copies of a motif, 10 bases apart. None: 4, or fewer in a short window.
    distances
        Numbers of bases between two motifs, for all pairs of ``motifs``, or for two copies of a
        single one. None: 0 to 60 for pairs of ``motifs``, or less in a short window.
    ablate
        Sequences in which all instances of each motif are replaced: in memory, the path of a FASTA
        file or of a dataset. At most as many sequences with an instance are used as there are
        backgrounds, drawn at random. None: no ablation.
    tracks
        Names of the selected tracks, in that order. None selects all.

    Raises
    ------
    InputError
        When no motif is given; one is unknown, given twice or longer than the window; copies or
        distances are negative or extend past the window; as `Backgrounds`; a file is missing or
        damaged, a sequence is shorter than the window, models disagree or a track is unknown.

    Notes
    -----
    In silico marginalization is described by Koo et al., PLOS Computational Biology 17:e1008925
    (2021).

    Examples
    --------
    >>> model = danq.load("runs/yeast")  # doctest: +SKIP
    >>> found = danq.marginalize(model, ["TTACCCG", "RTCAYNNNNNACG"])  # doctest: +SKIP
    >>> found.spacing_matrix("TTACCCG", "RTCAYNNNNNACG", "Reb1")  # doctest: +SKIP
    """
    chosen = choose_motifs(motifs, motif_files)
    if not chosen:
        raise InputError("no motif was given", remedy="Give a name or a sequence")
    settings = (
        background
        if isinstance(background, Backgrounds)
        else Backgrounds(*(() if background is None else (background,)))
    )
    ensemble = Ensemble.of(model, tracks).for_effects()
    ensemble.check_measured()
    windows = background_windows(settings, ensemble.window)
    real = None if ablate is None else real_windows(ablate, ensemble.window)
    scorer = EffectScorer(ensemble, None)
    inserter = Inserter(scorer, windows.codes, chosen, settings.seed)
    most = _copies(inserter, chosen, copies)
    pairs, apart = _spacings(inserter, chosen, distances)
    names, found = ensemble.tracks, pl.DataFrame
    arrangements = 2 * len(chosen) + (sum(most) if max(most) > 1 else 0)
    arrangements += len(pairs) * (8 * len(apart) + 1)
    with stage("inserting motifs", "sequences", arrangements * len(windows.codes)) as done:
        effects = single_effects(inserter, chosen, names, done)
        dose = dose_effects(inserter, chosen, most, names, done) if max(most) > 1 else found()
        spacings = [spacing_effects(inserter, chosen, one, apart, names, done) for one in pairs]
    ablation = found()
    if real is not None:
        limits = {"count": settings.count, "seed": settings.seed, "bin": ensemble.bin}
        ablation = ablation_effects(scorer, chosen, real, names, **limits)
    return Marginalization(
        motifs=tuple(chosen),
        tracks=names,
        effects=effects,
        dose=dose,
        spacing=pl.concat(spacings) if spacings else found(),
        ablation=ablation,
        provenance=_provenance(ensemble, scorer, windows, settings, chosen)
        | ({} if real is None else {"ablation": _described(real)}),
    )


def _copies(inserter: Inserter, motifs: Sequence[Motif], copies: int | None) -> list[int]:
    """Largest number of copies of each motif."""
    room = [most_copies(inserter, number) for number in range(len(motifs))]
    if copies is None:
        return [min(COPIES, one) for one in room]
    if copies < 1:
        raise InputError(f"the number of copies is {copies}", remedy="Give 1 or more")
    for motif, one in zip(motifs, room, strict=True):
        if copies > one:
            raise InputError(
                f"{copies:,} copies of '{motif.name}' with {COPY_GAP} bases between them extend "
                f"past the window of {inserter.length:,} bases, which has room for {one:,}",
                remedy=f"Give at most {one:,} copies",
            )
    return [copies] * len(motifs)


def _spacings(
    inserter: Inserter, motifs: Sequence[Motif], distances: Sequence[int] | None
) -> tuple[list[tuple[int, int]], list[int]]:
    """Pairs of motifs, and the distances between them."""
    pairs = list(combinations(range(len(motifs)), 2))
    if distances is None:
        if not pairs:
            return [], []
        room = min(largest_distance(inserter, *pair) for pair in pairs)
        distances = range(max(0, min(DISTANCE, room)) + 1)
    if not len(distances):
        return [], []
    pairs = pairs or [(0, 0)]
    wrong = [one for one in distances if one < 0]
    if wrong:
        raise InputError(f"a distance is {wrong[0]}", remedy="Give distances of 0 or more")
    apart = sorted(set(map(int, distances)))
    check_distances(inserter, motifs, pairs, apart[-1])
    return pairs, apart


def _provenance(
    ensemble: Ensemble,
    scorer: EffectScorer,
    windows: Windows,
    settings: Backgrounds,
    motifs: Sequence[Motif],
) -> dict[str, str]:
    return {
        "danq": __version__,
        **ensemble.provenance(),
        "motifs": ", ".join(f"{motif.name} ({motif.consensus})" for motif in motifs),
        "backgrounds": windows.description,
        "seed": str(settings.seed),
        "window": f"{ensemble.window} bases",
        **ensemble.running(),
        **scorer.batches(),
        "tolerance": f"{ensemble.options.tolerance:g}",
        "values": describe_effect(scorer.effect, ensemble.kinds)
        .replace("mutant", "with the motif")
        .replace("reference", "without it"),
    }


def _described(real: Windows | Dataset) -> str:
    if isinstance(real, Windows):
        return f"{real.description}, {SHUFFLES} shuffles each"
    origin = "the dataset" if real.path is None else str(real.path)
    return f"{SPLIT} windows of {origin} with an instance in the bin, {SHUFFLES} shuffles each"
