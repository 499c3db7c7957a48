"""Loops that numpy cannot express, compiled to machine code by numba."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(loop: F) -> F:
    """Compile a function that releases the interpreter's lock while it runs.

    Floating-point operations stay in the order of the source, so results do not depend on the
    compiler. Indices are not checked: a caller must check the shapes.
    """
    return _compile(loop, fastmath=False)


def compiled_loosely(loop: F) -> F:
    """Compile a function and allow the compiler to reorder its sums.

    A vector register can then sum several values at once. Use it only if rounding differences of
    the result are harmless. NaN and infinity keep their meaning: those flags of fastmath are not
    set.
    """
    return _compile(loop, fastmath={"reassoc", "contract", "nsz"})


def _compile(loop: F, *, fastmath: bool | set[str]) -> F:
    """Compile a function at its first call with arrays of new types, in a second or two.

    numba keeps the machine code where Python keeps its own compiled files, or in the user's cache.
    If neither can be written, each process compiles anew.
    """
    # The numpy error model divides by zero as numpy does. Python's would test each division.
    compiler = partial(numba.njit, nogil=True, error_model="numpy", fastmath=fastmath)
    try:
        return cast("F", compiler(cache=True)(loop))
    except RuntimeError:  # no folder for the cache can be written
        return cast("F", compiler()(loop))
