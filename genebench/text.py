"""Text that came from plugins and files, made safe to print."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TextIO

LONGEST = 500
"""Letters of a line that are shown of what a plugin prints."""
_MOST = 200
_LINE_END = re.compile(r"[\r\n]")


def printable(text: str) -> str:
    """The text on one line, without control characters that could drive a terminal."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "�" for letter in line)


class Escaped(io.TextIOBase):
    """A stream for what plugins print: lines without control characters, only so many of them."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._left = _MOST

    def write(self, text: str, /) -> int:
        """Pass on the lines that are complete."""
        *lines, held = _LINE_END.split(self._held + text)
        self._held = held[:LONGEST]
        for line in filter(None, map(printable, lines)):
            self._show(line[:LONGEST])
        return len(text)

    def finish(self) -> None:
        """Pass on the line that never ended."""
        self.write("\n")

    def _show(self, line: str) -> None:
        if self._left > 0:
            self._stream.write(f"{line}\n")
        elif self._left == 0:
            self._stream.write(f"(after {_MOST} lines, no more is shown)\n")
        self._left -= 1


@contextmanager
def escaped_output() -> Iterator[None]:
    """What is printed meanwhile goes to standard error, made safe: the output is for results."""
    shown = Escaped(sys.stderr)
    with redirect_stdout(shown):
        try:
            yield
        finally:
            shown.finish()
