"""Checks that run in a subprocess, because a method may end, crash or block its process.

Run as a module, this is the subprocess. It receives a method and the names of checks, and sends
the outcome of each. Whatever the method prints goes to standard error.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from genebench.conformance.check import Check
from genebench.conformance.collection import chosen_checks
from genebench.conformance.run import Outcome, judged, outcome_of
from genebench.conformance.subject import Subject
from genebench.processes.child import end_process, receive_order
from genebench.processes.worker import Event, Worker

TIME_LIMIT_SECONDS = 600.0
"""Default time limit of one check. The processes that checks wait for are given at most 300 s."""

_STDERR = 2
"""File descriptor of standard error."""


@dataclass(frozen=True)
class Order:
    """The request to the subprocess, sent as JSON."""

    method: str
    preset: str
    overrides: dict[str, str]
    checks: list[str]


class Ended(Exception):  # noqa: N818  a finding, which becomes an outcome
    """The subprocess ended or was stopped during a check. The message is the reason."""


def run_contained(
    subject: Subject,
    checks: Iterable[Check],
    expected: Mapping[str, str],
    time_limit: float = TIME_LIMIT_SECONDS,
) -> Iterator[Outcome]:
    """Run checks in a subprocess, and yield the outcome of each as soon as it has run.

    A check that ends the process or exceeds the time limit has failed, even if it was expected
    to fail for another reason. The checks after it are skipped.

    Args:
        subject: the method.
        checks: the checks.
        expected: name of a check → why it fails.
        time_limit: seconds that each check may take.
    """
    left = deque(checks)
    method = subject.method
    names = [check.name for check in left]
    order = Order(method.spec.name, method.preset, method.overrides, names)
    try:
        for event in _events(TypeAdapter(Order).dump_json(order), time_limit):
            match event:
                case {
                    "check": name,
                    "status": status,
                    "detail": str(detail),
                    "traceback": str(lines),
                }:
                    if left and name == left[0].name:
                        yield judged(Outcome(left.popleft(), status, detail, lines), expected)
            if not left:
                return
    except Ended as why:
        stopped = left.popleft()
        yield Outcome(stopped, "failed", f"But {why}.")
        for check in left:
            yield Outcome(check, "skipped", f"{stopped.name} ended the process of the checks")


def _events(order: bytes, time_limit: float) -> Iterator[Event]:
    """Yield the events of the subprocess.

    Raises:
        Ended: the process ended, or sent nothing within the time limit.
    """
    # A check may leave temporary files behind, however it ends. They are removed with this folder.
    with tempfile.TemporaryDirectory(prefix="genebench-check-", ignore_cleanup_errors=True) as tmp:
        worker = Worker(order, __name__, environment=os.environ | {"TMPDIR": tmp}, output=_STDERR)
        try:
            last_event = worker.seconds
            while not worker.has_ended():
                for event in worker.events():
                    last_event = worker.seconds
                    yield event
                if worker.seconds - last_event > time_limit:
                    raise Ended(f"it was stopped after {time_limit:g} s")
            worker.stop()
            # The last events may have arrived after the last look.
            yield from worker.events()
            raise Ended(worker.death().message)
        finally:
            worker.stop()


def _main() -> None:
    line, say = receive_order()
    order = TypeAdapter(Order).validate_json(line)
    subject = Subject(order.method, preset=order.preset, overrides=order.overrides)
    checks = {check.name: check for check in chosen_checks(order.checks)}
    for name in order.checks:
        outcome = outcome_of(subject, checks[name])
        say(
            {
                "check": name, "status": outcome.status,
                "detail": outcome.detail, "traceback": outcome.traceback,
            }
        )  # fmt: skip
    end_process()


if __name__ == "__main__":
    _main()
