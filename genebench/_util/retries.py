"""Retries of file operations that a network file system fails for a moment.

A server of NFS that restarts, or a file that another machine replaced, gives such errors.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PASSING = {errno.ESTALE, errno.ENOLCK, errno.EIO}
"""Codes for a stale handle, no locks to be had, and an error of input or output."""
_PAUSES_SECONDS = (0.05, 0.2, 1.0, 3.0)
"""Pauses before further attempts. A server that fails for longer is broken."""


def retried(action: Callable[[], T]) -> T:
    """Return the result of an action, which is repeated while it fails with a passing error.

    Raises:
        OSError: it failed with another error, or too often.
    """
    for pause in _PAUSES_SECONDS:
        try:
            return action()
        except OSError as error:
            if error.errno not in PASSING:
                raise
        time.sleep(pause)
    return action()
