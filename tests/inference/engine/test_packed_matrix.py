from __future__ import annotations

import pytest
import torch

from danq.inference.engine import packed_matrix
from danq.inference.engine.packed_matrix import PackedMatrix

SHAPES = [(1, 1, 1), (7, 5, 3), (40, 64, 100), (33, 17, 2)]


@pytest.mark.parametrize("reordered", [True, False])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize(("rows", "inner", "columns"), SHAPES)
def test_products_are_those_of_float64(
    monkeypatch, reordered, dtype, rounding, rows, inner, columns
):
    if not reordered:
        monkeypatch.setattr(packed_matrix, "_can_reorder", lambda weight: False)
    torch.manual_seed(rows)
    weight = torch.randn(columns, inner).to(dtype)
    # Rows of a larger matrix, which are not contiguous.
    x = torch.randn(rows + 2, inner + 3).to(dtype)[1:-1, :inner]
    with torch.inference_mode():
        result = PackedMatrix(weight)(x)
    assert (result.dtype, result.shape) == (dtype, (rows, columns))
    expected = x.double() @ weight.double().t()
    largest = (x.double().abs() @ weight.double().abs().t()).max()
    assert (result.double() - expected).abs().max() <= rounding * largest
