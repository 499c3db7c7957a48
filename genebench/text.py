"""Text of plugins and files, made safe to print. Plugins may rely on this import path."""

from __future__ import annotations

from genebench._util.text import escaped_output, no_formula, printable

__all__ = ["escaped_output", "no_formula", "printable"]
