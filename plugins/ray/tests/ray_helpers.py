"""Help for tests of runs that go on in the background, and of processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Job, Settings


def record_of(job: Job, settings: Settings) -> Record:
    """Return the one record of a job."""
    [evaluation] = job.evaluations
    record = ResultsStore(settings.results).read(evaluation.key)
    assert record
    return record


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


class InBackground:
    """A run in a thread, whose result or error is given by ``join``."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._result: Any = None
        self._error: BaseException | None = None

        def keep() -> None:
            try:
                self._result = work()
            except BaseException as error:  # noqa: BLE001  raised again in join
                self._error = error

        self._thread = Thread(target=keep)
        self._thread.start()

    def join(self) -> Any:
        """Wait for the end of the run, and return its result."""
        self._thread.join(300)
        if self._error:
            raise self._error
        assert not self._thread.is_alive()
        return self._result


def processes_with(text: str) -> list[str]:
    """Return the commands of living processes whose environment contains a text."""
    found = []
    for path in Path("/proc").iterdir():
        try:
            if path.name.isdigit() and text.encode() in (path / "environ").read_bytes():
                state = (path / "stat").read_text().rpartition(")")[2].split()[0]
                if state not in "ZX" and int(path.name) != os.getpid():
                    found.append((path / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found
