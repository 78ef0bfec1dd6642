"""Train a ResNet-18 with an LSTM and attention on your own videos, and run it with onnxruntime.

python docs/own_videos.py VIDEOS     (one folder of videos per class)
"""

import sys
from itertools import pairwise

import numpy as np
import onnxruntime
from torch import nn

from danq import core, vision
from danq.vision.own_tasks.clip_tasks import VideoClasses
from danq.vision.own_tasks.image_networks import ResidualBlock

try:
    from torchvision.models import resnet18
except (ImportError, RuntimeError):  # not installed, or built for another torch

    def resnet18():
        stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
        widths = [64, 64, 64, 128, 128, 256, 256, 512, 512]
        blocks = [ResidualBlock(a, b, stride=b // a) for a, b in pairwise(widths)]
        mean = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *blocks, *mean, nn.Linear(512, 1000))


def resnet_lstm(metadata, hidden):
    frames = core.FrameEncoder(*core.without_classifier(resnet18()))
    lstm = core.Recurrent(frames.out_features, hidden)
    classes = core.Classes(core.Mlp(2 * hidden, []), len(metadata["classes"]))
    return core.CnnRnn(frames, lstm, core.AttentionPool(2 * hidden), classes)


@vision.register
class MyVideos(VideoClasses):
    """My own videos with one class each."""

    name = "my-videos"
    blocks = "Frame(ResNet-18) -> BiLSTM -> AttentionPool -> Classes"
    models = (vision.ModelDefinition("resnet18", blocks, "", resnet_lstm, {"hidden": 64}),)


if __name__ == "__main__":
    settings = vision.InputSettings(size=(48, 48), frames=6)
    _, data = vision.own_examples("videos", sys.argv[1], settings)
    recipe = vision.Recipe(epochs=2, batch_size=16, lr=1e-3)
    print(vision.train("my-videos", data=data, out="run", recipe=recipe).describe())
    vision.export_model("run", "my-videos.onnx", to="onnx")

    session = onnxruntime.InferenceSession("my-videos.onnx")
    inputs = {name: data.test[name] for name in ("clip", "real")}
    (probabilities,) = session.run(None, inputs)
    for source, found in zip(data.test.sources, probabilities, strict=True):
        print(source, data.metadata["classes"][np.argmax(found)], f"{found.max():.3f}")
