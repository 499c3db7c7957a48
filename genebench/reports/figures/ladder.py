"""Ablation ladders: a row for each step of a suite, and what the step changed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL
from genebench.analysis.compare import Comparison
from genebench.analysis.comparisons import Comparisons
from genebench.analysis.rank import Standing
from genebench.reports.figures.drawing import Drawing
from genebench.reports.figures.rows import few_ticks, rows_of
from genebench.reports.figures.style import COLOURS
from genebench.specs import MetricSpec


def ladder(  # noqa: PLR0917
    name: str,
    steps: Sequence[tuple[str, Standing]],
    changes: Sequence[tuple[int, Comparison | None] | None],
    metric: MetricSpec,
    where: str,
    width: float,
) -> Drawing:
    """Return the ladder of steps, the first on top.

    Args:
        name: name of the drawing.
        steps: name and standing of each step.
        changes: for each step, the number of the step that it changes, and their comparison, which
            is None if it could not be made. None for a step without one.
        metric: the metric.
        where: dataset, protocol and preset, for the title.
        width: width of the figure in millimetres.
    """
    pairs = [change[1] if change else None for change in changes]
    compared = Comparisons(tuple(pair for pair in pairs if pair))
    p_of = dict(zip(map(id, compared.pairs), compared.p_holm, strict=True))
    p_values = [p_of.get(id(pair)) for pair in pairs]
    texts = [_text(pair, p) for pair, p in zip(pairs, p_values, strict=True)]
    means = [row.mean for _, row in steps]
    rows = rows_of(
        [label for label, _ in steps],
        [(metric.title, [f"{mean:.4f}" for mean in means]), ("change", texts)],
        width,
        f"{metric.title} ({metric.unit}), {metric.direction} is better",
        f"Ablation · {where}",
        "Lines: 95 % intervals over test profiles and seeds. Change: to the row that it comes from "
        "(grey line), paired. "
        "*: significant at 5 %, adjusted for all rows (Holm). "
        "Triangles: better (up), worse (down).",
    )
    axes, better = rows.axes, -1 if metric.direction == "lower" else 1
    for place, (middle, (_, row)) in enumerate(zip(rows.middles, steps, strict=True)):
        colour, mark, clear = "black", "D", True
        if change := changes[place]:
            origin, p = change[0], p_values[place]
            axes.plot(
                [means[origin], means[origin], row.mean], [rows.middles[origin], middle, middle],
                color="0.7", linewidth=0.7, zorder=1,
            )  # fmt: skip
            clear = p is not None and p <= SIGNIFICANCE_LEVEL
            if clear:
                is_gain = better * (row.mean - means[origin]) > 0
                colour, mark = (COLOURS[0], "^") if is_gain else (COLOURS[1], "v")
            else:
                mark = "o"
        if row.low is not None and row.high is not None:
            axes.hlines(middle, row.low, row.high, color=colour, linewidth=1, zorder=2)
        axes.plot(
            row.mean, middle, mark, color=colour, zorder=3,
            markerfacecolor=colour if clear else "white", markeredgewidth=0.8,
        )  # fmt: skip
    few_ticks(axes)
    rows_of_table = []
    for (label, row), change, pair, p in zip(steps, changes, pairs, p_values, strict=True):
        estimate = pair.difference if pair else None
        rows_of_table.append(
            {
                "step": label, "after": steps[change[0]][0] if change else "",
                "method": row.variant.label, "metric": metric.name, "unit": metric.unit,
                "mean": row.mean, "low": row.low, "high": row.high,
                "change": estimate.value if estimate else None,
                "change_low": estimate.low if estimate else None,
                "change_high": estimate.high if estimate else None,
                "p_holm": p,
            }
        )  # fmt: skip
    return Drawing(name, rows.figure, pd.DataFrame(rows_of_table))


def _text(change: Comparison | None, p: float | None) -> str:
    if change is None or change.difference is None:
        return ""
    clear = p is not None and p <= SIGNIFICANCE_LEVEL
    return f"{change.difference.value:+z.4f}{'*' if clear else ' '}"
