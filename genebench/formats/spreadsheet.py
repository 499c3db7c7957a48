"""Marks that spreadsheets leave on gene symbols and numbers, so that messages can name them."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pandas as pd

# Excel turns gene symbols such as MARCH1 and SEPT2 into dates when it opens a text file:
# Ziemann et al. 2016, Genome Biology 17:177.
_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
_DATE = re.compile(
    rf"\d{{1,2}}-{_MONTH}(-\d{{2,4}})?|{_MONTH}-\d{{1,4}}"
    r"|\d{4}-\d\d-\d\d( 00:00:00)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}",
    re.IGNORECASE,
)
_EPOCH = date(1899, 12, 30)
"""The day that a spreadsheet numbers 0. March 1 of 2018 is 43160."""
_SERIAL_YEARS = range(2000, 2036)
"""Years of the dates that spreadsheets made of symbols: those in which they were opened."""
_SERIAL_MONTHS = {3: 11, 9: 14, 10: 4, 12: 2}
"""Month → the highest number of the symbols that are taken for its days.

These are MARCH1 to MARCH11, SEPT1 to SEPT14, OCT1 to OCT4, DEC1 and DEC2.
"""
# 1,234.5 and 1.234,5 with separators of thousands, and 1,5 with a decimal comma.
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:(?:[,' ]\d{3})+(?:\.\d*)?|(?:[.' ]\d{3})+,\d*)")
_COMMA = re.compile(r"[+-]?\d*,\d+(?:e[+-]?\d+)?", re.IGNORECASE)


def dates_among(ids: pd.Index) -> pd.Index:
    """Return the ids such as ``1-Mar`` and ``9/2/2018``, which were MARCH1 and SEPT2.

    Numbers such as 43160, by which a spreadsheet stores such a date, are returned only if all
    numbers among the ids are. Others are more likely Entrez ids.
    """
    numbers = [id_ for id_ in ids if id_.isdecimal()]
    serial = set(numbers) if all(map(_is_serial, numbers)) else set()
    return ids[[_DATE.fullmatch(id_) is not None or id_ in serial for id_ in ids]]


def _is_serial(number: str) -> bool:
    """Return whether a spreadsheet numbers a day so that it makes of a gene symbol."""
    if not re.fullmatch(r"[34]\d{4}", number):
        return False
    day = _EPOCH + timedelta(int(number))
    return day.year in _SERIAL_YEARS and day.day <= _SERIAL_MONTHS.get(day.month, 0)


def misspelt_number(cell: str) -> str | None:
    """Return the remedy for a number that only people can read, or None if it is no number."""
    if _GROUPED.fullmatch(cell.strip()):
        return "Save the file without thousands separators and with decimal points."
    if _COMMA.fullmatch(cell.strip()):
        return "It has a decimal comma. Save the file with decimal points."
    return None
