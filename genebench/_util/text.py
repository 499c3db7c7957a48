"""Text that came from plugins and files, made safe to print."""

from __future__ import annotations

import errno
import io
import math
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

LONGEST = 500
"""Letters of a line that are shown of what a plugin prints."""
_MOST = 200
_LINE_END = re.compile(r"[\r\n]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a spreadsheet takes for the start of a formula, or leaves out before looking for one."""
_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)


def printable(text: str) -> str:
    """The text on one line, without control characters that could drive a terminal."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "�" for letter in line)


def no_formula(value: object) -> object:
    """What no spreadsheet takes for a formula; numbers, and texts of numbers, stay as they are."""
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    return value if _NUMBER.fullmatch(value) else f"'{value}"


class Escaped(io.TextIOBase):
    """A stream for what plugins print: lines without control characters, only so many of them."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._held = ""
        self._left: float = _MOST

    def fileno(self) -> int:
        """The descriptor of what stands behind, as for a process to print to, or a crash."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def reconfigure(self, **_: object) -> None:
        """Nothing: how lines are shown is not for a plugin to say."""

    def write(self, text: str, /) -> int:
        """Pass on the lines that are complete."""
        *lines, held = _LINE_END.split(self._held + text)
        self._held = held[:LONGEST]
        for line in filter(None, map(printable, lines)):
            self._show(line[:LONGEST])
        return len(text)

    def finish(self) -> None:
        """Pass on the line that never ended; what holds on to the stream may print on."""
        self.write("\n")
        self._left = math.inf

    def _show(self, line: str) -> None:
        if self._left >= 0 and self._stream is not None:
            shown = line if self._left else f"(after {_MOST} lines, no more is shown)"
            with suppress(OSError, ValueError):  # nobody reads it: that is no fault of who prints
                self._stream.write(f"{shown}\n")
        self._left -= 1


@contextmanager
def escaped_output() -> Iterator[None]:
    """What is printed meanwhile goes to standard error, made safe: the output is for results."""
    with _stood_in("stdout", "__stdout__"), _diverted():
        yield


@contextmanager
def escaped_streams() -> Iterator[None]:
    """Likewise, and whoever replaces or closes a standard stream does so to a stand-in."""
    with _stood_in("stdout", "__stdout__", "stderr", "__stderr__"), _diverted():
        yield


@contextmanager
def _stood_in(*names: str) -> Iterator[None]:
    """Have something that escapes what it is given stand in for these streams of ``sys``."""
    shown = Escaped(sys.stderr)
    streams = {name: getattr(sys, name) for name in names}
    try:
        for name in names:
            setattr(sys, name, shown)
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        shown.finish()


@contextmanager
def _diverted() -> Iterator[None]:
    """Have what bypasses ``sys`` (C code, other processes) print to standard error as well."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or none
        sys.__stdout__.flush()  # type: ignore[union-attr]
    kept = {number: _duplicate(number) for number in (1, 2)}
    try:
        with suppress(OSError):  # no standard error
            os.dup2(2, 1)
        yield
    finally:
        for number, copy in kept.items():
            if copy is not None:
                os.dup2(copy, number)
                os.close(copy)


def _duplicate(number: int) -> int | None:
    """Another descriptor of the same file; None where that one is closed."""
    try:
        return os.dup(number)
    except OSError as error:
        if error.errno != errno.EBADF:
            raise
        return None
