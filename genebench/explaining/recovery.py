"""Recovery of a planted signal: landmarks of a pathway should be relevant for its targets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating[Any]], truth: NDArray[np.bool_]) -> float:
    """Return the area under the precision-recall curve, as average precision.

    It is the sum over distinct scores, from the highest down, of the precision at that score times
    the recall gained. Equal scores give the share of true entries. So do random ones, as a mean, if
    there are many entries. With few they give more.

    Args:
        scores: one number for each entry. Higher is more likely true.
        truth: the true entries, at least one.

    Raises:
        ValueError: no entry is true.
    """
    if not truth.any():
        raise ValueError("no entry is true")
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(truth[order])
    # Entries of one score count together.
    last = np.append(np.diff(scores[order]) != 0, True)
    precision = found[last] / (1 + np.flatnonzero(last))
    gained = np.diff(found[last], prepend=0)
    return float((precision * gained).sum() / found[-1])


def recovery(relevance: NDArray[np.floating[Any]], truth: NDArray[np.bool_]) -> float:
    """Return the mean average precision of absolute relevance over rows.

    Args:
        relevance: rows × landmarks, such as the effects of groups of targets.
        truth: rows × landmarks, the landmarks that should be found. Rows without any do not count.

    Raises:
        ValueError: no row has a true landmark.
    """
    rows = np.flatnonzero(truth.any(1))
    if not len(rows):
        raise ValueError("no entry is true")
    return float(np.mean([average_precision(np.abs(relevance[row]), truth[row]) for row in rows]))
