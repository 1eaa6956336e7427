"""docs/sizing.md: its arithmetic is right, its figures are those measured, its settings' defaults
are true.
"""

from __future__ import annotations

import ast
import operator
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway.config import Config

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "sizing.md").read_text("utf-8")
MEASURED = (ROOT / "benchmarks" / "README.md").read_text("utf-8")
SUMS = re.findall(r"`([-+*/(). \d,]+) = ([\d,.]+)`", PAGE)
NUMBER = r"\d[\d,]*(?:\.\d+)?"
OPERATIONS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def computed(expression: ast.expr) -> float:
    """The value of what has only numbers and the four operations."""
    if isinstance(expression, ast.BinOp):
        left, right = computed(expression.left), computed(expression.right)
        return OPERATIONS[type(expression.op)](left, right)
    assert isinstance(expression, ast.Constant)
    return float(str(expression.value))


@pytest.mark.parametrize(("expression", "result"), SUMS)
def test_sum_is_right_to_its_last_digit(expression: str, result: str) -> None:
    parsed = ast.parse(expression.replace(",", "").strip(), mode="eval")
    told = result.replace(",", "")
    digits = len(told.partition(".")[2])
    assert round(computed(parsed.body), digits) == pytest.approx(float(told), abs=0.5 / 10**digits)


def test_page_shows_its_arithmetic() -> None:
    assert len(SUMS) > 20


@pytest.mark.parametrize(
    ("told", "measured"),
    [
        ("idle | 56.5 MiB", "| idle | 56.5 |"),
        ("included | 15.1 KiB", "10,000, 180 s each | 15.1 |"),
        ("idle connection | 3.9 KiB", "3.9 KiB each"),
        ("passes | 71.9 µs", "**gateway**: everything on | 13,674 | 10,252-14,315 | 0.55 | 71.9 |"),
        ("TLS | 110.9 µs", "| 110.9 |"),
        ("ended | 672 µs", "| 10.8 | 672 |"),
        ("wait` | 529 µs", "| 7.8 | 529 |"),
        ("180 s | 6 % of a core", "10,000, 180 s each | 15.1 | 0.2 | 1.9 | 20.0 | 6% |"),
        ("5 s | 49 % of a core", "10,000, 5 s each | 15.9 | 0.2 | 29.6 | 20.0 | 49% |"),
        ("| 1 | 16.588 |", "| 16.588 |"),
        ("| 10 | 4.117 |", "| 4.117 |"),
        ("| 100 | 0.458 |", "| 0.458 |"),
        ("| 1,000 | 0.078 |", "| 0.078 |"),
        ("0.38 s late", "**one look** | 0.38 |"),
        ("(4.93 s without", "a list for each token | 4.93 |"),
        ("24.1 ms, one for a token 9.1 ms", "| 24.1 | 482 | 30 |"),
        ("25,185", "forwarded fields | 25,185 |"),
        ("takes 37 µs", "100 at once, each | 37 |"),
    ],
)
def test_figure_is_the_one_measured(told: str, measured: str) -> None:
    assert told in PAGE
    assert measured in MEASURED


def test_defaults_of_settings_are_those_in_force() -> None:
    config = Config()
    named = re.findall(rf"`(\w+)\.(\w+)` \(({NUMBER})\)", PAGE)
    assert len(named) > 6
    for section, setting, told in named:
        assert getattr(getattr(config, section), setting) == float(told.replace(",", ""))
