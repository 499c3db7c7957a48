"""Tests that no process is left, however a launcher, its job or its parent ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from genebench._util.subprocesses import import_path
from genebench.api import run
from genebench.results.store import ResultsStore
from genebench.sealing import client
from genebench.sealing.client import close_launchers, sealed
from genebench.sealing.failure import SealedFailureError
from genebench.sealing.launcher import Commands

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="processes are listed by /proc"
)


def test_a_job_that_is_killed_fails_with_its_last_output(job_of, fit):
    job = job_of("breaker")
    with pytest.raises(SealedFailureError, match="was ended by SIGKILL"), sealed(job) as method:  # noqa: PT012
        os.kill(method.process._pid, signal.SIGKILL)
        fit(method, job)


def test_a_launcher_that_is_killed_fails_its_job_alone(job_of, fit, wait_until, is_running):
    job = job_of("breaker")
    with pytest.raises(SealedFailureError, match="its process"), sealed(job) as method:  # noqa: PT012
        pid = method.process._pid
        launcher = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
        os.kill(int(launcher), signal.SIGKILL)
        # The supervisor ends the job.
        wait_until(lambda: not is_running(pid))
        fit(method, job)
    with sealed(job) as method:
        assert set(fit(method, job)) == {"geo", "gtex"}


def test_no_process_outlives_its_parent(tmp_path, plugins, wait_until, is_running):
    script = tmp_path / "parent.py"
    pids = tmp_path / "pids"
    script.write_text(
        "import os, socket, sys, time\n"
        "from genebench.sealing.client import Launcher\n"
        "launcher = Launcher()\n"
        "ours, theirs = socket.socketpair()\n"
        "access = {'import_path': sys.path, 'read': [], 'write': [sys.argv[1]], 'forbidden': []}\n"
        "order = {'access': access, 'environment': {}, 'landlocked': False}\n"
        "job = launcher.start(order, theirs)\n"
        "text = f'{launcher._worker._process.pid} {job}'\n"
        "open(sys.argv[2], 'w').write(text)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, script, tmp_path, pids], env=os.environ | {"PYTHONPATH": import_path()}
    )
    wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    left = pids.read_text().split()
    assert all(map(is_running, left))
    parent.kill()
    parent.wait()
    wait_until(lambda: not any(map(is_running, left)))


def test_closed_launchers_leave_no_process(job_of, fit, is_running):
    with sealed(job_of("breaker")):
        pass
    pids = [launcher._worker._process.pid for launcher in client._idle]
    assert pids
    close_launchers()
    assert not any(map(is_running, pids))


@pytest.mark.skipif(sys.platform != "linux", reason="libraries are shared by fork on Linux only")
def test_the_second_job_does_not_import_libraries_again(job_of, fit):
    """The launcher does so between the two, and holds no code of a method."""
    job = job_of("imports")
    seen = []
    for _ in range(2):
        with sealed(job) as method:
            model = fit(method, job)["geo"]
            model.read_facts()
            seen.append(model.choices)
    assert seen == [
        {"numba": False, "plugin": False, "after": True},
        {"numba": True, "plugin": False, "after": True},
    ]


def test_a_killed_job_becomes_a_failed_record(plugins, tiny, tmp_path):
    run("dies", dataset="sim", preset="tiny", results=tmp_path / "r", sealed="auto")
    failures = [r.failure for r in ResultsStore(tmp_path / "r").records() if r.failure]
    assert {failure.kind for failure in failures} == {"ProcessDied"}
    assert all("the last words" in failure.traceback for failure in failures)


def test_two_commands_that_arrive_at_once_are_both_followed():
    ours, theirs = socket.socketpair()
    ours.sendall(b'{"preload": []}\n')
    socket.send_fds(ours, [b'{"start": {}}\n'], [theirs.fileno()])
    commands = Commands(theirs)
    assert [list(commands.read()) for _ in range(2)] == [["preload"], ["start"]]
    with socket.socket(fileno=commands.descriptor()) as same:
        assert same.family == socket.AF_UNIX
    ours.close()
    theirs.close()
