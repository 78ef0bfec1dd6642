"""Run models: on windows, on files of sequences and regions, on whole genomes."""

from danq.inference.evaluate import EvaluationReport, evaluate
from danq.inference.forward import predict_blocks, predict_codes, predict_dataset
from danq.inference.predict import Written, predict

__all__ = [
    "EvaluationReport",
    "Written",
    "evaluate",
    "predict",
    "predict_blocks",
    "predict_codes",
    "predict_dataset",
]
