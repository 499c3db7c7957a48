"""Text of plugins and files, made safe to print: what plugin authors may import."""

from __future__ import annotations

from genebench._util.text import escaped_output, no_formula, printable

__all__ = ["escaped_output", "no_formula", "printable"]
