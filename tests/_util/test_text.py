"""Text of plugins: nothing that they print controls the terminal."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys

import pytest

from genebench._util.text import (
    MAX_CHARACTERS,
    Escaped,
    encodable,
    escaped_output,
    escaped_streams,
    no_formula,
    printable_line,
    visible,
)


def shown(*parts):
    stream = io.StringIO()
    escaped = Escaped(stream)
    for part in parts:
        escaped.write(part)
    escaped.finish()
    return stream.getvalue()


def test_lines_are_passed_on_whole_and_without_control_characters():
    assert shown("one\ntw", "o\x1b[2J\x07\n", "three") == "one\ntwo�[2J�\nthree\n"


def test_a_line_of_a_traceback_keeps_its_indentation():
    assert printable_line("    raise\tX\x1b[2J\n") == "    raise X�[2J"
    assert printable_line("\t\x0bx") == "  x"


def test_bytes_that_are_no_text_become_escapes_and_all_else_stays():
    assert encodable("é\x1b\n\udcff\ud800😀") == "é\x1b\n\\udcff\\ud800😀"


def test_what_drives_a_terminal_becomes_visible():
    assert visible("é 😀\x1b[2J\x9b\r\n\u202e\u2028\udcff") == (
        r"é 😀\x1b[2J\x9b\r\n\u202e\u2028\udcff"
    )
    assert visible("a\tb\n\r", kept="\n\t") == "a\tb\n\\r"


@pytest.mark.parametrize(
    "text", ["\uff1d1+1", "=1+1", "+cmd", "-cmd|x", "@SUM(1)", "\t=1", "\r=1", "\n=1", "-"]
)
def test_a_text_that_a_spreadsheet_would_run_begins_with_an_apostrophe(text):
    assert no_formula(text) == f"'{text}"


@pytest.mark.parametrize("value", ["lsr", "", "a=1", "-1", "+2.5e-3", ".5", -1, 0.5, None, True])
def test_other_texts_and_all_numbers_stay_as_they_are(value):
    assert no_formula(value) is value


def test_a_progress_bar_that_returns_to_its_start_gives_lines():
    assert shown("10 %\r20 %\r\n") == "10 %\n20 %\n"


def test_a_line_that_never_ends_is_cut_and_takes_no_memory():
    escaped = Escaped(io.StringIO())
    for _ in range(100):
        escaped.write("x" * 100_000)
    assert len(escaped._unfinished) <= MAX_CHARACTERS
    assert shown("x" * 10_000_000) == "x" * MAX_CHARACTERS + "\n"


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


def test_what_bypasses_python_goes_to_standard_error_as_well(capfd):
    with escaped_output():
        os.write(1, b"from C\n")
        subprocess.run(["echo", "from a child"], check=True)
    sys.stdout.write("a result\n")
    out, err = capfd.readouterr()
    assert out == "a result\n"
    assert err == "from C\nfrom a child\n"


def test_streams_that_are_closed_or_replaced_are_there_again(capfd):
    streams = sys.stdout, sys.stderr
    with escaped_streams():
        sys.stdout.close()
        sys.__stderr__.close()
        sys.stderr = None
        os.close(1)
    assert (sys.stdout, sys.stderr) == streams
    sys.stdout.write("out\n")
    sys.stderr.write("err\n")
    assert capfd.readouterr() == ("out\n", "err\n")


def test_what_goes_to_either_stream_is_escaped(capfd):
    with escaped_streams():
        sys.stdout.write("\x1b[2J\n")
        sys.stderr.write("\x1b[2J\n")
    assert capfd.readouterr() == ("", "�[2J\n" * 2)


def test_what_was_printed_before_is_not_diverted(tmp_path):
    code = """
import logging, sys
from genebench._util.text import escaped_output
print("header")
with escaped_output():
    print("within")
print("footer")
"""
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
        subprocess.run(
            [sys.executable, "-c", code], stdout=stdout, stderr=stderr, env=environment, check=True
        )
    assert out.read_text().split() == ["header", "footer"]
    assert err.read_text().split() == ["within"]


def test_a_handler_that_was_made_meanwhile_prints_on_afterwards(capsys):
    with escaped_streams():
        handler = logging.StreamHandler()
    for number in range(300):
        handler.emit(logging.makeLogRecord({"msg": f"line {number}"}))
    assert capsys.readouterr().err.splitlines()[-1] == "line 299"


def test_a_stand_in_has_a_descriptor_and_can_be_reconfigured(capfd):
    with escaped_streams():
        sys.stdout.reconfigure(line_buffering=True)
        subprocess.run([sys.executable, "-c", "print('child')"], stdout=sys.stderr, check=True)
    assert "child" in capfd.readouterr().err


def test_printing_is_no_fault_where_there_is_no_standard_error(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    with escaped_streams():
        sys.stdout.write("to no reader\n")
