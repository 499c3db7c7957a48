"""``genebench doctor``: what this machine can do, and the reason for what it cannot."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from genebench._util.text import printable
from genebench.cli import output
from genebench.cli.exit_status import FAILED, OK
from genebench.cli.options import JsonOption, PluginOption

if TYPE_CHECKING:
    from genebench.cli.diagnosis import Finding

_LEAST_WIDTH = 40
"""Characters of a line at least, however narrow the terminal."""
_MOST_WIDTH = 120
"""Characters of a line at most: longer ones are hard to read."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "doctor",
        short_help="Say what this machine can do, and why not.",
        epilog="Example: genebench doctor --format json > report.json",
    )(doctor)


def doctor(
    layout: Annotated[
        Literal["text", "json"],
        typer.Option("--format", help="Text for people, or JSON for a report of a fault."),
    ] = "text",
    json: JsonOption = False,
    gpu: Annotated[bool, typer.Option(help="Ask torch about GPUs. It takes some seconds.")] = True,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> int:
    """Say what this machine can do, what it cannot do, and what to do about it.

    The exit status is 1 if something is missing that genebench needs.
    """
    from genebench.cli.diagnosis import MARKS, findings

    layout = "json" if json else layout
    found = []
    for finding in findings(gpu=gpu):
        found.append(finding)
        # At once, because the GPU takes seconds.
        if layout == "text":
            _show(finding)
    gravest = max((finding.mark for finding in found), key=MARKS.index)
    if layout == "json":
        output.as_json({"state": gravest, "findings": [asdict(finding) for finding in found]})
    else:
        numbers = [f"{sum(one.mark == mark for one in found)} {mark}" for mark in MARKS]
        output.line()
        output.line(", ".join(numbers))
    return FAILED if gravest == "missing" else OK


def _show(finding: Finding) -> None:
    """Print a finding: mark, subject and fact, and the remedy below."""
    head = f"{finding.mark:<8} {printable(finding.subject)}: "
    width = min(max(output.width(), _LEAST_WIDTH), _MOST_WIDTH)
    for first, text in ((head, finding.fact), (" " * 9 + "> ", finding.remedy)):
        if text:
            # Paths stay whole, so that they can be copied.
            lines = textwrap.wrap(
                printable(text), width, initial_indent=first, subsequent_indent=" " * 11,
                break_long_words=False, break_on_hyphens=False,
            )  # fmt: skip
            for line in lines:
                output.line(line)
