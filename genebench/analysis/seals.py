"""Seals of results: how far methods were kept from the data that they were tested on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from genebench.plugins.discovery import SHIPPED
from genebench.results.filters import RecordFilter
from genebench.results.record import Record, SealLevel

LEVELS: tuple[SealLevel, ...] = get_args(SealLevel)
"""Levels of a seal, the strongest first."""


def weakest(records: Iterable[Record]) -> SealLevel | None:
    """Return the weakest seal of the records that are done, or None if none is."""
    levels = [record.seal.level for record in RecordFilter(status="done").apply(records)]
    return max(levels, key=LEVELS.index, default=None)


def could_have_cheated(record: Record) -> bool:
    """Return whether a done record is of code that is not of genebench and was not confined.

    Method and seal are as the record states them.
    """
    is_shipped = record.identity.distributions <= {*SHIPPED}
    return record.status == "done" and not is_shipped and record.seal.level != "landlock"
