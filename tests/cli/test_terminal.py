"""The live display in a terminal: when it ends, the screen holds whole lines and no bars."""

from __future__ import annotations

import pytest

RUN = """
import logging, os, sys, time
from types import SimpleNamespace as Some
import typer
from genebench import cli
from genebench.cli import output
from genebench.cli.progress import jobs_shown
from genebench.plugins.discovery import installed

def job(number):
    key = str(number)
    return Some(key=key, label=f"ggan hidden=9000 seed {number} on u133 (geo, gtex)",
                evaluations=[Some(key=key)])

def work(arguments):
    hook = installed().manager.hook
    log = logging.getLogger("genebench")
    with jobs_shown(3, quiet=False):
        for number in range(3):
            hook.genebench_job_started(job=job(number))
            for step in range(3):
                hook.genebench_job_progressed(
                    job=job(number), done=step, total=3, message=f"epoch {step}, " + "MAE " * 20
                )
                time.sleep(0.1)
            log.warning("warning %d", number)
            typer.echo(f"echoed {number}", err=True)
            typer.echo(f"printed {number}")
            sys.stderr.write(f"written {number}\\n")
            hook.genebench_job_finished(job=job(number), records=[])
    output.line("the table")

cli._status_of = work
cli.main([])
"""

BAR = """
import time
from genebench import cli
from genebench.cli import output
from genebench.cli.progress import bar

def work(arguments):
    with bar(quiet=False) as progress:
        for step in range(4):
            progress(step, 4, f"reading file {step}")
            output.message(f"note {step}")
            time.sleep(0.15)
    output.line("the table")

cli._status_of = work
cli.main([])
"""


@pytest.mark.parametrize("columns", [80, 120])
def test_after_a_run_the_screen_holds_whole_lines_and_no_bars(in_terminal, columns):
    """Lines come from the log, from typer, from Python's streams and from genebench itself."""
    status, lines = in_terminal(RUN, columns=columns)
    assert status == 0, lines
    expected = []
    for number in range(3):
        ended = f"[{number + 1}/3] ggan hidden=9000 seed {number} on u133 (geo, gtex): done in "
        expected += [
            f"genebench: warning {number}", f"echoed {number}", f"printed {number}",
            f"written {number}", ended,
        ]  # fmt: skip
    assert [line[: len(start)] for line, start in zip(lines, expected, strict=False)] == expected
    assert lines[len(expected) :] == ["the table"]


@pytest.mark.parametrize("columns", [80, 120])
def test_a_bar_leaves_nothing_but_the_lines_above_it(in_terminal, columns):
    status, lines = in_terminal(BAR, columns=columns)
    assert status == 0, lines
    assert lines == ["note 0", "note 1", "note 2", "note 3", "the table"]


SENTENCES = """
from genebench import cli
from genebench.cli import output

def work(arguments):
    output.message("a message of many words that goes on to the end of the line and further")
    output.prose("a sentence of many words that goes on to the end of the line and further")

cli._status_of = work
cli.main([])
"""


def test_no_line_ends_within_a_word(in_terminal):
    status, lines = in_terminal(SENTENCES, columns=33)
    assert status == 0, lines
    assert lines == [
        "a message of many words that goes",
        "on to the end of the line and",
        "further",
        "a sentence of many words that",
        "goes on to the end of the line",
        "and further",
    ]


COPIED = """
import os
from genebench import cli
from genebench.cli import output

def work(arguments):
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # as with > FILE
    output.message("No data yet. Make them: genebench data fetch sim --dataset other --quiet. "
                   "Then run it again.")

cli._status_of = work
cli.main([])
"""


def test_a_command_to_copy_is_one_line_and_the_width_is_that_of_its_own_terminal(in_terminal):
    status, lines = in_terminal(COPIED, columns=30)
    assert status == 0, lines
    # The terminal breaks the command after 30 letters, and copies it as one line.
    assert lines == [
        "No data yet. Make them:",
        "genebench data fetch sim --dat",
        "aset other --quiet.",
        "Then run it again.",
    ]
