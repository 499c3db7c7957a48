"""Limits of a job, as users write them."""

from __future__ import annotations

import pytest

from genebench.cli.limits import memory_limit, resources_of, time_limit
from genebench.errors import UserError


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("1.5 h", 5400), ("2D", 172_800)]
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


@pytest.mark.parametrize(
    "text", ["", "-1", "nan", "0", "0G", "5", "8", "5 x", "9" * 5001, "9" * 5001 + "G"]
)
def test_what_is_no_limit_is_refused(text):
    for limit in (time_limit, memory_limit):
        with pytest.raises(UserError, match="not a limit"):
            limit(text)


def test_resources_are_read_for_all_methods_or_for_one():
    read = resources_of(["memory=8G", "ggan-fc.time=4h", "ggan-fc.gpus=1", "cpus=2"])
    assert read == {"": {"memory": 2**33, "cpus": 2}, "ggan-fc": {"seconds": 14_400, "gpus": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("memory", "not an assignment. Write [METHOD.]NAME=VALUE"),
        ("=8G", "not an assignment"),
        (".memory=8G", "not an assignment"),
        ("knn.=8G", "not an assignment"),
        ("memroy=8G", "unknown resource 'memroy'. Did you mean memory?"),
        ("knn.seconds=8", "unknown resource 'seconds'"),
        ("memory=8", "8 is no value of memory. Write it as 800M or 8G."),
        ("time=soon", "soon is no value of time. Write it as 90s, 15m or 2h."),
        ("cpus=1.5", "1.5 is no value of cpus. Write it as 2."),
        ("gpus=", " is no value of gpus"),
    ],
)
def test_a_malformed_resource_is_refused(text, message):
    with pytest.raises(UserError) as refused:
        resources_of([text])
    assert message in str(refused.value)
