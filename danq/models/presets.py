"""Presets: architectures with published or tuned hyperparameters."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from danq.core import CnnRnn
from danq.errors import InputError, describe_validation_error
from danq.models.architecture import Architecture, Stage, StepStage, build_module
from danq.models.initialisation import initialise_danq
from danq.models.targets import TargetGroup

PRESETS: dict[str, Architecture] = {
    # Quang & Xie, Nucleic Acids Research 2016.
    "danq": Architecture(filters=320, width=26, pool=13, hidden=320, dense=(925,)),
    "danq-jaspar": Architecture(filters=1024, width=30, pool=15, hidden=512, dense=(925,)),
    # Zhou & Troyanskaya, Nature Methods 2015.
    "deepsea": Architecture(
        filters=320,
        width=8,
        pool=4,
        stages=(Stage(channels=480, width=8, pool=4, dropout=0.2), Stage(channels=960, width=8)),
        encoder_dropout=0.5,
        temporal="none",
        temporal_dropout=0.0,
        dense=(925,),
    ),
    # Rafi et al., Nature Biotechnology 2024; without its channels for strand and single reads. The
    # loss is that of 18 soft bins from 0 to 17 (danq.models.targets).
    "dream-rnn": Architecture(
        filters=320,
        width=9,
        further_widths=(15,),
        pool=1,
        encoder_dropout=0.2,
        hidden=320,
        step_stages=(StepStage(channels=320, widths=(9, 15), dropout=0.2),),
        temporal_dropout=0.5,
        pooling="mean",
        dense=(),
    ),
    # For genomes of 10-100 Mb; chosen on yeast chrXV, see benchmarks/studies/yeast.md.
    "danq-small": Architecture(filters=512, width=26, pool=13, hidden=64, dense=(512,)),
    # For thousands of sequences with measured amounts, such as an MPRA; chosen on random yeast
    # promoters, see benchmarks/studies/promoters.md.
    "danq-mpra": Architecture(
        filters=256,
        width=9,
        both_strands=True,
        pool=4,
        encoder_norm=True,
        encoder_dropout=0.2,
        hidden=64,
        temporal_dropout=0.0,
        pooling="mean-max",
        pooled_dropout=0.3,
        dense=(),
        members=5,
    ),
}

DEFAULT_PRESET = "danq-small"


def architecture(preset: str, **changes: object) -> Architecture:
    """Architecture of a preset, with changed hyperparameters.

    Raises
    ------
    InputError
        When the preset or a hyperparameter does not exist, or a value is not allowed.
    """
    if preset not in [*PRESETS]:  # a list also compares values that cannot be hashed
        raise InputError(
            f"no preset is named '{preset}'", remedy=f"Choose one of {', '.join(PRESETS)}"
        )
    merged = PRESETS[preset].model_dump() | changes
    try:
        return Architecture.model_validate(merged)
    except ValidationError as error:
        raise InputError(
            f"preset '{preset}' cannot take {changes}: {describe_validation_error(error)}"
        ) from error


def build(
    preset: str = DEFAULT_PRESET,
    *,
    tracks: int,
    window: int,
    targets: Sequence[TargetGroup] = (),
    **changes: object,
) -> CnnRnn:
    """Build and initialise an untrained model.

    Parameters
    ----------
    preset
        Name of the preset, one of `PRESETS`.
    tracks
        Number of tracks K.
    window
        Window length L in bases.
    targets
        Groups of the tracks that share a loss; without them, every track has one logit.
    changes
        Hyperparameters (fields of `Architecture`) that differ from the preset's.

    Returns
    -------
    Module from codes ``(B, L)`` (uint8) or soft one-hot channels ``(B, 4, L)`` to logits
    ``(B, K)``, or to the outputs of the target groups.

    Examples
    --------
    >>> import danq.models
    >>> module = danq.models.build("danq", tracks=919, window=1000)
    >>> sum(p.numel() for p in module.parameters())
    46929039
    """
    module = build_module(architecture(preset, **changes), tracks, window, targets)
    initialise_danq(module)
    return module
