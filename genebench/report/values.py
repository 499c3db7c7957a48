"""Tidy values for programs: one row, or one object, per value."""

from __future__ import annotations

import json

from genebench.report.report import Report


def as_csv(report: Report) -> str:
    """Comma-separated values with a header; numbers in full precision."""
    return report.values().to_csv(index=False, lineterminator="\n")


def as_json(report: Report) -> str:
    """A JSON array of objects; numbers in full precision, ``null`` where there is none."""
    table = report.values().astype(object)
    rows = table.where(table.notna(), None).to_dict("records")
    return json.dumps(rows, indent=1) + "\n"
