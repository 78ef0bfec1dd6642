"""Models that fuse an image and a question: bilinear forms, and the question as a kernel."""

from __future__ import annotations

import pytest
import torch

from danq.vision.task_registry import load_task
from danq.vision.tasks.visual_questions import BilinearAnswer, KernelAnswer

METADATA = {
    "shape": [3, 16, 16],
    "vocabulary": ["<pad>", "<start>", "<end>", "<unk>", "was", "ist", "rot"],
    "classes": ["ja", "nein", "vielleicht"],
    "length": 5,
}


def inputs() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    question = torch.tensor([[[4, 5, 6, 0, 0], [6, 0, 0, 0, 0]], [[5, 4, 0, 0, 0], [0] * 5]])
    return torch.rand(2, 3, 16, 16), question, question.any(dim=2)


def module_of(name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    model = load_task("vqa").model(name)
    return model.build(METADATA, **model.hyperparameters).eval()


@pytest.mark.parametrize("name", ["mutan", "abc-cnn"])
def test_an_answer_depends_on_its_image_and_its_question_alone(name):
    image, question, asked = inputs()
    module = module_of(name)
    out = module(image, question, asked)
    assert out.shape == (2, 2, 3)
    assert not out[1, 1].any()
    alone = module(image[:1], question[:1, 1:], asked[:1, 1:])
    torch.testing.assert_close(alone[0, 0], out[0, 1])
    other = module(image.flip(0), question, asked)
    assert not torch.allclose(other[0], out[0])
    assert not torch.allclose(out[0, 0], out[0, 1])


def test_the_forms_are_of_the_encoded_image_and_question():
    image, question, asked = inputs()
    module = module_of("mutan")
    assert isinstance(module, BilinearAnswer)
    picture, words = module.image(image)[:1], module.question(question[0, :1])
    u, v = module.fusion.dense
    factors = (u(picture) * v(words)).view(1, module.fusion.rank, -1).sum(dim=1)
    torch.testing.assert_close(module(image, question, asked)[0, :1], module.head(factors))


def test_the_kernel_of_a_question_weights_the_positions():
    image, question, asked = inputs()
    module = module_of("abc-cnn")
    assert isinstance(module, KernelAnswer)
    maps, words = module.image(image), module.question(question[0])
    weights = module.attention.weights(maps[[0, 0]], words)
    assert not torch.allclose(weights[0], weights[1])
    weighted = (maps[[0, 0]] * weights.unsqueeze(1)).sum(dim=(2, 3))
    both = module.norm(torch.cat([weighted, maps[[0, 0]].mean(dim=(2, 3))], dim=1))
    product = module.fusion.dense[0](both).tanh() * module.fusion.dense[1](words).tanh()
    torch.testing.assert_close(module(image, question, asked)[0], module.head(product))
