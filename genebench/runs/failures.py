"""Failures of plugin code: results to be recorded, not ends of a run."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from genebench._util.descriptors import kept_open
from genebench._util.text import encodable
from genebench.errors import describe
from genebench.results.limits import LINE_LETTERS, NAME_LETTERS, TEXT_LETTERS, cut, cut_middle
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
        self.failure = Failure(
            kind=cut(kind, NAME_LETTERS),
            message=cut(message, LINE_LETTERS),
            # A traceback may quote bytes that are no text, such as the name of a file.
            traceback=cut_middle(encodable(_traceback(error)), TEXT_LETTERS),
        )


def _traceback(error: BaseException) -> str:
    try:
        return "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001  exceptions of plugins can be anything
        return "".join(traceback.format_tb(error.__traceback__))


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
