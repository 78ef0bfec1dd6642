"""What a simulation knows: its model, what it planted, and what its variants do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from danq.errors import InputError
from danq.files.json_file import read_json
from danq.genome.motif_matrix import Motif
from danq.notebook_display import Display, display_html, display_text
from danq.simulation.binding_model import BindingModel
from danq.simulation.binding_rules import Rule
from danq.simulation.peak_shape import PeakShape
from danq.simulation.plant_motifs import PlantedMotif, Site
from danq.typing import CodeBatch

MAGIC, VERSION = "danq-truth", 2
_REMEDY = "Make one with danq.simulate"


@dataclass(frozen=True)
class KnownVariant:
    """A variant with its true effects.

    Attributes
    ----------
    id
        ID in the VCF.
    contig
        Name of the contig.
    pos
        1-based position of the first base of ``ref``, as in the VCF.
    ref, alt
        Alleles.
    kind
        "breaking" (lowers a track), "releasing" (raises a track by breaking a blocker),
        "neutral-inside" (in a planted motif, without effect), "neutral-outside", "indel".
    track
        Track whose site it changes; empty for neutral ones outside sites.
    effect
        Per track, change from the reference to the alternate allele in the log odds (natural
        logarithm) that the bin centred on ``pos`` is positive.
    """

    id: str
    contig: str
    pos: int
    ref: str
    alt: str
    kind: str
    track: str
    effect: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Truth:
    """The ground truth of a simulated genome.

    Attributes
    ----------
    seed
        Random seed of the simulation.
    model
        The true model.
    contigs
        Length of each contig in bases, by name.
    valid, test
        Contigs for validation and test.
    sites
        Planted elements and decoys. Chance matches in the background are bound, too.
    variants
        Variants in the order of the VCF.
    """

    seed: int
    model: BindingModel
    contigs: Mapping[str, int]
    valid: tuple[str, ...]
    test: tuple[str, ...]
    sites: tuple[Site, ...]
    variants: tuple[KnownVariant, ...]

    __repr__ = display_text
    _repr_html_ = display_html

    def _display(self) -> Display:
        bases, contigs = sum(self.contigs.values()), len(self.contigs)
        facts = {
            "Seed": self.seed,
            "Tracks": ", ".join(self.tracks),
            "Genome": f"{bases:,} bases in {contigs:,} contigs",
            "Validation": ", ".join(self.valid),
            "Test": ", ".join(self.test),
            "Planted elements": len(self.sites),
            "Variants": len(self.variants),
        }
        return Display(f"{bases:,} bases, {len(self.tracks):,} tracks", facts=facts)

    @property
    def tracks(self) -> tuple[str, ...]:
        """Names of the tracks K, in alphabetical order as the peak files are."""
        return self.model.tracks

    def counts(self) -> dict[str, Any]:
        """Seed, contigs and tracks, and the numbers of sites and variants."""
        return {
            "seed": self.seed,
            "contigs": dict(self.contigs),
            "valid": list(self.valid),
            "test": list(self.test),
            "tracks": list(self.tracks),
            "sites": len(self.sites),
            "variants": len(self.variants),
        }

    def probability(self, codes: CodeBatch) -> Float64[np.ndarray, "B K"]:
        """Probability that the bin in the middle of each window is positive.

        As :meth:`danq.simulation.binding_model.BindingModel.probability`. Its metrics on held-out
        windows are the upper limit for any model.
        """
        return self.model.probability(codes)

    def save(self, path: str | Path) -> None:
        """Write truth.json. An existing file is replaced."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")

    def to_dict(self) -> dict[str, Any]:
        """The truth as lists, numbers and strings, ready for JSON."""
        model = self.model
        return {
            "magic": MAGIC,
            "format_version": VERSION,
            "seed": self.seed,
            "contigs": dict(self.contigs),
            "valid": list(self.valid),
            "test": list(self.test),
            "geometry": {
                "window": model.window,
                "bin": model.bin,
                "min_overlap": model.min_overlap,
            },
            "background": list(model.background),
            "temperature": model.temperature,
            "peaks": asdict(model.peaks),
            "motifs": [
                {
                    "name": motif.name,
                    "consensus": motif.consensus,
                    "threshold": float(threshold),
                    "probabilities": motif.probabilities.tolist(),
                }
                for motif, threshold in zip(model.motifs, model.thresholds, strict=True)
            ],
            "grammar": [asdict(rule) for rule in model.rules],
            "sites": [asdict(site) for site in self.sites],
            "variants": [asdict(variant) for variant in self.variants],
        }


def read_truth(path: str | Path) -> Truth:
    """Read a truth.json.

    Parameters
    ----------
    path
        The file, or its folder.

    Raises
    ------
    InputError
        When it is missing, not a truth.json, or of another version.
    """
    path = Path(path)
    path = path / "truth.json" if path.is_dir() else path
    data = read_json(path, "the truth.json of a simulation", remedy=_REMEDY)
    if not isinstance(data, dict) or data.get("magic") != MAGIC:
        raise _foreign(path)
    if data.get("format_version") != VERSION:
        raise InputError(
            f"is of format version {data.get('format_version')}, but this version of danq reads "
            f"version {VERSION}",
            file=path,
            remedy="Run the simulation again",
        )
    try:
        return _from_dict(data)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"is incomplete or damaged ({error})", file=path, remedy="Run the simulation again"
        ) from error


def _from_dict(data: dict[str, Any]) -> Truth:
    model = BindingModel(
        motifs=tuple(Motif(one["name"], np.array(one["probabilities"])) for one in data["motifs"]),
        thresholds=np.array([one["threshold"] for one in data["motifs"]], dtype=np.float64),
        rules=tuple(Rule(**{**one, "gap": tuple(one["gap"])}) for one in data["grammar"]),
        peaks=PeakShape(**data["peaks"]),
        background=tuple(data["background"]),
        temperature=data["temperature"],
        **data["geometry"],
    )
    sites = (
        Site(**{**one, "motifs": tuple(PlantedMotif(**motif) for motif in one["motifs"])})
        for one in data["sites"]
    )
    return Truth(
        seed=data["seed"],
        model=model,
        contigs=data["contigs"],
        valid=tuple(data["valid"]),
        test=tuple(data["test"]),
        sites=tuple(sites),
        variants=tuple(KnownVariant(**one) for one in data["variants"]),
    )


def _foreign(path: Path) -> InputError:
    return InputError(
        "is not the truth.json of a simulation",
        file=path,
        remedy=_REMEDY,
    )
