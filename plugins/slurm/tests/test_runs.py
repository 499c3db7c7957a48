"""Arrays of a results folder: what one driver writes and another one reads."""

from __future__ import annotations

import pytest

from genebench_slurm.runs import Ended, Runs

NAME, OTHER = "0123456789ab", "ba9876543210"
KEYS = ("a" * 24, "b" * 24, "c" * 24)


@pytest.fixture
def runs(tmp_path):
    return Runs(tmp_path / ".slurm")


@pytest.fixture
def array(runs):
    return runs.create(NAME, "#!/bin/bash\n", f"{KEYS[0]} {KEYS[1]}\n{KEYS[2]}\n")


def test_an_array_is_read_back(runs, array):
    assert runs.all() == [array]
    assert array.tasks == (KEYS[:2], KEYS[2:])
    assert array.number == 0
    numbered = array.with_number(42)
    assert runs.all() == [numbered]
    assert numbered.number == 42


def test_the_latest_array_comes_last(runs, array):
    other = runs.create(OTHER, "", f"{KEYS[0]}\n").with_number(7)
    assert runs.all() == [array, other]
    assert runs.all() == [array, other.with_number(7)]


def test_foreign_folders_and_keys_are_left_out(runs, array):
    (runs.folder / "elsewhere").mkdir()
    (array.folder / "keys.txt").write_text(f"{KEYS[0]} ../../etc $(reboot)\n")
    [read] = runs.all()
    assert read.tasks == ((KEYS[0],),)


def test_a_log_is_read_from_its_last_start(array):
    log = array.folder / "1.log"
    assert array.log(1) == []
    log.write_text("genebench task 1 on n1\nold\ngenebench task 1 on n2\nnew\n")
    assert array.log(1) == [b"genebench task 1 on n2", b"new"]
    log.write_text("x" * 40_000 + "\nlast\n")
    assert array.log(1)[-1] == b"last"
    assert sum(map(len, array.log(1))) < 33_000


def test_the_status_of_a_killed_task_is_not_known(array):
    assert array.status(1) is None
    (array.folder / "1.status").write_text("75\n")
    assert array.status(1) == 75


def test_one_driver_owns_an_array(runs, array):
    held = array.own()
    with pytest.raises(BlockingIOError):
        array.own()
    held.release()
    array.own().release()


def test_ends_are_read_back_and_broken_lines_left_out(runs, array):
    end = Ended(NAME, 3, "died", "FAILED", "n1", KEYS[0])
    runs.add(end)
    with (runs.folder / "ended.txt").open("a") as stream:
        stream.write("cut o")
    assert runs.ended() == {(NAME, 3): end}
    assert runs.ends_of(KEYS[0]) == [end]
    assert runs.ends_of(KEYS[1]) == []
    runs.tidy()
    assert runs.ended() == {(NAME, 3): end}
    array.remove()
    runs.tidy()
    assert [path.name for path in runs.folder.iterdir()] == []


def test_a_node_is_avoided_after_three_deaths_in_arrays_that_are_there(runs, array):
    other = runs.create(OTHER, "", f"{KEYS[0]}\n")
    for index, node in enumerate(["n1", "n2", "n1", "-", "-", "-"]):
        runs.add(Ended(NAME, index, "died", "FAILED", node, "-"))
    assert runs.avoided() == set()
    runs.add(Ended(OTHER, 1, "broken", "FAILED", "n1", "-"))
    assert runs.avoided() == {"n1"}
    other.remove()
    assert runs.avoided() == set()
