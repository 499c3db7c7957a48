"""The training profiles that a prediction rests on, for methods that predict from profiles."""

from __future__ import annotations

import difflib

import numpy as np
import pandas as pd

from genebench._util.text import printable
from genebench.data.profiles import Profiles
from genebench.errors import UserError
from genebench.explaining.subject import Subject


def explain_profile(subject: Subject, profile: str) -> pd.DataFrame:
    """Return the training profiles that the prediction of a test profile rests on.

    The model must have a method ``donors(landmarks, training)``, as those of ``sample-lasso`` and
    ``knn`` have.

    Args:
        subject: the model with its data.
        profile: id of a test profile.

    Returns:
        One row for each training profile in use, largest weight first: ``id``, ``weight``,
        ``share``, ``correlation`` of its landmarks with those of the profile, and the columns of
        the profile table.

    Raises:
        UserError: there is no such test profile, or the model predicts without training profiles.
    """
    found = [position_of_profile(profile, subject.test, subject.protocol.name)]
    donors = getattr(subject.model, "donors", None)
    if donors is None:
        raise UserError(
            f"{subject.identity.method}: its predictions are not made of training profiles. Ask "
            "for --profile of sample-lasso or knn, or leave it out."
        )
    table: pd.DataFrame = donors(
        subject.test.landmark_rows(np.array(found)), subject.train.profiles
    )
    # Splits say nothing about a training profile.
    dropped = {"profile", "donor", "id", "split", "group_split"}
    columns = [name for name in table if name not in dropped]
    return table[["id", *columns]].sort_values(
        "weight", key=lambda weight: -weight.abs(), kind="stable", ignore_index=True
    )


def position_of_profile(profile: str, test: Profiles, protocol: str) -> int:
    """Return the position of a test profile by its id.

    Raises:
        UserError: there is no such test profile.
    """
    ids = [str(name) for name in test.profiles.index]
    if profile in ids:
        return ids.index(profile)
    close = difflib.get_close_matches(profile, ids, n=3, cutoff=0.5)
    hint = f"Did you mean {' or '.join(close)}?" if close else f"One of them is {ids[0]}."
    raise UserError(f"{printable(profile)}: no test profile of {protocol}. {hint}")
