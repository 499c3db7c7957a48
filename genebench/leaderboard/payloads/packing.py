"""Data as scripts: JSON or numbers, compressed, in a text that a browser can unpack."""

from __future__ import annotations

import json
import math
import zlib
from base64 import b64encode

import numpy as np
from numpy.typing import NDArray

_LEVEL = 6
"""Level of compression. Level 9 takes eight times as long, and saves 1 %."""

STEPS = 2**16 - 1
"""Largest number of a quantised vector."""


def packed(content: bytes) -> str:
    """Return bytes as zlib and Base64. ``DecompressionStream("deflate")`` reads the former."""
    return b64encode(zlib.compress(content, _LEVEL)).decode("ascii")


def script(name: str, document: object) -> str:
    """Return a script that hands a document to the charts under a name.

    Its text is Base64, so that no word of a record can end the script or begin another.
    """
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return f'(globalThis.genebenchData??={{}}).{name}="{packed(text.encode())}";\n'


def digits(value: float, count: int = 5) -> float:
    """Return a value to a number of significant digits, which JSON prints in few characters."""
    return float(f"{value:.{count}g}")


def step_for(values: NDArray[np.float64], share: float) -> float:
    """Return a round step of quantisation: 1, 2 or 5 times a power of ten.

    It is at most a ``share`` of the standard deviation, unless the range has more than
    :data:`STEPS` such steps.
    """
    spread = float(values.std()) or abs(float(values.mean())) or 1.0
    power = 10.0 ** math.floor(math.log10(spread * share))
    step = max(factor * power for factor in (1, 2, 5) if factor * power <= spread * share * 1.0001)
    # Whole numbers up to STEPS have to reach the largest value.
    while float(np.ptp(values)) / step > STEPS:
        step *= 10
    return digits(step, 1)


def quantised(values: NDArray[np.float64], low: float, step: float) -> NDArray[np.uint16]:
    """Return the number of steps of each value above ``low``, rounded to the nearest."""
    return np.clip(np.rint((values - low) / step), 0, STEPS).astype(np.uint16)


def bytes_of(numbers: NDArray[np.uint16], base: NDArray[np.uint16] | None) -> bytes:
    """Return numbers as bytes that compress well: all low bytes, then all high bytes.

    With a ``base``, the differences from it are written, modulo 2¹⁶. Methods find the same genes
    hard, so that differences are small.
    """
    written = numbers if base is None else numbers - base
    return (written & 255).astype(np.uint8).tobytes() + (written >> 8).astype(np.uint8).tobytes()
