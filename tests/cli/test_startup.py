"""The command line answers at once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

STARTS = 5


def best_start(*arguments: str) -> float:
    """Processor time of the fastest start of Python with these arguments."""
    spent = []
    for _ in range(STARTS):
        with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        spent.append(usage.ru_utime + usage.ru_stime)
    return min(spent)


@pytest.fixture(scope="module")
def pandas() -> float:
    """Processor time of importing pandas: about half a second."""
    return best_start("-c", "import pandas")


@pytest.mark.parametrize("arguments", [("--help",), ("list", "methods")], ids=" ".join)
def test_help_and_listing_cost_little_more_than_importing_pandas(arguments, pandas):
    assert best_start("-m", "genebench", *arguments) < 1.6 * pandas


PLUGIN = """
from genebench import hookimpl
from genebench.specs import MethodSpec
genebench_contract = 1
@hookimpl
def genebench_methods():
    return [MethodSpec(name="{name}", title="t", summary="s", code="{name}:M")]
"""


def test_listing_twenty_plugins_more_costs_little_more(install, monkeypatch, pandas):
    for number in range(20):
        site = install(f"plugin{number}", PLUGIN.format(name=f"plugin{number}"))
    monkeypatch.setenv("PYTHONPATH", str(site))
    assert best_start("-m", "genebench", "list", "methods") < 2.4 * pandas
