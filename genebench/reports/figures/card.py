"""Figures of a dataset's card: levels by platform, and the first two components of its profiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genebench.data.splits import REFERENCE_PLATFORM
from genebench.datasets.card import Card
from genebench.reports.figures.drawing import file_name, shown, write_figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442"
"""Colours of Okabe and Ito, safe for colour-blind eyes."""
_MARKERS = "o^sDvP*"
_OTHERS = "0.75"
_HEIGHT_INCHES = 4.2
_LEGEND_LETTERS = 28


def draw(card: Card, folder: Path) -> list[Path]:
    """Write the figures of a card, SVG and PNG, and return the files.

    Raises:
        UserError: matplotlib is not installed, or the folder cannot be written to.
    """
    return write_figures(_figures(card), folder)


def _figures(card: Card) -> Iterator[tuple[str, Figure]]:
    name = file_name(str(card.facts["name"]))
    yield f"{name}-levels", levels(card)
    yield f"{name}-components", components(card)


def levels(card: Card) -> Figure:
    """Return the share of values in each bin, a line for each platform."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(1.5 * _HEIGHT_INCHES, _HEIGHT_INCHES), layout="constrained")
    axes = figure.subplots()
    for position, (platform, counts) in enumerate(card.levels.items()):
        shares = counts / max(1, counts.sum())
        # Equal quantiles give equal lines: each is drawn thinner than the one below it.
        axes.stairs(
            shares, card.edges, label=shown(platform),
            color=_COLOURS[position % len(_COLOURS)], linewidth=max(1.0, 4.0 - 1.4 * position),
        )  # fmt: skip
    axes.set(xlabel=str(card.facts["values"]), ylabel="share of values", ylim=(0, None))
    axes.legend(frameon=False)
    _title(axes, card, "levels")
    return figure


def components(card: Card) -> Figure:
    """Return the profiles on the first two components, by platform and by group."""
    from matplotlib.figure import Figure

    points = card.points
    reference = points[points["platform"] == REFERENCE_PLATFORM]
    has_groups = bool((reference["group"] != "").any())
    figure = Figure(
        figsize=((2.8 if has_groups else 1.5) * _HEIGHT_INCHES, _HEIGHT_INCHES),
        layout="constrained",
    )
    panels = figure.subplots(1, 1 + has_groups, squeeze=False)[0]
    by_platform = {str(name): rows for name, rows in points.groupby("platform", sort=False)}
    _scatter(panels[0], by_platform)
    _title(panels[0], card, "profiles by platform")
    if has_groups:
        largest = reference["group"].value_counts(sort=True).index[: len(_COLOURS)]
        rest = points[~(points.index.isin(reference.index) & points["group"].isin(largest))]
        _scatter(panels[1], {"other profiles": rest}, colour=_OTHERS)
        _scatter(panels[1], {str(name): reference[reference["group"] == name] for name in largest})
        column = card.facts["platforms"][REFERENCE_PLATFORM]["groups"]["column"]
        _title(panels[1], card, f"largest groups of {REFERENCE_PLATFORM}, by {column}")
    for axes in panels:
        shares = [f"component {place + 1} ({x:.0%})" for place, x in enumerate(card.explained)]
        axes.set(xlabel=shares[0], ylabel=shares[1])
    return figure


def _scatter(axes: Axes, groups: dict[str, pd.DataFrame], colour: str = "") -> None:
    """Draw a cloud of points for each group. Small clouds are drawn over large ones."""
    above = sorted(groups, key=lambda name: -len(groups[name]))
    for position, (name, rows) in enumerate(groups.items()):
        axes.scatter(
            rows["PC1"], rows["PC2"], s=float(np.clip(6000 / (len(rows) + 1), 6, 22)),
            color=colour or _COLOURS[position % len(_COLOURS)],
            marker="." if colour else _MARKERS[position % len(_MARKERS)],
            zorder=2 + above.index(name), alpha=0.7, linewidths=0,
            label=f"{shown(name, _LEGEND_LETTERS)} ({len(rows):,})",
        )  # fmt: skip
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _title(axes: Axes, card: Card, what: str) -> None:
    axes.set_title(f"{shown(str(card.facts['name']))}: {shown(what)}", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
