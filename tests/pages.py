"""Execution of pages of the documentation: files to write, commands to type, lines printed.

A reader writes each block of Python to the file that the text before it names, and types each line
after ``$``. :func:`follow` does so in order, and compares what is printed with the page.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"```(python|console)\n(.*?)```", re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.py)`")
_DIGEST = re.compile(r"[0-9a-f]{16}")
_NUMBER = re.compile(r"-?\d+\.\d+")
TOLERANCE = 0.02
"""Relative difference allowed between a printed number and the page's. Processors differ."""


@dataclass(frozen=True)
class Write:
    """A file to write."""

    path: str
    text: str


@dataclass(frozen=True)
class Type:
    """A command to type, and lines that it prints."""

    words: list[str]
    printed: list[str]


def steps(page: Path) -> Iterator[Write | Type]:
    """Yield the steps of a reader of the page, in order.

    Raises:
        ValueError: nothing before a block of Python names a file.
    """
    text = page.read_text("utf-8")
    before = 0
    for block in _BLOCK.finditer(text):
        if block[1] == "console":
            yield from _commands(block[2])
        else:
            named = _FILE.findall(text, before, block.start())
            if not named:
                raise ValueError(f"{page}: no file is named before {block[2].splitlines()[0]!r}")
            yield Write(named[-1], block[2])
        before = block.end()


def _commands(block: str) -> Iterator[Type]:
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *printed = part.splitlines()
        yield Type(shlex.split(command, comments=True), [line for line in printed if line.strip()])


def follow(page: Path, folder: Path, execute: Callable[[list[str]], str]) -> None:
    """Do the steps of a page in a folder. ``execute`` returns the output of a command."""
    for step in steps(page):
        if isinstance(step, Write):
            path = folder / step.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text, "utf-8")
            continue
        lines = [line.split() for line in execute(step.words).splitlines()]
        for expected in step.printed:
            assert any(_agree(expected.split(), line) for line in lines), (
                f"{page.name}: {shlex.join(step.words)} did not print {expected!r}"
            )


def _agree(expected: list[str], printed: list[str]) -> bool:
    """Return whether the words are printed in a row. ``…`` stands for any word."""
    starts = range(len(printed) - len(expected) + 1)
    return any(all(map(_same, expected, printed[start:])) for start in starts)


def _same(expected: str, printed: str) -> bool:
    if _NUMBER.fullmatch(expected) and _NUMBER.fullmatch(printed):
        return abs(float(expected) - float(printed)) <= TOLERANCE * abs(float(expected))
    # The simulation draws on exp, whose last bit depends on the processor, and so does its digest.
    if _DIGEST.fullmatch(expected):
        return bool(_DIGEST.fullmatch(printed))
    return bool(re.fullmatch(re.escape(expected).replace("…", ".*"), printed))
