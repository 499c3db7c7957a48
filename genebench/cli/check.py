"""``genebench check``: whether a method keeps the contract."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from genebench._util.text import printable
from genebench.cli.limits import time_limit
from genebench.cli.options import PluginOption
from genebench.errors import UserError, unknown
from genebench.plugins.registry import registry
from genebench.specs import PRESETS

if TYPE_CHECKING:
    from genebench.conformance.run import Outcome

CHECK_FAILED = 1
_INDENT = " " * 15
_SHOWN = {"passed": "pass", "failed": "FAIL", "skipped": "skip", "expected": "xfail"}


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "check",
        short_help="Check that a method keeps the contract.",
        epilog="Example: genebench check lsr-l2 --param lambdas=5",
    )(check)


def check(  # noqa: PLR0917  typer's options are the arguments
    method: Annotated[
        str, typer.Argument(help="A method, or several by commas, or all.", metavar="METHOD")
    ],
    preset: Annotated[str, typer.Option(help="tiny, small or paper.")] = "tiny",
    param: Annotated[
        list[str] | None,
        typer.Option("--param", metavar="PARAM=VALUE", help="Set a parameter; repeatable."),
    ] = None,
    only: Annotated[
        str, typer.Option(help="Only these checks or groups, by commas: honesty,life.")
    ] = "",
    traceback: Annotated[bool, typer.Option("--traceback", help="Show where it failed.")] = False,
    limit: Annotated[
        str | None,
        typer.Option(
            "--time-limit", metavar="TIME", help="Stop a check after so long; 10m unless given."
        ),
    ] = None,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only failures and sums.")] = False,
) -> int:
    """Check a method: shapes, purity, honesty, learning, saving, … on small data of its own.

    Each line is what a method that conforms does. A process of their own makes the checks: one
    that ends it, or takes too long, has failed. Exit status 1: a check failed.
    """
    from genebench.conformance.check import chosen_checks
    from genebench.conformance.contained import SECONDS, run_contained
    from genebench.conformance.run import expected_failures, summary
    from genebench.conformance.subject import Subject

    overrides, seconds = _overrides(param or ()), time_limit(limit) or SECONDS
    checks = chosen_checks(name for name in map(str.strip, only.split(",")) if name)
    failed = False
    for subject in [
        Subject(name, preset=_preset(preset), overrides=overrides) for name in _names(method)
    ]:
        outcomes = []
        for outcome in run_contained(subject, checks, expected_failures(subject), seconds):
            outcomes.append(outcome)
            failed |= outcome.status == "failed"
            if not quiet or outcome.status == "failed":
                _show(outcome, traceback=traceback)
        typer.echo(printable(f"{subject}: {summary(outcomes)}"))
    return CHECK_FAILED if failed else 0


def _names(method: str) -> list[str]:
    try:
        return [spec.name for spec in registry().methods.choose(method.split(","))]
    except UserError as error:
        # A plugin that was set aside offers nothing: its methods are unknown.
        broken = [plugin.name for plugin in registry().plugins.broken]
        if not broken:
            raise
        raise UserError(
            f"{error}; plugins that were set aside: {', '.join(broken)} (genebench list plugins)"
        ) from error


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return name


def _overrides(assignments: Iterable[str]) -> dict[str, str]:
    chosen = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not (name.strip() and equals):
            raise UserError(f"--param {assignment}: write PARAM=VALUE, as in k_max=30")
        chosen[name.strip()] = value
    return chosen


def _show(outcome: Outcome, *, traceback: bool) -> None:
    made = outcome.check
    typer.echo(f"{_SHOWN[outcome.status]:5} {made.group:8} {made.sentence}")
    if outcome.status == "passed":
        return
    detail = outcome.detail.removeprefix(made.sentence).strip()
    typer.echo(f"{_INDENT}{printable(f'{detail} [{made.name}]')}")
    for line in outcome.traceback.splitlines() if traceback else ():
        depth = len(line) - len(line.lstrip())
        typer.echo(f"{_INDENT}{' ' * depth}{printable(line)}")
