"""Unpacking: a whole file under its name, or one line and nothing."""

from __future__ import annotations

import gzip
import os
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from genebench.datasets import unpacking
from genebench.datasets.sources import find
from genebench.datasets.unpacking import unpack
from genebench.errors import UserError

CONTENT = os.urandom(3000)
SOURCE = replace(find("e-mtab-62"), file="packed.gz", unpacked="file.txt")
ZIPPED = replace(SOURCE, file="packed.zip")


def write_zip(folder: Path, **files: bytes) -> None:
    with zipfile.ZipFile(folder / "packed.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/"), content)


RECORD = "packed.gz.unpacked.sha256"


def test_a_gzip_file_is_unpacked_once(tmp_path):
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    assert unpack(SOURCE, tmp_path)
    assert not unpack(SOURCE, tmp_path)
    assert (tmp_path / "file.txt").read_bytes() == CONTENT
    # The digests decide, not the times: this other file looks older than what was unpacked.
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT[:5]))
    os.utime(tmp_path / "packed.gz", (1, 1))
    assert unpack(SOURCE, tmp_path)
    assert (tmp_path / "file.txt").read_bytes() == CONTENT[:5]
    assert {file.name for file in tmp_path.iterdir()} == {"file.txt", "packed.gz", RECORD}
    outcome = subprocess.run(
        ["sha256sum", "-c", RECORD], cwd=tmp_path, check=True, capture_output=True
    )
    assert outcome.stdout == b"packed.gz: OK\nfile.txt: OK\n"


def test_a_file_that_was_edited_is_neither_used_nor_replaced(tmp_path):
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    unpack(SOURCE, tmp_path)
    (tmp_path / "file.txt").write_bytes(b"edited")
    with pytest.raises(UserError, match=r"file\.txt: changed since it was unpacked from packed"):
        unpack(SOURCE, tmp_path)
    assert (tmp_path / "file.txt").read_bytes() == b"edited"


def test_a_file_without_a_record_is_unpacked_again(tmp_path):
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    (tmp_path / "file.txt").write_bytes(b"half")
    assert unpack(SOURCE, tmp_path)
    assert (tmp_path / "file.txt").read_bytes() == CONTENT


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_a_damaged_archive_of_any_method_is_one_line(tmp_path, method):
    path = tmp_path / "packed.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("data.csv", CONTENT)
    damaged = bytearray(path.read_bytes())
    damaged[60:400] = bytes(340)
    path.write_bytes(damaged)
    with pytest.raises(UserError, match=r"packed\.zip: cannot be unpacked"):
        unpack(ZIPPED, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["packed.zip"]


@pytest.mark.parametrize("name", ["data.csv", "..__..__data.csv", "folder__data.csv"])
def test_the_one_file_of_an_archive_gets_the_name_of_the_source(tmp_path, name):
    files = {name: CONTENT}
    if not name.startswith("."):
        files["__MACOSX__.data.csv"] = b"x"
        write_zip(tmp_path, **files)
        assert unpack(ZIPPED, tmp_path)
        assert (tmp_path / "file.txt").read_bytes() == CONTENT
    else:
        # A path out of the folder counts as hidden.
        write_zip(tmp_path, **files)
        with pytest.raises(UserError, match="holds 0 files"):
            unpack(ZIPPED, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} <= {
        *("file.txt", "packed.zip", "packed.zip.unpacked.sha256")
    }


def test_an_archive_of_several_files_is_left_to_the_user(tmp_path):
    write_zip(tmp_path, a=b"1", b=b"2")
    with pytest.raises(UserError, match=r"holds 2 files \(a, b\).*Unpack the matrix yourself"):
        unpack(ZIPPED, tmp_path)


@pytest.mark.parametrize(
    "content",
    [gzip.compress(CONTENT)[:-20], gzip.compress(CONTENT)[:50] + b"x" * 3000, b"no gzip"],
)
def test_a_damaged_file_leaves_nothing(tmp_path, content):
    (tmp_path / "packed.gz").write_bytes(content)
    with pytest.raises(UserError, match=r"packed\.gz: cannot be unpacked .*fetch e-mtab-62"):
        unpack(SOURCE, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["packed.gz"]
    (tmp_path / "packed.zip").write_bytes(content)
    with pytest.raises(UserError, match=r"packed\.zip: cannot be unpacked"):
        unpack(ZIPPED, tmp_path)


def test_a_file_that_was_made_to_fill_the_disk_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("genebench.formats.files._HARMLESS_BYTES", 1000)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(bytes(2_000_000)))
    with pytest.raises(UserError, match="made to fill the memory"):
        unpack(SOURCE, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["packed.gz"]


def test_some_of_the_disk_stays_free(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "RESERVE_BYTES", 1 << 60)
    (tmp_path / "packed.gz").write_bytes(gzip.compress(CONTENT))
    with pytest.raises(UserError, match="not enough space left to unpack"):
        unpack(SOURCE, tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["packed.gz"]
