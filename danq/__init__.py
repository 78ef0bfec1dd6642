"""Predict regulatory features from DNA sequence: train, evaluate and apply DanQ models.

The names below are imported on first access, so that ``import danq`` is fast and loads no tensor
library. A function either returns its result (``predict``) or writes it to a file
(``write_predictions``).

Examples
--------
>>> import danq
>>> model = danq.load("runs/yeast", device="cpu")  # doctest: +SKIP
>>> danq.predict(model, "ACGT" * 125).to_polars()  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names
from danq._version import __version__

if TYPE_CHECKING:
    from danq.datasets import Dataset as Dataset
    from danq.datasets import LabelOptions as LabelOptions
    from danq.datasets import build_dataset as build_dataset
    from danq.datasets import convert_dataset as convert_dataset
    from danq.diagnosis import Diagnosis as Diagnosis
    from danq.diagnosis import doctor as doctor
    from danq.errors import DanqError as DanqError
    from danq.errors import InputError as InputError
    from danq.genome import Genome as Genome
    from danq.genome import read_motifs as read_motifs
    from danq.inference import Hdf5Storage as Hdf5Storage
    from danq.inference import Measurements as Measurements
    from danq.inference import OneHotFile as OneHotFile
    from danq.inference import Regions as Regions
    from danq.inference import Result as Result
    from danq.inference import Shard as Shard
    from danq.inference import Tiles as Tiles
    from danq.inference import Variants as Variants
    from danq.inference import benchmark_variants as benchmark_variants
    from danq.inference import compare as compare
    from danq.inference import dependency_map as dependency_map
    from danq.inference import evaluate as evaluate
    from danq.inference import merge as merge
    from danq.inference import mutate as mutate
    from danq.inference import predict as predict
    from danq.inference import score_variants as score_variants
    from danq.inference import write_background as write_background
    from danq.inference import write_comparison as write_comparison
    from danq.inference import write_evaluation as write_evaluation
    from danq.inference import write_mutations as write_mutations
    from danq.inference import write_predictions as write_predictions
    from danq.inference import write_variant_benchmark as write_variant_benchmark
    from danq.inference import write_variant_scores as write_variant_scores
    from danq.interpretation import Backgrounds as Backgrounds
    from danq.interpretation import DatasetSplit as DatasetSplit
    from danq.interpretation import DesignConstraints as DesignConstraints
    from danq.interpretation import DesignGoals as DesignGoals
    from danq.interpretation import Integration as Integration
    from danq.interpretation import RandomStarts as RandomStarts
    from danq.interpretation import attribute as attribute
    from danq.interpretation import classify_variants as classify_variants
    from danq.interpretation import design as design
    from danq.interpretation import find_attribution_motifs as find_attribution_motifs
    from danq.interpretation import find_motifs as find_motifs
    from danq.interpretation import marginalize as marginalize
    from danq.interpretation import read_attributions as read_attributions
    from danq.interpretation import write_attribution_motifs as write_attribution_motifs
    from danq.interpretation import write_attributions as write_attributions
    from danq.interpretation import write_designs as write_designs
    from danq.interpretation import write_marginalization as write_marginalization
    from danq.interpretation import write_motifs as write_motifs
    from danq.interpretation import write_variant_classes as write_variant_classes
    from danq.models import Model as Model
    from danq.models import ModelCard as ModelCard
    from danq.models import load_ensemble as load_ensemble
    from danq.models import load_model as load
    from danq.models import summary as summary
    from danq.models.export import export_model as export
    from danq.models.weight_import import InputLayout as InputLayout
    from danq.models.weight_import import import_weights as import_weights
    from danq.progress import Stage as Stage
    from danq.progress import watch_progress as watch_progress
    from danq.report import ReportOptions as ReportOptions
    from danq.report import write_report as write_report
    from danq.simulation import simulate as simulate
    from danq.training import DataSettings as DataSettings
    from danq.training import Folds as Folds
    from danq.training import ModelSettings as ModelSettings
    from danq.training import Recipe as Recipe
    from danq.training import RunSettings as RunSettings
    from danq.training import train as train
    from danq.training import train_folds as train_folds

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Backgrounds": "danq.interpretation:Backgrounds",
        "DanqError": "danq.errors:DanqError",
        "DataSettings": "danq.training:DataSettings",
        "Dataset": "danq.datasets:Dataset",
        "DesignConstraints": "danq.interpretation:DesignConstraints",
        "DesignGoals": "danq.interpretation:DesignGoals",
        "DatasetSplit": "danq.interpretation:DatasetSplit",
        "Diagnosis": "danq.diagnosis:Diagnosis",
        "Folds": "danq.training:Folds",
        "Genome": "danq.genome:Genome",
        "Hdf5Storage": "danq.inference:Hdf5Storage",
        "InputError": "danq.errors:InputError",
        "InputLayout": "danq.models.weight_import:InputLayout",
        "Integration": "danq.interpretation:Integration",
        "LabelOptions": "danq.datasets:LabelOptions",
        "Measurements": "danq.inference:Measurements",
        "Model": "danq.models:Model",
        "ModelCard": "danq.models:ModelCard",
        "ModelSettings": "danq.training:ModelSettings",
        "OneHotFile": "danq.inference:OneHotFile",
        "RandomStarts": "danq.interpretation:RandomStarts",
        "Recipe": "danq.training:Recipe",
        "ReportOptions": "danq.report:ReportOptions",
        "Regions": "danq.inference:Regions",
        "Result": "danq.inference:Result",
        "RunSettings": "danq.training:RunSettings",
        "Shard": "danq.inference:Shard",
        "Stage": "danq.progress:Stage",
        "Tiles": "danq.inference:Tiles",
        "Variants": "danq.inference:Variants",
        "attribute": "danq.interpretation:attribute",
        "benchmark_variants": "danq.inference:benchmark_variants",
        "build_dataset": "danq.datasets:build_dataset",
        "classify_variants": "danq.interpretation:classify_variants",
        "compare": "danq.inference:compare",
        "convert_dataset": "danq.datasets:convert_dataset",
        "dependency_map": "danq.inference:dependency_map",
        "design": "danq.interpretation:design",
        "doctor": "danq.diagnosis:doctor",
        "evaluate": "danq.inference:evaluate",
        "export": "danq.models.export:export_model",
        "find_attribution_motifs": "danq.interpretation:find_attribution_motifs",
        "find_motifs": "danq.interpretation:find_motifs",
        "import_weights": "danq.models.weight_import:import_weights",
        "load": "danq.models:load_model",
        "load_ensemble": "danq.models:load_ensemble",
        "marginalize": "danq.interpretation:marginalize",
        "merge": "danq.inference:merge",
        "mutate": "danq.inference:mutate",
        "predict": "danq.inference:predict",
        "read_attributions": "danq.interpretation:read_attributions",
        "read_motifs": "danq.genome:read_motifs",
        "score_variants": "danq.inference:score_variants",
        "simulate": "danq.simulation:simulate",
        "summary": "danq.models:summary",
        "train": "danq.training:train",
        "train_folds": "danq.training:train_folds",
        "watch_progress": "danq.progress:watch_progress",
        "write_attribution_motifs": "danq.interpretation:write_attribution_motifs",
        "write_attributions": "danq.interpretation:write_attributions",
        "write_background": "danq.inference:write_background",
        "write_comparison": "danq.inference:write_comparison",
        "write_designs": "danq.interpretation:write_designs",
        "write_evaluation": "danq.inference:write_evaluation",
        "write_marginalization": "danq.interpretation:write_marginalization",
        "write_motifs": "danq.interpretation:write_motifs",
        "write_mutations": "danq.inference:write_mutations",
        "write_predictions": "danq.inference:write_predictions",
        "write_report": "danq.report:write_report",
        "write_variant_benchmark": "danq.inference:write_variant_benchmark",
        "write_variant_classes": "danq.interpretation:write_variant_classes",
        "write_variant_scores": "danq.inference:write_variant_scores",
    },
)

__all__ = [
    "Backgrounds",
    "DanqError",
    "DataSettings",
    "Dataset",
    "DatasetSplit",
    "DesignConstraints",
    "DesignGoals",
    "Diagnosis",
    "Folds",
    "Genome",
    "Hdf5Storage",
    "InputError",
    "InputLayout",
    "Integration",
    "LabelOptions",
    "Measurements",
    "Model",
    "ModelCard",
    "ModelSettings",
    "OneHotFile",
    "RandomStarts",
    "Recipe",
    "Regions",
    "ReportOptions",
    "Result",
    "RunSettings",
    "Shard",
    "Stage",
    "Tiles",
    "Variants",
    "__version__",
    "attribute",
    "benchmark_variants",
    "build_dataset",
    "classify_variants",
    "compare",
    "convert_dataset",
    "dependency_map",
    "design",
    "doctor",
    "evaluate",
    "export",
    "find_attribution_motifs",
    "find_motifs",
    "import_weights",
    "load",
    "load_ensemble",
    "marginalize",
    "merge",
    "mutate",
    "predict",
    "read_attributions",
    "read_motifs",
    "score_variants",
    "simulate",
    "summary",
    "train",
    "train_folds",
    "watch_progress",
    "write_attribution_motifs",
    "write_attributions",
    "write_background",
    "write_comparison",
    "write_designs",
    "write_evaluation",
    "write_marginalization",
    "write_motifs",
    "write_mutations",
    "write_predictions",
    "write_report",
    "write_variant_benchmark",
    "write_variant_classes",
    "write_variant_scores",
]
