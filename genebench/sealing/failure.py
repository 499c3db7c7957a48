"""The failure of a method in its own process."""

from __future__ import annotations

from genebench.results.record import Failure


class SealedFailureError(Exception):
    """The method failed in its process, or the process died. ``failure`` says how."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure
