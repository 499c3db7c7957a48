"""Reporters, as hooks: how results look."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import ReporterSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_reporters() -> list[ReporterSpec]:
    """Tables for people, and tidy values for programs."""
    return [
        ReporterSpec(name="terminal", title="tables in the terminal", code="genebench.report.terminal:render"),
        ReporterSpec(name="markdown", title="tables in Markdown", code="genebench.report.text:markdown"),
        ReporterSpec(name="latex", title="tables in LaTeX (booktabs)", code="genebench.report.text:latex"),
        ReporterSpec(name="csv", title="tidy values, one row each", code="genebench.report.values:as_csv"),
        ReporterSpec(name="json", title="tidy values, one object each", code="genebench.report.values:as_json"),
    ]  # fmt: skip
