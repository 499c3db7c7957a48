"""Phrases that several reports share."""

from __future__ import annotations

from genebench.results.record import Record
from genebench.specs import MetricSpec, Value


def described(metric: MetricSpec, where: str = "") -> str:
    """Return a metric's title with its direction and unit. ``where`` follows the title."""
    title = f"{metric.title} {where}" if where else metric.title
    return f"{title} ({metric.direction} is better; unit: {metric.unit})"


def sizes(record: Record) -> str:
    """Return how many profiles and genes the record's method was trained and tested on."""
    profiles, genes = record.profiles, record.genes
    return (
        f"{profiles['train']:,} train, {profiles['validation']:,} validation, "
        f"{profiles['test']:,} test profiles; "
        f"{genes['landmark']:,} landmarks, {genes['target']:,} targets"
    )


def short(value: Value) -> str:
    """Return a parameter's value as a user types it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def setting(name: str, value: Value) -> str:
    """Return a parameter and its value as a user types them."""
    return f"{name}={short(value)}"
