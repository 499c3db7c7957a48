"""What spreadsheets do to symbols and numbers, so that messages can name it."""

from __future__ import annotations

import re

import pandas as pd

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DATE = re.compile(
    rf"\d{{1,2}}-{_MONTH}(-\d{{2,4}})?|{_MONTH}-\d{{1,4}}|\d{{4}}-\d\d-\d\d( 00:00:00)?",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:[,' ]\d{3})+(?:\.\d*)?|(?:[.' ]\d{3})+,\d*)")
_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE)


def dates_among(ids: pd.Index) -> pd.Index:
    """Ids such as ``1-Mar`` and ``2-Sep``, which were MARCH1 and SEPT2."""
    return ids[[_DATE.fullmatch(id_) is not None for id_ in ids]]


def misspelt_number(cell: str) -> str | None:
    """What to do about a number that people can read, and None for what is no number to them."""
    if _GROUPED.fullmatch(cell.strip()):
        return "save the file without thousands separators, with decimal points"
    if _COMMA.fullmatch(cell.strip()):
        return "that is a decimal comma: save the file with decimal points"
    return None
