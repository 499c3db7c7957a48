"""Failures of plugin code: results to be recorded, not ends of a run."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from genebench._util.descriptors import kept_open
from genebench._util.text import encodable
from genebench.errors import describe
from genebench.results.record import Failure
from genebench.sealing.failure import SealedFailureError


class MethodFailedError(Exception):
    """A method or its model raised an exception. ``failure`` describes it for the record."""

    def __init__(self, error: BaseException) -> None:
        kind, _, message = describe(error).partition(": ")
        super().__init__(message)
        if isinstance(error, SealedFailureError):
            self.failure = error.failure
            return
        # A traceback may quote bytes that are no text, such as the name of a file.
        lines = encodable("".join(traceback.format_exception(error)))
        self.failure = Failure(kind=kind, message=message, traceback=lines)


@contextmanager
def method_code(*passed_on: type[BaseException]) -> Iterator[None]:
    """Run code of a method, and turn its exceptions into :class:`MethodFailedError`.

    Args:
        passed_on: exceptions to let through as they are. KeyboardInterrupt always is.

    Raises:
        MethodFailedError: the code raised anything else, SystemExit included.
    """
    let_through: tuple[type[BaseException], ...] = (KeyboardInterrupt, *passed_on)
    try:
        with kept_open():
            yield
    except let_through:
        raise
    except BaseException as error:
        raise MethodFailedError(error) from error
