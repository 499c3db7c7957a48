"""Drawings as inline SVG: small, without scripts, in the colours of the page.

Every word that reaches a drawing goes through :func:`escape`; the rest are numbers, placed here.
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
"""Points of a curve that are drawn; the record holds them all."""

_BIN = 24
"""Width of a bin, which the sheet knows too."""

_LEFT, _BOTTOM, _TOP, _RIGHT = 44, 30, 12, 8


@dataclass(frozen=True)
class Axis:
    """Places numbers on a stretch of pixels, linearly or by their logarithm."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False
    wanted: int = 3
    """Ticks, more or less."""

    def __call__(self, value: float) -> float:
        """Where a number is, in pixels."""
        low, high = self._ends
        share = (self._scale(value) - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.stop - self.start), 1)

    @cached_property
    def _ends(self) -> tuple[float, float]:
        return self._scale(self.low), self._scale(self.high)

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        """A few round numbers within."""
        if self.log:
            return _decades(self.low, self.high)
        found = self._at_every(_round_step((self.high - self.low) / self.wanted))
        # One tick is no scale; at twice as many wanted there are two of any range.
        return found if len(found) > 1 else self._at_every(_round_step((self.high - self.low) / 6))

    def _at_every(self, step: float) -> list[float]:
        first = math.ceil(self.low / step)
        return [at * step for at in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _round_step(rough: float) -> float:
    if rough <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next((factor * power for factor in (1, 2, 5) if factor * power >= rough), 10 * power)


def _decades(low: float, high: float) -> list[float]:
    powers = range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)
    every = max(1, -(-len(powers) // 3))
    inside = [10.0**power for power in powers][::every]
    return inside if len(inside) > 1 else [low, high]


def tick(value: float) -> str:
    """A tick's label, as short as it can be."""
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e").replace("-", "−")


def whisker(axis: Axis, mean: float, low: float, high: float) -> Markup:
    """A mean and its interval on one line, for a cell of a table."""
    return _drawing(
        f'<svg class=ci viewBox="0 0 96 12" aria-hidden=true><path d="M{round(axis(low))} '
        f'6H{round(axis(high))}"/><circle cx={round(axis(mean))} cy=6 r=2.5 /></svg>'
    )


@dataclass(frozen=True)
class Histogram:
    """Counts of genes in equal bins, the ends taking in what lies beyond them."""

    low: float
    high: float
    counts: tuple[int, ...]


def histogram(bars: Histogram, title: str) -> Markup:
    """How a metric's values spread over genes."""
    height = 80
    across = Axis(bars.low, bars.high, 0, _BIN * len(bars.counts))
    up = Axis(0, max(bars.counts, default=0) or 1, height, _TOP)
    of = escape(title)
    return _drawing(
        f'<svg viewBox="-14 0 {round(across.stop) + 28} {height + 18}" role=img '
        f'aria-label="{of} over genes"><path d="{_steps(bars.counts, up)}"/>'
        f"{_ticks(across)}<text y=10>{of}</text></svg>"
    )


def _steps(counts: Sequence[int], up: Axis) -> str:
    """An outline over bins, from the ground to the ground, by relative moves, which are short.

    A bin is one unit wide here: the sheet draws it wider, by ``_BIN``.
    """
    ground = round(up.start)
    moves, height = [], ground
    for now, bins in groupby(round(up(count)) for count in counts):
        moves.append(f"v{now - height}h{len(list(bins))}")
        height = now
    return f"M0 {ground}{''.join(moves)}V{ground}"


def curve(
    columns: Sequence[tuple[str, Sequence[float]]], x: tuple[str, Sequence[float]],
    chosen: float | None, title: str,
) -> Markup:  # fmt: skip
    """Numbers along an epoch, λ or k; what was chosen is a dashed line."""
    width, height = 316, 80
    xs = x[1]
    values = [value for _, column in columns for value in column]
    log = min(xs) > 0 and max(xs) / min(xs) >= 100  # noqa: PLR2004  two decades
    across = Axis(min(xs), max(xs), 36, width - 14, log=log)
    up = Axis(*_spread(values), height, _TOP + 10)
    kept = thinned(len(xs))
    lines = "".join(
        f'<path class=line{at or ""} d="{_trace([(across(xs[i]), up(column[i])) for i in kept])}"/>'
        for at, (_, column) in enumerate(columns)
    )
    inside = chosen is not None and across.low <= chosen <= across.high
    mark = (
        f'<path class=chosen d="M{round(across(chosen))} 16V{height}"/>'
        if chosen is not None and inside
        else ""
    )
    return _drawing(
        f'<svg viewBox="0 0 {width} {height + 18}" role=img aria-label="{escape(title)}">'
        f'<path class=axis d="M36 80H{width - 14}"/>{mark}{lines}{_ticks(across)}{_labels(up)}'
        f"{_legend([name for name, _ in columns], x[0])}</svg>"
    )


def _legend(names: Sequence[str], x: str) -> str:
    if len(names) == 1:
        return f"<text x=36 y=10>{escape(names[0])} by {escape(x)}</text>"
    offsets = accumulate((6 * len(name) + 22 for name in names), initial=36)
    words = [*names[:-1], f"{names[-1]}, by {x}"]
    return "".join(
        f"<rect class=key{at} x={left} y=2 width=8 height=8 />"
        f"<text x={left + 12} y=10>{escape(word)}</text>"
        for at, (word, left) in enumerate(zip(words, offsets, strict=False))
    )


def _trace(points: Sequence[tuple[float, float]]) -> str:
    """A line through points, to the pixel, by relative moves."""
    rounded = [(round(x), round(y)) for x, y in points]
    bends = [rounded[0]]
    for at, point in enumerate(rounded[1:], 1):
        level = point[1] == bends[-1][1]
        if not level or at == len(rounded) - 1 or rounded[at + 1][1] != point[1]:
            bends.append(point)
    moves = "".join(
        (f"h{x - left}" if y == top else f"l{x - left} {y - top}").replace(" -", "-")
        for (left, top), (x, y) in pairwise(bends)
    )
    return f"M{bends[0][0]} {bends[0][1]}{moves}"


def thinned(length: int) -> list[int]:
    """Positions of the points to draw: all of a few, else evenly spaced ones with both ends."""
    if length <= MOST_POINTS:
        return list(range(length))
    return sorted({round(at * (length - 1) / (MOST_POINTS - 1)) for at in range(MOST_POINTS)})


@dataclass(frozen=True)
class Dot:
    """One method in the plot of error against cost."""

    label: str
    cost: float
    error: float
    control: bool = False


def scatter(dots: Sequence[Dot], x: str, y: str, *, lower_is_better: bool) -> Markup:
    """Error against cost, with the front of methods that none beats in both."""
    width, height = 720, 320
    across = Axis(*_decade_spread([dot.cost for dot in dots]), _LEFT + 12, width - 70, log=True)
    up = Axis(*_spread([dot.error for dot in dots]), height - 40, 22, wanted=5)
    front = _front(dots, lower_is_better=lower_is_better)
    wide, high = escape(x), escape(y)
    marks = "".join(
        f"<circle class={'ring' if dot.control else 'dot'} cx={_n(across(dot.cost))} "
        f"cy={_n(up(dot.error))} r=4.5><title>{escape(dot.label)}: {high} {dot.error:.4f}, "
        f"{wide} {dot.cost:.3g}</title></circle>"
        for dot in dots
    )
    path = _path((across(dot.cost), up(dot.error)) for dot in front)
    return _drawing(
        f'<svg viewBox="0 0 {width} {height}" role=img aria-label="{high} against {wide}, '
        f'{len(dots)} methods; the numbers stand in the table">{_axes(across, up)}'
        f'<path class=front d="{path}"/>{marks}{"".join(_names(dots, front, across, up))}'
        f"<text x={(width + _LEFT) // 2} y={height} dy=-4 class=m>{wide}</text>"
        f"<text x=4 y=12>{high}</text></svg>"
    )


def _front(dots: Sequence[Dot], *, lower_is_better: bool) -> list[Dot]:
    """Methods, cheapest first, each better than every cheaper one."""
    sign = 1 if lower_is_better else -1
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.cost, sign * dot.error)):
        if not dot.control and (not front or sign * dot.error < sign * front[-1].error):
            front.append(dot)
    return front


class _Spot(NamedTuple):
    """Where words are, or a dot that they must not stand on."""

    left: float
    right: float
    base: float
    anchor: str = ""

    def meets(self, other: _Spot) -> bool:
        """Whether one would lie on the other."""
        beside = self.left >= other.right or self.right <= other.left
        return not beside and abs(self.base - other.base) < 12  # noqa: PLR2004  a line's height


def _names(
    dots: Sequence[Dot], front: Sequence[Dot], across: Axis, up: Axis
) -> Iterator[str]:  # fmt: skip
    """Labels of as many dots as have room, those of the front first."""
    places = [(across(dot.cost), up(dot.error)) for dot in dots]
    taken = [_Spot(x - 5, x + 5, y + 3) for x, y in places]
    for dot in [*front, *(dot for dot in dots if dot not in front)]:
        label = dot.label if len(dot.label) <= 28 else f"{dot.label[:27]}…"  # noqa: PLR2004
        for spot in _spots(across(dot.cost), up(dot.error), 6.2 * len(label)):
            inside = across.start - 12 < spot.left and spot.right < across.stop + 66
            if inside and not any(map(spot.meets, taken)):
                taken.append(spot)
                x = _n(spot.right if spot.anchor else spot.left)
                words = escape(label)
                yield f'<text class="name{spot.anchor}" x={x} y={_n(spot.base)}>{words}</text>'
                break


def _spots(x: float, y: float, width: float) -> Iterator[_Spot]:
    """Where a label may stand: right or left of its dot, above or below."""
    for base in (y - 6, y + 14):
        yield _Spot(x + 7, x + 7 + width, base)
        yield _Spot(x - 9 - width, x - 9, base, " e")


def _axes(across: Axis, up: Axis) -> str:
    base = f'<path class=axis d="M{_n(across.start)} {_n(up.start)}H{_n(across.stop)}"/>'
    ticks = _ticks(across, f"0 {round(up.start) + 14}")
    return f"{base}{ticks}{_labels(up, str(round(across.start) - 6))}"


def _ticks(across: Axis, moved: str = "") -> str:
    texts = (f"<text x={round(across(at))}>{tick(at)}</text>" for at in across.ticks())
    return _group(texts, "m", moved)


def _labels(up: Axis, moved: str = "") -> str:
    texts = (f"<text y={round(up(at)) + 4}>{tick(at)}</text>" for at in up.ticks())
    return _group(texts, "e", moved)


def _group(texts: Iterable[str], name: str, moved: str) -> str:
    """Texts that share an anchor and a coordinate: in a small drawing that which the sheet says."""
    to = f' transform="translate({moved})"' if moved else ""
    return f"<g class={name}{to}>{''.join(texts)}</g>"


def _drawing(svg: str) -> Markup:
    """A drawing that is finished."""
    return Markup(svg)  # noqa: S704  words in it went through escape()


def _spread(values: Sequence[float]) -> tuple[float, float]:
    """A range with a little room around the values."""
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - room, high + room


def _decade_spread(values: Sequence[float]) -> tuple[float, float]:
    return min(values) / 1.5, max(values) * 1.5


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """A coordinate with no digit to spare."""
    return f"{value:.1f}".removesuffix(".0")
