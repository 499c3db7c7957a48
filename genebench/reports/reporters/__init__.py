"""Reporters, as hooks: how results look."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import ReporterSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_reporters() -> list[ReporterSpec]:
    """Tables for people, and tidy values for programs."""
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
