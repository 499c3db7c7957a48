"""The file of ``--notify-file``: a line of JSON for each job that ends, and one at the end."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from genebench import hookimpl
from genebench._util.files import user_errors

if TYPE_CHECKING:
    from genebench.results.record import Record
    from genebench.runs.jobs import Job


class Notifications:
    """Observer of jobs, like a plugin's, that appends a line to a file for each job that ends.

    A line is written at once, by one call of the operating system on a file that is opened for
    appending. So lines of several runs do not mix, and a reader sees whole lines.

    Args:
        path: the file.
        results: folder of the results, for the last line.
    """

    def __init__(self, path: Path, results: Path) -> None:
        self._path = path
        self._results = results
        self._lock = Lock()
        self._counts = {"done": 0, "failed": 0, "not applicable": 0}
        self._written: set[str] = set()

    @hookimpl
    def genebench_job_finished(self, job: Job, records: list[Record]) -> None:
        """Append the line of a job."""
        with self._lock:
            # Two processes that finished the same job both report it.
            if job.key in self._written:
                return
            self._written.add(job.key)
            for record in records:
                self._counts[record.status] += 1
        self.append(
            {
                "event": "job",
                "key": job.key,
                "label": job.label,
                "method": job.method.name,
                "seed": job.seed,
                "records": [
                    {
                        "key": record.key,
                        "protocol": record.identity.protocol,
                        "status": record.status,
                        "message": record.failure.message if record.failure else record.reason,
                        "fit_seconds": record.fit_seconds,
                    }
                    for record in records
                ],
            }
        )

    def end(self, outcome: str) -> None:
        """Append the last line, with the number of results of each status."""
        self.append(
            {
                "event": "end",
                "outcome": outcome,
                "results": str(self._results.absolute()),
                "jobs": len(self._written),
                **self._counts,
            }
        )

    def append(self, content: dict[str, Any]) -> None:
        """Append a line with the time.

        Raises:
            UserError: the file cannot be written.
        """
        from genebench.runs.provenance import now

        line = json.dumps({"time": now(), **content}) + "\n"
        with user_errors(self._path, "Name another --notify-file."):
            file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                os.write(file, line.encode())
            finally:
                os.close(file)


@contextmanager
def notifications(path: Path | None, results: Path) -> Iterator[None]:
    """Append lines to a file while jobs run in this block, and one at its end.

    The outcome in the last line is ``finished``, ``interrupted`` or ``error``.

    Args:
        path: the file, or None for no notification.
        results: folder of the results.

    Raises:
        UserError: the file cannot be written. That is found before the first job starts.
    """
    if path is None:
        yield
        return
    from genebench.plugins.discovery import installed

    with user_errors(path, "Name another --notify-file."), path.open("ab"):
        pass
    observer, manager = Notifications(path, results), installed().manager
    manager.register(observer, name="genebench.cli.notify")
    outcome = "error"
    try:
        yield
        outcome = "finished"
    except KeyboardInterrupt:
        outcome = "interrupted"
        raise
    finally:
        manager.unregister(observer)
        observer.end(outcome)
