"""Run models: on windows, on files of sequences and regions, on whole genomes."""

from danq.inference.forward import predict_blocks, predict_codes, predict_dataset
from danq.inference.predict import Written, predict

__all__ = ["Written", "predict", "predict_blocks", "predict_codes", "predict_dataset"]
