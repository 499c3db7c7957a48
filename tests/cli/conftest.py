"""Results that tests of several commands read."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from genebench.cli import invoke


@pytest.fixture(scope="session")
def made(tiny, tmp_path_factory) -> Path:
    """lsr and the controls under both protocols, predictions kept; nobody writes to it."""
    folder = tmp_path_factory.mktemp("made") / "results"
    command = ["run", "--preset", "tiny", "--methods", "lsr", "--keep-predictions", "--quiet"]
    assert invoke([*command, "--results", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(made, tmp_path) -> Path:
    """The same folder, as this test's own."""
    return Path(shutil.copytree(made, tmp_path / "results"))


@pytest.fixture
def in_terminal() -> Callable[..., tuple[int, list[str]]]:
    """Run Python code in a pseudo-terminal, and return its status and all lines on the screen."""
    pyte = pytest.importorskip("pyte")

    def run(code: str, *, columns: int, rows: int = 24) -> tuple[int, list[str]]:
        screen = pyte.HistoryScreen(columns, rows, history=1000)
        stream = pyte.ByteStream(screen)
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = os.environ | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
        environment.pop("COLUMNS", None)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs,
            env=environment, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(theirs)
            # At the end of the process Linux raises an error instead of an end of file.
            with suppress(OSError):
                while block := os.read(ours, 65536):
                    stream.feed(block)
        os.close(ours)
        above = [
            "".join(row[column].data for column in range(columns)) for row in screen.history.top
        ]
        lines = [line.rstrip() for line in (*above, *screen.display)]
        while lines and not lines[-1]:
            lines.pop()
        return process.returncode, lines

    return run
