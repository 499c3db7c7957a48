"""Figures as SVG and PNG files, byte by byte the same whenever they are drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from genebench._util.files import atomic_write, user_errors
from genebench._util.text import printable
from genebench.errors import missing_library

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = ("svg", "png")

_DPI = 150
_LETTERS = 60
"""Letters that a part of a file's name may have. File systems allow 255 for the whole name."""


def check_drawing() -> None:
    """Refuse to draw without matplotlib.

    Raises:
        UserError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise missing_library("A figure", "matplotlib", "report", "Or leave out --out.")


def write_figures(figures: Iterable[tuple[str, Figure]], folder: Path) -> list[Path]:
    """Write each figure in every format, and return the files. Equal names are numbered.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    check_drawing()
    written, used = [], dict[str, int]()
    with user_errors(folder, "Choose another folder with --out."):
        folder.mkdir(parents=True, exist_ok=True)
        for name, figure in figures:
            used[name] = used.get(name, 0) + 1
            stem = name if used[name] == 1 else f"{name}-{used[name]}"
            for suffix in FORMATS:
                path = folder / f"{stem}.{suffix}"
                _save(figure, path)
                written.append(path)
    return written


def file_name(*parts: str) -> str:
    """Return a file name of letters, digits and dashes, whatever the parts are."""
    return "-".join(
        re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:_LETTERS] for part in parts
    )


def shown(text: str, letters: int = _LETTERS) -> str:
    """Return text from a record, safe to print and cut to the room that a figure has."""
    line = printable(text)
    return line if len(line) <= letters else f"{line[:letters]}…"


def _save(figure: Figure, path: Path) -> None:
    from matplotlib import rc_context

    # Neither date, version nor random ids: the same figure must be the same bytes.
    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": None}
    with (
        rc_context({"svg.hashsalt": "genebench", "svg.fonttype": "none"}),
        atomic_write(path) as stream,
    ):
        figure.savefig(stream, format=path.suffix[1:], dpi=_DPI, metadata=metadata)
