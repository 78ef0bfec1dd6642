"""Learn what DNA does from its sequence.

The names below are imported from where they live when they are first touched, so that
``import danq`` costs next to nothing and loads no tensor library.

Examples
--------
>>> import danq
>>> model = danq.load("run/model.safetensors")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names
from danq._version import __version__

if TYPE_CHECKING:
    from danq.datasets import Dataset as Dataset
    from danq.datasets import build_dataset as build_dataset
    from danq.datasets import convert_dataset as convert_dataset
    from danq.errors import DanqError as DanqError
    from danq.errors import InputError as InputError
    from danq.genome import Genome as Genome
    from danq.genome import read_motifs as read_motifs
    from danq.inference import evaluate as evaluate
    from danq.inference import predict as predict
    from danq.inference.mutagenesis.mutate import mutate as mutate
    from danq.inference.variants.score import score_variants as score_variants
    from danq.inference.variants.write_background import make_background as make_background
    from danq.interpretation import classify_variants as classify_variants
    from danq.interpretation import find_motifs as find_motifs
    from danq.interpretation import write_variant_classes as write_variant_classes
    from danq.models import load_model as load
    from danq.models import summary as summary
    from danq.models.export import export_model as export
    from danq.models.weights import import_weights as import_weights
    from danq.simulation import simulator as simulate
    from danq.training import train as train

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "DanqError": "danq.errors:DanqError",
        "Dataset": "danq.datasets:Dataset",
        "Genome": "danq.genome:Genome",
        "InputError": "danq.errors:InputError",
        "build_dataset": "danq.datasets:build_dataset",
        "classify_variants": "danq.interpretation:classify_variants",
        "convert_dataset": "danq.datasets:convert_dataset",
        "evaluate": "danq.inference:evaluate",
        "export": "danq.models.export:export_model",
        "find_motifs": "danq.interpretation:find_motifs",
        "import_weights": "danq.models.weights:import_weights",
        "load": "danq.models:load_model",
        "make_background": "danq.inference.variants.write_background:make_background",
        "mutate": "danq.inference.mutagenesis.mutate:mutate",
        "predict": "danq.inference:predict",
        "read_motifs": "danq.genome:read_motifs",
        "score_variants": "danq.inference.variants.score:score_variants",
        "simulate": "danq.simulation:simulate",
        "summary": "danq.models:summary",
        "train": "danq.training:train",
        "write_variant_classes": "danq.interpretation:write_variant_classes",
    },
)

__all__ = [
    "DanqError",
    "Dataset",
    "Genome",
    "InputError",
    "__version__",
    "build_dataset",
    "classify_variants",
    "convert_dataset",
    "evaluate",
    "export",
    "find_motifs",
    "import_weights",
    "load",
    "make_background",
    "mutate",
    "predict",
    "read_motifs",
    "score_variants",
    "simulate",
    "summary",
    "train",
    "write_variant_classes",
]
