"""Errors of a training, with remedies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

_OUT_OF_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory", re.IGNORECASE)


class DivergedError(Exception):
    """A loss or a prediction is no longer a finite number."""


class CheckpointError(Exception):
    """A checkpoint exists, but training cannot continue from it."""


class OutOfMemoryError(Exception):
    """The device has too little memory for the method with its parameters."""


@contextmanager
def memory_advice(device: str, params: Mapping[str, Any]) -> Iterator[None]:
    """Turn errors of torch and numpy about lack of memory into one that names remedies.

    Raises:
        OutOfMemoryError: memory ran out. The original error is its cause.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        # On the CPU, torch raises a plain RuntimeError: only its text names the reason.
        if isinstance(error, MemoryError) or _OUT_OF_MEMORY.search(str(error)):
            remedies = [f"lower batch (now {params['batch']})"]
            if params["precision"] != "bfloat16":
                remedies.append("set precision=bfloat16")
            if params["storage"] != "streamed":
                remedies.append("set storage=streamed")
            advice = f"{', '.join(remedies)}, or take smaller networks"
            raise OutOfMemoryError(f"out of memory on {device}: {advice}") from error
        raise
