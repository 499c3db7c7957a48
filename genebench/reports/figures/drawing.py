"""Figures as files: PDF, SVG and PNG with the numbers as CSV, the same bytes whenever drawn."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from genebench._util.files import atomic_write, user_errors
from genebench.errors import missing_library
from genebench.reports.figures.style import paper
from genebench.reports.reporters.values import csv_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

FORMATS = ("pdf", "svg", "png")

_LETTERS = 60
"""Letters that a part of a file's name may have. File systems allow 255 for the whole name."""
_METADATA = {
    # Neither date, version nor random ids: the same figure must be the same bytes.
    "pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    "svg": {"Date": None, "Creator": None},
    "png": {"Software": None},
}


@dataclass(frozen=True)
class Drawing:
    """A figure, and the numbers that it shows.

    Attributes:
        name: name of its files, without suffix.
        figure: the figure, at its printed size.
        numbers: a tidy table of all that is drawn, or None if other files hold it.
    """

    name: str
    figure: Figure
    numbers: pd.DataFrame | None


def check_drawing(remedy: str = "Or leave out --out.") -> None:
    """Refuse to draw without matplotlib.

    Raises:
        UserError: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise missing_library("A figure", "matplotlib", "report", remedy)


def write_drawings(
    drawings: Iterable[Drawing],
    folder: Path,
    formats: Sequence[str] = FORMATS,
) -> list[Path]:
    """Write each figure in every format, with its numbers as CSV. Equal names are numbered.

    A file is replaced only once the figure is complete in all formats.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    check_drawing()
    written, used = [], dict[str, int]()
    with paper(), user_errors(folder, "Choose another folder with --out."):
        folder.mkdir(parents=True, exist_ok=True)
        for drawing in drawings:
            used[drawing.name] = used.get(drawing.name, 0) + 1
            number = used[drawing.name]
            stem = drawing.name if number == 1 else f"{drawing.name}-{number}"
            contents = {suffix: content_of(drawing.figure, suffix) for suffix in formats}
            if drawing.numbers is not None:
                contents["csv"] = csv_of(drawing.numbers).encode()
            for suffix, content in contents.items():
                path = folder / f"{stem}.{suffix}"
                with atomic_write(path) as stream:
                    stream.write(content)
                written.append(path)
    return written


def content_of(figure: Figure, suffix: str) -> bytes:
    """Return the content of a file of a figure."""
    stream = BytesIO()
    figure.savefig(stream, format=suffix, metadata=_METADATA[suffix])
    return stream.getvalue()


def file_name(*parts: str) -> str:
    """Return a file name of letters, digits and dashes, whatever the parts are."""
    return "-".join(
        re.sub(r"[^a-z0-9]+", "-", part.lower()).strip("-")[:_LETTERS] for part in parts
    )
