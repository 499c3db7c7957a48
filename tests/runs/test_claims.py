"""Claims: one process runs a job, others see how far it is, and take over when it is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Event
from types import SimpleNamespace

import pytest

from genebench.errors import UserError
from genebench.results.paths import ResultPaths
from genebench.runs import claims as module
from genebench.runs.claims import LOST_AFTER, ClaimedError, claimed, claims

KEY = "0" * 24
HOLDER = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from genebench.runs.claims import claimed
key = "0" * 24
job = SimpleNamespace(key=key, label="theirs", evaluations=[SimpleNamespace(key=key)])
with claimed(Path(sys.argv[1]), job) as claim:
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


def job(label="mine", keys=(KEY,)):
    """Return as much of a job as a claim needs."""
    evaluations = [SimpleNamespace(key=key) for key in keys]
    return SimpleNamespace(key=keys[0], label=label, evaluations=evaluations)


def file_of(folder, generation, key=KEY):
    return ResultPaths(folder).claims(key) / str(generation)


def elsewhere(monkeypatch):
    """Make this process one on another machine, for claims that exist."""
    monkeypatch.setattr(module, "_host", lambda: "another")


def test_a_job_that_is_claimed_is_not_claimed_again(other, tmp_path):
    with (
        pytest.raises(ClaimedError, match=f"process {other.pid} on ") as caught,
        claimed(tmp_path, job()),
    ):
        pass
    assert caught.value.claim.label == "theirs"


def test_progress_and_device_are_seen_by_others(tmp_path, wait_until):
    with claimed(tmp_path, job("lsr on sim")) as held:
        held.runs_on("cuda")
        held.report(5, 20, "epoch 5")
        wait_until(lambda: claims(tmp_path)[0].done == 5)
        [claim] = claims(tmp_path)
        assert (claim.label, claim.device, claim.total) == ("lsr on sim", "cuda", 20)
        assert (claim.message, claim.pid, claim.is_stale) == ("epoch 5", os.getpid(), False)


def test_a_claim_that_ends_leaves_nothing(tmp_path):
    with claimed(tmp_path, job()):
        assert len(claims(tmp_path)) == 1
    assert claims(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_on_this_machine_has_lost_its_job_at_once(other, tmp_path):
    other.kill()
    other.wait()
    [claim] = claims(tmp_path)
    assert claim.is_stale
    with claimed(tmp_path, job()):
        [claim] = claims(tmp_path)
        assert (claim.generation, claim.label) == (2, "mine")
    assert claims(tmp_path) == []


def test_a_process_whose_number_is_used_again_is_not_the_one_that_claimed(tmp_path, monkeypatch):
    with claimed(tmp_path, job()):
        [claim] = claims(tmp_path)
    monkeypatch.setattr(module, "_start_ticks", lambda pid: "1")
    assert claim.is_stale


def test_a_job_of_another_machine_is_lost_without_heartbeat_only(other, tmp_path, monkeypatch):
    elsewhere(monkeypatch)
    other.kill()
    other.wait()
    [claim] = claims(tmp_path)
    assert not claim.is_stale
    with pytest.raises(ClaimedError), claimed(tmp_path, job()):
        pass
    path = file_of(tmp_path, 1)
    os.utime(path, (0, path.stat().st_mtime - 1000))
    with claimed(tmp_path, job()):
        assert claims(tmp_path)[0].generation == 2


def test_the_heartbeat_goes_on_while_a_job_reports_nothing(tmp_path, monkeypatch, wait_until):
    monkeypatch.setenv(LOST_AFTER, "1")
    with claimed(tmp_path, job()):
        path = file_of(tmp_path, 1)
        before = path.stat().st_mtime_ns
        wait_until(lambda: path.stat().st_mtime_ns > before)


def test_a_process_whose_job_was_taken_over_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(LOST_AFTER, "1")
    lost = Event()
    with claimed(tmp_path, job(), lost.set):
        file_of(tmp_path, 2).touch()
        assert lost.wait(120)


def test_of_many_processes_one_takes_over(other, tmp_path, wait_until):
    other.kill()
    other.wait()
    code = HOLDER.replace("time.sleep(600)", "sys.stdin.read()")
    commands = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for _ in range(6)
    ]  # fmt: skip
    # The one that claims the job holds it until its input ends, however late others start.
    wait_until(lambda: sum(process.poll() is not None for process in commands) == 5)
    outputs = [process.communicate()[0] for process in commands]
    assert outputs.count(b"claimed\n") == 1


def test_jobs_with_a_record_in_common_exclude_each_other(tmp_path):
    one, two, three = ("1" * 24, "2" * 24, "3" * 24)
    with claimed(tmp_path, job(keys=[two, one])):
        for keys in ([one], [two], [two, three], [three, one]):
            with pytest.raises(ClaimedError), claimed(tmp_path, job(keys=keys)):
                pass
        with claimed(tmp_path, job(keys=[three])):
            assert {claim.key for claim in claims(tmp_path)} == {one, two, three}
        # What failed to claim all of them has given back what it had.
        assert {claim.key for claim in claims(tmp_path)} == {one, two}
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_wakes_up_after_it_was_replaced_leaves_the_other_claim(
    tmp_path, monkeypatch
):
    """Otherwise a third process would find no first claim, and begin beside the second."""
    with claimed(tmp_path, job()):
        file_of(tmp_path, 2).write_text(file_of(tmp_path, 1).read_text())
    assert [claim.generation for claim in claims(tmp_path)] == [2]
    with pytest.raises(ClaimedError), claimed(tmp_path, job()):
        pass


def test_a_job_can_be_claimed_whatever_gaps_lost_claims_have_left(other, tmp_path):
    other.kill()
    other.wait()
    lost = file_of(tmp_path, 1).read_text()
    for generation in (3, 7):
        file_of(tmp_path, generation).write_text(lost)
    file_of(tmp_path, 1).unlink()
    with claimed(tmp_path, job()):
        assert [claim.generation for claim in claims(tmp_path)] == [8]
    assert claims(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_is_not_written_yet_counts_as_one(tmp_path):
    path = file_of(tmp_path, 1)
    path.parent.mkdir(parents=True)
    path.touch()
    assert claims(tmp_path) == []
    with pytest.raises(ClaimedError), claimed(tmp_path, job()):
        pass


@pytest.mark.parametrize("content", [b"{", b'{"pid": "x"}', b"[]", b"x" * 20_000])
def test_a_damaged_claim_is_no_harm(tmp_path, content):
    path = file_of(tmp_path, 1)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert claims(tmp_path) == []


def test_a_time_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(LOST_AFTER, "soon")
    with pytest.raises(UserError, match=r"GENEBENCH_LOST_AFTER=soon: not a number of seconds\. "):
        module.lost_seconds()
