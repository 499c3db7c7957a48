"""Output of commands: lines, tables and JSON, and the errors of standard output.

Every command prints by the functions here. Text of files and plugins cannot drive the terminal:
control characters become escapes. A full disk or a closed pipe ends a command without a traceback.
"""

from __future__ import annotations

import io
import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from genebench._util.descriptors import lead_nowhere
from genebench._util.files import user_errors
from genebench._util.text import printable, visible
from genebench.errors import UserError

PIPE_WIDTH = 120
"""Characters of a line if the output is no terminal."""
_LEAST_WIDTH = 20
"""Characters that the last column of a table has at least, however narrow the terminal."""


class ReaderGoneError(Exception):
    """The program that read standard output has ended, as ``head`` does after ten lines."""


@contextmanager
def standard_output() -> Iterator[None]:
    """Replace standard output by a stream whose errors end the command, without a traceback.

    Raises:
        UserError: it is closed, or what was printed cannot be written.
        ReaderGoneError: nobody reads it any longer.
    """
    # Before any work is done, because its results could not be printed.
    if sys.stdout is None or sys.stdout.closed:
        raise UserError("standard output is closed. Send it to a file, or to /dev/null.")
    with _replaced("stdout", _Results):
        yield
        sys.stdout.flush()


@contextmanager
def standard_error() -> Iterator[None]:
    """Replace standard error by a stream that loses what cannot be written."""
    with _replaced("stderr", _Messages):
        yield


@contextmanager
def _replaced(name: str, kind: type[_Stream]) -> Iterator[None]:
    stream = getattr(sys, name)
    setattr(sys, name, kind(stream))
    try:
        yield
    finally:
        setattr(sys, name, stream)
        # Python flushes the stream at exit, and would print an error once more.
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                lead_nowhere(stream.fileno())


class _Stream:
    """A text stream. Letters that its encoding lacks are written as escapes."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = io.StringIO() if stream is None else stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text."""
        encoding = self._stream.encoding or "utf-8"
        return self._stream.write(text.encode(encoding, "backslashreplace").decode(encoding))

    def flush(self) -> None:
        """Write what is held back."""
        self._stream.flush()


class _Results(_Stream):
    """Standard output. An error while writing ends the command."""

    encoding = "utf-8"
    """The encoding that typer sees. It would go around this stream if there were a poorer one."""

    def write(self, text: str) -> int:
        """Write a text."""
        with _ends_the_command():
            return super().write(text)

    def flush(self) -> None:
        """Write what is held back."""
        with _ends_the_command():
            super().flush()


class _Messages(_Stream):
    """Standard error. Messages that cannot be written are lost, and the command goes on."""

    def write(self, text: str) -> int:
        """Write a text."""
        with suppress(OSError, ValueError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        with suppress(OSError, ValueError):
            super().flush()


@contextmanager
def _ends_the_command() -> Iterator[None]:
    try:
        with user_errors(Path("standard output"), "Send it to another file."):
            try:
                yield
            except BrokenPipeError as error:
                raise ReaderGoneError from error
    except ValueError as error:
        raise UserError(f"standard output: cannot write there ({error}).") from error


def line(text: str = "") -> None:
    """Print a line. Control characters in it become escapes."""
    styled(f"{visible(text)}\n")


def block(text: str) -> None:
    """Print a text of several lines as it ends. Other control characters become escapes."""
    styled(visible(text, kept="\n\t"))


def styled(text: str) -> None:
    """Print a text with the control characters that colour it. Its parts are escaped already."""
    sys.stdout.write(text)
    sys.stdout.flush()


def message(text: str, kept: str = "") -> None:
    """Print a line on standard error. Control characters in it become escapes, but those kept."""
    sys.stderr.write(f"{visible(text, kept=kept)}\n")
    sys.stderr.flush()


def width() -> int:
    """Return the characters that a line of a table may have."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPE_WIDTH


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table. Its last column wraps at the edge of the terminal."""
    from tabulate import tabulate

    columns = [*map(printable, columns)]
    cells = [[printable(cell) for cell in row] for row in rows]
    *others, _last = zip(columns, *cells, strict=True)
    # tabulate separates columns by two spaces.
    used = sum(max(map(len, column)) + 2 for column in others)
    widths = [None] * len(others) + [max(width() - used, _LEAST_WIDTH)]
    shown = tabulate(cells, columns, "simple", disable_numparse=True, maxcolwidths=widths)
    block(f"{shown}\n\n")


def as_json(content: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    """Print rows as a JSON array, or a mapping as a JSON object."""
    block(json.dumps(content, indent=1) + "\n")
