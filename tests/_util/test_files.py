"""Files are whole or absent, and errors of the system are one line with a remedy."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from genebench._util.files import (
    LOCK_FILE,
    atomic_write,
    full_disk,
    remove_tree,
    sweep,
    temporary_folder,
    user_errors,
)
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


DAY = 24 * 3600


def age(path, days):
    os.utime(path, (time.time() - days * DAY,) * 2)


def test_what_nobody_holds_is_litter_however_young(tmp_path):
    (tmp_path / ".file.tmp").write_bytes(b"")
    (tmp_path / ".folder.tmp").mkdir()
    (tmp_path / ".folder.tmp" / LOCK_FILE).write_bytes(b"")
    (tmp_path / "other").write_bytes(b"")
    sweep(tmp_path, ".*.tmp")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


@pytest.mark.parametrize("days", [0, 2, -2])
def test_what_is_being_written_stays_however_old(tmp_path, days):
    path = tmp_path / "m.npy"
    with atomic_write(path) as stream, temporary_folder(tmp_path, ".folder.") as folder:
        for temporary in tmp_path.iterdir():
            age(temporary, days)
        sweep(tmp_path, ".*.tmp")
        stream.write(b"x")
        (folder / "y").write_bytes(b"y")
    assert path.read_bytes() == b"x"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_wrote_goes_at_once(tmp_path):
    code = """if True:
        import os, sys
        from pathlib import Path
        from genebench._util.files import atomic_write, temporary_folder
        folder = Path(sys.argv[1])
        with atomic_write(folder / "a"), temporary_folder(folder, ".b."):
            print("ready", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"ready\n"
        sweep(tmp_path, ".*.tmp")
        assert len(list(tmp_path.iterdir())) == 2
        process.kill()
    sweep(tmp_path, ".*.tmp")
    assert list(tmp_path.iterdir()) == []


def test_a_temporary_file_that_is_swept_before_it_is_locked_is_made_again(tmp_path, monkeypatch):
    mkstemp, swept = tempfile.mkstemp, []

    def made(**options):
        handle, name = mkstemp(**options)
        if not swept:
            swept.append(Path(name).unlink())
        return handle, name

    monkeypatch.setattr(tempfile, "mkstemp", made)
    with atomic_write(tmp_path / "a") as stream:
        stream.write(b"x")
    assert swept
    assert (tmp_path / "a").read_bytes() == b"x"


@pytest.mark.usefixtures("without_locks")
def test_without_locks_only_old_leftovers_are_removed(tmp_path):
    old_file, old_folder, young = (tmp_path / f".{name}.tmp" for name in ("file", "folder", "new"))
    old_file.write_bytes(b"")
    young.write_bytes(b"")
    old_folder.mkdir()
    for path in (old_file, old_folder):
        age(path, 2)
    sweep(tmp_path, ".*.tmp")
    assert list(tmp_path.iterdir()) == [young]


@pytest.mark.usefixtures("without_locks")
def test_the_clock_of_this_machine_does_not_make_files_old(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 4e9)
    with atomic_write(tmp_path / "a") as stream, temporary_folder(tmp_path, ".b."):
        sweep(tmp_path, ".*.tmp")
        stream.write(b"x")
    assert (tmp_path / "a").read_bytes() == b"x"


def test_a_folder_of_an_earlier_version_without_a_lock_file_stays_for_a_day(tmp_path):
    young, old = tmp_path / ".young.tmp", tmp_path / ".old.tmp"
    young.mkdir()
    old.mkdir()
    age(old, 2)
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
    link = tmp_path / ".link.tmp"
    link.symlink_to(other)
    os.utime(link, (time.time() - 2 * DAY,) * 2, follow_symlinks=False)
    remove_tree(links)
    sweep(tmp_path, ".*.tmp")
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


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_too_many_open_files_is_told_as_such(tmp_path, code):
    with (
        pytest.raises(UserError) as caught,
        user_errors(tmp_path, "Prepare it again.", trouble="cannot be read"),
    ):
        raise OSError(code, "Too many open files")
    assert str(caught.value) == (
        f"{tmp_path}: cannot be read (too many open files). "
        "Raise the limit, such as by ulimit -n 4096."
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
