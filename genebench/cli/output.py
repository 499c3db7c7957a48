"""Output of commands: lines, tables and JSON, and the errors of standard output.

Every command prints by the functions here. Text of files and plugins cannot drive the terminal:
control characters become escapes. A full disk or a closed pipe ends a command without a traceback.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from genebench._util.descriptors import lead_nowhere
from genebench._util.files import user_errors
from genebench._util.text import printable, visible
from genebench.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 120
"""Characters of a line if the output is no terminal."""

_COMMAND = re.compile(r"\bgenebench [a-z].*?(?=[.,:;](?: |$)|$)")
"""A command in a sentence, with the words after it. Where it ends, only a reader can tell."""
_HARD_SPACE = "\N{NO-BREAK SPACE}"
"""A space that no line ends at. It is printed as a plain one."""


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
    """Print a line on standard error. Control characters in it become escapes, but those kept.

    A terminal would break words at its edge, so the line wraps between words there. Commands stay
    whole for those who copy them.
    """
    shown = visible(text, kept=kept)
    if not kept and sys.stderr.isatty():
        shown = "\n".join(_wrapped(shown, _width_of_messages()))
    sys.stderr.write(f"{shown}\n")
    sys.stderr.flush()


@contextmanager
def lines_above(console: Console) -> Iterator[None]:
    """Print what others write to the terminal above a live display of this console.

    Rich's own proxy has no encoding. So typer takes it for a poor stream, and writes around it,
    which glues its lines to the bars.
    """
    from rich.file_proxy import FileProxy

    class Proxy(FileProxy):
        encoding = "utf-8"

    streams = sys.stdout, sys.stderr
    # Results may go to a file.
    sys.stdout, sys.stderr = (
        cast("TextIO", Proxy(console, stream)) if stream.isatty() else stream for stream in streams
    )
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        sys.stdout, sys.stderr = streams


def width() -> int:
    """Return the characters that a line of a table may have. ``COLUMNS`` overrides it."""
    return shutil.get_terminal_size((PIPE_WIDTH, 24)).columns


def _width_of_messages() -> int:
    """Return the characters that a line on standard error may have. ``COLUMNS`` overrides it."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or PIPE_WIDTH
    except (OSError, ValueError):
        return PIPE_WIDTH


def colour() -> bool:
    """Return whether tables are coloured: in a terminal, unless ``NO_COLOR`` is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table that fits the terminal. Prose wraps, and columns that do not fit go below."""
    from rich.text import Text

    from genebench._util.grids import console, grids

    printer, out = console(width())
    cells = [[Text(printable(cell)) for cell in row] for row in rows]
    for grid in grids([Text(printable(column)) for column in columns], cells, width()):
        printer.print(grid)
        printer.print()
    shown = "\n".join(line.rstrip() for line in out.getvalue().split("\n"))
    block(shown.replace("─", "-") if not _has_lines() else shown)


def _has_lines() -> bool:
    """Return whether the encoding of standard output has the characters of lines."""
    stream = getattr(sys.stdout, "_stream", sys.stdout)
    try:
        "─".encode(stream.encoding or "utf-8")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def common(columns: Sequence[str], rows: Sequence[Sequence[str]], kept: Collection[str]) -> None:
    """Print a table without the columns that are the same in each row: they stand above it.

    Args:
        columns: names of the columns.
        rows: cells of the rows.
        kept: columns that stay in any case.
    """
    same = [
        at
        for at, column in enumerate(columns)
        if column not in kept and len({row[at] for row in rows}) == 1
    ]
    if shared := [f"{columns[at]}: {rows[0][at]}" for at in same if rows[0][at]]:
        prose(" · ".join(map(printable, shared)))
        line()
    left = [at for at in range(len(columns)) if at not in same]
    table([columns[at] for at in left], [[row[at] for at in left] for row in rows])


def prose(text: str, hanging: int = 0) -> None:
    """Print text that wraps between words at the edge of the terminal. Commands stay whole.

    Args:
        text: the text.
        hanging: spaces before each line but the first.
    """
    for wrapped in _wrapped(text, width(), hanging):
        line(wrapped)


def _wrapped(text: str, columns: int, hanging: int = 0) -> list[str]:
    """Return the lines of a text that is wrapped between words.

    A line end inside a command would be copied with it, but where the terminal breaks a line, none
    is. So a command may be longer than a line.
    """
    import textwrap

    whole = _COMMAND.sub(lambda found: found[0].replace(" ", _HARD_SPACE), text)
    lines = textwrap.wrap(
        whole, columns, subsequent_indent=" " * hanging, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip
    return [line.replace(_HARD_SPACE, " ") for line in lines]


def as_json(content: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    """Print rows as a JSON array, or a mapping as a JSON object."""
    block(json.dumps(content, indent=1) + "\n")
