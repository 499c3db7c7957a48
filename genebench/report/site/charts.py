"""Drawings as inline SVG: small, without scripts, in the colours of the page.

Numbers are placed here; words reach a drawing through ``Markup.format``, which escapes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from markupsafe import Markup

MOST_POINTS = 16
"""Points of a curve that are drawn; the record holds them all."""

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
        low, high, at = (self._scale(number) for number in (self.low, self.high, value))
        share = (at - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.stop - self.start), 1)

    def _scale(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[float]:
        """A few round numbers within."""
        if self.log:
            return _decades(self.low, self.high)
        step = _round_step((self.high - self.low) / self.wanted)
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
    return Markup(
        '<svg class=ci viewBox="0 0 96 12" aria-hidden=true><path d="M{} 6H{}"/>'
        "<circle cx={} cy=6 r=2.5 /></svg>"
    ).format(round(axis(low)), round(axis(high)), round(axis(mean)))


@dataclass(frozen=True)
class Histogram:
    """Counts of genes in equal bins, the ends taking in what lies beyond them."""

    low: float
    high: float
    counts: tuple[int, ...]


def histogram(bars: Histogram, title: str) -> Markup:
    """How a metric's values spread over genes."""
    step, height = 24, 80
    across = Axis(bars.low, bars.high, 0, step * len(bars.counts))
    up = Axis(0, max(bars.counts, default=0) or 1, height, _TOP)
    return Markup(
        '<svg viewBox="-14 0 {w} {h}" role=img aria-label="{title} over genes">'
        '<path class=bars d="{bars}z"/>{ticks}<text y=10>{title}</text></svg>'
    ).format(
        w=round(across.stop) + 28, h=height + 18, title=title, bars=_steps(bars.counts, step, up),
        ticks=_ticks(across, height + 14),
    )  # fmt: skip


def _steps(counts: Sequence[int], step: int, up: Axis) -> str:
    """An outline over bins, from the ground to the ground, by relative moves, which are short."""
    ground = round(up.start)
    moves, height = [], ground
    for now, bins in groupby(round(up(count)) for count in counts):
        moves.append(f"v{now - height}h{step * len(list(bins))}")
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
    lines = Markup("").join(
        Markup('<path class=line{} d="{}"/>').format(
            at or "", _trace([(across(xs[i]), up(column[i])) for i in kept])
        )
        for at, (_, column) in enumerate(columns)
    )
    inside = chosen is not None and across.low <= chosen <= across.high
    mark = (
        Markup('<path class=chosen d="M{} 16V{}"/>').format(round(across(chosen)), height)
        if chosen is not None and inside
        else ""
    )
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role=img aria-label="{title}">'
        '<path class=axis d="M36 80H{end}"/>{mark}{lines}{ticks}{labels}{legend}</svg>'
    ).format(
        w=width, h=height + 18, title=title, end=width - 14, mark=mark, lines=lines,
        ticks=_ticks(across, height + 14), labels=_labels(up, 30),
        legend=_legend([name for name, _ in columns], x[0]),
    )  # fmt: skip


def _legend(names: Sequence[str], x: str) -> Markup:
    if len(names) == 1:
        return Markup("<text x=36 y=10>{} by {}</text>").format(names[0], x)
    offsets = accumulate((6 * len(name) + 22 for name in names), initial=36)
    return Markup("").join(
        Markup("<rect class=key{} x={} y=2 width=8 height=8 /><text x={} y=10>{}</text>").format(
            at, left, left + 12, name if at < len(names) - 1 else f"{name}, by {x}"
        )
        for at, (name, left) in enumerate(zip(names, offsets, strict=False))
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
    marks = Markup("").join(
        Markup(
            "<circle class={} cx={} cy={} r=4.5><title>{}: {} {:.4f}, {} {:.3g}</title></circle>"
        ).format(
            "ring" if dot.control else "dot", _n(across(dot.cost)), _n(up(dot.error)),
            dot.label, y, dot.error, x, dot.cost,
        )
        for dot in dots
    )  # fmt: skip
    path = _path((across(dot.cost), up(dot.error)) for dot in front)
    return Markup(
        '<svg viewBox="0 0 {w} {h}" role=img aria-label="{y} against {x}, {n} methods; '
        'the numbers stand in the table">{axes}<path class=front d="{path}"/>{marks}{names}'
        "<text x={mid} y={h} dy=-4 class=m>{x}</text><text x=4 y=12>{y}</text></svg>"
    ).format(
        w=width, h=height, x=x, y=y, n=len(dots), axes=_axes(across, up), path=path, marks=marks,
        names=Markup("").join(_names(dots, front, across, up)), mid=(width + _LEFT) // 2,
    )  # fmt: skip


def _front(dots: Sequence[Dot], *, lower_is_better: bool) -> list[Dot]:
    """Methods, cheapest first, each better than every cheaper one."""
    sign = 1 if lower_is_better else -1
    front: list[Dot] = []
    for dot in sorted(dots, key=lambda dot: (dot.cost, sign * dot.error)):
        if not dot.control and (not front or sign * dot.error < sign * front[-1].error):
            front.append(dot)
    return front


def _names(
    dots: Sequence[Dot], front: Sequence[Dot], across: Axis, up: Axis
) -> Iterator[Markup]:  # fmt: skip
    """Labels of as many dots as have room, those of the front first."""
    taken: list[tuple[float, float, float]] = []
    for dot in [*front, *(dot for dot in dots if dot not in front)]:
        left, base = across(dot.cost) + 7, up(dot.error) - 6
        label = dot.label if len(dot.label) <= 28 else f"{dot.label[:27]}…"  # noqa: PLR2004
        right = left + 6.2 * len(label)
        if right > across.stop + 66:
            left, right, anchor = left - 16 - 6.2 * len(label), left - 16, " e"
        else:
            anchor = ""
        if any(abs(base - y) < 12 and left < r and right > at for at, r, y in taken):  # noqa: PLR2004
            continue
        taken.append((left, right, base))
        x = right if anchor else left
        yield Markup('<text class="name{}" x={} y={}>{}</text>').format(
            anchor, _n(x), _n(base), label
        )


def _axes(across: Axis, up: Axis) -> Markup:
    base = Markup('<path class=axis d="M{} {}H{}"/>').format(
        _n(across.start), _n(up.start), _n(across.stop)
    )
    return base + _ticks(across, up.start + 14) + _labels(up, across.start - 6)


def _ticks(across: Axis, y: float) -> Markup:
    texts = (
        Markup("<text x={}>{}</text>").format(round(across(at)), tick(at)) for at in across.ticks()
    )
    return _group(texts, "m", f"0 {round(y)}")


def _labels(up: Axis, x: float) -> Markup:
    texts = (
        Markup("<text y={}>{}</text>").format(round(up(at)) + 4, tick(at)) for at in up.ticks()
    )
    return _group(texts, "e", str(round(x)))


def _group(texts: Iterable[Markup], name: str, moved: str) -> Markup:
    """Texts that share an anchor and a coordinate."""
    return Markup('<g class={} transform="translate({})">{}</g>').format(
        name, moved, Markup("").join(texts)
    )


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
