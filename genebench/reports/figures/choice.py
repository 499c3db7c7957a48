"""Curves of choices: the validation error over λ, k or epochs, and the value that was chosen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from genebench.analysis.curves import curves
from genebench.analysis.grouping import by_preset, in_order
from genebench.analysis.variants import Variant, variants_of
from genebench.errors import counted
from genebench.plugins.registry import Registry
from genebench.reports.figures.drawing import Drawing, file_name
from genebench.reports.figures.panels import log_ticks, name_axes, panels, short_number, short_unit
from genebench.reports.figures.style import COLOURS, ONE_COLUMN, PALE, TWO_COLUMNS
from genebench.results.filters import RecordFilter
from genebench.results.record import Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ERROR = "mae"
"""First word of the column of the validation error, in standard deviations of the gene."""
_TRAINING_ERROR = f"{_ERROR} train"
_UNIT, _UNIT_NOTE = short_unit("standard deviations of the gene")
_WIDE = 50.0
"""Ratio of the largest to the smallest value from which an axis is logarithmic."""
_MOST_MARKS = 40
"""Points of a line that have marks, at most."""
_MOST_PANELS = {ONE_COLUMN: 12, TWO_COLUMNS: 24}
"""Width → panels of a figure. A page has no room for more."""


@dataclass(frozen=True)
class ChoicePart:
    """The results of one protocol and preset that have a curve.

    Attributes:
        name: name of the curve, such as ``path``.
        preset: the preset.
        variants: the methods that have the curve.
    """

    name: str
    preset: str
    variants: list[Variant]

    @property
    def first(self) -> Record:
        """Any of the records."""
        return self.variants[0].first


def choice_parts(
    records: Sequence[Record], registry: Registry, names: Sequence[str]
) -> Iterator[ChoicePart]:
    """Yield the methods with curves of each dataset, protocol, data and preset."""
    done = RecordFilter(status="done", trials=False).apply(records)
    for group in in_order(done, registry):
        for preset, members in by_preset(group, registry).items():
            for name in names:
                having = [
                    variant
                    for variant in sorted(
                        variants_of(members, registry), key=lambda variant: variant.label
                    )
                    if any(_is_drawable(record, name) for record in variant.done)
                ]
                if having:
                    yield ChoicePart(name, preset, having)


def drawings(parts: Iterable[ChoicePart], width: float = TWO_COLUMNS) -> Iterator[Drawing]:
    """Yield a figure of each part, with a panel for each method."""
    for part in parts:
        where = part.first.dataset, part.first.identity.protocol, part.preset
        name = file_name("curve", part.name, *where, part.first.identity.data[:8])
        yield _drawing(name, part, width)


def _is_drawable(record: Record, name: str) -> bool:
    curve = record.curves.get(name, {})
    return len(curve) > 1 and min(map(len, curve.values())) > 1


def _drawing(name: str, part: ChoicePart, width: float) -> Drawing:
    shown = part.variants[: _MOST_PANELS[int(width)]]
    more = len(part.variants) - len(shown)
    notes = ["Dashed line: the value that was chosen.", _UNIT_NOTE]
    notes += [f"{counted(more, 'more method')} in the CSV file."] if more else []
    figure, all_axes = panels(
        len(shown), width,
        f"Choices on the validation set ({part.name}) · {part.first.dataset} · "
        f"{part.first.identity.protocol} · preset {part.preset}",
        " ".join(notes), across=2 if width <= ONE_COLUMN else max(2, min(4, len(shown))),
        aspect=0.8, titled=True,
    )  # fmt: skip
    for axes, variant in zip(all_axes, shown, strict=True):
        _panel(axes, variant, part.name)
    # Labels tell variants of one method apart.
    tables = [
        curves(variant.done, part.name).assign(variant=variant.label) for variant in part.variants
    ]
    return Drawing(name, figure, pd.concat(tables, ignore_index=True))


@dataclass(frozen=True)
class _Lines:
    """A curve as lines over one parameter, with a line for each value of the others.

    Attributes:
        x: name of the parameter with the most values.
        error: name of the error.
        others: names of the parameters that differ between lines.
        points: values of the others → points of the line, by ascending x.
    """

    x: str
    error: str
    others: tuple[str, ...]
    points: dict[tuple[float, ...], list[tuple[float, float]]]


def error_of(curve: Mapping[str, Sequence[float]]) -> str | None:
    """Return the column of a curve that a choice is made by: the validation error, or None."""
    # D-GEX also records the error on training profiles, which chooses its learning rate.
    errors = [name for name in curve if name.split()[0] == _ERROR and name != _TRAINING_ERROR]
    return errors[0] if errors else None


def _lines_of(curve: Mapping[str, Sequence[float]]) -> _Lines:
    names = [*curve]
    error = error_of(curve) or names[-1]
    # Columns before the error are parameters, but for losses of epochs, which are not chosen.
    before = names[: names.index(error)] or names[:1]
    values = {name: set(curve[name]) for name in (before if error == _ERROR else before[:1])}
    x = max(values, key=lambda name: len(values[name]))
    others = tuple(name for name in values if name != x and len(values[name]) > 1)
    points: dict[tuple[float, ...], list[tuple[float, float]]] = {}
    for at, y, *rest in zip(curve[x], curve[error], *(curve[name] for name in others), strict=True):
        points.setdefault(tuple(rest), []).append((at, y))
    return _Lines(x, error, others, {line: sorted(found) for line, found in points.items()})


def _chosen(record: Record, name: str) -> list[float]:
    """Return the chosen values of a parameter: several if parts of a model chose for themselves."""
    return [
        float(value)
        for choice, value in record.choices.items()
        if choice == name or choice.startswith(f"{name}_")
        if isinstance(value, int | float)
    ]


def _panel(axes: Axes, variant: Variant, name: str) -> None:
    """Draw the curves of all seeds of a method."""
    seeds = [record for record in variant.done if _is_drawable(record, name)]
    for record in seeds:
        lines = _lines_of(record.curves[name])
        best = min(lines.points, key=lambda line: min(y for _, y in lines.points[line]))
        for line, points in lines.points.items():
            is_best = line == best
            few = len(points) <= _MOST_MARKS
            axes.plot(
                *zip(*points, strict=True), color=COLOURS[0] if is_best else PALE,
                marker="o" if few and is_best else "", markersize=1.6, linewidth=0.8,
                zorder=3 if is_best else 2,
            )  # fmt: skip
        for chosen in _chosen(record, lines.x):
            nearest = min(lines.points[best], key=lambda point: abs(point[0] - chosen))
            axes.axvline(chosen, color=COLOURS[1], linewidth=0.7, linestyle="--", zorder=1)
            axes.plot(*nearest, "D", color=COLOURS[1], markersize=3, zorder=4)
    _x_axis(axes, [x for record in seeds for x in record.curves[name][lines.x]])
    logarithmic = ", logarithmic" if axes.get_xscale() != "linear" else ""
    others = f". Grey: other {' and '.join(lines.others)}" if lines.others else ""
    is_validation = lines.error == error_of(record.curves[name])
    name_axes(
        axes, f"{_shown_name(lines.x)}{logarithmic}{others}",
        f"validation MAE ({_UNIT})" if is_validation else lines.error, variant.label,
    )  # fmt: skip


def _shown_name(column: str) -> str:
    return {"lambda": "λ (penalty)", "k": "k (neighbours)", "epoch": "epochs of training"}.get(
        column, column
    )


def _x_axis(axes: Axes, values: Sequence[float]) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    positive = [value for value in values if value > 0]
    if not positive or max(positive) / min(positive) < _WIDE or min(values) < 0:
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        return
    axes.yaxis.set_major_locator(MaxNLocator(4))
    if min(values) > 0:
        axes.set_xscale("log")
        log_ticks(axes, max(values) / min(values))
        return
    axes.set_xscale("symlog", linthresh=min(positive))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
