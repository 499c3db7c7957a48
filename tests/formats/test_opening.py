"""Which reader a file gets, and what is wrong with a file that no reader could take."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from genebench.errors import UserError
from genebench.formats.files import check_readable
from genebench.formats.opening import open_reader


def test_unknown_format_lists_the_known_ones(write):
    with pytest.raises(UserError, match=r"m\.xyz: unknown format. .*\.gctx \.gct .*\.csv\.gz"):
        open_reader(write("m.xyz", "x"))


def test_missing_file_gets_near_misses(write):
    path = write("matrix.gct", "x")
    with pytest.raises(UserError, match=r"matrx\.gct: no such file\. Did you mean matrix\.gct\?"):
        open_reader(path.with_name("matrx.gct"))
    with pytest.raises(UserError, match=r"no such file\. There is no folder"):
        open_reader(path.parent / "nowhere" / "m.gct")


def test_directory_and_empty_file(write, tmp_path: Path):
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        open_reader(tmp_path / "folder.tsv")
    with pytest.raises(UserError, match="file is empty"):
        open_reader(write("m.tsv", b""))


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "m.tsv")
    # With a writer there is nothing to wait for: without the refusal this fails, not hangs.
    writer = os.open(tmp_path / "m.tsv", os.O_RDWR)
    try:
        os.write(writer, b"id\tA\ng\t1\n")
        with pytest.raises(UserError, match=r"m\.tsv: cannot be read: it is a pipe"):
            check_readable(tmp_path / "m.tsv")
    finally:
        os.close(writer)


LONG = "n" * 300


@pytest.mark.parametrize("name", [f"{LONG}.tsv", f"{LONG}/m.tsv", "loop.tsv", "file.txt/m.tsv"])
def test_paths_that_no_file_can_have_are_one_line(genebench, write, tmp_path, name):
    sound, path = write("file.txt", "id\tA\ng\t1\n"), tmp_path / name
    (tmp_path / "loop.tsv").symlink_to(tmp_path / "loop.tsv")
    for files in ((path, tmp_path / "out.tsv"), (sound, path)):
        outcome = genebench("data", "convert", *files)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert f"error: {path}: " in outcome.err
    assert (tmp_path / "loop.tsv").is_symlink()


def test_a_link_to_nowhere_is_not_replaced(genebench, write, tmp_path):
    (tmp_path / "out.tsv").symlink_to(tmp_path / "unplugged" / "out.tsv")
    sound = write("file.txt", "id\tA\ng\t1\n")
    outcome = genebench("data", "convert", sound, tmp_path / "out.tsv")
    assert "out.tsv: the file exists already" in outcome.err


def test_near_misses_need_a_folder_that_can_be_listed(write, monkeypatch):
    path = write("matrix.gct", "x")

    def refuse(_self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=r"matrx\.gct: no such file\. Correct the path"):
        open_reader(path.with_name("matrx.gct"))


def test_file_without_permission(write, monkeypatch):
    path = write("m.tsv", "id\tA\ng\t1\n")

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # superusers may read everything
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_reader(path)
