"""Text of plugins and files, made safe to print."""

from __future__ import annotations

import io
import math
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from genebench._util.descriptors import Copy
from genebench.errors import UserError

MAX_CHARACTERS = 500
"""Characters shown of a line that a plugin prints."""
_MAX_LINES = 200
"""Lines shown of what a plugin prints while it is loaded or runs."""
BETWEEN_VALUES = ":"
"""Character between the values of a list, as users type it. Commas separate lists in a grid. A
number has no colon, and no shell means anything by it."""
_LINE_END = re.compile(r"[\r\n]")
_FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""Characters that start a formula in a spreadsheet, their full-width forms, and those that are
skipped before one."""
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Control characters, line ends, changes of the direction of text, and lone surrogates."""
_NUMBER = re.compile(r"[+-]?[0-9.]+(e[+-]?[0-9]+)?", re.IGNORECASE)


def encodable(text: str) -> str:
    r"""Return the text as one that every encoding of Unicode can hold.

    Bytes of file names, arguments and host names that are no UTF-8 become lone surrogates in
    Python. Each is shown as an escape, such as ``\udcff``. No other character changes.
    """
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str, kept: str = "") -> str:
    """Return the text with an escape for each character that could drive a terminal.

    Args:
        text: text of a file, a plugin or the command line.
        kept: control characters to leave as they are, such as line ends.
    """
    return _CONTROL.sub(
        lambda found: (
            found[0] if found[0] in kept else found[0].encode("unicode_escape").decode("ascii")
        ),
        text,
    )


def printable(text: str) -> str:
    """Return the text on one line. Control characters, which could drive a terminal, become �."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "�" for letter in line)


def printable_line(line: str) -> str:
    """Return a line of a traceback made safe to print. Its indentation is kept, as spaces."""
    return " " * (len(line) - len(line.lstrip())) + printable(line)


def typed(value: object) -> str:
    """Return the value of a parameter as a user types it. Values of a list have colons between."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Iterable) and not isinstance(value, str):
        return BETWEEN_VALUES.join(map(typed, value))
    return str(value)


def short(value: bool | float | str | tuple[bool | float | str, ...]) -> str:
    """Return the value of a parameter as :func:`typed` does, but floats to six digits."""
    if isinstance(value, tuple):
        return BETWEEN_VALUES.join(map(short, value))
    return f"{value:g}" if isinstance(value, float) else typed(value)


def setting(name: str, value: bool | float | str | tuple[bool | float | str, ...]) -> str:
    """Return a parameter and its value as a user types them."""
    return f"{name}={short(value)}"


def no_formula(value: object) -> object:
    """Return a value that no spreadsheet runs as a formula.

    An apostrophe is put before a text that begins like a formula. Numbers, and texts that are
    numbers, stay as they are.
    """
    if not isinstance(value, str) or not value.startswith(_FORMULA):
        return value
    return value if _NUMBER.fullmatch(value) else f"'{value}"


class Escaped(io.TextIOBase):
    """Stream for the output of plugins: a limited number of lines, without control characters."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._unfinished = ""
        self._lines_left: float = _MAX_LINES

    def fileno(self) -> int:
        """Return the descriptor of the stream behind, for subprocesses and crash handlers."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def reconfigure(self, **_: object) -> None:
        """Do nothing. A plugin may call this on standard streams, but must not change them."""

    def write(self, text: str, /) -> int:
        """Print the lines that are complete, and keep the rest for later."""
        *lines, unfinished = _LINE_END.split(self._unfinished + text)
        # Cut here already: output without line ends must not fill the memory.
        self._unfinished = unfinished[:MAX_CHARACTERS]
        for line in filter(None, map(printable, lines)):
            self._show(line[:MAX_CHARACTERS])
        return len(text)

    def finish(self) -> None:
        """Print the unfinished line. From now on the number of lines is not limited.

        A logging handler may keep the stream, and print messages through it later.
        """
        self.write("\n")
        self._lines_left = math.inf

    def _show(self, line: str) -> None:
        if self._lines_left >= 0 and self._stream is not None:
            # The line after the last one says that more is left out.
            shown = line if self._lines_left else f"(after {_MAX_LINES} lines, no more is shown)"
            # A closed terminal is no fault of the plugin.
            with suppress(OSError, ValueError):
                self._stream.write(f"{shown}\n")
        self._lines_left -= 1


@contextmanager
def escaped_output() -> Iterator[None]:
    """Send everything printed to standard output to standard error, made safe.

    Standard output is for results.
    """
    with _replaced("stdout", "__stdout__"), _redirected():
        yield


@contextmanager
def escaped_streams() -> Iterator[None]:
    """Send everything printed to both standard streams to standard error, made safe.

    Code that closes or replaces a standard stream only affects a replacement.
    """
    with _replaced("stdout", "__stdout__", "stderr", "__stderr__"), _redirected():
        yield


@contextmanager
def _replaced(*names: str) -> Iterator[None]:
    """Replace these streams of ``sys`` by one that escapes what is printed."""
    escaped = Escaped(sys.stderr)
    streams = {name: getattr(sys, name) for name in names}
    try:
        for name in names:
            setattr(sys, name, escaped)
        yield
    finally:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        escaped.finish()


@contextmanager
def _redirected() -> Iterator[None]:
    """Redirect descriptor 1 to standard error, for C code and subprocesses, which bypass ``sys``.

    Both descriptors are restored afterwards, even if a plugin closes them.

    Raises:
        UserError: a plugin closed the copy that descriptor 1 is restored from.
    """
    # What was printed before must not be flushed later, to standard error.
    with suppress(OSError, ValueError, AttributeError):  # The stream is closed, or there is none.
        sys.__stdout__.flush()  # type: ignore[union-attr]
    copies = {number: Copy.of(number) for number in (1, 2)}
    try:
        with suppress(OSError):  # There is no standard error.
            os.dup2(2, 1)
        yield
    finally:
        lost = [number for number, copy in copies.items() if copy and not copy.restore(number)]
    if 1 in lost:
        raise UserError(
            "Standard output was closed by code of a plugin, so nothing more can be printed. Its "
            "results are kept. Run the same command to continue."
        )
