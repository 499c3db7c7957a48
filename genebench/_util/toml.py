"""TOML files of users, read without trust: size, depth and numbers are limited."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from genebench.errors import UserError

MAX_BYTES = 256 << 10
"""Most bytes of a file. The parser needs up to 160 bytes of memory for each."""
MAX_DEPTH = 10
"""Most tables within tables, and most parts of a dotted key. A suite has four."""
_INT64 = range(-(2**63), 2**63)
"""Whole numbers that TOML promises. Longer ones cannot even be printed by Python."""
# A text without an end reaches to the end of its line, or of the file, so that no character is
# looked at twice. The parser refuses it later.
_PART = re.compile(
    # Two more quotes may stand before the three that end a text of several lines.
    r'"""(?:\\.?+|[^\\])*?(?:"{3,5}+|\Z)|\'\'\'.*?(?:\'{3,5}+|\Z)'  # texts of several lines
    r'|"(?:\\.?+|[^"\\\n])*+"?|\'[^\'\n]*+\'?'  # texts of one line, also as parts of a key
    r"|#[^\n]*|[\[\]{}.,=\n]",
    re.DOTALL,
)


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises:
        UserError: the file cannot be read, is no TOML, or is larger or deeper than any that
            genebench knows.
    """
    try:
        # Opening a named pipe would wait for a writer for ever, so its kind is checked first.
        if not stat.S_ISREG(path.stat().st_mode):
            raise UserError(f"{path}: cannot be read: it is no file. Name a file.")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. Correct the path.") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}. Name a file that you may read."
        ) from None
    except ValueError as error:  # a NUL in its name
        raise UserError(f"{path}: cannot be read: {error}. Correct its name.") from None
    return parse_toml(content, str(path))


def parse_toml(content: bytes, source: str) -> dict[str, Any]:
    """Return the content of a TOML document.

    Args:
        content: the document, in UTF-8.
        source: the name of its file, for messages.

    Raises:
        UserError: it is no TOML, or is larger or deeper than any that genebench knows.
    """
    if len(content) > MAX_BYTES:
        raise UserError(
            f"{source}: has more than {MAX_BYTES >> 10} KiB. Check whether this is the right file."
        )
    try:
        text = content.decode("utf-8")
        # Before the parser, which takes a recursion for each level and a table for each dot.
        if _depth(text) > MAX_DEPTH:
            raise UserError(
                f"{source}: has more than {MAX_DEPTH} tables or keys within each other. "
                "Correct the file."
            )
        parsed = tomllib.loads(text)
    except ValueError as error:  # no TOML, no UTF-8, or a number of more than 4,300 digits
        raise UserError(f"{source}: not TOML: {error}. Correct the file.") from None
    if key := _long_number(parsed.items()):
        raise UserError(
            f"{source}: {key} is a whole number beyond 64 bits. Write a smaller number."
        )
    return parsed


def _depth(text: str) -> int:
    """Return the deepest nesting of brackets, or the most parts of a key if that is more."""
    deepest = depth = names = 0
    for part in _PART.findall(text):
        if part == ".":
            names += 1
        elif part[0] not in "\"'":
            depth += (part in "[{") - (part in "]}")
            names = 0
        deepest = max(deepest, depth, names)
    return deepest


def _long_number(items: Iterable[tuple[object, Any]]) -> str:
    """Return the key of a whole number beyond 64 bits, or an empty text if there is none."""
    for key, value in items:
        if isinstance(value, dict | list):
            inside = value.items() if isinstance(value, dict) else enumerate(value)
            if found := _long_number(inside):
                return f"{key}.{found}"
        elif isinstance(value, int) and value not in _INT64:
            return str(key)
    return ""
