"""The command line answers at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

LIMIT = 0.5
"""Seconds of processor time: on a machine with nothing else to do, the wall time."""
STARTS = 5


def best_start(*arguments: str, limit: float = LIMIT) -> float:
    """Processor time of the fastest start of a command line in a process of its own."""
    command = [sys.executable, "-m", "genebench", *arguments]
    spent = []
    for _ in range(STARTS):
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)
        if spent[-1] < limit:
            break
    return min(spent)


@pytest.mark.parametrize("arguments", [("--help",), ("list", "methods")], ids=" ".join)
def test_help_and_listing_answer_within_half_a_second(arguments):
    assert best_start(*arguments) < LIMIT


PLUGIN = """
from genebench import hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name="{name}", title="t", summary="s", code="{name}:M")]
"""


def test_listing_twenty_plugins_more_answers_within_eight_tenths(install, monkeypatch):
    for number in range(20):
        site = install(f"plugin{number}", PLUGIN.format(name=f"plugin{number}"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    assert best_start("list", "methods", limit=0.8) < 0.8
