"""Progress of long work: on a terminal, elsewhere, and with --quiet."""

from __future__ import annotations

import io
import sys

import pytest

from genebench.cli import progress
from genebench.cli.progress import bar, jobs_shown
from genebench.plugins.discovery import installed

MESSAGE = "epoch 9 of 80, MAE train 0.3000, geo 0.4107 █▅▂▁, gtex 0.6543 █▄▁▁"


class Terminal(io.TextIOWrapper):
    """A stream of an encoding that counts as a terminal."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self):
        return True

    @property
    def shown(self):
        return self.buffer.getvalue().decode(self.encoding)


class Job:
    label = "ggan seed 0 on u133 (geo, gtex)"


@pytest.fixture
def terminal(monkeypatch):
    def replaced(encoding):
        stream = Terminal(encoding)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        return stream

    return replaced


def train(*, quiet=False):
    """Notify observers as a run does while a job trains."""
    with jobs_shown(2, quiet=quiet):
        observers = installed().manager.hook
        observers.genebench_job_started(job=Job)
        observers.genebench_job_progressed(job=Job, done=9, total=80, message=MESSAGE)


def test_a_terminal_shows_the_curve_of_each_validation_set_however_narrow(terminal):
    stream = terminal("utf-8")
    train()
    assert "█▅▂▁" in stream.shown
    assert "█▄▁▁" in stream.shown


def test_a_terminal_without_block_characters_shows_it_in_ascii(terminal):
    stream = terminal("latin-1")
    train()
    assert "#=._" in stream.shown
    assert "#-__" in stream.shown


def test_elsewhere_there_is_a_plain_line_now_and_then(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with bar(quiet=False) as show:
        for now[0] in (100.0, 129.0, 130.0, 159.0, 161.0):
            show(int(now[0]), 200, f"at {now[0]:.0f}")
    assert capsys.readouterr().err.splitlines() == ["at 130 (65%)", "at 161 (80%)"]


def test_a_plain_line_has_no_curve(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    train()
    assert capsys.readouterr().err.splitlines()[-1] == (
        "[1/2] ggan seed 0 on u133 (geo, gtex): "
        "epoch 9 of 80, MAE train 0.3000, geo 0.4107, gtex 0.6543 (11%)"
    )


def test_quiet_shows_nothing_anywhere(capsys, monkeypatch, terminal):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    train(quiet=True)
    assert capsys.readouterr().err == ""
    stream = terminal("utf-8")
    train(quiet=True)
    assert stream.shown == ""
