"""Image, video and sequence tasks on the CNN-RNN core.

Examples
--------
>>> from danq import vision
>>> result = vision.train("direction", out="runs/direction")  # doctest: +SKIP
>>> vision.predict("runs/direction", "clip.gif")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from danq._lazy import lazy_names

if TYPE_CHECKING:
    from danq.training.config import RunSettings as RunSettings
    from danq.training.recipe import BaseRecipe as Recipe
    from danq.vision.base_tasks import Classification as Classification
    from danq.vision.base_tasks import StepRegression as StepRegression
    from danq.vision.benchmark import TaskReport as TaskReport
    from danq.vision.benchmark import bench as bench
    from danq.vision.benchmark import write_reports as write_reports
    from danq.vision.clip_files import read_clip as read_clip
    from danq.vision.dataset import Dataset as Dataset
    from danq.vision.dataset import Examples as Examples
    from danq.vision.dataset import layout as layout
    from danq.vision.dataset_folder import make_dataset as make_dataset
    from danq.vision.dataset_folder import read_dataset as read_dataset
    from danq.vision.dataset_folder import write_dataset as write_dataset
    from danq.vision.evaluation import VisionEvaluation as VisionEvaluation
    from danq.vision.evaluation import evaluate as evaluate
    from danq.vision.evaluation import write_evaluation as write_evaluation
    from danq.vision.export import export_model as export_model
    from danq.vision.model_list import list_models as list_models
    from danq.vision.own_data.input_settings import InputSettings as InputSettings
    from danq.vision.own_data.source_examples import own_examples as own_examples
    from danq.vision.own_files import OwnFiles as OwnFiles
    from danq.vision.prediction import WrittenPredictions as WrittenPredictions
    from danq.vision.prediction import predict as predict
    from danq.vision.prediction import write_predictions as write_predictions
    from danq.vision.task import ModelDefinition as ModelDefinition
    from danq.vision.task import Sizes as Sizes
    from danq.vision.task import Target as Target
    from danq.vision.task import Task as Task
    from danq.vision.task import above as above
    from danq.vision.task import below as below
    from danq.vision.task import task_recipe as task_recipe
    from danq.vision.task_registry import TASKS as TASKS
    from danq.vision.task_registry import register as register
    from danq.vision.training_run import train as train
    from danq.vision.vision_model_file import VisionModel as VisionModel
    from danq.vision.vision_model_file import load_vision_model as load_vision_model
    from danq.vision.vision_summary import summary as summary

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Classification": "danq.vision.base_tasks:Classification",
        "Dataset": "danq.vision.dataset:Dataset",
        "Examples": "danq.vision.dataset:Examples",
        "ModelDefinition": "danq.vision.task:ModelDefinition",
        "InputSettings": "danq.vision.own_data.input_settings:InputSettings",
        "OwnFiles": "danq.vision.own_files:OwnFiles",
        "VisionEvaluation": "danq.vision.evaluation:VisionEvaluation",
        "WrittenPredictions": "danq.vision.prediction:WrittenPredictions",
        "evaluate": "danq.vision.evaluation:evaluate",
        "export_model": "danq.vision.export:export_model",
        "own_examples": "danq.vision.own_data.source_examples:own_examples",
        "write_evaluation": "danq.vision.evaluation:write_evaluation",
        "write_predictions": "danq.vision.prediction:write_predictions",
        "Recipe": "danq.training.recipe:BaseRecipe",
        "RunSettings": "danq.training.config:RunSettings",
        "Sizes": "danq.vision.task:Sizes",
        "StepRegression": "danq.vision.base_tasks:StepRegression",
        "TASKS": "danq.vision.task_registry:TASKS",
        "Target": "danq.vision.task:Target",
        "Task": "danq.vision.task:Task",
        "TaskReport": "danq.vision.benchmark:TaskReport",
        "VisionModel": "danq.vision.vision_model_file:VisionModel",
        "above": "danq.vision.task:above",
        "below": "danq.vision.task:below",
        "bench": "danq.vision.benchmark:bench",
        "layout": "danq.vision.dataset:layout",
        "list_models": "danq.vision.model_list:list_models",
        "load_vision_model": "danq.vision.vision_model_file:load_vision_model",
        "make_dataset": "danq.vision.dataset_folder:make_dataset",
        "predict": "danq.vision.prediction:predict",
        "read_clip": "danq.vision.clip_files:read_clip",
        "read_dataset": "danq.vision.dataset_folder:read_dataset",
        "task_recipe": "danq.vision.task:task_recipe",
        "register": "danq.vision.task_registry:register",
        "summary": "danq.vision.vision_summary:summary",
        "train": "danq.vision.training_run:train",
        "write_dataset": "danq.vision.dataset_folder:write_dataset",
        "write_reports": "danq.vision.benchmark:write_reports",
    },
)

__all__ = [
    "TASKS",
    "Classification",
    "Dataset",
    "Examples",
    "InputSettings",
    "ModelDefinition",
    "OwnFiles",
    "Recipe",
    "RunSettings",
    "Sizes",
    "StepRegression",
    "Target",
    "Task",
    "TaskReport",
    "VisionEvaluation",
    "VisionModel",
    "WrittenPredictions",
    "above",
    "below",
    "bench",
    "evaluate",
    "export_model",
    "layout",
    "list_models",
    "load_vision_model",
    "make_dataset",
    "own_examples",
    "predict",
    "read_clip",
    "read_dataset",
    "register",
    "summary",
    "task_recipe",
    "train",
    "write_dataset",
    "write_evaluation",
    "write_predictions",
    "write_reports",
]
