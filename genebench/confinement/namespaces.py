"""Namespaces of Linux, by which a process gets a network, shared memory and files of its own.

They close what Landlock leaves open: UDP, System V shared memory, POSIX shared memory of others,
sockets in folders, permissions and times of files. Some containers and distributions forbid them to
users. See namespaces(7) and mount_setattr(2).
"""

from __future__ import annotations

import ctypes
import os
import platform
import stat
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genebench.confinement.landlock import call

_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWUSER, _CLONE_NEWNET = 1 << 17, 1 << 27, 1 << 28, 1 << 30
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  the folder of POSIX shared memory
_SELF = Path("/proc/self")

# The numbers of these system calls are the same on every architecture that Python supports.
_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_CLONE_TREE, _RECURSIVE, _EMPTY_PATH = 1, 0x8000, 0x1000
_READ_ONLY, _PRIVATE = 1, 1 << 18
_FROM_DESCRIPTOR = 4
_CURRENT_FOLDER = -100

_KEYCTL = {"x86_64": 250, "aarch64": 219}
"""Architecture → number of the system call ``keyctl``."""
_JOIN_SESSION_KEYRING = 1

_PR_CAPBSET_DROP, _CAPABILITY_VERSION, _CAPABILITIES = 24, 0x20080522, 64


class _MountAttributes(ctypes.Structure):
    """``struct mount_attr``."""

    _fields_ = tuple(
        (name, ctypes.c_uint64) for name in ("add", "remove", "propagation", "user_namespace")
    )


@dataclass(frozen=True)
class View:
    """The files that a process sees.

    Attributes:
        hidden: folders that are empty for it.
        read: files and folders that it sees all the same, if they lie in a hidden folder.
        write: folders that it sees and may change. All other folders are read-only.
    """

    hidden: Sequence[Path] = ()
    read: Sequence[Path] = ()
    write: Sequence[Path] = ()


def isolate(view: View) -> tuple[str, ...]:
    """Give this process, which must have one thread, a network, shared memory and files of its own.

    Returns:
        What it is isolated from now: ``network``, ``ipc``, ``shm``, ``files``. Nothing where the
        system forbids it.
    """
    if sys.platform != "linux":
        return ()
    if not _enter(_CLONE_NEWUSER | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWNS):
        return ()
    # Keys in the keyring of the login session would be readable by other jobs.
    if number := _KEYCTL.get(platform.machine()):
        with suppress(OSError):
            call(number, _JOIN_SESSION_KEYRING, None)
    isolated = ["network", "ipc"]
    if _show(view):
        isolated.append("files")
    if _mount_empty(_SHARED_MEMORY):
        isolated.append("shm")
    # Mounts of an outer user namespace are locked: the process could otherwise remove them. The
    # next one is the last: rights in a namespace of its own open parts of the kernel to a method.
    with suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("1")
    _enter(_CLONE_NEWUSER | _CLONE_NEWNS)
    _drop_capabilities()
    return tuple(isolated)


def private_folders(isolated: Sequence[str]) -> list[Path]:
    """Return the folders that nobody else sees, given the result of :func:`isolate`."""
    return [_SHARED_MEMORY] if "shm" in isolated else []


def _enter(flags: int) -> bool:
    """Enter new namespaces, the user's among them, as the same user. Return whether it worked."""
    user, group = os.getuid(), os.getgid()
    if ctypes.CDLL(None).unshare(flags) != 0:
        return False
    # Without these maps, files of the user would belong to nobody.
    with suppress(OSError):
        (_SELF / "setgroups").write_text("deny")
        (_SELF / "uid_map").write_text(f"{user} {user} 1")
        (_SELF / "gid_map").write_text(f"{group} {group} 1")
    return True


def _drop_capabilities() -> None:
    """Give up all rights of an administrator, also for programs that this process starts."""
    libc = ctypes.CDLL(None)
    for capability in range(_CAPABILITIES):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
    libc.capset(ctypes.byref(header), ctypes.byref((ctypes.c_uint32 * 6)()))


def _show(view: View) -> bool:
    """Make all folders read-only, cover the hidden ones, and put back what is to be seen.

    Returns:
        Whether it worked. If not, nothing has changed.

    Raises:
        RuntimeError: the system refused after it had begun, so that folders may be missing.
    """
    resolved = {path.resolve() for path in view.hidden if path.is_dir()}
    # One that lies in another is hidden with it.
    hidden = [folder for folder in resolved if not resolved.intersection(folder.parents)]
    read = {path.resolve() for path in view.read if path.exists()}
    covered = {path for path in read if any(map(path.is_relative_to, hidden))}
    # The kernel checks every write to /proc by itself, and the next namespace is set up there.
    write = {path.resolve() for path in view.write} | {Path("/proc")}
    try:
        # Sorted: a mount of an outer folder must not cover that of an inner one.
        trees = {path: _copy(path) for path in sorted(write | covered)}
        _set(_CURRENT_FOLDER, b"/", _MountAttributes(add=_READ_ONLY, propagation=_PRIVATE))
    except OSError:
        return False
    try:
        if not all(map(_mount_empty, hidden)):
            raise RuntimeError(f"{hidden} cannot be covered")
        for path, tree in trees.items():
            if path not in write:
                _set(tree, b"", _MountAttributes(add=_READ_ONLY))
            _attach(tree, path)
        for folder in hidden:
            # Not what is mounted in it, which may be to write to.
            attributes = _MountAttributes(add=_READ_ONLY)
            _set(_CURRENT_FOLDER, os.fsencode(folder), attributes, recursive=False)
    except OSError as error:
        raise RuntimeError(f"its files cannot be isolated ({error})") from error
    return True


def _copy(path: Path) -> int:
    """Return a descriptor of a copy of the mounts of a file or folder."""
    flags = _CLONE_TREE | _RECURSIVE | os.O_CLOEXEC
    return call(_OPEN_TREE, _CURRENT_FOLDER, os.fsencode(path), flags)


def _attach(tree: int, path: Path) -> None:
    """Mount a copy where the original was, or would be."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        # A mount needs something of its own kind to cover.
        path.mkdir() if stat.S_ISDIR(os.fstat(tree).st_mode) else path.touch()
    call(_MOVE_MOUNT, tree, b"", _CURRENT_FOLDER, os.fsencode(path), _FROM_DESCRIPTOR)
    os.close(tree)


def _set(tree: int, path: bytes, attributes: _MountAttributes, *, recursive: bool = True) -> None:
    flags = (0 if path else _EMPTY_PATH) | (_RECURSIVE if recursive else 0)
    size = ctypes.sizeof(attributes)
    call(_MOUNT_SETATTR, tree, path, flags, ctypes.byref(attributes), size)


def _mount_empty(folder: Path) -> bool:
    mounted: int = ctypes.CDLL(None).mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, None)
    return mounted == 0
