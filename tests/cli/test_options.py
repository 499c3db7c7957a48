"""Values of options that several commands share."""

from __future__ import annotations

import pytest

from genebench.cli.options import engine_options_of, shard_of
from genebench.errors import UserError

ARRAY = "SLURM_ARRAY_TASK_"


@pytest.fixture
def array(monkeypatch):
    """Set the variables of a task of a Slurm job array, and no others."""

    def array(**numbers: object) -> None:
        for name in ("ID", "COUNT", "MIN", "STEP"):
            monkeypatch.delenv(f"{ARRAY}{name}", raising=False)
        for name, number in numbers.items():
            monkeypatch.setenv(f"{ARRAY}{name}", str(number))

    return array


def test_options_of_engines_are_read_by_engine_and_the_value_may_hold_anything():
    read = engine_options_of(["slurm.partition=gpu", "slurm.extra=--gres=gpu:1.5", "ray.cpus=2"])
    assert read == {"slurm": {"partition": "gpu", "extra": "--gres=gpu:1.5"}, "ray": {"cpus": "2"}}


@pytest.mark.parametrize("text", ["partition=gpu", "slurm.partition", "slurm.=gpu", ".x=1", "=1"])
def test_a_malformed_option_of_an_engine_is_refused(text):
    with pytest.raises(UserError, match=r"Write NAME\.OPTION=VALUE, such as slurm\.partition=gpu"):
        engine_options_of([text])


@pytest.mark.parametrize(
    ("text", "shard"), [(None, None), ("1/1", (1, 1)), ("2/3", (2, 3)), ("3/3", (3, 3))]
)
def test_a_share_has_a_number_and_the_number_of_shares(text, shard):
    assert shard_of(text) == shard


@pytest.mark.parametrize("text", ["0/3", "4/3", "-1/3", "1", "1/", "/3", "a/b", "1.5/3", "1/3/3"])
def test_a_share_that_does_not_exist_is_refused(text):
    with pytest.raises(UserError, match="no share of the jobs"):
        shard_of(text)


@pytest.mark.parametrize(
    ("numbers", "shard"),
    [
        ({"ID": 0, "MIN": 0, "COUNT": 4}, (1, 4)),
        ({"ID": 3, "MIN": 0, "COUNT": 4}, (4, 4)),
        ({"ID": 1, "MIN": 1, "COUNT": 4}, (1, 4)),
        ({"ID": 4, "MIN": 1, "COUNT": 4}, (4, 4)),
        ({"ID": 2, "COUNT": 4}, (2, 4)),
        ({"ID": 6, "MIN": 2, "COUNT": 4, "STEP": 2}, (3, 4)),
    ],
)
def test_a_task_of_a_job_array_has_its_share(array, numbers, shard):
    array(**numbers)
    assert shard_of("auto") == shard


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({}, "SLURM_ARRAY_TASK_ID is not set"),
        ({"ID": 1}, "SLURM_ARRAY_TASK_COUNT is not set"),
        ({"ID": "x", "COUNT": 2}, "SLURM_ARRAY_TASK_ID is x"),
        ({"ID": 7, "MIN": 1, "COUNT": 3}, "without gaps"),
        ({"ID": 3, "MIN": 2, "COUNT": 4, "STEP": 2}, "without gaps"),
        ({"ID": 0, "COUNT": 4}, "without gaps"),
    ],
)
def test_a_share_that_no_job_array_gives_is_refused(array, numbers, message):
    array(**numbers)
    with pytest.raises(UserError, match=message):
        shard_of("auto")
