"""The reporters of tidy values for programs: one row, or one object, per value."""

from __future__ import annotations

import json

import pandas as pd

from genebench._util.text import no_formula, visible
from genebench.reports.report import Report


def as_csv(report: Report) -> str:
    """Return comma-separated values with a header, and numbers in full precision."""
    return csv_of(report.values())


def csv_of(table: pd.DataFrame) -> str:
    """Return a table as comma-separated values.

    No text drives a terminal, or is run as a formula by a spreadsheet. Names of columns may come
    from plugins, too.
    """
    texts = table.select_dtypes(exclude=["number", "bool"])
    safe = table.assign(**{str(name): texts[name].map(_harmless) for name in texts})
    return safe.rename(columns=_harmless).to_csv(index=False, lineterminator="\n")


def _harmless(value: object) -> object:
    return no_formula(visible(value, kept="\n\t") if isinstance(value, str) else value)


def as_json(report: Report) -> str:
    """Return a JSON array of objects: numbers in full precision, ``null`` for missing values."""
    return json_of(report.values())


def json_of(table: pd.DataFrame) -> str:
    """Return a table as a JSON array with an object for each row."""
    # As objects, missing numbers can become None. JSON has no NaN.
    table = table.astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return json.dumps(rows, indent=1) + "\n"
