"""The part of each profile under a split: stored with the dataset, or computed by a plugin."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.data.folds import fold_labels, in_fold, repeat_seed
from genebench.errors import UserError, describe
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.specs import Division, Part, ProtocolSpec, Split

REFERENCE_PLATFORM = "geo"
"""The microarray platform. It gives the quantile reference, and is the one that is split."""

STORED = {"random": "split", "group": "group_split"}
"""Split → column of the profile table that holds it. Preparation stores both for ``geo``."""

_OUTCOME_DIGITS = 8


def stored_column(division: Division) -> str | None:
    """Return the column of the profile table that holds a split, if there can be one."""
    return STORED.get(division.by) if division == Division(by=division.by) else None


def outcome(rows: NDArray[np.intp]) -> str:
    """Return a digest of the positions of profiles, for the names of files about them.

    The code of a plugin can change while the dataset stays, and a split then has another outcome.
    """
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()[:_OUTCOME_DIGITS]


def training_suffix(division: Division, rows: NDArray[np.intp]) -> str:
    """Return the suffix of the file name of a quantile reference over the training profiles.

    Args:
        division: the division of ``geo``.
        rows: positions of its training profiles.
    """
    # A column may have any name. The digest tells files apart.
    return f".{re.sub('[^a-z0-9.-]+', '-', str(division).lower())[:60]}-{outcome(rows)}"


def divisions_with_quantiles(table: pd.DataFrame) -> list[Division]:
    """Return the divisions whose training profiles give some protocol the quantiles of ``geo``.

    These quantiles cannot be computed from normalised expression, so preparation stores them. The
    split ``random`` is left out, because its quantiles are stored for every dataset.

    Args:
        table: the profile table of ``geo``, which decides on the folds of ``leave-one-out``.
    """
    found: dict[Division, None] = {}
    for spec in registry().protocols.specs.values():
        for part in (single for fold in _folds_of(spec, table) for single in fold.parts):
            of = part.statistics
            if of == "train":
                of = part
            if isinstance(of, Part) and of.platform == REFERENCE_PLATFORM and of.split:
                found[of.division] = None
    found.pop(Division(), None)
    return sorted(found, key=str)


def _folds_of(spec: ProtocolSpec, table: pd.DataFrame) -> list[ProtocolSpec]:
    """Return the folds of a protocol, those by a missing column left out."""
    if not spec.is_family:
        return [spec]
    if spec.repeats or spec.folds != "leave-one-out":
        return [spec.one_fold(str(n + 1)) for n in range(spec.repeats or int(spec.folds))]
    if spec.test.platform != REFERENCE_PLATFORM:
        return []
    try:
        return [spec.one_fold(label) for label in fold_labels(spec.test.division, table)]
    except (UserError, KeyError):
        return []


def split_profiles(
    division: Division, profiles: pd.DataFrame, seed: int, *, dataset: str, platform: str
) -> NDArray[np.str_]:
    """Compute the part of each profile of a platform under a division.

    Args:
        division: the split, a name of the registry, with its column and its fold.
        profiles: the profile table of the platform.
        seed: the split seed of the dataset.
        dataset: its name, for messages.
        platform: the platform's name, for messages.

    Returns:
        ``train``, ``validation`` or ``test``, one per profile.

    Raises:
        UserError: there is no such split, column or fold, the code of the split cannot be loaded or
            fails, or it returns anything but one part per profile.
    """
    where = f"dataset {dataset}: platform {platform}"
    fold = division.fold
    if division.column or (fold and division.by == "group"):
        check_columns([division.column or "group"], profiles, where)
    if fold and fold.kind != "repeat":
        try:
            return in_fold(division, profiles, seed)
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    if division.column:
        profiles = profiles.assign(group=profiles[division.column])
    if fold:
        seed = repeat_seed(seed, fold.label)
    return _by_code(division.by, profiles, seed, dataset=dataset, platform=platform)


def check_columns(columns: Iterable[str], table: pd.DataFrame, where: str) -> None:
    """Refuse columns that a profile table lacks.

    Raises:
        UserError: the message lists the columns that there are.
    """
    for column in columns:
        if column not in table:
            known = [name for name in table if name not in STORED.values()]
            raise UserError(
                f"{where} has no column {column} in its profile table. Columns: "
                f"{', '.join(map(str, known)) or 'none'}."
            )


def _by_code(
    name: str, profiles: pd.DataFrame, seed: int, *, dataset: str, platform: str
) -> NDArray[np.str_]:
    """Return the part of each profile that the code of a split gives, once it is checked."""
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
