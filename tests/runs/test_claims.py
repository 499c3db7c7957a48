"""Claims: one process runs a job, others see how far it is, and take over when it is lost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from threading import Event

import pytest

from genebench.errors import UserError
from genebench.results.paths import ResultPaths
from genebench.runs import claims as module
from genebench.runs.claims import LOST_AFTER, ClaimedError, claimed, claims

KEY = "0" * 24
HOLDER = """
import sys, time
from pathlib import Path
from genebench.runs.claims import claimed
with claimed(Path(sys.argv[1]), "0" * 24, "theirs") as claim:
    claim.report(3, 10, "half")
    print("claimed", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Claim the job in another process."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"claimed\n"
        yield process
        process.kill()


def elsewhere(monkeypatch):
    """Make this process one on another machine, for claims that exist."""
    monkeypatch.setattr(module, "_host", lambda: "another")


def wait_until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_that_is_claimed_is_not_claimed_again(other, tmp_path):
    with (
        pytest.raises(ClaimedError, match=f"process {other.pid} on ") as caught,
        claimed(tmp_path, KEY, "mine"),
    ):
        pass
    assert caught.value.claim.label == "theirs"


def test_progress_and_device_are_seen_by_others(tmp_path):
    with claimed(tmp_path, KEY, "lsr on sim") as held:
        held.runs_on("cuda")
        held.report(5, 20, "epoch 5")
        wait_until(lambda: claims(tmp_path)[0].done == 5)
        [claim] = claims(tmp_path)
        assert (claim.label, claim.device, claim.total) == ("lsr on sim", "cuda", 20)
        assert (claim.message, claim.pid, claim.is_stale) == ("epoch 5", os.getpid(), False)


def test_a_claim_that_ends_leaves_nothing(tmp_path):
    with claimed(tmp_path, KEY, "mine"):
        assert len(claims(tmp_path)) == 1
    assert claims(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_on_this_machine_has_lost_its_job_at_once(other, tmp_path):
    other.kill()
    other.wait()
    [claim] = claims(tmp_path)
    assert claim.is_stale
    with claimed(tmp_path, KEY, "mine"):
        [claim] = claims(tmp_path)
        assert (claim.generation, claim.label) == (2, "mine")
    assert claims(tmp_path) == []


def test_a_process_whose_number_is_used_again_is_not_the_one_that_claimed(tmp_path, monkeypatch):
    with claimed(tmp_path, KEY, "mine"):
        [claim] = claims(tmp_path)
    monkeypatch.setattr(module, "_born", lambda pid: "1")
    assert claim.is_stale


def test_a_job_of_another_machine_is_lost_without_heartbeat_only(other, tmp_path, monkeypatch):
    elsewhere(monkeypatch)
    other.kill()
    other.wait()
    [claim] = claims(tmp_path)
    assert not claim.is_stale
    with pytest.raises(ClaimedError), claimed(tmp_path, KEY, "mine"):
        pass
    path = ResultPaths(tmp_path).claim(KEY, 1)
    os.utime(path, (0, path.stat().st_mtime - 1000))
    with claimed(tmp_path, KEY, "mine"):
        assert claims(tmp_path)[0].generation == 2


def test_the_heartbeat_goes_on_while_a_job_reports_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(LOST_AFTER, "1")
    with claimed(tmp_path, KEY, "mine"):
        path = ResultPaths(tmp_path).claim(KEY, 1)
        before = path.stat().st_mtime_ns
        wait_until(lambda: path.stat().st_mtime_ns > before)


def test_a_process_whose_job_was_taken_over_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(LOST_AFTER, "1")
    lost = Event()
    with claimed(tmp_path, KEY, "mine", lost.set):
        ResultPaths(tmp_path).claim(KEY, 2).touch()
        assert lost.wait(20)


def test_of_many_processes_one_takes_over(other, tmp_path):
    other.kill()
    other.wait()
    code = HOLDER.replace("time.sleep(600)", "time.sleep(2)")
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for _ in range(6)
    ]  # fmt: skip
    outputs = [process.communicate()[0] for process in commands]
    assert outputs.count(b"claimed\n") == 1


def test_a_claim_that_is_not_written_yet_counts_as_one(tmp_path):
    path = ResultPaths(tmp_path).claim(KEY, 1)
    path.parent.mkdir()
    path.touch()
    assert claims(tmp_path) == []
    with pytest.raises(ClaimedError), claimed(tmp_path, KEY, "mine"):
        pass


@pytest.mark.parametrize("content", [b"{", b'{"pid": "x"}', b"[]", b"x" * 20_000])
def test_a_damaged_claim_is_no_harm(tmp_path, content):
    path = ResultPaths(tmp_path).claim(KEY, 1)
    path.parent.mkdir()
    path.write_bytes(content)
    assert claims(tmp_path) == []


def test_a_time_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(LOST_AFTER, "soon")
    with pytest.raises(UserError, match=r"GENEBENCH_LOST_AFTER=soon: not a number of seconds\. "):
        module.lost_seconds()
