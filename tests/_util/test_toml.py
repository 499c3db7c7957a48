"""Tests of TOML files that were made to do harm, or are no files."""

from __future__ import annotations

import os

import pytest

from genebench._util.toml import MAX_BYTES, parse_toml, read_toml
from genebench.errors import UserError

DEEP = "more than 10 tables or keys within each other"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a = " + b"[" * 5000, DEEP),
        (b"a = " + b"{a = " * 5000, DEEP),
        (b"a" + b".a" * 5000 + b" = 1", DEEP),
        (b'"a"' + b' . "a"' * 20 + b" = 1", DEEP),
        (b"[" + b"a." * 20 + b"a]", DEEP),
        # Quotes that end a text early, or seem to, hide no brackets.
        (b'a = ["""b"""", ' + b"[" * 5000, DEEP),
        (b"a = ['''b'''', " + b"[" * 5000, DEEP),
        (b'a = "\\""\nb = ' + b"[" * 5000, DEEP),
        (b"a = '\\'\nb = " + b"[" * 5000, DEEP),
        (b"# '''\na = " + b"[" * 5000, DEEP),
        (b"a = 1\n" * MAX_BYTES, "more than 256 KiB"),
        (b"a = " + b"1" * 5001, "not TOML"),
        (b"a = [{ b = 0x" + b"f" * 5000 + b" }]", "a.0.b is a whole number beyond 64 bits"),
        (b"a = -9223372036854775809", "a is a whole number beyond 64 bits"),
        (b"a = '\xff'", "not TOML"),
        (b"a = ", "not TOML"),
    ],
)
def test_a_harmful_document_is_refused(content, problem):
    with pytest.raises(UserError, match=problem):
        parse_toml(content, "suite.toml")


def test_no_document_takes_long():
    # A reader that looks for the end of each quote anew takes minutes for this one.
    with pytest.raises(UserError, match="not TOML"):
        parse_toml(b'"\\' * (MAX_BYTES // 2), "suite.toml")


def test_dots_and_brackets_in_texts_and_numbers_are_not_counted():
    text = "[[[[[[[[[[[[ a.b.c.d.e.f.g.h.i.j.k.l"
    content = f"""
        a = "\\"{text}"
        b = '{text}'
        c = [{", ".join(["1.5"] * 20)}]  # {text}
        d.e.f = [[["{text}"]]]
        g = 9223372036854775807
    """
    parsed = parse_toml(content.encode(), "suite.toml")
    assert parsed["a"] == f'"{text}'
    assert parsed["c"] == [1.5] * 20
    assert parsed["d"] == {"e": {"f": [[[text]]]}}
    assert parsed["g"] == 2**63 - 1


def test_a_path_that_is_no_file_is_refused_on_one_line(tmp_path):
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "circle.toml").symlink_to("circle.toml")
    for name, problem in {
        "missing.toml": "no such file",
        ".": "it is no file",
        "pipe.toml": "it is no file",
        "circle.toml": "symbolic link",
        "a" * 300: "File name too long",
        "a\0b": "null byte",
    }.items():
        with pytest.raises(UserError, match=problem):
            read_toml(tmp_path / name)
