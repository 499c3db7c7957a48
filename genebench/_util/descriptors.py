"""Standard descriptors (0, 1, 2), protected from code that closes or replaces them.

A closed descriptor is dangerous: the next file that is opened takes its number, and then receives
whatever is printed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

_STANDARD = (0, 1, 2)


class _File(NamedTuple):
    """The identity of an open file."""

    device: int
    inode: int

    @classmethod
    def of(cls, number: int) -> _File | None:
        """Return the file behind a descriptor, or None if it is closed."""
        try:
            state = os.fstat(number)
        except OSError:
            return None
        return cls(state.st_dev, state.st_ino)


class Copy(NamedTuple):
    """A second descriptor of an open file."""

    number: int
    file: _File | None

    @classmethod
    def of(cls, number: int) -> Copy | None:
        """Return a copy of a descriptor, or None if the descriptor is closed."""
        try:
            return cls(os.dup(number), _File.of(number))
        except OSError as error:
            if error.errno != errno.EBADF:
                raise
            return None

    def restore(self, number: int) -> bool:
        """Make ``number`` the same file again, and close the copy.

        Return False if the copy itself was closed. Then ``number`` leads nowhere, unless it still
        is the same file.
        """
        # Code that closes every descriptor may open files later, under the same numbers.
        if _File.of(self.number) == self.file:
            os.dup2(self.number, number)
            os.close(self.number)
            return True
        if _File.of(number) != self.file:
            lead_nowhere(number)
        return False


def lead_nowhere(number: int) -> None:
    """Let a descriptor lead to the null device."""
    null = os.open(os.devnull, os.O_RDWR)
    if null != number:
        os.dup2(null, number)
        os.close(null)


def closed_descriptors() -> list[int]:
    """Return the standard descriptors that are closed, and let them lead nowhere from now on."""
    closed = [number for number in _STANDARD if _File.of(number) is None]
    for number in closed:
        lead_nowhere(number)
    return closed


@contextmanager
def kept_open() -> Iterator[None]:
    """Run code that must not close or replace standard descriptors.

    Those that it closed or replaced lead nowhere afterwards.

    Raises:
        OSError: it did. An exception of the code itself goes first.
    """
    before = {number: _File.of(number) for number in _STANDARD}
    try:
        yield
    finally:
        changed = [number for number, file in before.items() if _File.of(number) != file]
        for number in changed:
            lead_nowhere(number)
    if changed:
        raise OSError(errno.EBADF, "it closed standard input, output or error, which are not its")
