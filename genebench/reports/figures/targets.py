"""Error of each target gene against its variance, and against its best landmark."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from genebench.errors import counted
from genebench.reports.figures.drawing import Drawing
from genebench.reports.figures.panels import lengths, log_ticks, name_axes, panels, short_unit
from genebench.reports.figures.series import label_ends, named_room
from genebench.reports.figures.style import MARKS, ONE_COLUMN, style
from genebench.specs import MetricSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

MOST_METHODS = 6
"""Methods with a line. More would cover each other."""
_BINS = 12
_FEWEST_IN_BIN = 8
"""Genes of a bin, at least."""
_HEXAGONS = 30
_QUANTILES = (
    ("variance", "variance over the training profiles (log₂², logarithmic axis)", "log"),
    ("correlation", "|r| with the best landmark over the training profiles", "linear"),
)


def against_targets(  # noqa: PLR0917
    name: str,
    values: Mapping[str, pd.Series],
    properties: pd.DataFrame,
    metric: MetricSpec,
    where: str,
    width: float,
) -> Drawing:
    """Return panels of the metric against properties of target genes.

    Lines are means over bins with equal numbers of genes. The hexagons behind them are the genes of
    the first method.

    Args:
        name: name of the drawing.
        values: label of a method → the metric of each gene, the leader first.
        properties: as :func:`genebench.analysis.targets.target_properties` gives.
        metric: the metric.
        where: dataset, protocol and preset, for the title.
        width: width of the figure in millimetres.
    """
    shown = dict(list(values.items())[:MOST_METHODS])
    genes = pd.DataFrame(shown).join(properties, how="inner")
    kinds = [kind for kind in _QUANTILES if genes[kind[0]].notna().any()]
    leader = next(iter(shown))
    more = len(values) - len(shown)
    left_out = f" {counted(more, 'more method')} left out." if more else ""
    one_column = width <= ONE_COLUMN
    room, (unit, unit_note) = named_room([*shown], width), short_unit(metric.unit)
    figure, all_axes = panels(
        len(kinds), width, f"{metric.title} by target gene · {where}",
        f"Lines: means over {_bins(len(genes))} bins with equal numbers of the {len(genes):,} "
        f"target genes. Hexagons: numbers of genes of {leader}, dark is many.{left_out} "
        f"{unit_note}".strip(),
        across=1 if one_column else len(kinds), aspect=0.7 if one_column else 0.8, right=room,
    )  # fmt: skip
    of_genes = (
        genes.rename_axis("gene")
        .reset_index()
        .melt(["gene", *properties], [*shown], var_name="method", value_name="value")
    )
    rows = []
    for panel, (axes, (kind, x_label, scale)) in enumerate(zip(all_axes, kinds, strict=True)):
        usable = genes[genes[kind] > 0] if scale == "log" else genes
        _hexagons(axes, usable[kind], usable[leader], scale)
        ends = []
        for position, method in enumerate(shown):
            bins = _binned(usable[kind], usable[method])
            colour, _ = style(position)
            axes.plot(
                bins[kind], bins["value"], color=colour, marker=MARKS[position], markersize=2.6,
                markeredgecolor="white", markeredgewidth=0.3, zorder=3,
            )  # fmt: skip
            ends.append((bins[kind].iloc[-1], bins["value"].iloc[-1]))
            rows += [
                {"property": kind, "bin": number, "method": method, **row}
                for number, row in enumerate(bins.to_dict("records"), 1)
            ]
        name_axes(axes, x_label, f"{metric.title} ({unit}), {metric.direction} is better")
        if one_column or panel == len(all_axes) - 1:
            label_ends(axes, [*shown], ends, room)
    # Rows of bins come first, those of genes after them.
    table = pd.concat([pd.DataFrame(rows), of_genes.assign(genes=1)], ignore_index=True)
    table = table.astype({"bin": "Int64"}).assign(metric=metric.name, unit=metric.unit)
    return Drawing(name, figure, table)


def _bins(genes: int) -> int:
    return max(2, min(_BINS, genes // _FEWEST_IN_BIN))


def _binned(x: pd.Series, y: pd.Series) -> pd.DataFrame:
    """Return the means of x and y in bins with equal numbers of genes, by ascending x."""
    order = np.argsort(x.to_numpy(), kind="stable")
    parts = np.array_split(order, _bins(len(x)))
    return pd.DataFrame(
        {
            "genes": [len(part) for part in parts],
            x.name: [float(x.iloc[part].mean()) for part in parts],
            "value": [float(y.iloc[part].mean()) for part in parts],
        }
    )


def _hexagons(axes: Axes, x: pd.Series, y: pd.Series, scale: str) -> None:
    low, high = np.percentile(y, [0.2, 99.8])
    margin = 0.08 * (high - low) or 0.5
    across, up = lengths(axes)
    x_low, x_high = (float(value) for value in np.percentile(x, [0.1, 99.9]))
    if x_low == x_high:
        x_low, x_high = 0.9 * x_low - 0.01 * (scale != "log"), 1.1 * x_high + 0.01
    ends = (np.log10(x_low), np.log10(x_high)) if scale == "log" else (x_low, x_high)
    axes.hexbin(
        x, y, gridsize=(_HEXAGONS, max(4, int(_HEXAGONS * up / across / 1.7))), bins="log",
        mincnt=1, xscale="log" if scale == "log" else "linear", cmap=_pale(),
        linewidths=0.1, extent=(*ends, low - margin, high + margin), zorder=1,
    )  # fmt: skip
    axes.set(xlim=(x_low, x_high), ylim=(low - margin, high + margin))
    if scale == "log":
        log_ticks(axes, x_high / x_low)


def _pale() -> Colormap:
    """Return greys that lines are seen upon."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("pale", ["0.93", "0.55"])
