"""Namespaces of Linux, by which a process gets a network and shared memory of its own.

They close what Landlock leaves open: UDP, System V shared memory, and the shared memory of others
in ``/dev/shm``. Some containers and distributions forbid them to users. See namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 1 << 17, 1 << 27, 1 << 28, 1 << 30
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  the folder of POSIX shared memory
_SELF = Path("/proc/self")


def isolate() -> tuple[str, ...]:
    """Give this process, which must have one thread, a network and shared memory of its own.

    Returns:
        What it is isolated from now: ``network``, ``ipc``, ``shm``. Nothing where the system
        forbids it.
    """
    if sys.platform != "linux":
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = _CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWNS
    if libc.unshare(flags) != 0:
        return ()
    try:
        # Without these maps, files of the user would belong to nobody.
        (_SELF / "setgroups").write_text("deny")
        (_SELF / "uid_map").write_text(f"{user} {user} 1")
        (_SELF / "gid_map").write_text(f"{group} {group} 1")
    except OSError:
        return ("network", "ipc")
    mounted = libc.mount(b"tmpfs", os.fsencode(_SHARED_MEMORY), b"tmpfs", 0, None)
    return ("network", "ipc", "shm") if mounted == 0 else ("network", "ipc")


def private_folders(isolated: tuple[str, ...]) -> list[Path]:
    """Return the folders that nobody else sees, given the result of :func:`isolate`."""
    return [_SHARED_MEMORY] if "shm" in isolated else []
