"""The supervisor of a job's process: it measures and ends the process and all that it starts.

Run as a script before a command, this is the parent of the command's process. Two ways of hiding a
process from its parent fail here:

- A session of its own. The supervisor follows parents, not sessions or process groups.
- A second fork, as daemons do it. When the process between ends, Linux makes the supervisor the new
  parent (``PR_SET_CHILD_SUBREAPER``, see prctl(2)), and not the first process of the system.

The supervisor is a process of its own, because no other can do this. A method may crash the worker.
The process of the command line may be killed, and its jobs must end all the same: the supervisor
notices that its standard input hangs up.

The script needs the standard library alone, so that it starts at once.
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
_DEAD_STATES = ("Z", "X")
"""States of processes that have ended, and that nobody has waited for yet."""
_EMPTY_SCANS = 2
"""How many scans in a row must find no process: one may miss a process whose parent just ended."""
_KILL_SECONDS = 5.0
"""How long killing may take. A process in uninterruptible sleep (state D) does not die."""
_SCAN_SECONDS = 0.01
"""Pause between two scans: short beside the time in which a killed process ends."""
_OWN_MEMORY = ("RssAnon", "RssShmem")
"""Keys of ``/proc/<pid>/status`` of resident memory that is no page of a mapped file, in KiB.

RssFile is left out: a memory-mapped dataset can be read again, so the system frees it at need.
"""
_PR_SET_CHILD_SUBREAPER = 36
"""Option of prctl(2), from linux/prctl.h. Python has no name for it."""


class _Process(NamedTuple):
    """A process, by the fields after its name in ``/proc/<pid>/stat`` (see proc(5))."""

    state: str
    parent: int
    group: int
    session: int


def can_be_watched() -> bool:
    """Return whether this system has ``/proc``, which lists processes and their memory."""
    return (_PROC / "self/status").exists()


def memory_of(supervisor: int) -> int:
    """Return the bytes that the processes below a supervisor hold now.

    Pages of mapped files do not count. Without ``/proc`` the result is 0.
    """
    return sum(map(_own_memory, _descendants(supervisor)))


def kill(supervisor: int) -> list[int]:
    """Kill a supervisor and all processes below it.

    Nobody may have waited for the supervisor yet, or its id could be that of another process.

    Returns:
        Ids of processes that would not die.
    """
    left = kill_descendants(supervisor)
    # Last, because it adopts what its descendants leave behind.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(supervisor, signal.SIGKILL)
    return left


def kill_descendants(supervisor: int) -> list[int]:
    """Kill all processes below a supervisor, again and again until none is left.

    Returns:
        Ids of processes that would not die.
    """
    empty_scans, deadline = 0, time.monotonic() + _KILL_SECONDS
    while empty_scans < _EMPTY_SCANS:
        processes = _descendants(supervisor)
        if processes and time.monotonic() > deadline:
            return list(processes)
        for pid, process in processes.items():
            _kill(pid, process.group, supervisor)
        empty_scans = 0 if processes else empty_scans + 1
        time.sleep(_SCAN_SECONDS)
    return []


def _kill(pid: int, group: int, supervisor: int) -> None:
    """Kill a process and, where possible, its whole group.

    A process that forks all the time has another id by now. Its group has not.
    """
    with suppress(ProcessLookupError, PermissionError):
        # The supervisor's group includes the supervisor, which is needed until the end.
        if group == supervisor:
            os.kill(pid, signal.SIGKILL)
        else:
            os.killpg(group, signal.SIGKILL)


def _descendants(supervisor: int) -> dict[int, _Process]:
    """Return the living processes below a supervisor, or of its session, by id.

    The session counts for the case that a job has killed its supervisor: the processes then have
    another parent.
    """
    processes = dict(_processes())
    children = defaultdict(list)
    for pid, process in processes.items():
        children[process.parent].append(pid)
    visited = {supervisor}
    waiting = [supervisor, *(pid for pid in processes if processes[pid].session == supervisor)]
    while waiting:
        pid = waiting.pop()
        visited.add(pid)
        waiting += (child for child in children[pid] if child not in visited)
    return {
        pid: processes[pid]
        for pid in visited - {supervisor}
        if processes[pid].state not in _DEAD_STATES
    }


def _processes() -> Iterator[tuple[int, _Process]]:
    """Yield id and properties of each process of the system. Without ``/proc`` there are none."""
    if not can_be_watched():
        return
    for path in _PROC.iterdir():
        # The name stands in brackets, and may hold spaces and brackets itself. So the fields start
        # after the last bracket.
        if path.name.isdigit() and (line := _read(int(path.name), "stat").rpartition(")")[2]):
            state, *numbers = line.split()[: len(_Process._fields)]
            yield int(path.name), _Process(state, *map(int, numbers))


def _own_memory(pid: int) -> int:
    """Return the bytes that a process holds, pages of mapped files not counted."""
    lines = _read(pid, "status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(_OWN_MEMORY)) * 1024


def _read(pid: int, name: str) -> str:
    """Return a file about a process, or "" when the process has just ended."""
    try:
        return (_PROC / str(pid) / name).read_text("utf-8", "replace")
    except OSError:
        return ""


def _supervise(command: list[str]) -> NoReturn:
    """Run a command, end what it leaves behind, and end with its exit status."""
    _disable_core_dumps()
    adopt_orphans()
    # A scheduler signals all processes of a job. The command decides what that means, and receives
    # these signals as usual, because a new program does not inherit handlers.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    child = os.posix_spawn(command[0], command, os.environ)
    Thread(target=_end_with_parent, daemon=True).start()
    # Orphans that were adopted end here as well, and must be waited for.
    while (ended := os.wait())[0] != child:
        pass
    kill_descendants(os.getpid())
    status = os.waitstatus_to_exitcode(ended[1])
    if status < 0:
        # The parent sees a signal only if this process dies of it, so its handler must go.
        # SIGKILL has no handler, and refuses to be given one.
        with suppress(OSError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _disable_core_dumps() -> None:
    """Keep a crash from writing its memory to the working directory, gigabytes at times."""
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends. Only Linux offers this."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _end_with_parent() -> None:
    """Wait until the parent ends, however it ends, then end everything.

    Standard input is a pipe from the parent, which hangs up when the parent is gone. A poll for no
    event reports only this: what there is to read is left to the command.
    """
    lifeline = select.poll()
    lifeline.register(0, 0)
    lifeline.poll()
    kill(os.getpid())


if __name__ == "__main__":
    _supervise(sys.argv[1:])
