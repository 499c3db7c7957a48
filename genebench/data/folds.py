"""Folds of a platform's profiles: the part of each profile in one fold of a protocol.

In each fold one piece is the test set, the next one the validation set, and the others the training
set. So every profile is tested once, and validation is on unseen groups where the test is.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, some
from genebench.specs import FEWEST_FOLDS, LABEL_LETTERS, MOST_FOLDS, Division

_FOLDS, _REPEATS = 3, 2
"""Numbers that follow the split seed, so that the draws are those of no split and no subset."""


def fold_labels(division: Division, table: pd.DataFrame) -> dict[str, str]:
    """Return the label of each group that ``leave-one-out`` tests on → its value in the table.

    A label is the value in a-z, 0-9 and ``-``, cut to a length that fits into names. Of equal
    labels, the later ones by value get a number. Empty cells have none: their profiles are training
    profiles in every fold.

    Raises:
        UserError: there are too few or too many groups.
    """
    column = division.column or "group"
    values = sorted(set(table[column]) - {""})
    if not FEWEST_FOLDS <= len(values) <= MOST_FOLDS:
        raise UserError(
            f"column {column} has {len(values):,} values, and leave-one-out needs {FEWEST_FOLDS} "
            f"to {MOST_FOLDS:,}. Give a number of folds, which keeps each value in one fold."
        )
    labels: dict[str, str] = {}
    for value in values:
        words = "-".join(re.findall(r"[a-z0-9]+", value.lower())) or "group"
        label, number = words[:LABEL_LETTERS].strip("-"), 1
        while label in labels:
            number += 1
            end = f"-{number}"
            label = words[: LABEL_LETTERS - len(end)].strip("-") + end
        labels[label] = value
    return labels


def in_fold(division: Division, table: pd.DataFrame, seed: int) -> NDArray[np.str_]:
    """Return the part of each profile in a fold of kind ``k-fold`` or ``leave-one-out``.

    Args:
        division: the division, with its fold.
        table: the profile table of the platform.
        seed: the split seed of the dataset.

    Raises:
        UserError: there is no such fold, or there are too few groups for the folds.
    """
    fold = division.fold
    assert fold is not None
    held_out: tuple[str, str] | tuple[int, int]
    if fold.kind == "leave-one-out":
        labels = fold_labels(division, table)
        if fold.label not in labels:
            raise UserError(f"there is no fold {fold.label!r}. Folds: {some(labels, 30)}.")
        names = list(labels)
        tested = names.index(fold.label)
        held_out = labels[fold.label], labels[names[(tested + 1) % len(names)]]
        pieces = table[division.column or "group"].to_numpy(dtype=str)
    else:
        pieces = _pieces(division, table, seed, fold.number)
        tested = int(fold.label) - 1
        held_out = tested, (tested + 1) % fold.number
    test, validation = (pieces == piece for piece in held_out)
    return np.where(test, "test", np.where(validation, "validation", "train"))


def repeat_seed(seed: int, label: str) -> int:
    """Return the split seed of one repeat."""
    return int(np.random.RandomState([seed, _REPEATS, int(label)]).randint(2**31))


def _pieces(division: Division, table: pd.DataFrame, seed: int, folds: int) -> NDArray[np.intp]:
    """Return the piece of each profile, from 0 on. Pieces have about the same size.

    Single profiles are permuted and cut. Groups come by size, those of one size in random order,
    and each goes to the smallest piece, so that a large group does not come last.
    """
    random = np.random.RandomState([seed, _FOLDS])
    if division.by == "random":
        places = np.empty(len(table), np.intp)
        places[random.permutation(len(table))] = np.arange(len(table))
        return places * folds // max(len(table), 1)
    column = division.column or "group"
    groups = table[column].to_numpy(dtype=object)
    # A profile with an empty cell is a group of its own. No cell can hold a pair.
    keys = pd.Series([value or ("", row) for row, value in enumerate(groups)], dtype=object)
    numbers, names = pd.factorize(keys)
    if len(names) < folds:
        raise UserError(
            f"column {column} has {len(names)} groups, too few for {folds} folds. Give fewer folds."
        )
    sizes = np.bincount(numbers)
    # By name first, so that the pieces do not depend on the order of the profiles.
    by_name = np.array(sorted(range(len(names)), key=lambda number: str(names[number])))
    shuffled = by_name[random.permutation(len(by_name))]
    ordered = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    piece_of, filled = np.empty(len(names), np.intp), np.zeros(folds)
    for number in ordered:
        piece_of[number] = filled.argmin()
        filled[piece_of[number]] += sizes[number]
    return np.asarray(piece_of[numbers])
