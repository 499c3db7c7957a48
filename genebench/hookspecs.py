"""Every hook on one screen: when it is called, and what to return.

A plugin is a module named by an entry point of group ``genebench``. It declares
``genebench_contract = 1`` and any of these functions, marked with ``@genebench.hookimpl``.
Hooks return cheap specs; code is named by import string, so listing imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import typer

    from genebench.results.record import Record
    from genebench.runs.jobs import Job
    from genebench.specs import (
        DatasetSpec,
        EngineSpec,
        FormatSpec,
        MethodSpec,
        MetricSpec,
        ProtocolSpec,
        ReporterSpec,
        ReportSpec,
        SplitSpec,
    )

PROJECT = "genebench"
CONTRACT = 1
"""Version of this page. A plugin declares the one it was written for; others are isolated."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def genebench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return the datasets this plugin can prepare."""


@hookspec
def genebench_formats() -> Iterable[FormatSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return file formats that expression can be read from."""


@hookspec
def genebench_splits() -> Iterable[SplitSpec]:  # type: ignore[empty-body]
    """Return ways to split the profiles of a platform. Called when the registry is built."""


@hookspec
def genebench_protocols() -> Iterable[ProtocolSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return ways to train, validation and test."""


@hookspec
def genebench_methods() -> Iterable[MethodSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return inference methods and their parameters."""


@hookspec
def genebench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return metrics: one value per gene (or per profile)."""


@hookspec
def genebench_engines() -> Iterable[EngineSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return places where jobs can be executed."""


@hookspec
def genebench_reports() -> Iterable[ReportSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return reports: tables made from stored results."""


@hookspec
def genebench_reporters() -> Iterable[ReporterSpec]:  # type: ignore[empty-body]
    """Called when the registry is built. Return output formats of ``genebench report``."""


@hookspec
def genebench_commands(app: typer.Typer) -> None:
    """Called once when the command line starts. Add subcommands to ``app``."""


@hookspec
def genebench_job_started(job: Job) -> None:
    """Called in the process that executes ``job``, before it reads data.

    Nothing is returned. An observer never fails a run: what it raises is logged, and forgotten.
    """


@hookspec
def genebench_job_progressed(job: Job, done: int, total: int, message: str) -> None:
    """Called where ``job`` runs, when its method reports ``done`` of ``total`` steps.

    ``message`` says in words what is being done; a training says its latest errors, each on a
    validation set followed by its curve so far, in block characters. Nothing is returned, and what
    is raised is logged, and forgotten.
    """


@hookspec
def genebench_job_finished(job: Job, records: list[Record]) -> None:
    """Called once the ``records`` of ``job`` are written, one for each protocol, failed ones too.

    This is where the job ran, or, if its process died, where the run was started. Nothing is
    returned, and what is raised is logged, and forgotten.
    """
