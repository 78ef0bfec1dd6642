"""Inference: predictions, variant effects, mutagenesis and evaluation with trained models.

``engine`` runs models on windows. ``sources`` reads what to predict on, ``writers`` writes the
results. ``prediction``, ``variants``, ``mutagenesis`` and ``evaluation`` hold the public functions.
"""

from danq.inference.blocks.shard import Shard
from danq.inference.engine.forward import predict_blocks, predict_codes, predict_dataset
from danq.inference.ensemble import Ensemble
from danq.inference.evaluation.amount_report import AmountReport
from danq.inference.evaluation.compare import ModelComparison, compare, write_comparison
from danq.inference.evaluation.evaluate import evaluate
from danq.inference.evaluation.evaluation_folder import write_evaluation
from danq.inference.evaluation.peak_report import EvaluationReport
from danq.inference.merge_shards import MergeSummary, merge
from danq.inference.mutagenesis.dependencies import DependencyMap
from danq.inference.mutagenesis.dependency_map import dependency_map
from danq.inference.mutagenesis.mutate import WrittenMutations, mutate, write_mutations
from danq.inference.prediction.predict import WrittenPredictions, predict, write_predictions
from danq.inference.result import Result
from danq.inference.sources import OneHotFile, Regions, Tiles
from danq.inference.variant_benchmark.benchmark_variants import (
    BenchmarkReport,
    benchmark_variants,
    write_variant_benchmark,
)
from danq.inference.variant_benchmark.measurements import Measurements
from danq.inference.variants.run_summary import VariantSummary
from danq.inference.variants.score import score_variants, write_variant_scores
from danq.inference.variants.variant_source import Variants
from danq.inference.variants.write_background import write_background
from danq.inference.writers.hdf5_storage import Hdf5Storage

__all__ = [
    "AmountReport",
    "BenchmarkReport",
    "DependencyMap",
    "Ensemble",
    "EvaluationReport",
    "Hdf5Storage",
    "Measurements",
    "MergeSummary",
    "ModelComparison",
    "OneHotFile",
    "Regions",
    "Result",
    "Shard",
    "Tiles",
    "VariantSummary",
    "Variants",
    "WrittenMutations",
    "WrittenPredictions",
    "benchmark_variants",
    "compare",
    "dependency_map",
    "evaluate",
    "merge",
    "mutate",
    "predict",
    "predict_blocks",
    "predict_codes",
    "predict_dataset",
    "score_variants",
    "write_background",
    "write_comparison",
    "write_evaluation",
    "write_mutations",
    "write_predictions",
    "write_variant_benchmark",
    "write_variant_scores",
]
