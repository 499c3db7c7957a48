"""The part that runs on a node: the body of a Ray task, which executes one job by its order.

Workers import it by name. Ray pickles its arguments and its result: strings and a number.
"""

from __future__ import annotations

import logging
from pathlib import Path

from genebench import UserError
from genebench.scheduling import REFUSED, STOPPED, Node


def work(results: str, key: str, retry_memory: bool) -> tuple[int, str, list[str]]:
    """Execute a job, unless it has newer records.

    Args:
        results: folder of the results.
        key: key of the job.
        retry_memory: whether a job that has too little memory ends without a record.

    Returns:
        An exit status of :mod:`genebench.engines.node`, the reason of a refusal, and warnings.
    """
    warnings = _Warnings()
    log = logging.getLogger("genebench")
    log.addHandler(warnings)
    try:
        status, reason = _node.run(Path(results), key, retry_memory), ""
    except UserError as error:
        status, reason = REFUSED, str(error)
    finally:
        log.removeHandler(warnings)
    return status, reason, warnings.messages


class _WarmNode:
    """A node that serves all tasks of this worker: its subprocess has imported torch already."""

    def __init__(self) -> None:
        self._node: Node | None = None
        self._arguments: tuple[Path, bool] | None = None

    def run(self, results: Path, key: str, retry_memory: bool) -> int:
        """Execute a job, and return an exit status."""
        if self._node is None or self._arguments != (results, retry_memory):
            self.close()
            self._node = Node(results, retry_memory=retry_memory)
            self._arguments = results, retry_memory
        status = self._node.run(key)
        if status == STOPPED:
            # The node has lost the job to another process. It stops all later jobs, too.
            self.close()
        return status

    def close(self) -> None:
        """End the subprocess."""
        if self._node:
            self._node.close()
            self._node = None


_node = _WarmNode()


class _Warnings(logging.Handler):
    """Handler that collects warnings, for the process that has the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Collect one warning."""
        self.messages.append(record.getMessage())
