"""Panels of relevance: clustered heat maps with dendrograms, and lists of landmarks.

One style for all panels: a heat map of signed shares, dendrograms of both axes, and one label for
each cluster. In panels a and b, red raises predictions. In panels c and d, targets rise with a red
landmark. Text stays text in SVG, so that gene symbols can be searched and edited.
"""

from __future__ import annotations

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
from genebench.reports.figures.drawing import file_name, shown, write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

COLOURS = "RdBu_r"
"""ColorBrewer's red to blue, which people with any colour vision can tell apart."""
_UNSTABLE = "#d55e00"
"""Vermillion of Okabe and Ito."""
_WIDTH_INCHES = 11.5
_ROW_INCHES = 0.18
_TOP_INCHES, _TREE_INCHES, _BOTTOM_INCHES = 0.62, 0.42, 0.42
_FOOT_INCHES, _LINE_INCHES = 0.5, 0.13
_GROUP_LABEL_INCHES = 1.15
"""Room for the labels of groups of landmarks, which are upright."""
_LEFT, _MAP, _SCALE = (0.015, 0.075), (0.08, 0.63), (0.83, 0.15)
"""Left end and width of row dendrogram, heat map and colour scale, as shares of the width."""
_FONT, _SMALL = 7.5, 6.0
_LIMIT = 99.0
"""Percentile of magnitudes at the end of the colour scale: a few landmarks are far larger."""
_DARK = 0.6
"""Share of the colour scale beyond which text is white."""
_LABEL_LETTERS = 34
_RISES = "red: rises with landmark"
_CELL_LETTERS = 5
"""Letters of a symbol that fit into a cell. Longer ones are written smaller."""


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
    """Write each panel and all panels in one figure, SVG and PNG, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(figures(explanation), folder)


def draw_with_tables(name: str, explanation: Explanation, folder: Path) -> list[Path]:
    """Write the figures of an explanation under a name, and every table behind them as CSV.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    named = ((f"{name}-{panel}", figure) for panel, figure in figures(explanation))
    written = write_figures(named, folder)
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


def figures(explanation: Explanation) -> Iterator[tuple[str, Figure]]:
    """Yield the name and the figure of each panel, and last of all panels below each other."""
    from matplotlib.figure import Figure

    panels = [_PANELS[letter](explanation) for letter in PANELS]
    for panel in panels:
        figure = Figure(figsize=(_WIDTH_INCHES, _height(panel, foot=True)))
        _draw(figure, panel, explanation, foot=True)
        _foot(figure, explanation)
        yield file_name("panel", panel.letter), figure
    heights = [_height(panel) for panel in panels]
    head = 0.85
    whole = Figure(figsize=(_WIDTH_INCHES, sum(heights) + head))
    all_parts: Any = whole.subfigures(len(panels) + 1, 1, height_ratios=[head, *heights], hspace=0)
    top, *parts = all_parts
    _head(top, explanation, head)
    for part, panel in zip(parts, panels, strict=True):
        _draw(part, panel, explanation)
    yield "panels", whole


def head_of(explanation: Explanation) -> str:
    """Return the line that says of which model a figure is."""
    about = explanation.about
    settings = about["settings"]
    return (
        f"{about.get('method', 'model')} · {about.get('protocol', '')} · "
        f"{about.get('dataset', '')} · rule {settings['rule']} · "
        f"model {str(about.get('key', ''))[:8]} · data {str(about.get('data', ''))[:8]}"
    )


def _on_twins_of(explanation: Explanation, kind: str) -> str:
    """Return a sentence on the share of relevance on landmarks that are targets too."""
    clusters = explanation.of_clusters(kind)
    share, number = clusters["twin_share"].mean(), clusters["twin_expected"].mean()
    whose = "targets too" if kind == "profiles" else "targets of the same cluster"
    return f"{share:.1%} of relevance falls on landmarks that are {whose} ({number:.1%} by number)."


def notes_of(explanation: Explanation) -> list[str]:
    """Return the sentences below the head of a figure: twins, bias, and errors if there are any."""
    return [
        note
        for note in (explanation.twin_note, explanation.bias_note, explanation.error_note)
        if note
    ]


def _head(part: SubFigure, explanation: Explanation, inches: float) -> None:
    part.text(
        0.02, 1 - 0.28 / inches, head_of(explanation), fontsize=10, weight="bold", parse_math=False
    )
    for line, note in enumerate(notes_of(explanation)):
        place = 1 - (0.50 + 0.16 * line) / inches
        part.text(0.02, place, note, fontsize=_FONT, parse_math=False)


def _foot(figure: Figure, explanation: Explanation) -> None:
    """Write below a panel that stands alone of which model it is, and the notes."""
    height = figure.get_figheight()
    for line, text in enumerate(reversed((head_of(explanation), *notes_of(explanation)))):
        figure.text(
            0.99, (0.06 + _LINE_INCHES * line) / height, text, ha="right", fontsize=_SMALL,
            color="0.35", parse_math=False,
        )  # fmt: skip


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
        labels.append(f"{number} · {shown(symbols, 20)}{more} ({inside.sum():,})")
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
        text = f"{number} · {shown(str(row['label']), _LABEL_LETTERS)} ({row['size']:,})"
        labels.append(text)
    return labels


def _on_twins(explanation: Explanation) -> list[str]:
    clusters = explanation.of_clusters("targets")
    return [
        f"{share:.1%} ({expected:.1%})"
        for share, expected in zip(clusters["twin_share"], clusters["twin_expected"], strict=True)
    ]


def _height(panel: _Panel, *, foot: bool = False) -> float:
    trees = _TREE_INCHES if panel.tree_of_columns else 0.1
    below = _GROUP_LABEL_INCHES if panel.columns and not panel.below else _BOTTOM_INCHES
    return _TOP_INCHES + trees + _ROW_INCHES * len(panel.rows) + below + _FOOT_INCHES * foot


def _draw(
    figure: Figure | SubFigure, panel: _Panel, explanation: Explanation, *, foot: bool = False
) -> None:
    from matplotlib import rc_context

    with rc_context({"font.family": "DejaVu Sans", "font.size": _FONT, "axes.linewidth": 0.5}):
        height = _height(panel, foot=foot)
        trees = _TREE_INCHES if panel.tree_of_columns else 0.1
        map_height = _ROW_INCHES * len(panel.rows) / height
        bottom = 1 - (_TOP_INCHES + trees) / height - map_height
        order = np.arange(len(panel.rows))
        # The lists of panel b follow the rows of panel a, so that both can be read across.
        basis = _panel_a(explanation).heat if panel.letter == "b" else panel.heat
        tree = figure.add_axes((_LEFT[0], bottom, _LEFT[1] - _LEFT[0], map_height))
        order = _tree(tree, basis, upright=False)
        columns = np.arange(panel.heat.shape[1])
        if panel.tree_of_columns:
            above = (
                _MAP[0],
                1 - (_TOP_INCHES + trees - 0.03) / height,
                _MAP[1],
                (trees - 0.05) / height,
            )
            columns = _tree(figure.add_axes(above), panel.heat.T, upright=True)
        axes = figure.add_axes((_MAP[0], bottom, _MAP[1], map_height))
        _map(axes, panel, order, columns)
        _title(figure, panel, explanation, height)
        scale = figure.add_axes((_SCALE[0], 1 - 0.40 / height, _SCALE[1], 0.09 / height))
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


def _map(axes: Axes, panel: _Panel, order: NDArray[np.intp], columns: NDArray[np.intp]) -> None:
    end, values = _end(panel.heat), panel.heat[np.ix_(order, columns)]
    axes.imshow(values, cmap=COLOURS, vmin=-end, vmax=end, aspect="auto", interpolation="nearest")
    axes.yaxis.tick_right()
    axes.set_yticks(range(len(order)), [_plain(panel.rows[row]) for row in order], fontsize=_FONT)
    axes.tick_params(length=0, pad=3)
    right = (0.99 - _MAP[0]) / _MAP[1]
    for place, row in enumerate(order if panel.aside else ()):
        axes.text(
            right, place, panel.aside[row], ha="right", va="center", fontsize=_FONT,
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    members = "profiles" if panel.letter in "ab" else "targets"
    axes.text(
        1.006, -1.0, f"cluster ({members})", va="center", fontsize=_FONT, weight="bold",
        transform=axes.get_yaxis_transform(),
    )  # fmt: skip
    if panel.aside:
        axes.text(
            right, -1.0, "on twins", ha="right", va="center", fontsize=_FONT, weight="bold",
            transform=axes.get_yaxis_transform(),
        )  # fmt: skip
    if panel.columns:
        texts = [_plain(panel.columns[column]) for column in columns]
        upright = not panel.below
        axes.set_xticks(
            range(len(columns)), texts, fontsize=_FONT,
            rotation=35 if upright else 0, ha="right" if upright else "center",
            rotation_mode="anchor" if upright else None,
        )  # fmt: skip
    else:
        axes.set_xticks([])
    if panel.below:
        axes.set_xlabel(panel.below, fontsize=_FONT, parse_math=False)
    if panel.cells is not None:
        for (y, x), value in np.ndenumerate(values):
            axes.text(
                x, y, str(panel.cells[order[y], x]), ha="center", va="center",
                fontsize=min(_SMALL, _SMALL * _CELL_LETTERS / len(str(panel.cells[order[y], x]))),
                color="white" if abs(value) > _DARK * end else "black", parse_math=False,
                clip_on=True,
            )  # fmt: skip


def _title(
    figure: Figure | SubFigure, panel: _Panel, explanation: Explanation, height: float
) -> None:
    y = 1 - 0.22 / height
    figure.text(_LEFT[0], y, panel.letter, fontsize=12, weight="bold")
    figure.text(_LEFT[0] + 0.02, y, panel.title, fontsize=9, weight="bold", parse_math=False)
    if reasons := explanation.unstable.get(panel.letter):
        figure.text(
            _LEFT[0] + 0.02, 1 - 0.42 / height, shown(f"UNSTABLE: {'; '.join(reasons)}", 150),
            fontsize=_FONT, color=_UNSTABLE, parse_math=False,
        )  # fmt: skip


def _scale(axes: Axes, end: float, signs: str) -> None:
    """Draw the colour scale."""
    axes.imshow(
        np.linspace(-1, 1, 256)[None], cmap=COLOURS, aspect="auto", extent=(-end, end, 0, 1)
    )
    axes.set_yticks([])
    axes.set_xticks([-end, 0, end], [f"−{end:.2g} %", "0", f"{end:.2g} %"], fontsize=_SMALL)
    axes.tick_params(length=2, pad=1)
    axes.set_title(f"share of relevance ({signs})", fontsize=_SMALL, pad=2)


def _plain(text: str) -> str:
    # Labels of ticks have no parse_math=False. Without the backslash a $ would start a formula.
    return text.replace("$", r"\$")
