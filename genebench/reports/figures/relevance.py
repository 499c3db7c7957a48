"""Panels of relevance: clustered heat maps with dendrograms, and lists of landmarks.

One style for all panels: a heat map of signed shares, dendrograms of both axes, and one label for
each cluster. In panels a and b, red raises predictions. In panels c and d, targets rise with a red
landmark. Text stays text in SVG, so that gene symbols can be searched and edited.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import atomic_write, user_errors
from genebench.errors import counted
from genebench.explaining.explanation import PANELS, Explanation, as_csv, shares
from genebench.reports.figures.drawing import Drawing, file_name, write_drawings
from genebench.reports.figures.style import (
    COLOURS,
    FONT,
    LINE,
    SIGNED,
    SMALL,
    TWO_COLUMNS,
    canvas,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

_UNSTABLE = COLOURS[1]
_ROW, _ROW_OF_SYMBOLS = 3.3, 5.6
"""Height of a row in millimetres. Symbols of panel b may need two lines."""
_TOP, _TREE, _BOTTOM = 11.5, 7.0, 6.0
_FOOT, _GROUP_LABEL = 3.0, 24.0
"""Millimetres around the texts below a panel, and of the upright labels of groups of landmarks."""
_TREE_PLACE, _MAP_LEFT, _RIGHT_EDGE = (2.0, 9.0), 12.0, 179.0
"""Left and right end of row dendrograms, left end of maps, right edge, in millimetres."""
_LABELS, _ASIDE = 40.0, 18.0
"""Millimetres of the labels of clusters, and of shares on twins."""
_SCALE = 38.0
_LIMIT = 99.0
"""Percentile of magnitudes at the end of the colour scale: a few landmarks are far larger."""
_SYMBOL_SIZES = (SMALL, 5.5, 5.0, 4.5)
"""Sizes of the letters of a gene symbol in points, until it has room."""
_DARK = 0.6
"""Share of the colour scale beyond which text is white."""
_MM = 25.4
_RISES = "red: rises with landmark"


class _Panel(NamedTuple):
    """A heat map: rows × columns of signed percentages, and its texts."""

    letter: str
    title: str
    heat: NDArray[np.float64]
    rows: Sequence[str]
    columns: Sequence[str]
    below: str
    cells: NDArray[Any] | None = None
    """Text of each cell."""
    aside: Sequence[str] = ()
    """A second label of each row, at the right edge: its share of relevance on twins."""
    signs: str = "red: raises predictions"
    """Meaning of the colours."""
    tree_of_columns: bool = True


def draw(explanation: Explanation, folder: Path) -> list[Path]:
    """Write each panel and all panels in one figure, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_drawings(drawings(explanation), folder)


def draw_with_tables(name: str, explanation: Explanation, folder: Path) -> list[Path]:
    """Write the figures of an explanation under a name, and every table behind them as CSV.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    written = write_drawings(drawings(explanation, f"{name}-"), folder)
    with user_errors(folder, "Choose another folder with --out."):
        for table_name, table in explanation.tables().items():
            path = folder / f"{name}-{table_name}.csv"
            with atomic_write(path) as stream:
                stream.write(as_csv(table))
            written.append(path)
    return written


def draw_if_possible(explanation: Explanation, folder: Path) -> list[Path]:
    """Write the figures, or nothing where matplotlib is not installed."""
    return draw(explanation, folder) if find_spec("matplotlib") else []


def drawings(explanation: Explanation, prefix: str = "") -> Iterator[Drawing]:
    """Yield the figure of each panel, and last of all panels below each other.

    Their numbers are tables of the explanation.
    """
    panels = [_PANELS[letter](explanation) for letter in PANELS]
    foot = _foot_lines(explanation)
    below = _FOOT + LINE * len(foot)
    for panel in panels:
        figure = canvas(TWO_COLUMNS, _height(panel) + below)
        _draw(figure, panel, explanation, below)
        _write_lines(figure, foot)
        yield Drawing(f"{prefix}{file_name('panel', panel.letter)}", figure, None)
    heights = [*map(_height, panels), below]
    whole = canvas(TWO_COLUMNS, sum(heights))
    parts: Any = whole.subfigures(len(heights), 1, height_ratios=heights, hspace=0)
    for part, panel in zip(parts, panels, strict=False):
        _draw(part, panel, explanation)
    _write_lines(whole, foot)
    yield Drawing(f"{prefix}panels", whole, None)


def _on_twins_of(explanation: Explanation, kind: str) -> str:
    """Return a sentence on the share of relevance on landmarks that are targets too."""
    clusters = explanation.of_clusters(kind)
    share, number = clusters["twin_share"].mean(), clusters["twin_expected"].mean()
    whose = "targets too" if kind == "profiles" else "targets of the same cluster"
    return f"{share:.1%} of relevance falls on landmarks that are {whose} ({number:.1%} by number)."


def _foot_lines(explanation: Explanation) -> list[str]:
    """Return the lines below a panel: of which model it is, then twins, bias, and any errors."""
    about = explanation.about
    head = (
        f"{about.get('method', 'model')} · {about.get('protocol', '')} · "
        f"{about.get('dataset', '')} · rule {about['settings']['rule']} · "
        f"model {str(about.get('key', ''))[:8]} · data {str(about.get('data', ''))[:8]}"
    )
    texts = head, explanation.twin_note, explanation.bias_note, explanation.error_note
    return [line for text in texts if text for line in wrapped(text, TWO_COLUMNS - 4, lines=3)]


def _write_lines(figure: Figure, lines: Sequence[str]) -> None:
    height = float(figure.get_figheight()) * _MM
    for number, line in enumerate(reversed(lines)):
        figure.text(
            2 / TWO_COLUMNS, (1.2 + LINE * number) / height, line, fontsize=SMALL, color="0.35"
        )


def _panel_a(explanation: Explanation) -> _Panel:
    values = _percent(explanation.profile_relevance)
    n = len(explanation.profiles)
    return _Panel(
        "a",
        f"{len(values)} clusters of {counted(n, 'test profile')} × {values.shape[1]:,} landmarks",
        values,
        _labels(explanation, "profiles"),
        (),
        f"{values.shape[1]:,} landmarks, by similarity. {_on_twins_of(explanation, 'profiles')}",
    )


def _panel_b(explanation: Explanation) -> _Panel:
    top = explanation.top[explanation.top["kind"] == "profiles"]
    signed = 100 * top["share"] * top["sign"]
    table = top.assign(signed=signed)
    values = table.pivot_table(index="cluster", columns="rank", values="signed").to_numpy()
    cells = table.pivot_table(index="cluster", columns="rank", values="symbol", aggfunc="first")
    return _Panel(
        "b",
        f"the {values.shape[1]} landmarks with the largest contribution to each profile cluster",
        values,
        _labels(explanation, "profiles"),
        [str(rank) for rank in cells.columns],
        f"rank. {_on_twins_of(explanation, 'profiles')}",
        cells=cells.to_numpy(),
        tree_of_columns=False,
    )


def _panel_c(explanation: Explanation) -> _Panel:
    values = _percent(explanation.target_relevance)
    n = len(explanation.targets)
    return _Panel(
        "c",
        f"{values.shape[0]} clusters of {n:,} target genes × {values.shape[1]:,} landmarks",
        values,
        _labels(explanation, "targets"),
        (),
        f"{values.shape[1]:,} landmarks, by similarity. {_on_twins_of(explanation, 'targets')}",
        aside=_on_twins(explanation),
        signs=_RISES,
    )


def _panel_d(explanation: Explanation) -> _Panel:
    values = 100 * explanation.group_relevance.to_numpy(float).T
    size = np.abs(explanation.target_relevance).sum(axis=1)
    labels = []
    for number in explanation.group_relevance.index:
        inside = explanation.landmarks["group"] == number
        largest = size[inside].sort_values(ascending=False, kind="stable").index[:2]
        symbols = ", ".join(explanation.landmarks.loc[largest, "symbol"])
        more = ", …" if inside.sum() > len(largest) else ""
        members = f" ({inside.sum():,})"
        room = _GROUP_LABEL - text_width(members)
        labels.append(wrapped(f"{number} · {symbols}{more}", room)[0] + members)
    return _Panel(
        "d",
        f"the same with landmarks in {values.shape[1]} groups: mean of their shares in panel c",
        values,
        _labels(explanation, "targets"),
        labels,
        "",
        aside=_on_twins(explanation),
        signs=_RISES,
    )


_PANELS: dict[str, Callable[[Explanation], _Panel]] = {
    "a": _panel_a, "b": _panel_b, "c": _panel_c, "d": _panel_d,
}  # fmt: skip


def _percent(relevance: pd.DataFrame) -> NDArray[np.float64]:
    """Return landmarks × clusters as clusters × landmarks, in percent of each cluster."""
    return 100 * shares(relevance).to_numpy(float).T


def _labels(explanation: Explanation, kind: str) -> list[str]:
    labels = []
    for number, row in explanation.of_clusters(kind).iterrows():
        size = f" ({row['size']:,})"
        room = _LABELS - text_width(size) - 1
        labels.append(wrapped(f"{number} · {row['label']}", room)[0] + size)
    return labels


def _on_twins(explanation: Explanation) -> list[str]:
    clusters = explanation.of_clusters("targets")
    return [
        f"{share:.1%} ({expected:.1%})"
        for share, expected in zip(clusters["twin_share"], clusters["twin_expected"], strict=True)
    ]


def _height(panel: _Panel) -> float:
    """Return the height of a panel in millimetres, without the texts below it."""
    below = _GROUP_LABEL if panel.columns and not panel.below else _BOTTOM
    return _TOP + _trees(panel) + _row(panel) * len(panel.rows) + below


def _trees(panel: _Panel) -> float:
    return _TREE if panel.tree_of_columns else 2.5


def _row(panel: _Panel) -> float:
    return _ROW if panel.cells is None else _ROW_OF_SYMBOLS


def _map_width(panel: _Panel) -> float:
    return _RIGHT_EDGE - _LABELS - (_ASIDE if panel.aside else 0.0) - _MAP_LEFT


def _draw(
    figure: Figure | SubFigure, panel: _Panel, explanation: Explanation, below: float = 0.0
) -> None:
    """Draw a panel into a figure, above some millimetres that are left free."""
    height, width = _height(panel) + below, float(TWO_COLUMNS)
    trees, map_height = _trees(panel), _row(panel) * len(panel.rows)
    bottom = height - _TOP - trees - map_height

    def at(left: float, low: float, across: float, up: float) -> Axes:
        return figure.add_axes((left / width, low / height, across / width, up / height))

    # The lists of panel b follow the rows of panel a, so that both can be read across.
    basis = _panel_a(explanation).heat if panel.letter == "b" else panel.heat
    left, right = _TREE_PLACE
    order = _tree(at(left, bottom, right, map_height), basis, upright=False)
    columns = np.arange(panel.heat.shape[1])
    if panel.tree_of_columns:
        above = at(_MAP_LEFT, height - _TOP - trees + 0.5, _map_width(panel), trees - 1.0)
        columns = _tree(above, panel.heat.T, upright=True)
    _map(at(_MAP_LEFT, bottom, _map_width(panel), map_height), panel, order, columns)
    _title(figure, panel, explanation, height)
    scale = at(_RIGHT_EDGE - _SCALE - 6, height - 7.5, _SCALE, 2.0)
    _scale(scale, _end(panel.heat), panel.signs)


def _tree(axes: Axes, rows: NDArray[np.float64], *, upright: bool) -> NDArray[np.intp]:
    """Draw the dendrogram of rows, and return their order."""
    from matplotlib.collections import LineCollection
    from scipy.cluster.hierarchy import dendrogram, linkage, optimal_leaf_ordering

    axes.set_axis_off()
    if len(rows) < 2:  # noqa: PLR2004  a tree has two leaves
        return np.arange(len(rows))
    # Ward's trees are balanced. Those of other linkages can be deeper than Python recurses.
    links = linkage(rows, "ward")
    if not upright:
        links = optimal_leaf_ordering(links, rows)
    tree = dendrogram(links, no_plot=True)
    lines = [
        np.column_stack((x, y) if upright else (y, x))
        for x, y in zip(tree["icoord"], tree["dcoord"], strict=True)
    ]
    axes.add_collection(LineCollection(lines, colors="0.35", linewidths=0.4))
    reach, depth = (
        (0, 10 * len(rows)),
        (0, np.max(tree["dcoord"]) * 1.02 or 1),
    )
    axes.set(xlim=reach if upright else depth[::-1], ylim=depth if upright else reach[::-1])
    return np.array(tree["leaves"], np.intp)


def _end(values: NDArray[np.float64]) -> float:
    """Return the end of the colour scale."""
    return float(np.nanpercentile(np.abs(values), _LIMIT)) or 1.0


def _in_cell(symbol: str, room: float) -> tuple[str, float]:
    """Return a gene symbol in one line or two that have room, and the size of its letters.

    A symbol is parted before its last number or after a hyphen, or else in the middle. A name that
    is cut off is no name, so letters may be smaller than elsewhere.
    """
    natural = [found.start() for found in re.finditer(r"(?<=-)|(?<=[^\d-])(?=\d+$)", symbol)]
    middle = len(symbol) / 2
    cuts = [
        len(symbol),
        *natural,
        *sorted(range(1, len(symbol)), key=lambda cut: abs(cut - middle)),
    ]
    for size in _SYMBOL_SIZES:
        for cut in cuts:
            lines = [line for line in (symbol[:cut], symbol[cut:]) if line]
            if all(text_width(line, size) <= room for line in lines):
                return "\n".join(lines), size
    return "\n".join(wrapped(symbol, room, size, lines=2)), size


def _map(axes: Axes, panel: _Panel, order: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
    end, values = _end(panel.heat), panel.heat[np.ix_(order, columns)]
    axes.imshow(values, cmap=SIGNED, vmin=-end, vmax=end, aspect="auto", interpolation="nearest")
    axes.spines[:].set_visible(True)
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(order)), [panel.rows[row] for row in order])
    axes.tick_params(length=0, pad=2)
    width, across = _map_width(panel), axes.get_yaxis_transform()
    right = (_RIGHT_EDGE - _MAP_LEFT) / width
    for place, row in enumerate(order if panel.aside else ()):
        axes.text(
            right, place, panel.aside[row], ha="right", va="center", fontsize=SMALL,
            transform=across,
        )  # fmt: skip
    members = "profiles" if panel.letter in "ab" else "targets"
    head = -0.5 - 1.5 / _row(panel)
    style: dict[str, Any] = {"va": "center", "fontsize": SMALL, "weight": "bold"}
    axes.text(1 + 0.7 / width, head, f"cluster ({members})", transform=across, **style)
    if panel.aside:
        axes.text(right, head, "on twins", ha="right", transform=across, **style)
    if panel.columns:
        upright = not panel.below
        axes.set_xticks(
            range(len(columns)), [panel.columns[column] for column in columns],
            rotation=60 if upright else 0, ha="right" if upright else "center",
            rotation_mode="anchor" if upright else None,
        )  # fmt: skip
    else:
        axes.set_xticks([])
    if panel.below:
        axes.set_xlabel(wrapped(panel.below, width + 30, SMALL)[0], fontsize=SMALL)
    if panel.cells is None:
        return
    room = width / panel.cells.shape[1] - 0.3
    for (y, x), value in np.ndenumerate(values):
        symbol, size = _in_cell(str(panel.cells[order[y], x]), room)
        axes.text(
            x, y, symbol, ha="center", va="center", fontsize=size, linespacing=0.85,
            color="white" if abs(value) > _DARK * end else "black", clip_on=True,
        )  # fmt: skip


def _title(
    figure: Figure | SubFigure, panel: _Panel, explanation: Explanation, height: float
) -> None:
    room = _RIGHT_EDGE - _SCALE - 8 - 5
    y = 1 - 4.5 / height
    figure.text(2 / TWO_COLUMNS, y, panel.letter, fontsize=FONT + 1, weight="bold")
    title = wrapped(panel.title, room, FONT, bold=True)[0]
    figure.text(6 / TWO_COLUMNS, y, title, fontsize=FONT, weight="bold")
    if reasons := explanation.unstable.get(panel.letter):
        text = wrapped(f"UNSTABLE: {'; '.join(reasons)}", room, SMALL)[0]
        figure.text(
            6 / TWO_COLUMNS, 1 - 8.5 / height, text, fontsize=SMALL, color=_UNSTABLE
        )  # fmt: skip


def _scale(axes: Axes, end: float, signs: str) -> None:
    """Draw the colour scale."""
    axes.imshow(np.linspace(-1, 1, 256)[None], cmap=SIGNED, aspect="auto", extent=(-end, end, 0, 1))
    axes.set_yticks([])
    axes.set_xticks([-end, 0, end], [f"−{end:.2g} %", "0", f"{end:.2g} %"], fontsize=SMALL)
    axes.tick_params(length=2, pad=1)
    axes.set_title(f"share of relevance ({signs})", fontsize=SMALL, pad=2, weight="normal")
