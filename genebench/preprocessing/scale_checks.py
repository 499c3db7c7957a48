"""Checks that values are on the scale that the recipe expects.

Microarrays give the quantile reference, so their values must be log2 expression. The other
platforms are mapped by rank within a profile. There linear and logarithmic values give the same
result, but values that were standardised by gene have lost the ranks.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, counted
from genebench.formats.base import Rows
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, ExpressionScale

_TESTED_PROFILES = 256
"""Profiles that are tested together: evenly spread ones at first, then suspects as they come."""

_HIGHEST_LOG2 = 30.0
"""No instrument counts or measures beyond 2³⁰. Scanners of microarrays end at 2¹⁶."""

_LOWEST_LOG2 = -30.0
"""Logarithms of values with an offset of 1e-9 end at 2⁻³⁰. Codes for "missing", such as −99, are
lower."""

CODES = -99.0, -999.0, -9999.0, -99999.0
"""Values that stand for "missing" where values may be negative: on platforms mapped by rank.

Only exactly these count there. Expression with the background subtracted may be lower than −99.
"""

_HIGHEST_LINEAR = 1e12
"""The first GTEx data reach 6.7e9 RPKM, which is absurd, but ranks are taken of them."""

_LARGEST = 1e18
"""The square of no larger number fits into float32."""

_FEW_GENES = 0.01
"""Share of a profile's genes. More of them above 30 are another scale, not a wrong cell."""

_MANY_NEGATIVE = 0.2
"""A share of values. Fewer are negative in log2 expression, half of them in centred values."""

_NEAR_ZERO = 0.25
"""In standard deviations: the mean of centred values is below it, that of log2 expression > 0.5."""


class ScaleFault(NamedTuple):
    """A fault of the scale of some values.

    Attributes:
        problem: a sentence that names the evidence. It follows the name of a file and a colon.
        remedy: a sentence that says what to do if the whole file has this fault.
    """

    problem: str
    remedy: str


def find_scale_fault(
    expression: NDArray[np.float64], *, platform: str, scale: ExpressionScale
) -> ScaleFault | None:
    """Return the first fault of the scale of some values, or None.

    Args:
        expression: profiles × genes, probes averaged and nothing else done yet.
        platform: name of the platform. Only the reference platform is of microarrays.
        scale: the declared scale. ``any`` finds no fault.

    Returns:
        Z-scores, on any platform. On microarrays also values that ``scale`` does not describe:
        counts or linear values for ``log2``, and logarithmic ones for ``linear``.
    """
    if scale == "any":
        return None
    sample = expression[:: max(1, len(expression) // _TESTED_PROFILES)]
    return next(_faults(sample, is_array=platform == REFERENCE_PLATFORM, scale=scale), None)


class Names(NamedTuple):
    """The ids that messages name cells by: of the profiles and of the genes of some values."""

    profiles: pd.Index
    genes: pd.Index

    def cell(self, row: int, column: int, value: float) -> str:
        """Return the words for a cell that has a value."""
        return f"profile {self.profiles[row]!r}, gene {self.genes[column]!r} is {value:g}"


def possible_range(platform: str, scale: ExpressionScale) -> tuple[float, float]:
    """Return the lowest and the highest value that expression on a scale can have."""
    if scale == "any":
        return -_LARGEST, _LARGEST
    if platform != REFERENCE_PLATFORM or scale == "linear":
        # Background may have been subtracted. Of microarrays, to_log2 refuses what is negative.
        return -_HIGHEST_LINEAR, _HIGHEST_LINEAR
    return _LOWEST_LOG2, _HIGHEST_LOG2


def impossible_cell(
    expression: NDArray[np.float64], *, names: Names, platform: str, scale: ExpressionScale
) -> str:
    """Return the words for the first cell that expression cannot hold, or an empty text.

    Profiles of which many genes are above the highest log2 value are on another scale. They are
    left to :func:`find_scale_fault`, unless most of the profiles at fault have a single such cell.

    Args:
        expression: profiles × genes, probes averaged and nothing else done yet.
        names: the ids of these profiles and genes.
        platform: name of the platform.
        scale: the declared scale.
    """
    low, high = possible_range(platform, scale)
    # NaN compares as false, so this finds it too.
    bad = ~((expression >= low) & (expression <= high))
    if platform != REFERENCE_PLATFORM and scale != "any":
        bad |= np.isin(expression, CODES)
    if not bad.any():
        return ""
    if platform == REFERENCE_PLATFORM and scale == "log2":
        many = (expression > high).sum(axis=1) > max(1.0, _FEW_GENES * expression.shape[1])
        bad[many] = False
        if bad.any(axis=1).sum() < many.sum():
            return ""
    if not bad.any():
        return ""
    row, column = np.argwhere(bad)[0]
    named = platform == REFERENCE_PLATFORM and scale != "any"
    kind = f"{scale} expression" if named else "expression"
    value = expression[row, column]
    cell = names.cell(row, column, value)
    if low <= value <= high:
        return f"{cell}, a code for a missing value."
    return f"{cell}, which {kind} cannot be ({low:g} to {high:g})."


def check_scale(
    expression: NDArray[np.float64],
    *,
    names: Names,
    source: str,
    platform: str,
    scale: ExpressionScale,
) -> None:
    """Refuse values that are not on the declared scale.

    Args:
        expression: profiles × genes, probes averaged and nothing else done yet.
        names: the ids of these profiles and genes.
        source: the file, for the message.
        platform: name of the platform.
        scale: the declared scale.

    Raises:
        UserError: there is a fault. The message names the evidence and the remedy.
    """
    cell = impossible_cell(expression, names=names, platform=platform, scale=scale)
    if cell:
        raise _wrong_cell(source, cell, platform, scale)
    fault = find_scale_fault(expression, platform=platform, scale=scale)
    if fault:
        raise _refusal(source, fault, platform)


class Suspects(NamedTuple):
    """Profiles of a block that may be on another scale.

    Attributes:
        n_profiles: the number of profiles of the block.
        positions: the positions of the suspects in the block.
        values: suspects × genes.
    """

    n_profiles: int
    positions: NDArray[np.intp]
    values: NDArray[np.float64]


class ScaleWatch:
    """A check of all profiles of a platform, after :func:`check_scale` of some of the first.

    Two sorted values of a profile suffice to find suspects. These are collected and tested
    together, by hundreds and at the end, as the first profiles were. RNA-seq that was standardised
    by gene can only be recognised from two profiles or more. A cell that expression cannot hold is
    refused at once.

    Args:
        source, platform, scale: as for :func:`check_scale`.
        names: ids of the profiles, in the order in which they come, and of the genes.
    """

    def __init__(self, *, source: str, platform: str, scale: ExpressionScale, names: Names) -> None:
        self._source = source
        self._platform = platform
        self._scale = scale
        self._is_array = platform == REFERENCE_PLATFORM
        self._names = names
        self._lowest, self._highest = possible_range(platform, scale)
        if self._is_array and scale == "linear":
            # The watch sees log2(x + 1) of what was declared linear.
            self._highest = math.log2(self._highest + 1)
        self._n_seen = 0
        self._ids: list[str] = []
        self._values: list[NDArray[np.float64]] = []

    def suspects(self, expression: NDArray[np.float64], ordered: NDArray[np.float64]) -> Suspects:
        """Return the suspects of a block. It may be called in any thread.

        Args:
            expression: profiles × genes, after :func:`to_log2`.
            ordered: the same profiles, each sorted.
        """
        positions = np.flatnonzero(self._may_be_at_fault(ordered))
        return Suspects(len(ordered), positions, expression[positions])

    def add(self, suspects: Suspects) -> None:
        """Add the suspects of the next block.

        Raises:
            UserError: together with those before, they are on another scale.
        """
        if len(suspects.positions):
            profiles = self._names.profiles[self._n_seen + suspects.positions]
            cell = impossible_cell(
                self._declared(suspects.values),
                names=self._names._replace(profiles=profiles),
                platform=self._platform,
                scale=self._scale,
            )
            if cell:
                raise _wrong_cell(self._source, cell, self._platform, self._scale)
            self._ids += profiles.tolist()
            self._values += list(suspects.values)
        self._n_seen += suspects.n_profiles
        if len(self._ids) >= _TESTED_PROFILES:
            self.judge()

    def judge(self) -> None:
        """Test the suspects that were collected, and forget them.

        Raises:
            UserError: they are on another scale.
        """
        if not self._ids:
            return
        sample = self._declared(np.array(self._values))
        fault = next(_faults(sample, is_array=self._is_array, scale=self._scale), None)
        if fault:
            # The remedy for a whole file would be wrong: its other profiles are as declared.
            remedy = "Leave them out, or give them on the scale of the others."
            raise _refusal(
                f"{self._source}: {counted(len(self._ids), 'profile')} (first {self._ids[0]!r})",
                fault._replace(remedy=remedy),
                self._platform,
            )
        self._ids, self._values = [], []

    def _declared(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values as they were declared: without :func:`to_log2`."""
        if self._is_array and self._scale == "linear":
            return np.exp2(values) - 1
        return values

    def _may_be_at_fault(self, ordered: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which sorted profiles pass the threshold of any test in :func:`_faults`."""
        # NaN compares as false, and is sorted last.
        suspect: NDArray[np.bool_] = ~(
            (ordered[:, 0] >= self._lowest) & (ordered[:, -1] <= self._highest)
        )
        if self._scale == "any":
            return suspect
        if not self._is_array and (low := ordered[:, 0] <= max(CODES)).any():
            suspect[low] |= np.isin(ordered[low], CODES).any(axis=1)
        # Negative at this position means that a share of _MANY_NEGATIVE or more is negative.
        position = max(1, math.ceil(_MANY_NEGATIVE * ordered.shape[1])) - 1
        suspect |= ordered[:, position] < 0
        if self._is_array and self._scale == "linear":
            # These are log2(x + 1) of what was declared linear.
            suspect |= ordered[:, -1] <= math.log2(_HIGHEST_LOG2 + 1)
        return suspect


def _refusal(subject: str, fault: ScaleFault, platform: str) -> UserError:
    return UserError(
        f"{subject}: {fault.problem} {fault.remedy} If the values are right, write "
        f'level = "any" in [platforms.{platform}].'
    )


def _wrong_cell(source: str, cell: str, platform: str, scale: ExpressionScale) -> UserError:
    remedy = "Correct it, or leave that profile out."
    if scale != "any":
        remedy += f' If it is right, write level = "any" in [platforms.{platform}].'
    return UserError(f"{source}: {cell} {remedy}")


def to_log2(
    rows: Rows, *, names: Names, source: str, platform: str, scale: ExpressionScale
) -> Rows:
    """Return log2(x + 1) of microarrays that are declared ``linear``, and other values unchanged.

    Args:
        rows: profiles × probes.
        names: the ids of these profiles and of the requested probes.
        source: the file, for the message.
        platform: name of the platform.
        scale: the declared scale.

    Raises:
        UserError: a value that is declared linear is negative.
    """
    if platform != REFERENCE_PLATFORM or scale != "linear":
        return rows
    values = rows.pick()
    if values.min(initial=0.0) < 0:
        row, column = np.argwhere(values < 0)[0]
        raise UserError(
            f"{source}: declared linear, but {names.cell(row, column, values[row, column])}, and "
            "log2(x + 1) needs values of 0 or more. Give log2 expression."
        )
    return Rows.of(np.log2(np.add(values, 1.0, dtype=np.float64)))


def check_probes(
    rows: Rows, *, names: Names, source: str, platform: str, scale: ExpressionScale
) -> None:
    """Refuse a probe that expression cannot hold, before it hides in the mean of several.

    Args:
        rows: profiles × probes.
        names: the ids of these profiles and of the requested probes.
        source: the file, for the message.
        platform: name of the platform.
        scale: the declared scale. ``any`` has no fault.

    Raises:
        UserError: a log2 value of microarrays is too low, or a value of another platform is one of
            :data:`CODES`.
    """
    is_log2_array = platform == REFERENCE_PLATFORM and scale == "log2"
    low = _LOWEST_LOG2 if is_log2_array else max(CODES)
    # All columns of the file are tested first, because that needs no copy.
    everything, _ = rows
    if scale == "any" or not everything.min(initial=np.inf) <= low:
        return
    values = rows.pick()
    bad = values < low if is_log2_array else np.isin(values, CODES)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        why = "which no log2 level is" if is_log2_array else "a code for a missing value"
        cell = f"{names.cell(row, column, values[row, column])}, {why}."
        raise _wrong_cell(source, cell, platform, scale)


def scale_label(platform: str, scale: ExpressionScale) -> str:
    """Return in a word or two how the scale of a platform is treated."""
    if platform != REFERENCE_PLATFORM:
        return "by rank"
    return {"log2": "log2", "linear": "log2(x + 1)", "any": "as they are"}[scale]


BY_RANK = "by rank: linear and logarithmic values give the same"
"""The footnote of a table that shows the word of :func:`scale_label`."""


def _faults(
    sample: NDArray[np.float64], *, is_array: bool, scale: ExpressionScale
) -> Iterator[ScaleFault]:
    """Yield the faults of profiles × genes on a declared scale."""
    negative = float((sample < 0).mean())
    if negative >= _MANY_NEGATIVE:
        yield from _centred_genes(sample, negative)
        if is_array:
            yield from _centred(sample, negative)
    if is_array:
        yield from _not_linear(sample) if scale == "linear" else _not_log2(sample)


def _centred_genes(sample: NDArray[np.float64], negative: float) -> Iterator[ScaleFault]:
    # In expression, genes differ by more than the values of one gene do. Centring by gene takes
    # the differences between genes away. Quartile range and median ignore a few odd genes.
    low, high = np.percentile(sample.mean(axis=0), [25, 75])
    within = np.median(sample.std(axis=0))
    if high - low < within:
        yield ScaleFault(
            f"these look like z-scores or other values centred by gene: {negative:.0%} are "
            f"negative, and the means of genes differ less (interquartile range {high - low:.3g}) "
            f"than the values of one gene (median standard deviation {within:.3g}).",
            "Give expression from before that step.",
        )


def _centred(sample: NDArray[np.float64], negative: float) -> Iterator[ScaleFault]:
    mean, std = sample.mean(), sample.std()
    if abs(mean) < _NEAR_ZERO * std:
        yield ScaleFault(
            f"these look like z-scores or log ratios, not log2 expression: {negative:.0%} are "
            f"negative, with mean {mean:.3g} and standard deviation {std:.3g}.",
            "Give log2 expression.",
        )


def _not_log2(sample: NDArray[np.float64]) -> Iterator[ScaleFault]:
    if sample.max() > _HIGHEST_LOG2:
        whole = sample.min() >= 0 and bool((sample == np.rint(sample)).all())
        kind = "raw counts (all whole numbers)" if whole else "linear"
        n_high = int((sample > _HIGHEST_LOG2).sum())
        yield ScaleFault(
            f"these look {kind}, not log2 expression: values reach {sample.max():,.6g}, and "
            f"{n_high:,} of {sample.size:,} are above {_HIGHEST_LOG2:g}.",
            'Give log2 expression, or write level = "linear" to have log2(x + 1) taken.',
        )


def _not_linear(sample: NDArray[np.float64]) -> Iterator[ScaleFault]:
    if sample.max() <= _HIGHEST_LOG2:
        yield ScaleFault(
            f"declared linear, but these look logarithmic: no value is above {sample.max():.4g}.",
            'Write level = "log2".',
        )
