"""Locks: one holder at a time, released by the end of a process, honest where there are none."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import sys

import pytest

from genebench._util.locks import LocksUnsupportedError, lock, try_lock


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "lock"
    path.touch()
    return path


def test_a_lock_excludes_others_until_it_is_released(path):
    with lock(path), pytest.raises(BlockingIOError):
        lock(path)
    lock(path).release()


def test_shared_locks_exclude_only_exclusive_ones(path):
    with lock(path, shared=True), lock(path, shared=True):
        assert try_lock(path) is None
    assert try_lock(path)


@pytest.mark.parametrize("shared", [False, True])
def test_a_pipe_in_the_place_of_a_lock_stops_nobody(tmp_path, shared):
    code = """if True:
        import sys
        from pathlib import Path
        from genebench._util.locks import lock
        lock(Path(sys.argv[1]), shared=sys.argv[2] == "True", wait=True).release()
    """
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-c", code, tmp_path / "pipe", str(shared)]
    subprocess.run(command, check=True, timeout=300)


def test_a_lock_ends_with_its_object(path):
    held = lock(path)
    del held
    gc.collect()
    assert try_lock(path)


def test_a_lock_ends_with_a_killed_process(path):
    code = """if True:
        import sys
        from pathlib import Path
        from genebench._util.locks import lock
        held = lock(Path(sys.argv[1]))
        print("held", flush=True)
        sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        assert try_lock(path) is None
        process.kill()
    assert try_lock(path)


def test_a_lock_of_a_file_that_was_replaced_is_refused(path, monkeypatch):
    import fcntl

    flock = fcntl.flock

    def replaced(*arguments):
        flock(*arguments)
        path.unlink()
        path.touch()

    monkeypatch.setattr(fcntl, "flock", replaced)
    with pytest.raises(FileNotFoundError):
        lock(path)


def test_a_missing_file_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        lock(tmp_path / "gone")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EBADF])
def test_a_file_system_without_locks_is_told_from_a_held_lock(path, monkeypatch, code):
    def fail(*_):
        raise OSError(code, "no locks")

    monkeypatch.setattr("genebench._util.retries._PAUSES_SECONDS", (0.0,))
    monkeypatch.setattr("fcntl.flock", fail)
    with pytest.raises(LocksUnsupportedError):
        lock(path)


@pytest.fixture
def failing(monkeypatch):
    """Let locks fail with the codes in a list, from its end, and return it with the pauses."""
    fcntl = pytest.importorskip("fcntl")
    codes, pauses, flock = [], [], fcntl.flock

    def fail(*arguments):
        if codes:
            raise OSError(codes.pop(), "no locks")
        flock(*arguments)

    monkeypatch.setattr("fcntl.flock", fail)
    monkeypatch.setattr("time.sleep", pauses.append)
    return codes, pauses


def test_a_file_system_without_locks_is_waited_for_once(path, failing):
    codes, pauses = failing
    codes += [errno.ENOLCK] * 6
    for _ in range(2):
        with pytest.raises(LocksUnsupportedError):
            lock(path)
    assert codes == []
    assert len(pauses) == 4


def test_a_file_system_that_gave_a_lock_is_waited_for_each_time(path, failing):
    codes, pauses = failing
    lock(path).release()
    for _ in range(2):
        codes += [errno.ENOLCK] * 5
        with pytest.raises(LocksUnsupportedError):
            lock(path)
    assert len(pauses) == 8
    codes += [errno.ENOLCK]
    lock(path).release()
    assert len(pauses) == 9


def test_a_lock_that_is_held_shows_that_there_are_locks(path, failing):
    codes, pauses = failing
    codes += [errno.ENOLCK] * 5
    with pytest.raises(LocksUnsupportedError):
        lock(path)
    codes += [errno.EAGAIN]
    with pytest.raises(BlockingIOError):
        lock(path)
    codes += [errno.ENOLCK]
    lock(path).release()
    assert len(pauses) == 5


@pytest.mark.parametrize("code", [errno.ESTALE, errno.EIO, errno.EOPNOTSUPP])
def test_an_error_of_one_file_says_nothing_about_the_next(path, failing, code):
    codes, pauses = failing
    codes += [code] * 5
    with pytest.raises(LocksUnsupportedError):
        lock(path)
    codes[:] = [errno.ENOLCK]
    pauses.clear()
    lock(path).release()
    assert len(pauses) == 1


def test_a_system_without_fcntl_has_no_locks(path, monkeypatch):
    monkeypatch.setattr("genebench._util.locks.fcntl", None)
    with pytest.raises(LocksUnsupportedError):
        lock(path)
