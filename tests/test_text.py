"""Text of plugins: whatever they print, the terminal stays ours."""

from __future__ import annotations

import io
import sys

import pytest

from genebench.text import LONGEST, Escaped, escaped_output


def shown(*parts):
    stream = io.StringIO()
    escaped = Escaped(stream)
    for part in parts:
        escaped.write(part)
    escaped.finish()
    return stream.getvalue()


def test_lines_are_passed_on_whole_and_without_control_characters():
    assert shown("one\ntw", "o\x1b[2J\x07\n", "three") == "one\ntwo�[2J�\nthree\n"


def test_a_progress_bar_that_returns_to_its_start_gives_lines():
    assert shown("10 %\r20 %\r\n") == "10 %\n20 %\n"


def test_a_line_that_never_ends_is_cut_and_takes_no_memory():
    escaped = Escaped(io.StringIO())
    for _ in range(100):
        escaped.write("x" * 100_000)
    assert len(escaped._held) <= LONGEST
    assert shown("x" * 10_000_000) == "x" * LONGEST + "\n"


def test_only_so_many_lines_are_shown_and_the_rest_is_owned_up_to():
    lines = shown("line\n" * 100_000).splitlines()
    assert len(lines) == 201
    assert lines[-1] == "(after 200 lines, no more is shown)"


def test_output_goes_to_standard_error_also_when_what_prints_raises(capsys):
    def broken():
        sys.stdout.write("half a line")
        raise KeyError

    with pytest.raises(KeyError), escaped_output():
        broken()
    assert capsys.readouterr() == ("", "half a line\n")
