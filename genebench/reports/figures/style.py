"""The style of every figure: sizes in millimetres, fonts, colours, marks and hatches.

Journals print one column at about 85 mm and two at about 180 mm. Figures are drawn at the printed
size, so that no font is smaller than 6 points in print.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from genebench._util.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

ONE_COLUMN, TWO_COLUMNS = 85, 180
"""Widths of a figure in millimetres."""
WIDTHS = ONE_COLUMN, TWO_COLUMNS

FONT, SMALL = 7.0, 6.0
"""Sizes of text in points."""
LINE = 2.9
"""Height of a line of small text in millimetres."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
"""Colours of Okabe and Ito, which people with any colour vision can tell apart.

Yellow is left out, because it is pale on white.
"""
MARKS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "////", "....", "xxxx", "----", "oo", "\\\\\\\\")
"""Patterns of areas, so that they differ without colour too."""
DENSITY = "cividis_r"
"""Scale of numbers of genes: dark is many. It reads alike with and without colour vision."""
SIGNED = "RdBu_r"
"""ColorBrewer's red to blue, for values on both sides of 0."""
PALE = "0.75"
"""Grey of lines that are no data."""

_PIECES = re.compile(r"[^ _/-]+(?: %)?[_/-]*|[_/-]+| +")
"""Parts of text that a line may end after. A number keeps its percent sign."""
_MM_PER_INCH = 25.4
_POINTS_PER_INCH = 72.0


@contextmanager
def paper() -> Iterator[None]:
    """Draw and save figures in this style. What users set for matplotlib has no effect."""
    import matplotlib as mpl

    with mpl.rc_context(), _plain_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                # DejaVu Sans comes with matplotlib, so widths of text are the same everywhere.
                "font.family": "sans-serif", "font.size": FONT,
                # The others are for browsers that lack it.
                "font.sans-serif": ["DejaVu Sans", "Arial", "Helvetica", "sans-serif"],
                "axes.labelsize": FONT, "axes.titlesize": FONT, "axes.titleweight": "bold",
                "axes.linewidth": 0.5, "axes.titlepad": 4, "axes.labelpad": 2.5,
                "axes.spines.top": False, "axes.spines.right": False,
                "xtick.labelsize": SMALL, "ytick.labelsize": SMALL,
                "xtick.major.width": 0.5, "ytick.major.width": 0.5,
                "xtick.minor.width": 0.4, "ytick.minor.width": 0.4,
                "xtick.major.size": 2, "ytick.major.size": 2,
                "xtick.minor.size": 1.2, "ytick.minor.size": 1.2,
                "xtick.major.pad": 2, "ytick.major.pad": 2,
                "legend.fontsize": SMALL, "legend.frameon": False,
                "lines.linewidth": 1.0, "lines.markersize": 3.2, "patch.linewidth": 0.5,
                "hatch.linewidth": 0.5, "grid.linewidth": 0.4, "grid.color": "0.9",
                # Text stays text: editors can change it, and readers can search it.
                "svg.fonttype": "none", "svg.hashsalt": "genebench", "pdf.fonttype": 42,
                "figure.dpi": 100, "savefig.dpi": 300, "text.parse_math": False,
            }
        )  # fmt: skip
        yield


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Hide the warning of a glyph that a symbol of a gene or a label may lack."""
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def canvas(width: float, height: float) -> Figure:
    """Return an empty figure of a width and height in millimetres."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / _MM_PER_INCH, height / _MM_PER_INCH))


def size_of(figure: Figure) -> tuple[float, float]:
    """Return width and height of a figure in millimetres."""
    width, height = figure.get_size_inches()
    return float(width * _MM_PER_INCH), float(height * _MM_PER_INCH)


def place(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Return axes at a place in millimetres from the lower left corner."""
    across, up = size_of(figure)
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def write(
    figure: Figure | SubFigure, x: float, y: float, text: str, size: float = SMALL, **style: object
) -> None:
    """Write text at a place in millimetres from the lower left corner."""
    across, up = size_of(figure.figure)
    figure.text(x / across, y / up, text, fontsize=size, **style)  # type: ignore[arg-type]


def head(figure: Figure, title: str, note: str = "") -> None:
    """Write the title at the top of a figure, and a note at its foot, each wrapped to the width.

    The room is that of :func:`head_height` and :func:`foot_height`.
    """
    width, height = size_of(figure)
    text = "\n".join(wrapped(title, width - 4, FONT, lines=3, bold=True))
    write(figure, 2, height - 1.5, text, FONT, va="top", weight="bold", linespacing=1.15)
    if note:
        lines = "\n".join(wrapped(note, width - 4, SMALL, lines=8))
        write(figure, 2, 1.2, lines, va="bottom", color="0.35", linespacing=1.15)


def head_height(title: str, width: float) -> float:
    """Return the millimetres that a title takes at the top of a figure of some width."""
    return 3.5 + 3.2 * len(wrapped(title, width - 4, FONT, lines=3, bold=True))


def foot_height(note: str, width: float) -> float:
    """Return the millimetres that a note takes at the foot of a figure of some width."""
    return 1.2 + LINE * len(wrapped(note, width - 4, SMALL, lines=8)) if note else 0.5


def style(position: int) -> tuple[str, str]:
    """Return the colour and the mark of a series. 49 series have different pairs.

    Neighbours differ in both, so that they can be told apart without colours.
    """
    row, column = divmod(position, len(COLOURS))
    return COLOURS[column], MARKS[(column + row) % len(MARKS)]


def shown(text: str, letters: int = 60) -> str:
    """Return text from a record, safe to print and cut to the room that a figure has."""
    line = printable(text)
    return line if len(line) <= letters else f"{line[:letters]}…"


@lru_cache(4096)
def text_width(text: str, size: float = SMALL, *, bold: bool = False) -> float:
    """Return the width of a line of text in millimetres."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family="DejaVu Sans", size=size, weight="bold" if bold else "normal")
    width, _, _ = text_to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width * _MM_PER_INCH / _POINTS_PER_INCH)


def wrapped(
    text: str, width: float, size: float = SMALL, *, lines: int = 1, bold: bool = False
) -> list[str]:
    """Return text in lines of a width in millimetres. What has no room ends in ``…``.

    Lines end at spaces, or after a hyphen or the like. A longer word is broken.
    """
    pieces, done, line = _PIECES.findall(shown(text, 400)), list[str](), ""
    while pieces:
        piece = pieces.pop(0)
        if text_width((line + piece).rstrip(), size, bold=bold) <= width:
            line += piece
        elif line.strip():
            done.append(line.strip())
            pieces, line = [piece.lstrip(), *pieces], ""
        else:
            fits = _fitting(piece, width, size, bold=bold)
            done.append(piece[:fits])
            pieces, line = [piece[fits:], *pieces] if piece[fits:] else pieces, ""
    done += [line.strip()] if line.strip() else []
    if len(done) <= lines:
        return done
    last, following = done[lines - 1], done[lines]
    last += following if last.endswith(("_", "/", "-")) else f" {following}"
    fits = _fitting(last, width - text_width("…", size, bold=bold), size, bold=bold)
    return [*done[: lines - 1], f"{last[:fits].rstrip()}…"]


def wrapped_apart(
    texts: Sequence[str], width: float, *, lines: int, bold: Container[int] = ()
) -> list[list[str]]:
    """Return texts in lines, as :func:`wrapped`. Texts that would read alike have more lines.

    Args:
        texts: labels of one figure.
        width: width of the lines in millimetres.
        lines: lines of a text that has no likeness.
        bold: places of bold texts.
    """
    done = [wrapped(text, width, lines=lines, bold=at in bold) for at, text in enumerate(texts)]
    for more in range(lines + 1, lines + _MORE_LINES):
        reading = Counter(map(tuple, done))
        for at, text in enumerate(texts):
            if reading[tuple(done[at])] > 1:
                done[at] = wrapped(text, width, lines=more, bold=at in bold)
    return done


_MORE_LINES = 6


def _fitting(text: str, width: float, size: float, *, bold: bool) -> int:
    """Return the number of first letters that have room in a width."""
    letters = len(text)
    while letters > 1 and text_width(text[:letters], size, bold=bold) > width:
        letters -= 1
    return letters
