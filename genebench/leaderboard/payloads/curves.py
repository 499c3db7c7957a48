"""Curves of a board: errors by training size, and along an epoch, λ or k."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.rank import scores_of
from genebench.analysis.sizes import SizesPart, sizes_parts
from genebench.leaderboard.boards import Board
from genebench.leaderboard.charts import thinned
from genebench.leaderboard.payloads.packing import digits
from genebench.leaderboard.templating import shown
from genebench.plugins.registry import Registry
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import sized_name

MOST_CURVES = 24
"""Variants whose curves are shown, the best ones. More lines in one chart cannot be told apart."""

MOST_POINTS = 60
"""Points of a curve that are shown, evenly spaced. The record holds all of them."""

_DIGITS = 4
"""Significant digits of a value. A chart shows no more."""

_MOST_COLUMNS = 6
"""Columns of a curve that are shown, besides that of the axis."""


def curves(board: Board, order: Iterable[int]) -> dict[str, list[dict[str, Any]]]:
    """Return the name of a curve, such as ``path`` → the curves of the best variants.

    Each is that of the variant's first seed.

    Args:
        board: the board.
        order: numbers of variants, the best first.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for number in order:
        record = next((r for r in board.variants[number].done if r.curves), None)
        for name, curve in record.curves.items() if record else ():
            lines = found.setdefault(str(shown(name)), [])
            if len(lines) < MOST_CURVES and (line := _line(curve, record)):
                lines.append({"variant": number, **line})
    return {name: lines for name, lines in found.items() if lines}


def _line(curve: Mapping[str, Sequence[float]], record: Record | None) -> dict[str, Any] | None:
    """Return a curve as its axis and its columns, or None if there is nothing to draw."""
    if record is None or len(curve) < 2 or len(set(map(len, curve.values()))) > 1:  # noqa: PLR2004
        return None
    (x, xs), *columns = curve.items()
    if len(xs) < 2:  # noqa: PLR2004  one point is no curve
        return None
    # The choice is named after the axis, such as "epoch" or "epoch (geo)".
    choice = next((value for name, value in record.choices.items() if name.startswith(x)), None)
    chosen = digits(float(choice), _DIGITS) if isinstance(choice, int | float) else None
    kept = thinned(len(xs), MOST_POINTS)
    if chosen is not None:
        nearest = min(range(len(xs)), key=lambda i: abs(xs[i] - chosen))
        kept = sorted({*kept, nearest})
    return {
        "x": shown(x),
        "xs": [digits(xs[i], _DIGITS) for i in kept],
        "columns": [
            [shown(name), [digits(values[i], _DIGITS) for i in kept]]
            for name, values in columns[:_MOST_COLUMNS]
        ],
        "chosen": chosen,
    }


def sizes_by_setting(
    records: Iterable[Record], registry: Registry
) -> dict[tuple[str, str, str], SizesPart]:
    """Return data, base of the protocol and preset → results at several training sizes."""
    parts = sizes_parts(records, registry)
    return {(part.first.identity.data, part.protocol, part.preset): part for part in parts}


def sizes(
    board: Board, parts: Mapping[tuple[str, str, str], SizesPart], metrics: Sequence[str]
) -> dict[str, Any] | None:
    """Return the scores by training size of a board's protocol, or None with one size only.

    ``points`` maps a metric and a panel to points. A point is ``[profiles, mean, seeds low, seeds
    high]``. The limits are null with one seed.
    """
    identity = board.first.identity
    base, _ = sized_name(identity.protocol)
    part = parts.get((identity.data, base, board.preset))
    if part is None:
        return None
    lines: list[dict[str, Any]] = []
    for curve in part.curves:
        points = {
            metric: {
                panel: [
                    [
                        size,
                        digits(fmean(scores)),
                        *(digits(end) if ends else None for end in ends or (0, 0)),
                    ]
                    for size, variant in curve.points.items()
                    if (scores := scores_of(variant, metric, panel))
                    for ends in [seed_interval(scores)]
                ]
                for panel in PANELS
            }
            for metric in metrics
        }
        lines.append({"label": shown(curve.label), "control": curve.control, "points": points})
    return {"protocol": base, "sizes": part.sizes, "lines": lines}
