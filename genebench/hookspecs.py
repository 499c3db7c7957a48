"""Hooks that a plugin may implement.

A plugin is a module that an entry point of group ``genebench`` names. It sets
``genebench_contract = 1``, and defines any of these functions, marked with
``@genebench.hookimpl``. Hooks return specs, which name code by import string. Listing what a
plugin offers therefore imports nothing heavy.
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
"""The import package, the command, and the name of genebench's own code in records and keys."""

DISTRIBUTION = "genebench-suite"
"""Name on the package index, where another project is called genebench. Installed metadata is
asked for under this name. Records do not hold it."""

CONTRACT = 1
"""Version of these hooks and specs. A plugin that declares another version is not used."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def genebench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Return the datasets that this plugin offers. Called once, when the registry is built."""


@hookspec
def genebench_formats() -> Iterable[FormatSpec]:  # type: ignore[empty-body]
    """Return file formats to read expression from. Called once, when the registry is built."""


@hookspec
def genebench_splits() -> Iterable[SplitSpec]:  # type: ignore[empty-body]
    """Return ways to split a platform's profiles. Called once, when the registry is built."""


@hookspec
def genebench_protocols() -> Iterable[ProtocolSpec]:  # type: ignore[empty-body]
    """Return protocols: on which profiles to train, validate and test.

    Called once, when the registry is built.
    """


@hookspec
def genebench_methods() -> Iterable[MethodSpec]:  # type: ignore[empty-body]
    """Return inference methods and their parameters. Called once, when the registry is built."""


@hookspec
def genebench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Return metrics, each with one value for every gene or every profile.

    Called once, when the registry is built.
    """


@hookspec
def genebench_engines() -> Iterable[EngineSpec]:  # type: ignore[empty-body]
    """Return engines, which execute jobs. Called once, when the registry is built."""


@hookspec
def genebench_reports() -> Iterable[ReportSpec]:  # type: ignore[empty-body]
    """Return reports, which make tables of records. Called once, when the registry is built."""


@hookspec
def genebench_reporters() -> Iterable[ReporterSpec]:  # type: ignore[empty-body]
    """Return output formats of ``genebench report``. Called once, when the registry is built."""


@hookspec
def genebench_commands(app: typer.Typer) -> None:
    """Add subcommands to ``app``. Called once, when the command line starts."""


@hookspec
def genebench_job_started(job: Job) -> None:
    """Observe the start of ``job``. Called in the process that executes it, before it reads data.

    The return value is ignored. An observer never fails a run: an exception is logged, and the job
    goes on.
    """


@hookspec
def genebench_job_progressed(job: Job, done: int, total: int, message: str) -> None:
    """Observe that the method of ``job`` has done ``done`` of ``total`` steps.

    Called in the process that executes the job. ``message`` describes the present step. For a
    training it holds the latest errors, such as ``MAE train 0.4012, geo 0.4107``. A sparkline of
    all epochs follows each error on a validation set. The return value is ignored, and an exception
    is logged.
    """


@hookspec
def genebench_job_finished(job: Job, records: list[Record]) -> None:
    """Observe the end of ``job``. Called when its ``records`` are written.

    There is one record for each protocol, also if the job failed. The call is in the process that
    executed the job, or, if that process died, in the one that started the run. The return value is
    ignored, and an exception is logged.
    """
