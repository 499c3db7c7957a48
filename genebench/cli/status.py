"""``genebench status``: records of a results folder, and jobs that run or wait."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from genebench._util.progress import without_curves
from genebench._util.text import escaped_output, printable, setting
from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, ResultsOption
from genebench.errors import describe

if TYPE_CHECKING:
    from genebench.engines.queue import Queued
    from genebench.results.heads import Head
    from genebench.runs.claims import Claim
    from genebench.specs import Value

log = logging.getLogger("genebench")

_STATES = ("done", "failed", "not applicable")
_KEY_LETTERS = 12
"""Letters of a key that a narrow terminal shows. ``genebench compare`` takes the start of a key."""
_ROOM_FOR_KEYS = 100
"""Width of a terminal that shows whole keys."""

MOST_ROWS = 200
"""Rows of a table. Without ``--all``, more records or waiting jobs are counted instead."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "status",
        short_help="List the results of a folder, and its jobs.",
        epilog="Example: genebench status --results results",
    )(status)


def status(
    results: ResultsOption = DEFAULT_RESULTS,
    all_: Annotated[
        bool, typer.Option("--all", help=f"List more than {MOST_ROWS} rows, too.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List every record of a folder, and the jobs that run or wait on any machine.

    More than 200 records are counted by method and protocol. This command checks only what it
    shows: genebench results verify checks whole records.
    """
    from genebench.results.heads import read_heads
    from genebench.results.store import ResultsStore
    from genebench.runs.claims import claims

    heads, faults = read_heads(ResultsStore(results))
    for fault in faults:
        log.warning("left out: %s", printable(fault.line))
    heads.sort(key=lambda head: (head.dataset, head.protocol, head.method, head.seed, head.key))
    # A job claims all of its records. One line is enough.
    running = [claim for claim in claims(results) if claim.key == claim.job]
    claimed = {claim.key for claim in running if not claim.is_stale}
    # The scheduler knows the jobs that run, too. Their claims say more.
    waiting = [job for job in _queued(results.absolute()) if job.key not in claimed]
    if json:
        output.as_json(
            {
                "records": [_record(head) for head in heads],
                "running": [_claim(claim) for claim in running],
                "waiting": [asdict(job) for job in waiting],
            }
        )
        return
    most = max(len(heads), len(waiting)) if all_ else MOST_ROWS
    _print_records(heads, most)
    _print_running(running)
    _print_waiting(waiting, most)
    states = Counter(head.status for head in heads)
    lost = sum(claim.is_stale for claim in running)
    jobs = {
        "not applicable": states["not applicable"],
        "running": len(running) - lost,
        "lost": lost,
        "waiting": len(waiting),
    }
    shown = "".join(f", {number} {state}" for state, number in jobs.items() if number)
    output.line(f"{states['done']} done, {states['failed']} failed{shown} in {results}")


def _record(head: Head) -> dict[str, object]:
    """Return a record as an entry of the JSON document."""
    content = head.model_dump(exclude={"format", "validation", "test"})
    return content | {"scored_on": head.scored_on}


def _claim(claim: Claim) -> dict[str, object]:
    """Return a job that runs as an entry of the JSON document."""
    names = (
        "key", "label", "host", "pid", "device", "started", "done", "total", "message",
        "age_seconds", "is_stale",
    )  # fmt: skip
    return {name: getattr(claim, name) for name in names}


def _queued(results: Path) -> Iterator[Queued]:
    """Yield the jobs that engines hold. The function of an engine may fail, which is logged."""
    from genebench.engines.queue import Queued
    from genebench.plugins.discovery import load_code
    from genebench.plugins.guards import no_exit
    from genebench.plugins.registry import registry

    for spec in registry().engines.specs.values():
        if not spec.queue:
            continue
        try:
            with no_exit(), escaped_output():
                # As texts, because what a plugin gives may be anything.
                jobs = [Queued(*map(str, astuple(job))) for job in load_code(spec.queue)(results)]
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  code of a plugin may raise anything
            log.warning("queue of engine %s not shown: %s", spec.name, printable(describe(error)))
            continue
        yield from jobs


def _print_records(heads: list[Head], most: int) -> None:
    """Print a table of records, or of their numbers if there are more than ``most``."""
    if not heads:
        return
    if len(heads) <= most:
        letters = None if output.width() >= _ROOM_FOR_KEYS else _KEY_LETTERS
        varying = _varying(heads)
        output.common(
            (
                "dataset", "preset", "protocol", "method", "seed", "status", "fit s", "started",
                "key", "sealed", "scored on",
            ),
            [
                (
                    head.dataset, head.preset, head.protocol, _variant(head, varying[head.method]),
                    str(head.seed), head.status,
                    f"{head.fit_seconds + head.members_seconds:.1f}", _minute(head.started),
                    head.key[:letters], head.sealed, head.scored_on,
                )
                for head in heads
            ],
            kept=("protocol", "method", "status", "key"),
        )  # fmt: skip
        return
    groups: dict[tuple[str, ...], Counter[str]] = {}
    for head in heads:
        group = (head.dataset, head.protocol, head.method, head.scored_on)
        groups.setdefault(group, Counter())[head.status] += 1
    output.table(
        ("dataset", "protocol", "method", *_STATES, "scored on"),
        [
            (*group[:3], *(str(states[state]) for state in _STATES), group[3])
            for group, states in groups.items()
        ],
    )
    output.line("List every record with --all.")


def _varying(heads: Iterable[Head]) -> dict[str, set[str]]:
    """Return method → names of the parameters that its records differ in."""
    first: dict[str, dict[str, Value]] = {}
    varying: dict[str, set[str]] = {}
    for head in heads:
        usual = first.setdefault(head.method, head.params)
        names = varying.setdefault(head.method, set())
        names |= {
            name for name in {**usual, **head.params} if usual.get(name) != head.params.get(name)
        }
    return varying


def _variant(head: Head, varying: set[str]) -> str:
    """Return the method, with the parameters that tell the record apart from others of it."""
    told = [setting(name, value) for name, value in head.params.items() if name in varying]
    return " ".join([head.method, *told])


def _minute(started: str) -> str:
    """Return a time to the minute. The text may be of another machine, and no date."""
    try:
        return datetime.fromisoformat(started).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return started


def _print_running(running: Iterable[Claim]) -> None:
    """Print a table of jobs that run, if there are any."""
    present = datetime.now(UTC)
    rows = [
        (
            claim.host,
            claim.device,
            f"{_share(claim):.0%}",
            _since(claim.started, present),
            f"{'lost, ' if claim.is_stale else ''}{claim.age_seconds:.0f} s ago",
            # The last column wraps in a narrow terminal.
            ": ".join(filter(None, (claim.label or claim.key, without_curves(claim.message)))),
        )
        for claim in running
    ]
    if rows:
        output.table(("host", "device", "steps", "time", "heartbeat", "job"), rows)


def _share(claim: Claim) -> float:
    """Return the share of steps that are done. The numbers are those of a file, and may be any."""
    total = max(claim.total, 1)
    return min(max(claim.done, 0), total) / total


def _since(started: str, present: datetime) -> str:
    """Return the time since a job started. The text may be of another machine, and no date."""
    try:
        seconds = (present - datetime.fromisoformat(started)).total_seconds()
    except (ValueError, TypeError):
        return "?"
    # The clock of another machine may be ahead of this one.
    return str(timedelta(seconds=max(int(seconds), 0)))


def _print_waiting(waiting: list[Queued], most: int) -> None:
    """Print a table of jobs that wait, or of their numbers if there are more than ``most``."""
    if len(waiting) > most:
        groups = Counter((job.engine, job.state, job.host, job.reason) for job in waiting)
        rows = [(str(number), *group) for group, number in groups.items()]
        output.table(("jobs", "engine", "state", "host", "reason"), rows)
    elif waiting:
        output.table(
            ("job", "engine", "state", "host", "reason"),
            [(job.key, job.engine, job.state, job.host, job.reason) for job in waiting],
        )
