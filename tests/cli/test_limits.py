"""Limits of a job, as users write them."""

from __future__ import annotations

import pytest

from genebench.cli.limits import memory_limit, time_limit
from genebench.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1.5 h", 5400), ("2D", 172_800)]
)
def test_times_are_read_in_seconds_minutes_hours_and_days(text, seconds):
    assert time_limit(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("800M", 800 * 2**20), ("8G", 2**33), ("1.5GiB", 3 * 2**29), ("1tb", 2**40)]
)
def test_sizes_are_read_in_powers_of_1024(text, size):
    assert memory_limit(text) == size


def test_no_limit_is_no_limit():
    assert time_limit(None) is None
    assert memory_limit(None) is None


@pytest.mark.parametrize("text", ["", "-1", "nan", "0", "0G", "5 x", "9" * 5001, "9" * 5001 + "G"])
def test_what_is_no_limit_is_refused(text):
    for limit in (time_limit, memory_limit):
        with pytest.raises(UserError, match="not a limit"):
            limit(text)
