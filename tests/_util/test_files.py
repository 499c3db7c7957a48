"""Files are whole or absent, and errors of the system are one line with a remedy."""

from __future__ import annotations

import errno
import os
import stat
import time

import pytest

from genebench._util.files import atomic_write, full_disk, sweep, user_errors
from genebench.errors import UserError


def test_a_file_is_replaced_when_all_of_it_is_written(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(b"old")
    with atomic_write(path) as stream:
        stream.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "record.json"
    path.write_bytes(b"old")

    def fail():
        with atomic_write(path) as stream:
            stream.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_that_the_umask_leaves(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "m.npy") as stream:
            stream.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "m.npy").stat().st_mode) == 0o640


def test_only_old_leftovers_are_removed(tmp_path):
    old_file, old_folder, young = (tmp_path / f".{name}.tmp" for name in ("file", "folder", "new"))
    old_file.write_bytes(b"")
    young.write_bytes(b"")
    old_folder.mkdir()
    two_days_ago = time.time() - 2 * 24 * 3600
    for path in (old_file, old_folder):
        os.utime(path, (two_days_ago, two_days_ago))
    sweep(tmp_path, ".*.tmp")
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_the_users_error_with_a_remedy(tmp_path, code):
    with pytest.raises(UserError) as caught, full_disk(tmp_path, "Name another folder."):
        raise OSError(code, "full")
    assert str(caught.value) == (
        f"{tmp_path}: no space left to write. Free some space, or name another folder."
    )


def test_other_errors_while_writing_name_reason_and_remedy(tmp_path):
    with pytest.raises(UserError) as caught, user_errors(tmp_path, "Name another folder."):
        raise PermissionError(errno.EACCES, "Permission denied")
    assert str(caught.value) == (
        f"{tmp_path}: cannot write there (permission denied). Name another folder."
    )


def test_what_is_no_full_disk_passes_through(tmp_path):
    with pytest.raises(PermissionError), full_disk(tmp_path, "Name another folder."):
        raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize("place", ["pipe", "link", "folder"])
def test_what_is_no_file_is_never_replaced(tmp_path, place):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    (tmp_path / "folder").mkdir()
    before = sorted((path.name, path.lstat().st_ino) for path in tmp_path.iterdir())
    with pytest.raises(OSError, match="it is no file"), atomic_write(tmp_path / place) as stream:
        stream.write(b"new")
    assert sorted((path.name, path.lstat().st_ino) for path in tmp_path.iterdir()) == before
