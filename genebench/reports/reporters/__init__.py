"""Reporters: the formats in which any report is printed. The built-in ones register by hook."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import ReporterSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_reporters() -> list[ReporterSpec]:
    """Return formats of tables for people, and of tidy values for programs."""
    return [
        ReporterSpec(name=name, title=title, code=f"genebench.reports.reporters.{code}")
        for name, title, code in (
            ("terminal", "tables in the terminal", "terminal:render"),
            ("markdown", "tables in Markdown", "markup:markdown"),
            ("latex", "tables in LaTeX (booktabs)", "markup:latex"),
            ("csv", "tidy values, one row each", "values:as_csv"),
            ("json", "tidy values, one object each", "values:as_json"),
        )
    ]
