"""Drawings as inline SVG: small, without scripts, in the colours of the page.

A site has thousands of drawings. So coordinates are whole pixels and moves are relative, which
need fewer characters, and the style sheet holds the properties that drawings share.
Every word in a drawing goes through :func:`escape`. Everything else is a number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, groupby, pairwise
from typing import NamedTuple

from markupsafe import Markup, escape

MOST_POINTS = 16
"""Points of a curve that are drawn. The record holds all of them."""

_BIN_PIXELS, _BARS_HEIGHT = 8, 24
"""Width of a bin of a histogram, and the height of its largest bar."""

_LEFT, _TOP = 44, 12
"""Margins for the labels of an axis, in pixels."""

_SMALL_WIDTH, _SMALL_HEIGHT = 316, 80
"""Pixels of a curve."""

_NAME_PIXELS, _LINE_PIXELS = 6.2, 12
"""Width of a character and height of a line of the labels in the plot, in pixels.

The style sheet sets their font. No browser is at hand to measure text, so this is an estimate.
"""

_LONGEST_NAME = 28
"""Characters of a label in the plot."""


_RIGHT = 70
"""Margin on the right of the plot, for labels."""


class _Size(NamedTuple):
    """Size of a plot in pixels, and the class of its drawing in the style sheet."""

    name: str
    width: int
    height: int


_WIDE, _NARROW = _Size("wide", 720, 320), _Size("narrow", 360, 320)


@dataclass(frozen=True)
class Axis:
    """A map from numbers to pixels, linear or logarithmic.

    Attributes:
        low: the number at ``start``.
        high: the number at ``stop``.
        start: the pixel of ``low``.
        stop: the pixel of ``high``.
        log: True for a logarithmic axis.
        wanted: the approximate number of ticks.
    """

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    wanted: int = 3

    def __call__(self, value: float) -> float:
        """Return the pixel of a number."""
        low, high = self._ends
        share = (self._scale(value) - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.stop - self.start), 1)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        return self._scale(self.low), self._scale(self.high)

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        """Return a few round numbers on the axis."""
        if self.log:
            return _decades(self.low, self.high)
        ticks = self._multiples(_round_step((self.high - self.low) / self.wanted))
        if len(ticks) > 1:
            return ticks
        # One tick shows no scale. With six wanted, any range has at least two.
        return self._multiples(_round_step((self.high - self.low) / 6))

    def _multiples(self, step: float) -> list[float]:
        """Return the multiples of a step on the axis."""
        first = math.ceil(self.low / step)
        # Rounding may put the end of the axis a little below a multiple.
        last = math.floor(self.high / step + 1e-9)
        return [number * step for number in range(first, last + 1)]


def _round_step(rough: float) -> float:
    """Return the next 1, 2 or 5 times a power of ten."""
    if rough <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)


def _decades(low: float, high: float) -> list[float]:
    """Return at most three powers of ten in a range, or its ends if there is none or one."""
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    stride = max(1, math.ceil(len(powers) / 3))
    inside = [10.0**power for power in powers][::stride]
    return inside if len(inside) > 1 else [low, high]


def tick(value: float) -> str:
    """Return the label of a tick, as short as possible."""
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def whisker(axis: Axis, value: float, low: float | None, high: float | None) -> Markup:
    """Return a difference, its interval and 0 as a drawing of one line, for a cell of a table."""
    zero = round(axis(0))
    interval = "" if low is None or high is None else f"M{round(axis(low))} 6H{round(axis(high))}"
    return _drawing(
        f'<svg class=ci viewBox="0 0 96 12" aria-hidden=true><path class=zero d="M{zero} 0V12"/>'
        f'<path d="{interval}"/><circle cx={round(axis(value))} /></svg>'
    )


@dataclass(frozen=True)
class Histogram:
    """Counts of genes in bins of equal width. The outer bins also count values beyond them.

    Attributes:
        low: lower end of the first bin.
        high: upper end of the last bin.
        counts: number of genes in each bin.
    """

    low: float
    high: float
    counts: tuple[int, ...]


def histogram(bars: Histogram) -> Markup:
    """Return the spread of a metric over genes as bars without words.

    The text beside it has to give its ends.
    """
    height, most = _BARS_HEIGHT, max(bars.counts, default=0) or 1
    moves, top = [], height
    for level, bins in groupby(height - round(height * count / most) for count in bars.counts):
        moves.append(f"v{level - top}h{_BIN_PIXELS * len(list(bins))}")
        top = level
    return _drawing(
        f'<svg viewBox="0 0 {_BIN_PIXELS * len(bars.counts)} {height}" aria-hidden=true>'
        f'<path d="M0 {height}{"".join(moves)}V{height}"/></svg>'
    )


def curve(
    columns: Sequence[tuple[str, Sequence[float]]], x: tuple[str, Sequence[float]],
    chosen: float | None, title: str,
) -> Markup:  # fmt: skip
    """Return values along an epoch, λ or k as a drawing.

    The style sheet draws its horizontal axis.

    Args:
        columns: (name, values) of each line.
        x: (name, values) of the axis.
        chosen: the value on the axis that was chosen. A dashed line marks it.
        title: description of the drawing, for screen readers.
    """
    width, height = _SMALL_WIDTH, _SMALL_HEIGHT
    xs = x[1]
    values = [value for _, column in columns for value in column]
    log = min(xs) > 0 and max(xs) / min(xs) >= 100  # noqa: PLR2004  two decades
    across = Axis(min(xs), max(xs), 36, width - 14, log=log)
    up = Axis(*_spread(values), height, _TOP + 10)
    kept = thinned(len(xs))
    lines = "".join(
        f"<path class=line{number or ''} "
        f'd="{_trace([(across(xs[i]), up(column[i])) for i in kept])}"/>'
        for number, (_, column) in enumerate(columns)
    )
    inside = chosen is not None and across.low <= chosen <= across.high
    choice = (
        f'<path class=chosen d="M{round(across(chosen))} 16V{height}"/>'
        if chosen is not None and inside
        else ""
    )
    return _drawing(
        f'<svg viewBox="0 0 {width} {height + 18}" role=img aria-label="{escape(title)}">'
        f"{choice}{lines}{_ticks(across)}{_labels(up, ends_only=True)}"
        f"{_legend([name for name, _ in columns], x[0])}</svg>"
    )


def _legend(names: Sequence[str], x: str) -> str:
    if len(names) == 1:
        return f"<text x=36 y=10>{escape(names[0])} by {escape(x)}</text>"
    # A key is 8 pixels wide, with gaps around it, and a character about 6.
    offsets = accumulate((6 * len(name) + 22 for name in names), initial=36)
    words = [*names[:-1], f"{names[-1]}, by {x}"]
    return "".join(
        f"<rect class=key{number} x={left} y=2 width=8 height=8 />"
        f"<text x={left + 12} y=10>{escape(word)}</text>"
        for number, (word, left) in enumerate(zip(words, offsets, strict=False))
    )


def _trace(points: Sequence[tuple[float, float]]) -> str:
    """Return a line through points as the moves of a path, in whole pixels."""
    rounded = [(round(x), round(y)) for x, y in points]
    bends = [rounded[0]]
    for index, point in enumerate(rounded[1:], 1):
        # A point inside a level stretch adds nothing to the line.
        level = point[1] == bends[-1][1]
        if not level or index == len(rounded) - 1 or rounded[index + 1][1] != point[1]:
            bends.append(point)
    moves = "".join(
        (f"h{x - left}" if y == top else f"l{x - left} {y - top}").replace(" -", "-")
        for (left, top), (x, y) in pairwise(bends)
    )
    return f"M{bends[0][0]} {bends[0][1]}{moves}"


def thinned(length: int, most: int = MOST_POINTS) -> list[int]:
    """Return the positions of the points of a curve to draw.

    A long curve is drawn at evenly spaced points, with both ends.

    Args:
        length: number of points.
        most: largest number of points that are drawn.
    """
    if length <= most:
        return list(range(length))
    last = length - 1
    return sorted({round(step * last / (most - 1)) for step in range(most)})


@dataclass(frozen=True)
class Dot:
    """One method in the plot of error against cost.

    Attributes:
        label: its label.
        cost: seconds of fitting and predicting.
        error: its mean score.
        control: True for a control, which is drawn as a ring.
        mark: a mark if its cost does not compare with that of others, so that it is not on the
            front. Else empty.
    """

    label: str
    cost: float
    error: float
    control: bool = False
    mark: str = ""

    @property
    def name(self) -> str:
        """Its label, with the mark of a time that does not compare."""
        return f"{self.label}{self.mark}"


def scatter(dots: Sequence[Dot], x: str, y: str, *, lower_is_better: bool) -> Markup:
    """Return the plot of error against cost, once for wide screens and once for phones.

    A dashed line is the Pareto front: no method on it is beaten in both. The axes are those of the
    methods. Controls beyond them stand at the edge, because they would press all others together.

    Args:
        dots: the methods.
        x: label of the axis of costs.
        y: label of the axis of errors.
        lower_is_better: True if a lower ``error`` is better.
    """
    return _drawing(
        "".join(
            _scatter(dots, (x, y), size, lower_is_better=lower_is_better)
            for size in (_WIDE, _NARROW)
        )
    )


def _scatter(
    dots: Sequence[Dot], labels: tuple[str, str], size: _Size, *, lower_is_better: bool
) -> str:
    methods = [dot for dot in dots if not dot.control] or dots
    across = Axis(
        *_decade_spread([dot.cost for dot in methods]), _LEFT + 12, size.width - _RIGHT, log=True
    )
    up = Axis(*_spread([dot.error for dot in methods]), size.height - 40, 36, wanted=5)
    front = _front(dots, lower_is_better=lower_is_better)
    x_label, y_label = map(escape, labels)
    places = [(across(_clamped(dot.cost, across)), up(_clamped(dot.error, up))) for dot in dots]
    circles = "".join(
        f"<circle class={'ring' if dot.control else 'dot'} cx={_n(left)} cy={_n(top)} r=4.5>"
        f"<title>{escape(dot.name)}: {y_label} {dot.error:.4f}, {x_label} {dot.cost:.3g}</title>"
        "</circle>"
        if size is _WIDE
        # A phone has no pointer that hovers, so that it would show no titles.
        else f"<circle class={'ring' if dot.control else 'dot'} cx={_n(left)} cy={_n(top)} r=4.5 />"
        for dot, (left, top) in zip(dots, places, strict=True)
    )
    # Without times that compare there is no front.
    path = _path((across(dot.cost), up(dot.error)) for dot in front) if front else ""
    return (
        f'<svg class={size.name} viewBox="0 0 {size.width} {size.height}" role=img '
        f'aria-label="{y_label} against {x_label}, '
        f'{len(dots)} methods. The table has the numbers.">{_axes(across, up)}'
        f'<path class=front d="{path}"/>{circles}{"".join(_names(dots, front, places, across))}'
        f"<text x={(size.width + _LEFT) // 2} y={size.height} dy=-4 class=m>{x_label}</text>"
        f"<text x=4 y=12>{y_label}</text></svg>"
    )


def _clamped(value: float, axis: Axis) -> float:
    return min(max(value, axis.low), axis.high)


def _front(dots: Sequence[Dot], *, lower_is_better: bool) -> list[Dot]:
    """Return the methods that are better than every cheaper one, the cheapest first."""
    sign = 1 if lower_is_better else -1
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.cost, sign * dot.error)):
        if dot.control or dot.mark:
            continue
        if not front or sign * dot.error < sign * front[-1].error:
            front.append(dot)
    return front


class _Spot(NamedTuple):
    """The place of a label, or of a dot that no label may cover."""

    left: float
    right: float
    base: float
    anchor: str = ""

    def overlaps(self, other: _Spot) -> bool:
        """Return whether two places overlap."""
        beside = self.left >= other.right or self.right <= other.left
        return not beside and abs(self.base - other.base) < _LINE_PIXELS


def _names(
    dots: Sequence[Dot], front: Sequence[Dot], places: Sequence[tuple[float, float]], across: Axis
) -> Iterator[str]:
    """Yield labels of as many dots as there is room for, those of the front first."""
    taken = [_Spot(x - 5, x + 5, y + 3) for x, y in places]
    for dot, place in sorted(zip(dots, places, strict=True), key=lambda pair: pair[0] not in front):
        long = len(dot.name) > _LONGEST_NAME
        label = f"{dot.name[: _LONGEST_NAME - 1]}…" if long else dot.name
        for spot in _spots(*place, _NAME_PIXELS * len(label)):
            # A label may reach into the margins of the drawing, but not out of it.
            inside = across.start - 12 < spot.left and spot.right < across.stop + _RIGHT - 4
            if inside and not any(map(spot.overlaps, taken)):
                taken.append(spot)
                x = _n(spot.right if spot.anchor else spot.left)
                words = escape(label)
                yield f'<text class="name{spot.anchor}" x={x} y={_n(spot.base)}>{words}</text>'
                break


def _spots(x: float, y: float, width: float) -> Iterator[_Spot]:
    """Yield places for the label of a dot: right and left of it, above and below."""
    for base in (y - 6, y + 14):
        yield _Spot(x + 7, x + 7 + width, base)
        yield _Spot(x - 9 - width, x - 9, base, " e")


def _axes(across: Axis, up: Axis) -> str:
    base = f'<path class=axis d="M{_n(across.start)} {_n(up.start)}H{_n(across.stop)}"/>'
    ticks = _ticks(across, f"0 {round(up.start) + 14}")
    return f"{base}{ticks}{_labels(up, str(round(across.start) - 6))}"


def _ticks(across: Axis, moved: str = "") -> str:
    texts = (f"<text x={round(across(value))}>{tick(value)}</text>" for value in across.ticks())
    return _group(texts, "m", moved)


def _labels(up: Axis, moved: str = "", *, ends_only: bool = False) -> str:
    ticks = up.ticks()
    shown = (ticks[0], ticks[-1]) if ends_only else ticks
    texts = (f"<text y={round(up(value)) + 4}>{tick(value)}</text>" for value in shown)
    return _group(texts, "e", moved)


def _group(texts: Iterable[str], name: str, moved: str) -> str:
    """Return texts that share an anchor and a coordinate as one group.

    Without ``moved`` the style sheet gives the coordinate, as all small drawings have the same.
    """
    transform = f' transform="translate({moved})"' if moved else ""
    return f"<g class={name}{transform}>{''.join(texts)}</g>"


def _drawing(svg: str) -> Markup:
    """Return a finished drawing as markup, which templates do not escape."""
    return Markup(svg)  # noqa: S704  words in it went through escape()


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of values with a margin of 6 %, or around a single value 5 % of it."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _decade_spread(values: Sequence[float]) -> tuple[float, float]:
    """Return the range of values with a margin, for a logarithmic axis."""
    return min(values) / 1.5, max(values) * 1.5


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """Return a coordinate to a tenth of a pixel, without a trailing zero."""
    return f"{value:.1f}".removesuffix(".0")
