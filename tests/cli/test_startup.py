"""The command line answers at once."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

LIMIT = 0.5
"""Seconds; the best of a few starts, so that a busy machine does not count."""
STARTS = 5


def best_start(*arguments: str) -> float:
    """Wall time of the fastest start of a command line in a process of its own."""
    command = [sys.executable, "-c", "from genebench.cli import main; main()", *arguments]
    spent = []
    for _ in range(STARTS):
        began = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        spent.append(time.perf_counter() - began)
        if spent[-1] < LIMIT:
            break
    return min(spent)


@pytest.mark.parametrize("arguments", [("--help",), ("list", "methods")], ids=" ".join)
def test_help_and_listing_answer_within_half_a_second(arguments):
    assert best_start(*arguments) < LIMIT
