"""The jinja2 environment of the templates, and the filters that print values on a page.

Whatever comes from a plugin or a file is escaped, put on one line and cut to a length.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from genebench._util.text import printable, short, typed
from genebench.errors import some
from genebench.leaderboard import charts

_TEMPLATES = Path(__file__).parent / "templates"

LONGEST = 300
"""Characters of a text that are shown. A record may hold a name of 10 kB."""

_LONGEST_COMMAND = 3_000
"""Characters of a command that are shown. A command that is cut cannot be repeated."""

_TRACEBACK_LINES = 40

_SHORTEST_SECONDS = 0.0005
"""Seconds below which three digits would print 0.000."""

_SMALLEST_P = 0.001
"""p-value below which three decimals would print 0.000."""

_WHOLE_SECONDS = 100
"""Seconds from which three digits have no decimals."""


def render(template: str, **names: Any) -> str:
    """Return a page: a template with its names filled in."""
    return environment().get_template(template).render(names)


@cache
def environment() -> Environment:
    """Return the environment of the templates. A name that is missing is an error."""
    created = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
        finalize=shown,
    )
    created.filters |= {
        "short": short, "seconds": seconds, "whole": whole, "score": score, "lines": lines,
        "some": some, "command": command, "block": block,
        "signed": signed, "probability": probability,
    }  # fmt: skip
    created.filters["bars"] = charts.histogram
    created.globals["whisker"] = lambda axis, place: charts.whisker(
        axis, place.difference, place.difference_low, place.difference_high
    )
    return created


def shown(value: object, longest: int = LONGEST) -> object:
    """Return a text on one line, printable and not endless. Other values stay as they are.

    A list of a parameter becomes such a text, as users type it.
    """
    if isinstance(value, tuple):
        value = typed(value)
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = value if value.isprintable() else printable(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def command(text: str) -> Markup:
    """Return a command for a page, whole unless it would fill the page."""
    return escape(shown(text, _LONGEST_COMMAND))


def seconds(value: float | None) -> str:
    """Return seconds to three digits, without decimals from 100 s on."""
    if value is None:
        return "–"
    if value < _SHORTEST_SECONDS:
        return "<0.001"
    if value >= _WHOLE_SECONDS:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}"


def whole(value: float) -> str:
    """Return a whole number with commas between thousands."""
    return f"{value:,.0f}"


def score(value: float) -> str:
    """Return a score with four decimals, as the papers print it."""
    return f"{value:.4f}"


def block(text: str) -> Markup:
    """Return a text of several lines, each cut and escaped."""
    return Markup("\n").join(escape(shown(line)) for line in text.splitlines())


def signed(value: float) -> str:
    """Return a difference of scores with its sign and four decimals."""
    return f"{value:+.4f}".replace("-", "−")


def probability(value: float) -> str:
    """Return a p-value as tables print it: three decimals, and no less than 0.001."""
    return "<0.001" if value < _SMALLEST_P else f"{value:.3f}"


def lines(text: str) -> Markup:
    """Return the last lines of a text, each cut and escaped."""
    kept = text.splitlines()[-_TRACEBACK_LINES:]
    return Markup("\n").join(escape(shown(line.replace("\t", "    "))) for line in kept)
