"""Whether values are on the scale that the recipe takes them for.

Microarrays give the quantile reference, so their values must be log2 expression. The other
platforms are mapped by rank within a profile: linear and logarithmic units give the same there,
but values that were standardised by gene have lost the ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError
from genebench.formats.base import Rows
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, Level

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
        raise _refusal(f"{source}: {fault}", platform)


class Suspects(NamedTuple):
    """Profiles of a block that could be at fault: where they are in it, and their values."""

    block: int
    """Profiles of the block."""
    places: NDArray[np.intp]
    values: NDArray[np.float64]


class LevelWatch:
    """All profiles of a platform, where :func:`check_level` looks at some of the first.

    Two of its sorted values tell whether a profile could be at fault. Those that could are
    collected, and judged together as a sample is: by hundreds, and at the end. That RNA-seq was
    standardised by gene shows in two of them or more, never in one.

    Args:
        source, platform, level: as for :func:`check_level`.
        profiles: ids of the profiles, in the order in which they come.
    """

    def __init__(self, *, source: str, platform: str, level: Level, profiles: pd.Index) -> None:
        self._source = source
        self._platform = platform
        self._level = level
        self._is_array = platform == REFERENCE_PLATFORM
        self._profiles = profiles
        self._seen = 0
        self._ids: list[str] = []
        self._values: list[NDArray[np.float64]] = []

    def suspects(self, expression: NDArray[np.float64], ordered: NDArray[np.float64]) -> Suspects:
        """The suspects of a block, after :func:`to_log2`, given also as sorted profiles."""
        places = np.flatnonzero(self._could_be_at_fault(ordered))
        return Suspects(len(ordered), places, expression[places])

    def add(self, suspects: Suspects) -> None:
        """Take up the suspects of the next block.

        Raises:
            UserError: with those before, they are at fault.
        """
        if len(suspects.places):
            self._ids += self._profiles[self._seen + suspects.places].tolist()
            self._values += list(suspects.values)
        self._seen += suspects.block
        if len(self._ids) >= _SAMPLE:
            self.judge()

    def judge(self) -> None:
        """Judge the suspects that were collected, and let go of them.

        Raises:
            UserError: they are at fault.
        """
        if not self._ids:
            return
        sample = np.array(self._values)
        if self._is_array and self._level == "linear":
            sample = np.exp2(sample) - 1
        fault = next(_faults(sample, is_array=self._is_array, level=self._level), None)
        if fault:
            which = f"{len(self._ids):,} profile(s), the first of them {self._ids[0]!r}"
            # What to do about a whole file would be wrong: the others are as declared.
            evidence = fault.partition(";")[0]
            remedy = "leave them out, or give them in the units of the others"
            raise _refusal(f"{self._source}: {which}: {evidence}; {remedy}", self._platform)
        self._ids, self._values = [], []

    def _could_be_at_fault(self, ordered: NDArray[np.float64]) -> NDArray[np.bool_]:
        if self._level == "any":
            return np.zeros(len(ordered), np.bool_)
        last_of_many = max(1, math.ceil(_MANY_NEGATIVE * ordered.shape[1])) - 1
        could: NDArray[np.bool_] = ordered[:, last_of_many] < 0
        if self._is_array and self._level == "log2":
            could |= ordered[:, -1] > _HIGHEST_LOG2
        elif self._is_array:
            could |= ordered[:, -1] <= math.log2(_HIGHEST_LOG2 + 1)
        return could


def _refusal(fault: str, platform: str) -> UserError:
    return UserError(
        f'{fault}, or, if the values are right, write level = "any" in [platforms.{platform}]'
    )


def to_log2(rows: Rows, *, source: str, platform: str, level: Level) -> Rows:
    """log2(x + 1) of microarrays that are declared ``linear``; other values as they are.

    Raises:
        UserError: a value that is declared linear is negative.
    """
    if platform != REFERENCE_PLATFORM or level != "linear":
        return rows
    values = rows.pick()
    if values.min(initial=0.0) < 0:
        raise UserError(
            f"{source}: declared linear, but the smallest value is {values.min():g}; log2(x + 1) "
            "is for values from 0 on; give log2 expression"
        )
    return Rows.of(np.log2(np.add(values, 1.0, dtype=np.float64)))


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
