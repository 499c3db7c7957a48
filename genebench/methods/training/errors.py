"""How training ends badly, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_SHORT = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


class DivergedError(Exception):
    """The loss, or a prediction, is no longer a finite number."""


class CheckpointError(Exception):
    """There is a checkpoint, but training cannot go on from it."""


class OutOfMemoryError(Exception):
    """The device's memory is too small for the method as it is set."""


@contextmanager
def memory_advice(device: str, params: Mapping[str, Any]) -> Iterator[None]:
    """Turn what torch or numpy raises when memory runs out into an error that names a remedy.

    Raises:
        OutOfMemoryError: in place of the original, which is its cause.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if isinstance(error, MemoryError) or _SHORT.search(str(error)):
            raise OutOfMemoryError(f"out of memory on {device}: {_remedies(params)}") from error
        raise


def _remedies(params: Mapping[str, Any]) -> str:
    knobs = [f"lower batch (now {params['batch']})"]
    if params["precision"] != "bfloat16":
        knobs.append("set precision=bfloat16")
    if params["storage"] != "streamed":
        knobs.append("set storage=streamed")
    return f"{', '.join(knobs)}, or take smaller networks"
