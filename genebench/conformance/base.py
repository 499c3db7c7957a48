"""Exceptions and type aliases that the checks share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from genebench.method import Model
from genebench.specs import Value

Models = Mapping[str, Model]
"""Protocol → the model that was chosen on its validation set."""
Params = Mapping[str, Value]
"""Parameter → its value."""
Predictions = dict[str, NDArray[np.float32]]
"""Protocol → predictions, profiles × targets."""
Landmarks = Mapping[str, NDArray[np.float32]]
"""Name of a test set → its landmarks, profiles × landmarks."""


class CheckError(AssertionError):
    """A method breaks a rule.

    Attributes:
        rule: the rule, one sentence.
        observation: the behaviour that was seen instead.
    """

    def __init__(self, rule: str, observation: str) -> None:
        super().__init__(f"{rule} But {observation}")
        self.rule, self.observation = rule, observation


class Violation(Exception):  # noqa: N818  a finding, which becomes a CheckError
    """Raised inside a check to state the behaviour that was seen instead of the expected one."""


class NothingToCheck(Exception):  # noqa: N818  no error: a check that has nothing to say
    """Raised inside a check that cannot be made of this method or on this machine."""
