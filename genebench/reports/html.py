"""The tables of a report as HTML, for notebooks."""

from __future__ import annotations

import html
from collections.abc import Iterable

from genebench._util.notebook import paragraph, table
from genebench._util.text import printable
from genebench.reports.report import Section


def as_html(sections: Iterable[Section]) -> str:
    """Return the sections of a report: tables, verdicts and notes. Details can be opened."""
    parts = []
    for section in sections:
        parts.append(f"<h4>{html.escape(printable(section.title))}</h4>")
        for each in section.tables:
            rows = [row.cells for row in each.rows]
            best = [row.best for row in each.rows]
            parts.append(
                table(
                    each.columns, rows, caption=each.title,
                    bold=lambda row, column, best=best: column in best[row],  # type: ignore[misc]
                )
            )  # fmt: skip
        parts += map(paragraph, (*section.verdict, *section.notes))
        if section.details:
            inner = "".join(map(paragraph, section.details))
            parts.append(f"<details><summary>Notes</summary>{inner}</details>")
    return "\n".join(parts)
