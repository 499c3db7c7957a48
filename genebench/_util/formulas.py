"""Formulas that specs hold as text: numbers, names, ``+ - * / **``, ``min`` and ``max``."""

from __future__ import annotations

import ast
import functools
import math
import operator
from collections.abc import Callable, Mapping

_BINARY: Mapping[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: math.pow,
}
_FUNCTIONS: Mapping[str, Callable[..., float]] = {"min": min, "max": max}
_MOST_LETTERS = 500
"""Letters of a formula. Its tree is walked by recursion."""


def names_in(formula: str) -> set[str]:
    """Return the names that a formula refers to.

    Raises:
        ValueError: it is no formula.
    """
    return {
        node.id
        for node in ast.walk(_parsed(formula))
        if isinstance(node, ast.Name) and node.id not in _FUNCTIONS
    }


def evaluate(formula: str, values: Mapping[str, float]) -> float:
    """Return the value of a formula.

    Args:
        formula: the formula, such as ``2 * train * units ** 2``.
        values: name → number, for every name in it.

    Raises:
        ValueError: it is no formula, lacks a value, or has none, as at a division by zero.
    """
    try:
        value = _value(_parsed(formula), {name: float(number) for name, number in values.items()})
    except (ArithmeticError, KeyError, TypeError) as error:
        raise ValueError(f"{formula}: no value ({error})") from None
    if not math.isfinite(value):
        raise ValueError(f"{formula}: not a finite number")
    return value


@functools.cache
def _parsed(formula: str) -> ast.expr:
    if len(formula) > _MOST_LETTERS:
        raise ValueError(f"a formula of {len(formula):,} letters, more than {_MOST_LETTERS}")
    try:
        tree = ast.parse(" ".join(formula.split()), mode="eval").body
        _check(tree)
    except (SyntaxError, RecursionError):
        raise ValueError(f"{formula!r} is no formula") from None
    return tree


def _check(node: ast.expr) -> None:
    """Refuse everything that is not arithmetic.

    Raises:
        ValueError: the node, or one in it, is something else.
    """
    match node:
        case ast.Constant(value=bool()):
            pass
        case ast.Constant(value=int() | float()) | ast.Name():
            return
        case ast.BinOp() if type(node.op) in _BINARY:
            _check(node.left)
            _check(node.right)
            return
        case ast.Call(func=ast.Name(id=name), args=[_, *_], keywords=[]) if name in _FUNCTIONS:
            for argument in node.args:
                _check(argument)
            return
    raise ValueError(f"{ast.unparse(node)!r} is not allowed in a formula")


def _value(node: ast.expr, values: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name():
            return values[node.id]
        case ast.BinOp():
            return _BINARY[type(node.op)](_value(node.left, values), _value(node.right, values))
        case ast.Call(func=ast.Name(id=name)):
            return _FUNCTIONS[name](*(_value(argument, values) for argument in node.args))
    raise TypeError(f"{ast.dump(node)} is not checked")
