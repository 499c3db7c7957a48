"""Tests of code that closes or replaces standard descriptors, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORTS = """
import os, sys
from genebench._util.descriptors import closed_descriptors, kept_open
from genebench._util.text import escaped_output
from genebench.errors import UserError
"""


def child(code: str, **streams) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", IMPORTS + code]
    return subprocess.run(command, check=False, capture_output=True, text=True, **streams)


@pytest.mark.parametrize("first", [0, 1, 3])
def test_closed_descriptors_are_an_error_and_receive_no_file(first, tmp_path):
    code = f"""
os.chdir({str(tmp_path)!r})
try:
    with kept_open():
        os.closerange({first}, 100)
except OSError as error:
    open("why", "w").write(str(error))
# Only a closed standard descriptor would be the number of the next file.
assert open("data", "w").fileno() > 2
os.write(1, b"out"), os.write(2, b"err")
"""
    done = child(code)
    assert done.returncode == 0
    assert (tmp_path / "data").read_text() == ""
    assert (tmp_path / "why").exists() == (first < 3)
    assert done.stdout == ("out" if first == 3 else "")


def test_a_replaced_descriptor_is_an_error_and_the_file_is_spared(tmp_path):
    code = f"""
try:
    with kept_open():
        os.dup2(os.open({str(tmp_path / "data")!r}, os.O_CREAT | os.O_WRONLY), 1)
except OSError:
    os.write(1, b"out")
"""
    assert child(code).returncode == 0
    assert (tmp_path / "data").read_text() == ""


def test_the_error_of_the_code_goes_first():
    done = child("with kept_open():\n    os.close(1)\n    raise KeyError('mine')")
    assert done.stderr.endswith("KeyError: 'mine'\n")


def test_standard_output_comes_back_after_code_that_closed_it():
    done = child("with escaped_output():\n    os.close(1)\nos.write(1, b'out')")
    assert (done.returncode, done.stdout) == (0, "out")


def test_standard_output_that_cannot_come_back_is_one_line_and_harms_no_file(tmp_path):
    code = f"""
os.chdir({str(tmp_path)!r})
try:
    with escaped_output():
        os.closerange(3, 100)
        files = [open(name, "w") for name in "abcdef"]
except UserError as error:
    os.write(2, str(error).encode())
os.write(1, b"out")
"""
    done = child(code)
    assert done.stderr.startswith("Standard output was closed by code of a plugin")
    assert done.stdout == ""
    assert {path.read_text() for path in tmp_path.iterdir()} == {""}
