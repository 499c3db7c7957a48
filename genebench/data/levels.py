"""Whether values are on the scale that the recipe takes them for.

Microarrays give the quantile reference, so their values must be log2 expression. The other
platforms are mapped by rank within a profile: linear and logarithmic units give the same there,
but values that were standardised by gene have lost the ranks.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genebench.data.compendium import REFERENCE_PLATFORM, Level
from genebench.errors import UserError

_SAMPLE = 256
"""Profiles that are looked at, evenly spread over those given."""

_HIGHEST_LOG2 = 30.0
"""No instrument counts or measures beyond 2³⁰; scanners of microarrays end at 2¹⁶."""

_MANY_NEGATIVE = 0.2
"""Log2 expression without a pseudocount has fewer negative values; centred values have half."""

_NEAR_ZERO = 0.25
"""In standard deviations, the mean of centred values; that of log2 expression is beyond 0.5."""


def check_level(
    expression: NDArray[np.float64], *, source: str, platform: str, level: Level
) -> None:
    """Look at some profiles × genes of a platform, probes averaged and nothing else done yet.

    Raises:
        UserError: z-scores; or, on microarrays, values that are not what ``level`` says: counts
            or linear ones for ``log2``, logarithmic ones for ``linear``. It names the evidence.
    """
    if level == "any":
        return
    sample = expression[:: max(1, len(expression) // _SAMPLE)]
    fault = next(_faults(sample, is_array=platform == REFERENCE_PLATFORM, level=level), None)
    if fault:
        raise UserError(
            f"{source}: {fault}, or, if the values are right, write "
            f'level = "any" in [platforms.{platform}]'
        )


def to_log2(
    values: NDArray[np.floating], *, source: str, platform: str, level: Level
) -> NDArray[np.floating]:
    """log2(x + 1) of microarrays that are declared ``linear``; other values as they are.

    Raises:
        UserError: a value that is declared linear is negative.
    """
    if platform != REFERENCE_PLATFORM or level != "linear":
        return values
    if values.min(initial=0.0) < 0:
        raise UserError(
            f"{source}: declared linear, but the smallest value is {values.min():g}; log2(x + 1) "
            "is for values from 0 on; give log2 expression"
        )
    return np.asarray(np.log2(np.add(values, 1.0, dtype=np.float64)))


def units(platform: str, level: Level) -> str:
    """What becomes of a platform's units, in a word or two."""
    if platform != REFERENCE_PLATFORM:
        return "by rank"
    return {"log2": "log2", "linear": "log2(x + 1)", "any": "as they are"}[level]


BY_RANK = "by rank: linear and logarithmic units give the same"
"""What a table should say below it of the word that :func:`units` uses."""


def _faults(sample: NDArray[np.float64], *, is_array: bool, level: Level) -> Iterator[str]:
    """Each with its evidence and what to do about it; none where all is well."""
    negative = float((sample < 0).mean())
    if negative >= _MANY_NEGATIVE:
        yield from _centred_genes(sample, negative)
        if is_array:
            yield from _centred(sample, negative)
    if is_array:
        yield from _not_linear(sample) if level == "linear" else _not_log2(sample)


def _centred_genes(sample: NDArray[np.float64], negative: float) -> Iterator[str]:
    low, high = np.percentile(sample.mean(axis=0), [25, 75])
    within = np.median(sample.std(axis=0))
    if high - low < within:
        yield (
            f"these look like z-scores or other values centred by gene: {negative:.0%} are "
            f"negative, and the means of genes differ less (interquartile range {high - low:.3g}) "
            f"than the values of one gene (median standard deviation {within:.3g}); give "
            "expression from before that step"
        )


def _centred(sample: NDArray[np.float64], negative: float) -> Iterator[str]:
    mean, std = sample.mean(), sample.std()
    if abs(mean) < _NEAR_ZERO * std:
        yield (
            f"these look like z-scores or log ratios, not log2 expression: {negative:.0%} are "
            f"negative, with mean {mean:.3g} and standard deviation {std:.3g}; give log2 expression"
        )


def _not_log2(sample: NDArray[np.float64]) -> Iterator[str]:
    if sample.max() > _HIGHEST_LOG2:
        whole = sample.min() >= 0 and bool((sample == np.rint(sample)).all())
        kind = "raw counts (all whole numbers)" if whole else "linear"
        high = int((sample > _HIGHEST_LOG2).sum())
        yield (
            f"these look {kind}, not log2 expression: values reach {sample.max():,.6g}, and "
            f"{high:,} of {sample.size:,} are above {_HIGHEST_LOG2:g}; give log2 expression, or "
            'write level = "linear" to have log2(x + 1) taken'
        )


def _not_linear(sample: NDArray[np.float64]) -> Iterator[str]:
    if sample.max() <= _HIGHEST_LOG2:
        yield (
            f"declared linear, but these look logarithmic: no value is above {sample.max():.4g}; "
            'write level = "log2"'
        )
