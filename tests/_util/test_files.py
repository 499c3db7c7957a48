"""Files are whole or absent, and errors of the system are one line with a remedy."""

from __future__ import annotations

import errno
import os
import stat
import time

import pytest

from genebench._util.files import atomic_write, full_disk, remove_tree, sweep, user_errors
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


def test_a_link_is_removed_and_not_followed(tmp_path):
    other, links = tmp_path / "other", tmp_path / ".links.tmp"
    other.mkdir()
    (other / "file").touch()
    (links / "inner").mkdir(parents=True)
    for folder in (links, links / "inner"):
        (folder / "folder").symlink_to(other)
        (folder / "file").symlink_to(other / "file")
    (tmp_path / ".link.tmp").symlink_to(other)
    remove_tree(links)
    sweep(tmp_path, ".*.tmp", days=-1)
    assert list(tmp_path.iterdir()) == [other]
    assert list(other.iterdir()) == [other / "file"]


def test_folders_are_removed_however_deep(tmp_path, monkeypatch):
    """``shutil.rmtree`` would raise RecursionError, and end the run."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for _ in range(1100):
        os.mkdir("folder")  # noqa: PTH102  no path leads so far
        os.chdir("folder")
    monkeypatch.undo()
    remove_tree(folder)
    assert not folder.exists()


def test_a_folder_that_is_gone_is_no_fault(tmp_path):
    remove_tree(tmp_path / "gone")


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
