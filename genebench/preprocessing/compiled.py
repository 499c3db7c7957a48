"""Loops that numpy has no words for, as machine code."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., object])


def compiled(loop: F) -> F:
    """The same function as machine code, which lets go of the interpreter's lock."""
    return _compile(loop, fastmath=False)


def compiled_loosely(loop: F) -> F:
    """The same, where the order in which a sum is formed does not matter."""
    return _compile(loop, fastmath={"reassoc", "contract", "nsz"})


def _compile(loop: F, *, fastmath: bool | set[str]) -> F:
    """Make machine code, when first called with arrays of new types, in a second or two.

    It is kept where Python keeps its own compiled files, or in the user's cache; where neither can
    be written, it is made anew in each process.
    """
    compiler = partial(numba.njit, nogil=True, error_model="numpy", fastmath=fastmath)
    try:
        return cast("F", compiler(cache=True)(loop))
    except RuntimeError:
        return cast("F", compiler()(loop))
