"""A job's process and all that it starts: what they hold, and their end.

Run as a script, before a command, this is the *supervisor* of the command's process: it leads their
session and, on Linux, becomes the parent of every process below it whose own parent ends. So there
is no way out: neither a session of its own nor a second fork hides a process. The script needs the
standard library alone, so that it starts at once.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import NamedTuple, NoReturn

_PROC = Path("/proc")
_DEAD = ("Z", "X")
"""States of processes that have ended, and were not yet waited for."""
_LOOKS = 2
"""How often in a row nothing must be found: one look may miss a process whose parent just ended."""
_PATIENCE, _PAUSE = 5.0, 0.01
"""Seconds that killing may take, and between two looks."""
_OWN = ("RssAnon", "RssShmem")
"""Memory that is no page of a mapped file."""
_SET_CHILD_SUBREAPER = 36
"""Of Linux's ``prctl``."""


class _Process(NamedTuple):
    """What the system says of a process, in the order of ``/proc/<pid>/stat``."""

    state: str
    parent: int
    group: int
    session: int


def can_be_watched() -> bool:
    """Whether this system tells what the processes below a supervisor hold."""
    return (_PROC / "self/status").exists()


def memory_of(supervisor: int) -> int:
    """Bytes that the processes below a supervisor hold now; pages of mapped files do not count."""
    return sum(map(_own_memory, _below(supervisor)))


def kill(supervisor: int) -> list[int]:
    """Kill a supervisor, which must not have been waited for, and all below it.

    Returns:
        Processes that would not die.
    """
    left = _clear(supervisor)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(supervisor, signal.SIGKILL)
    return left


def _clear(supervisor: int) -> list[int]:
    """Kill all below a supervisor, again and again until none is left; return those that are."""
    quiet, until = 0, time.monotonic() + _PATIENCE
    while quiet < _LOOKS:
        left = _below(supervisor)
        if left and time.monotonic() > until:
            return list(left)
        for pid, process in left.items():
            _kill(pid, process.group, supervisor)
        quiet = 0 if left else quiet + 1
        time.sleep(_PAUSE)
    return []


def _kill(pid: int, group: int, supervisor: int) -> None:
    """Kill a process: with its whole group, for one that forks all the time is gone by now."""
    with suppress(ProcessLookupError, PermissionError):
        if group == supervisor:  # and would be without its supervisor
            os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(group, signal.SIGKILL)


def _below(supervisor: int) -> dict[int, _Process]:
    """Return the living processes below a supervisor or of its session.

    Where the system does not tell, there are none.

    The session counts for the case that a job has killed its supervisor.
    """
    processes = dict(_processes())
    children = defaultdict(list)
    for pid, process in processes.items():
        children[process.parent].append(pid)
    found = {supervisor}
    waiting = [supervisor, *(pid for pid in processes if processes[pid].session == supervisor)]
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += (child for child in children[pid] if child not in found)
    return {
        pid: processes[pid] for pid in found - {supervisor} if processes[pid].state not in _DEAD
    }


def _processes() -> Iterator[tuple[int, _Process]]:
    if not can_be_watched():
        return
    for path in _PROC.iterdir():
        # The name may hold anything, brackets and spaces included.
        if path.name.isdigit() and (line := _read(int(path.name), "stat").rpartition(")")[2]):
            state, *numbers = line.split()[: len(_Process._fields)]
            yield int(path.name), _Process(state, *map(int, numbers))


def _own_memory(pid: int) -> int:
    lines = _read(pid, "status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(_OWN)) * 1024


def _read(pid: int, name: str) -> str:
    """A file about a process; empty when it has just ended."""
    try:
        return (_PROC / str(pid) / name).read_text("utf-8", "replace")
    except OSError:
        return ""


def _keep(command: list[str]) -> NoReturn:
    """Run a command, end what it leaves behind, and end as it did."""
    _leave_no_core()
    _adopt_orphans()
    child = os.posix_spawn(command[0], command, os.environ)
    Thread(target=_end_with_parent, daemon=True).start()
    while (ended := os.wait())[0] != child:
        pass
    _clear(os.getpid())
    status = os.waitstatus_to_exitcode(ended[1])
    if status < 0:
        with suppress(OSError):  # SIGKILL needs no handler to be taken away
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _leave_no_core() -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _adopt_orphans() -> None:
    """Become the parent of what is left below; other systems leave it to their first process."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_with_parent() -> None:
    """Standard input hangs up when the parent ends, however it ends; then so do we all."""
    lifeline = select.poll()
    lifeline.register(0, 0)  # what there is to read is for the command
    lifeline.poll()
    kill(os.getpid())


if __name__ == "__main__":
    _keep(sys.argv[1:])
