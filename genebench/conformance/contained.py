"""Checks made in a process of their own, which a method may end, crash or never return from.

Run as a module, this is that process: it is told a method and its checks, and answers with what
came of each. What the method prints goes to standard error.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from genebench.conformance.check import Check, chosen_checks
from genebench.conformance.run import Outcome, judged, outcome_of
from genebench.conformance.subject import Subject
from genebench.engines.process import Event, Worker
from genebench.engines.worker import end_process, receive_order

SECONDS = 600.0
"""That a check may take unless told otherwise: more than any process that it waits for."""
_STDERR = 2


@dataclass(frozen=True)
class Order:
    """What the process is told: as JSON."""

    method: str
    preset: str
    overrides: dict[str, str]
    checks: list[str]


class Ended(Exception):  # noqa: N818  a finding, which becomes an outcome
    """The process said nothing of a check; the message is why."""


def run_contained(
    subject: Subject, checks: Iterable[Check], expected: Mapping[str, str], limit: float = SECONDS
) -> Iterator[Outcome]:
    """Make checks, each within so many seconds; yield the outcome of each as soon as it is known.

    A check that ends the process, or takes longer, has failed, though another failure of it be
    expected; those after it are skipped.
    """
    left = deque(checks)
    try:
        for event in _events(_order(subject, left), limit):
            match event:
                case {"check": name, "status": status, "detail": str(detail), "traceback": str(at)}:
                    if left and name == left[0].name:
                        yield judged(Outcome(left.popleft(), status, detail, at), expected)
            if not left:
                return
    except Ended as why:
        stopped = left.popleft()
        yield Outcome(stopped, "failed", f"{stopped.sentence} But {why}.")
        for check in left:
            yield Outcome(check, "skipped", f"{stopped.name} ended the process of the checks")


def _order(subject: Subject, checks: Iterable[Check]) -> bytes:
    names = [check.name for check in checks]
    order = Order(subject.spec.name, subject.preset, subject.overrides, names)
    return TypeAdapter(Order).dump_json(order)


def _events(order: bytes, limit: float) -> Iterator[Event]:
    """What the process says.

    Raises:
        Ended: it says no more, or nothing for so long.
    """
    # Whatever the process writes for itself goes when it does, however it ends.
    with tempfile.TemporaryDirectory(prefix="genebench-check-", ignore_cleanup_errors=True) as own:
        worker = Worker(order, __name__, environment={"TMPDIR": own}, output=_STDERR)
        try:
            spoke = worker.seconds
            while not worker.has_ended():
                for event in worker.events():
                    spoke = worker.seconds
                    yield event
                if worker.seconds - spoke > limit:
                    raise Ended(f"it was stopped after {limit:g} s")
            worker.stop()
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
