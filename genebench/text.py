"""Text that came from plugins and files, made safe to print."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text on one line, without control characters that could drive a terminal."""
    line = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "�" for letter in line)
