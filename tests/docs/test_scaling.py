"""The calculations in docs/scaling.md."""

from __future__ import annotations

import ast
import operator
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scaling.md"
OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
FACTORS = {"million": 1e6}
HEADER = "| quantity | calculation | value |"


def calculations(page: Path = PAGE) -> list[tuple[str, str, str]]:
    """Quantity, calculation and value of each row of the tables with calculations."""
    rows, inside = [], False
    for line in page.read_text(encoding="utf-8").splitlines():
        inside = line == HEADER or (inside and line.startswith("|"))
        if inside and line != HEADER and not line.startswith("|---"):
            quantity, calculation, value = (cell.strip() for cell in line.strip("|").split(" | "))
            rows.append((quantity, calculation, value))
    return rows


def result(node: ast.AST) -> float:
    if isinstance(node, ast.Expression):
        return result(node.body)
    if isinstance(node, ast.BinOp):
        return OPERATORS[type(node.op)](result(node.left), result(node.right))
    assert isinstance(node, ast.Constant)
    return float(node.value)


def test_the_page_has_calculations():
    assert len(calculations()) > 40


@pytest.mark.parametrize(("quantity", "calculation", "value"), calculations())
def test_a_calculation_gives_its_value(quantity: str, calculation: str, value: str):
    number, unit = re.fullmatch(r"([\d.,]+) ?(\w*)", value).groups()
    stated = float(number.replace(",", "")) * FACTORS.get(unit, 1)
    assert result(ast.parse(calculation, mode="eval")) == pytest.approx(stated, rel=0.01), quantity
