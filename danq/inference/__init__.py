"""Run models: on windows, on files of sequences and regions, on whole genomes, on variants.

``forward``, ``incremental`` and ``ensemble`` run models; each folder is one thing that is done
with them, but for ``sources``, where windows come from, and ``writers``, which outputs share.
"""

from danq.inference.engine.forward import predict_blocks, predict_codes, predict_dataset
from danq.inference.evaluation.evaluate import EvaluationReport, evaluate
from danq.inference.prediction.predict import Written, predict

__all__ = [
    "EvaluationReport",
    "Written",
    "evaluate",
    "predict",
    "predict_blocks",
    "predict_codes",
    "predict_dataset",
]
