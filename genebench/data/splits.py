"""The part of each profile under a split: stored with the dataset, or computed by a plugin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, describe
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.specs import Split

REFERENCE_PLATFORM = "geo"
"""The microarray platform. It gives the quantile reference, and is the one that is split."""

STORED = {"random": "split", "group": "group_split"}
"""Split → column of the profile table that holds it. Preparation stores both for ``geo``."""

_OUTCOME_DIGITS = 8


def outcome(rows: NDArray[np.intp]) -> str:
    """Return a digest of the positions of profiles, for the names of files about them.

    The code of a plugin can change while the dataset stays, and a split then has another outcome.
    """
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:_OUTCOME_DIGITS]


def training_suffix(split: str, rows: NDArray[np.intp]) -> str:
    """Return the suffix of the file name of a quantile reference over the training profiles.

    Args:
        split: the split.
        rows: positions of its training profiles.
    """
    return f".{split}-{outcome(rows)}"


def splits_with_quantiles() -> list[str]:
    """Return the splits whose training profiles give some protocol the quantiles of ``geo``.

    These quantiles cannot be computed from normalised expression, so preparation stores them. The
    split ``random`` is left out, because its quantiles are stored for every dataset.
    """
    parts = [part for spec in registry().protocols.specs.values() for part in spec.parts]
    return sorted(
        {
            part.by
            for part in parts
            if part.platform == REFERENCE_PLATFORM and part.statistics == "train"
        }
        - {"random"}
    )


def split_profiles(
    name: str, profiles: pd.DataFrame, seed: int, *, dataset: str, platform: str
) -> NDArray[np.str_]:
    """Compute the part of each profile of a platform under a split.

    Args:
        name: the split, a name of the registry.
        profiles: the profile table of the platform.
        seed: the split seed of the dataset.
        dataset: its name, for messages.
        platform: the platform's name, for messages.

    Returns:
        ``train``, ``validation`` or ``test``, one per profile.

    Raises:
        UserError: there is no such split, its code cannot be loaded or fails, or it returns
            anything but one part per profile.
    """
    splits = registry().splits
    spec = splits.get(name)
    owner = f"dataset {dataset}: split {name} of plugin {splits.plugins[name].name}"
    try:
        split: Callable[..., Any] = load_code(spec.code)
        # A copy: the function must not change what the dataset and later splits read.
        returned = split(profiles.copy(), seed)
        parts = np.asarray(returned)
    except KeyboardInterrupt:
        raise
    except UserError as error:
        raise UserError(f"{owner} cannot split platform {platform}: {error}") from error
    except BaseException as error:  # a plugin may raise anything
        raise UserError(
            f"{owner} failed on platform {platform}: {describe(error)}. Correct the plugin, or "
            "run other protocols."
        ) from error
    remedy = f"Return one of {', '.join(get_args(Split))} for each profile."
    # A Series without labels is taken by position, like an array.
    labelled = isinstance(returned, pd.Series) and not isinstance(returned.index, pd.RangeIndex)
    if labelled and not returned.index.equals(profiles.index):
        raise UserError(
            f"{owner} returned a Series whose index is not that of the profile table of platform "
            f"{platform}. Return it in the order of the table."
        )
    if parts.shape != (len(profiles),):
        size = f"{len(parts)} labels" if parts.ndim == 1 else f"an array of shape {parts.shape}"
        if returned is None:
            size = "None"
        raise UserError(
            f"{owner} returned {size} for the {len(profiles)} profiles of platform {platform}. "
            f"{remedy}"
        )
    wrong = ~pd.Series(parts).isin(get_args(Split)).to_numpy()
    if wrong.any():
        first = int(wrong.argmax())
        raise UserError(
            f"{owner} returned {str(parts[first])[:40]!r} for profile {profiles.index[first]} of "
            f"platform {platform}. {remedy}"
        )
    return parts.astype(np.str_)
