"""Objects in notebooks: short texts, tables as HTML, figures, and a line of progress."""

from __future__ import annotations

import base64
import html
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from genebench._util.text import printable

Draw = Callable[[Any, Path], object]
"""Function that writes the figures of an object into a folder, as SVG among others."""

_DRAWN_BY: dict[type, Draw] = {}


def draws(kind: type, draw: Draw) -> None:
    """Let a function draw the objects of a class, which lies in a room before that of figures."""
    _DRAWN_BY[kind] = draw


class Drawable:
    """An object with figures."""

    def plot(self) -> Figures:
        """Return the figures, which a notebook shows. :meth:`Figures.save` writes them.

        Raises:
            UserError: matplotlib is not installed.
        """
        draw = next(_DRAWN_BY[kind] for kind in type(self).__mro__ if kind in _DRAWN_BY)
        return figures_of(lambda folder: draw(self, folder))


@dataclass(frozen=True, repr=False)
class Figures:
    """Figures as SVG, by name."""

    svg: Mapping[str, bytes]

    def __len__(self) -> int:
        return len(self.svg)

    def __repr__(self) -> str:
        return f"<Figures {', '.join(self.svg) or 'none'}>"

    def _repr_html_(self) -> str:
        # As images, because several documents of SVG in one page would share their identifiers.
        return "\n".join(
            f'<img alt="{html.escape(name)}" src="data:image/svg+xml;base64,'
            f'{base64.b64encode(svg).decode()}">'
            for name, svg in self.svg.items()
        )

    def save(self, folder: Path | str) -> list[Path]:
        """Write the figures into a folder, and return their files."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        paths = []
        for name, svg in self.svg.items():
            path = Path(folder) / f"{name}.svg"
            path.write_bytes(svg)
            paths.append(path)
        return paths


def figures_of(draw: Callable[[Path], object]) -> Figures:
    """Return the figures that a function writes into a folder."""
    with tempfile.TemporaryDirectory(prefix="genebench-") as folder:
        draw(Path(folder))
        paths = sorted(Path(folder).glob("*.svg"))
        return Figures({path.stem: path.read_bytes() for path in paths})


def table(
    columns: Sequence[object],
    rows: Iterable[Sequence[object]],
    *,
    caption: str = "",
    bold: Callable[[int, int], bool] = lambda row, column: False,  # noqa: ARG005
) -> str:
    """Return a table as HTML. Text of files and plugins is escaped.

    Args:
        columns: names of the columns.
        rows: cells of the rows. The first cell is the heading of its row.
        caption: the title of the table.
        bold: ``bold(row, column)`` is True for cells to stress.
    """

    def cell(text: object, row: int, column: int) -> str:
        shown = html.escape(printable(str(text)))
        shown = f"<strong>{shown}</strong>" if bold(row, column) else shown
        return f'<th scope="row">{shown}</th>' if column == 0 else f"<td>{shown}</td>"

    head = "".join(f'<th scope="col">{html.escape(printable(str(name)))}</th>' for name in columns)
    body = "".join(
        f"<tr>{''.join(cell(text, at, column) for column, text in enumerate(row))}</tr>"
        for at, row in enumerate(rows)
    )
    title = f"<caption>{html.escape(printable(caption))}</caption>" if caption else ""
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def paragraph(text: str) -> str:
    """Return a paragraph as HTML."""
    return f"<p>{html.escape(printable(text))}</p>"


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel")


class Line:
    """A line below a cell of a notebook, which replaces itself. Elsewhere it shows nothing."""

    def __init__(self) -> None:
        self._handle: Any = None

    def show(self, text: str, share: float | None = None) -> None:
        """Show a text, with a bar if the share of the work that is done (0 to 1) is given."""
        if not in_notebook():
            return
        # Imported by name, because it is there only in a notebook.
        display = import_module("IPython.display").display

        bar = "" if share is None else f'<progress value="{share:.4f}" max="1"></progress> '
        content = {
            "text/plain": printable(text),
            "text/html": f"<div>{bar}{html.escape(printable(text))}</div>",
        }
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)
