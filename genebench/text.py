"""Text of plugins and files, made safe to print, and messages. Plugins may rely on this path."""

from __future__ import annotations

from genebench._util.text import escaped_output, no_formula, printable, visible
from genebench.errors import counted, describe, some
from genebench.results.limits import cut

__all__ = [
    "counted",
    "cut",
    "describe",
    "escaped_output",
    "no_formula",
    "printable",
    "some",
    "visible",
]
