from __future__ import annotations

import pytest
import torch

from danq.inference.engine import packed_matrix as packed
from danq.inference.engine.packed_matrix import Packed

SHAPES = [(1, 1, 1), (7, 5, 3), (40, 64, 100), (33, 17, 2)]


@pytest.mark.parametrize("laid_out", [True, False])
@pytest.mark.parametrize(("dtype", "rounding"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-8)])
@pytest.mark.parametrize(("rows", "inner", "columns"), SHAPES)
def test_products_are_those_of_float64(
    monkeypatch, laid_out, dtype, rounding, rows, inner, columns
):
    if not laid_out:
        monkeypatch.setattr(packed, "_packs", lambda weight: False)
    torch.manual_seed(rows)
    weight = torch.randn(columns, inner).to(dtype)
    # Rows of a larger matrix, which do not lie next to one another.
    x = torch.randn(rows + 2, inner + 3).to(dtype)[1:-1, :inner]
    with torch.inference_mode():
        found = Packed(weight)(x)
    assert (found.dtype, found.shape) == (dtype, (rows, columns))
    wanted = x.double() @ weight.double().t()
    largest = (x.double().abs() @ weight.double().abs().t()).max()
    assert (found.double() - wanted).abs().max() <= rounding * largest
