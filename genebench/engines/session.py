"""A process and all that it starts, as a session of the system: what it holds, and its end."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")
_SESSION = 3
"""Place of the session's id in ``/proc/<pid>/stat``, after the name in brackets."""
_DEAD = ("Z", "X")
"""States of processes that have ended, and were not yet waited for."""
_PATIENCE, _PAUSE = 5.0, 0.01
"""Seconds that killing may take, and between two looks."""
_OWN = ("RssAnon", "RssShmem")
"""Memory that is no page of a mapped file."""


def can_be_watched() -> bool:
    """Whether this system tells what the processes of a session hold."""
    return (_PROC / "self/status").exists()


def memory_of(leader: int) -> int:
    """Bytes that the processes of a session hold now; pages of mapped files do not count."""
    return sum(map(_own_memory, members(leader)))


def kill(leader: int) -> None:
    """Kill every process of a session; the leader must not have been waited for."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
    # Some may be in groups of their own, or were being started when we looked.
    until = time.monotonic() + _PATIENCE
    while (left := members(leader)) and time.monotonic() < until:
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_PAUSE)


def members(leader: int) -> list[int]:
    """The living processes of a session; none where the system does not tell."""
    if not can_be_watched():
        return []
    pids = (int(path.name) for path in _PROC.iterdir() if path.name.isdigit())
    return [pid for pid in pids if _is_member(pid, leader)]


def _is_member(pid: int, leader: int) -> bool:
    # The name may hold anything, brackets and spaces included.
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return bool(fields) and int(fields[_SESSION]) == leader and fields[0] not in _DEAD


def _own_memory(pid: int) -> int:
    lines = _read(pid, "status").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(_OWN)) * 1024


def _read(pid: int, name: str) -> str:
    """A file about a process; empty when it has just ended."""
    try:
        return (_PROC / str(pid) / name).read_text("utf-8", "replace")
    except OSError:
        return ""
