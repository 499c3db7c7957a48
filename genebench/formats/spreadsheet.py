"""Marks that spreadsheets leave on gene symbols and numbers, so that messages can name them."""

from __future__ import annotations

import re

import pandas as pd

# Excel turns gene symbols such as MARCH1 and SEPT2 into dates when it opens a text file:
# Ziemann et al. 2016, Genome Biology 17:177.
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DATE = re.compile(
    rf"\d{{1,2}}-{_MONTH}(-\d{{2,4}})?|{_MONTH}-\d{{1,4}}|\d{{4}}-\d\d-\d\d( 00:00:00)?",
    re.IGNORECASE,
)
# 1,234.5 and 1.234,5 with separators of thousands, and 1,5 with a decimal comma.
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:[,' ]\d{3})+(?:\.\d*)?|(?:[.' ]\d{3})+,\d*)")
_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE)


def dates_among(ids: pd.Index) -> pd.Index:
    """Return the ids such as ``1-Mar`` and ``2-Sep``, which were MARCH1 and SEPT2."""
    return ids[[_DATE.fullmatch(id_) is not None for id_ in ids]]


def misspelt_number(cell: str) -> str | None:
    """Return the remedy for a number that only people can read, or None if it is no number."""
    if _GROUPED.fullmatch(cell.strip()):
        return "Save the file without thousands separators and with decimal points."
    if _COMMA.fullmatch(cell.strip()):
        return "It has a decimal comma. Save the file with decimal points."
    return None
