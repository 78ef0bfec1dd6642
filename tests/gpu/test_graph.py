from __future__ import annotations

import torch

from danq.gpu.graph import Graph, side_by_side

CPU = torch.device("cpu")


def test_each_call_on_a_cpu_runs_the_function():
    x = torch.zeros(1)
    graph = Graph(lambda: x.add_(1), CPU)
    for wanted in (1.0, 2.0, 3.0):
        graph()
        assert x.item() == wanted


def test_functions_run_one_after_another_on_a_cpu():
    order: list[int] = []
    side_by_side(CPU, [lambda n=n: order.append(n) for n in range(3)])
    assert order == [0, 1, 2]
