"""The command ``genebench check``: check that a method or a protocol keeps the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from genebench._util.text import printable, printable_line
from genebench.cli import output
from genebench.cli.completion import names_of
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.limits import time_limit
from genebench.cli.options import JsonOption, PluginOption, params_of
from genebench.errors import UserError, some, unknown
from genebench.plugins.registry import registry
from genebench.specs import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from genebench.conformance.run import Outcome

_INDENT = " " * 15
_LABELS = {"passed": "pass", "failed": "FAIL", "skipped": "skip", "expected": "xfail"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        "check",
        short_help="Check that a method or a protocol keeps the contract.",
        epilog="Example: genebench check lsr-l2 --set lambdas=5",
    )(check)


def check(  # noqa: PLR0917  typer's options are the arguments
    method: Annotated[
        str,
        typer.Argument(
            help="Comma-separated methods, all for every method, or protocols.",
            metavar="NAME",
            autocompletion=names_of("methods", "protocols"),
        ),
    ],
    preset: Annotated[str, typer.Option(help="tiny, small or paper.")] = "tiny",
    dataset: Annotated[str, typer.Option(help="Dataset of the checks of a protocol.")] = "sim",
    param: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            "--param",
            metavar="[METHOD.]PARAM=VALUE",
            help="Set a parameter. Repeatable.",
        ),
    ] = None,
    only: Annotated[
        str, typer.Option(help="Comma-separated checks or groups, for example honesty,life.")
    ] = "",
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of each failure.")
    ] = False,
    limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit",
            metavar="TIME",
            help="Stop a check after this time, for example 2h. The default is 10m.",
        ),
    ] = None,
    plugin: PluginOption = None,  # noqa: ARG001  the option itself loads plugins
    json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show only failures and the summary.")
    ] = False,
) -> int:
    """Check a method: shapes, purity, honesty, learning, saving, … on small simulated data.

    Or check a protocol: its parts, folds and statistics on a dataset. Each line shows one rule and
    its outcome. The checks of methods run in a subprocess. A check that ends the subprocess or
    takes too long has failed. Exit status 1: a check failed.
    """
    from genebench.conformance.collection import chosen_checks
    from genebench.conformance.contained import TIME_LIMIT_SECONDS, run_contained
    from genebench.conformance.run import expected_failures
    from genebench.conformance.subject import Subject

    seconds = time_limit(limit) or TIME_LIMIT_SECONDS
    if preset not in PRESETS:
        raise unknown("preset", preset, PRESETS)
    wanted = [name for name in map(str.strip, only.split(",")) if name]
    if protocols := _protocols(method):
        _refuse_given({"--set": param, "--time-limit": limit})
        return _check_protocols(
            protocols, dataset, preset, wanted, json=json, quiet=quiet, traceback=traceback
        )
    checks = chosen_checks(wanted)
    # All are created before the first check runs, so that a wrong name is an error at once.
    names = _names(method)
    owners = {assignment.partition("=")[0].rpartition(".")[0] for assignment in param or ()}
    if others := owners - {"", *names}:
        raise UserError(
            f"--set: {some(sorted(others))} is not among the methods to check. Add it, or remove "
            "the parameter."
        )
    subjects = [
        Subject(name, preset=preset, overrides=params_of(param or (), name)) for name in names
    ]
    return _carried_out(
        (
            (str(subject), "", run_contained(subject, checks, expected_failures(subject), seconds))
            for subject in subjects
        ),
        json=json, quiet=quiet, traceback=traceback,
    )  # fmt: skip


def _refuse_given(options: Mapping[str, object]) -> None:
    """Refuse options of methods, because protocols are checked."""
    for option, given in options.items():
        if given:
            raise UserError(f"{option} is for checks of methods, not of protocols. Remove it.")


def _protocols(names: str) -> list[str]:
    """Return the names, if all are of protocols."""
    listed = [name.strip() for name in names.split(",") if name.strip()]
    known = registry().protocols
    are_protocols = all(known.plugin_of(name) for name in listed) and not any(
        name in registry().methods.specs for name in listed
    )
    return listed if are_protocols else []


def _rows(subject: str, outcomes: Iterable[Outcome]) -> list[dict[str, str]]:
    """Return a row for each outcome, to be printed as JSON."""
    return [
        {
            "subject": subject, "check": outcome.check.name, "group": outcome.check.group,
            "rule": outcome.check.rule, "status": outcome.status, "detail": outcome.detail,
            "traceback": outcome.traceback,
        }
        for outcome in outcomes
    ]  # fmt: skip


def _check_protocols(
    names: list[str],
    dataset: str,
    preset: str,
    only: list[str],
    *,
    json: bool,
    quiet: bool,
    traceback: bool,
) -> int:
    """Check protocols on a dataset. They run here, because a split is called in every plan."""
    from genebench.conformance.collection import chosen_checks
    from genebench.conformance.protocol_under_check import ProtocolSubject
    from genebench.conformance.run import run_checks

    checks = chosen_checks(only, protocols=True)
    size = preset if dataset in registry().datasets.specs else None
    subjects = [ProtocolSubject(name, dataset=dataset, preset=size) for name in names]
    for subject in subjects:
        subject.folds  # noqa: B018  a dataset that does not fit is an error at once
    return _carried_out(
        ((str(subject), f" on {dataset}", run_checks(subject, checks, {})) for subject in subjects),
        json=json, quiet=quiet, traceback=traceback,
    )  # fmt: skip


def _carried_out(
    running: Iterable[tuple[str, str, Iterable[Outcome]]],
    *,
    json: bool,
    quiet: bool,
    traceback: bool,
) -> int:
    """Print the outcomes of checks as they come, and return the exit status.

    Args:
        running: what is checked, where if that is said, and its outcomes.
        json: print one table of all outcomes at the end instead.
        quiet: print failures and summaries alone.
        traceback: print the traceback of a failure.
    """
    from genebench.conformance.run import summary

    failed, rows = False, list[dict[str, str]]()
    for subject, where, coming in running:
        outcomes = []
        for outcome in coming:
            outcomes.append(outcome)
            failed |= outcome.status == "failed"
            if not json and (not quiet or outcome.status == "failed"):
                _show(outcome, traceback=traceback)
        if not json:
            output.line(printable(f"{subject}{where}: {summary(outcomes)}"))
        rows += _rows(subject, outcomes)
    if json:
        output.as_json(rows)
    return FAILED if failed else OK


def _names(method: str) -> list[str]:
    try:
        return [spec.name for spec in registry().methods.choose(method.split(","))]
    except UserError as error:
        if listed := [name.strip() for name in method.split(",") if _protocols(name)]:
            raise UserError(
                f"{some(listed)} is a protocol, and other names are not. Check methods and "
                "protocols by a command each."
            ) from None
        # A plugin that cannot be loaded offers no method, so this may be the reason.
        broken = [plugin.name for plugin in registry().plugins.broken]
        if not broken:
            raise
        raise UserError(
            f"{error} (Plugins that could not be loaded: {', '.join(broken)}. "
            "See: genebench list plugins)"
        ) from error


def _show(outcome: Outcome, *, traceback: bool) -> None:
    check = outcome.check
    output.line(f"{_LABELS[outcome.status]:5} {check.group:8} {check.rule}")
    if outcome.status == "passed":
        return
    output.line(f"{_INDENT}{printable(f'{outcome.detail} [{check.name}]')}")
    for line in outcome.traceback.splitlines() if traceback else ():
        output.line(f"{_INDENT}{printable_line(line)}")
