"""Figures of a dataset's card: levels by platform, and the first two components of its profiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genebench.data.splits import REFERENCE_PLATFORM
from genebench.datasets.card import Card
from genebench.reports.figures.drawing import Drawing, file_name, write_drawings
from genebench.reports.figures.panels import lengths, name_axes, panels
from genebench.reports.figures.style import COLOURS, MARKS, ONE_COLUMN, TWO_COLUMNS, wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OTHERS = "0.75"
_LINES = ("-", "--", "-.", ":")


def draw(card: Card, folder: Path) -> list[Path]:
    """Write the figures of a card, with their numbers as CSV, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_drawings(_drawings(card), folder)


def _drawings(card: Card) -> Iterator[Drawing]:
    name = file_name(str(card.facts["name"]))
    yield levels(f"{name}-levels", card)
    yield components(f"{name}-components", card)


def levels(name: str, card: Card) -> Drawing:
    """Return the share of values in each bin, a line for each platform."""
    figure, (axes,) = panels(
        1, ONE_COLUMN, f"{card.facts['name']}: values on each platform", aspect=0.65
    )
    rows = []
    for position, (platform, counts) in enumerate(card.levels.items()):
        shares = counts / max(1, counts.sum())
        # Equal quantiles give equal lines: each is drawn thinner than the one below it.
        axes.stairs(
            shares, card.edges, label=wrapped(platform, 30)[0],
            color=COLOURS[position % len(COLOURS)], linestyle=_LINES[position % len(_LINES)],
            linewidth=max(0.8, 2.4 - 0.8 * position),
        )  # fmt: skip
        rows += [
            {"platform": platform, "from": low, "to": high, "share": share}
            for low, high, share in zip(card.edges, card.edges[1:], shares, strict=False)
        ]
    axes.set_ylim(0, None)
    name_axes(axes, str(card.facts["values"]), "share of values in a bin")
    axes.legend()
    return Drawing(name, figure, pd.DataFrame(rows))


def components(name: str, card: Card) -> Drawing:
    """Return the profiles on the first two components, by platform and by group."""
    points = card.points
    reference = points[points["platform"] == REFERENCE_PLATFORM]
    has_groups = bool((reference["group"] != "").any())
    room = 27.0
    figure, both = panels(
        1 + has_groups, TWO_COLUMNS if has_groups else ONE_COLUMN,
        f"{card.facts['name']}: profiles on the first two components of the landmark genes",
        across=1 + has_groups, aspect=0.75 if has_groups else 1.0, inside=room, titled=True,
    )  # fmt: skip
    by_platform = {str(name): rows for name, rows in points.groupby("platform", sort=False)}
    _scatter(both[0], by_platform, room)
    titles = ["by platform"]
    if has_groups:
        largest = reference["group"].value_counts(sort=True).index[: len(COLOURS)]
        rest = points[~(points.index.isin(reference.index) & points["group"].isin(largest))]
        groups = {str(name): reference[reference["group"] == name] for name in largest}
        _scatter(both[1], {"other profiles": rest} | groups, room)
        column = card.facts["platforms"][REFERENCE_PLATFORM]["groups"]["column"]
        titles.append(f"largest groups of {REFERENCE_PLATFORM}, by {column}")
    for axes, title in zip(both, titles, strict=True):
        shares = [f"component {place + 1} ({x:.0%})" for place, x in enumerate(card.explained)]
        name_axes(axes, f"{shares[0]}, arbitrary units", f"{shares[1]}, arbitrary units", title)
    return Drawing(name, figure, points.reset_index())


def _scatter(axes: Axes, groups: dict[str, pd.DataFrame], room: float) -> None:
    """Draw a cloud of points for each group. Small clouds are drawn over large ones."""
    from matplotlib.collections import PathCollection

    above = sorted(groups, key=lambda name: -len(groups[name]))
    position = 0
    for name, rows in groups.items():
        is_rest = name == "other profiles"
        axes.scatter(
            rows["PC1"], rows["PC2"], s=float(np.clip(1500 / (len(rows) + 1), 1.5, 8)),
            color=_OTHERS if is_rest else COLOURS[position % len(COLOURS)],
            marker="." if is_rest else MARKS[position % len(MARKS)],
            zorder=2 + above.index(name), alpha=0.7, linewidths=0,
            label="\n".join(wrapped(f"{name} ({len(rows):,})", room - 7, lines=2)),
        )  # fmt: skip
        position += not is_rest
    across, _ = lengths(axes)
    legend = axes.legend(loc="center left", bbox_to_anchor=(1 + 1 / across, 0.5), handletextpad=0.2)
    for mark in legend.legend_handles:
        if isinstance(mark, PathCollection):
            mark.set_sizes([8.0])  # marks of large clouds are too small to be seen alone
