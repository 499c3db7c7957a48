"""Landlock, by which a process on Linux gives up access to files, network and other processes.

The calls need no privilege and cannot be undone. See landlock(7) and, for the constants,
``linux/landlock.h``. There is no Landlock on other systems, and on kernels built without it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

# The numbers of these system calls are the same on every architecture that Python supports.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_FOR_ABI = 1
_RULE_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15

READ = EXECUTE | READ_FILE | READ_DIR
"""Read files, list folders, and run programs."""
_ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | _TRUNCATE | _IOCTL_DEV
"""Rights that a rule for a file, not a folder, may grant."""

_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""ABI → all rights on files that it knows. Version 4 added none."""
_NETWORK_ABI, _TCP = 4, 0b11
"""From this ABI on, TCP can be denied: to bind, and to connect."""
_SCOPE_ABI, _SCOPES = 6, 0b11
"""From this ABI on, two things end at the border of the domain: abstract sockets, and signals."""


class _Ruleset(ctypes.Structure):
    """``struct landlock_ruleset_attr``."""

    _fields_ = (
        ("files", ctypes.c_uint64),
        ("network", ctypes.c_uint64),
        ("scopes", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    """``struct landlock_path_beneath_attr``, which has no padding."""

    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def abi() -> int:
    """Return the version of the kernel's interface, or 0 where there is no Landlock."""
    if sys.platform != "linux":
        return 0
    with suppress(OSError):
        return call(_CREATE_RULESET, None, 0, _ASK_FOR_ABI)
    return 0


def restrict(rules: Iterable[tuple[Path, int]]) -> int:
    """Restrict this process, and all that it starts, for ever.

    Everything on files is denied but what the rules grant. TCP is denied. Signals and abstract
    sockets reach only processes of this domain. The kernel then also denies ``ptrace`` and mounts.

    Args:
        rules: a file or folder, and the rights on it and on everything below. Paths that do not
            exist are left out.

    Returns:
        The ABI in force.

    Raises:
        OSError: there is no Landlock, or it refuses.
    """
    version = abi()
    if not version:
        raise OSError("this kernel has no Landlock")
    files = _FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= version)]
    # The kernel refuses fields that it does not know unless they are 0, so older ones get fewer.
    network = _TCP if version >= _NETWORK_ABI else 0
    scopes = _SCOPES if version >= _SCOPE_ABI else 0
    attributes = _Ruleset(files, network, scopes)
    size = 24 if scopes else 16 if network else 8
    ruleset = call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    try:
        for path, rights in rules:
            _add_rule(ruleset, path, rights & files)
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def everything() -> int:
    """Return all rights on files that this kernel knows."""
    version = abi()
    return _FILE_RIGHTS[max(known for known in _FILE_RIGHTS if known <= version)] if version else 0


def _add_rule(ruleset: int, path: Path, rights: int) -> None:
    try:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a path that does not exist, or that this process cannot reach either
    try:
        if not stat.S_ISDIR(os.fstat(folder).st_mode):
            rights &= _ON_FILES
        rule = _PathBeneath(rights, folder)
        call(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(folder)


def call(number: int, *arguments: object) -> int:
    """Make a system call, and return its result.

    Raises:
        OSError: the call failed.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    result = int(libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
