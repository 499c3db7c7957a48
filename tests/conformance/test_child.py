"""Fresh processes for checks: nothing of one reaches the next, and the next always starts."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest

from genebench._util.subprocesses import import_path
from genebench.conformance.child import ChildError, ask
from genebench.conformance.temporary_home import TemporaryHome

SOURCE = """
    import os, signal, sys, time
    import numpy as np
    from genebench import Method, Model, hookimpl
    from genebench.specs import MethodSpec, Param
    genebench_contract = 1
    fits = []

    class Says(Model):
        def __init__(self, value):
            self.value = value

        def predict(self, landmarks):
            return np.full((len(landmarks), 1), self.value) + landmarks[:, :1]

    class Odd(Method):
        def fit(self, train, validation_sets, context):
            fits.append(1)
            match self.params["does"]:
                case "counts": value = len(fits)
                case "reads": value = float(open(os.environ["A_FILE"]).read())
                case "raises": raise ValueError("no luck")
                case "ends": os._exit(7)
                case "sleeps": time.sleep(600)
                case "strikes":
                    os.kill(os.getppid(), signal.SIGKILL)
                    value = 0
                case "stays" | "strikes and stays":
                    with open(os.environ["A_FILE"], "w") as file:
                        file.write(str(os.getpid()))
                    if self.params["does"] != "stays":
                        os.kill(os.getppid(), signal.SIGKILL)
                    time.sleep(600)
            return {"geo": Says(value)}

    @hookimpl
    def genebench_methods():
        does = Param(name="does", default="counts", help="h")
        return [MethodSpec(name="odd", title="t", summary="s", code="odd:Odd", params=(does,))]
"""


@pytest.fixture(scope="module")
def data():
    return TemporaryHome()


@pytest.fixture
def fit(data, install):
    """Fit the method in a fresh process, and return its prediction of landmarks of 10."""
    install("odd", SOURCE)

    def fit(does, seconds=300.0):
        request = {"method": "odd", "params": {"does": does}}
        landmarks = {"geo": np.full((2, 3), 10, np.float32)}
        predicted = ask(data.path(), request, landmarks, seconds).predictions["geo"]
        assert predicted.shape == (2, 1)
        return predicted[0, 0]

    return fit


def test_nothing_of_one_process_is_there_in_the_next(fit):
    assert (fit("counts"), fit("counts")) == (11, 11)


def test_a_process_has_the_environment_and_the_folder_of_the_moment(fit, monkeypatch, tmp_path):
    for number in (1, 2):
        folder = tmp_path / f"folder {number}"
        folder.mkdir()
        (folder / f"file {number}").write_text(str(number))
        monkeypatch.chdir(folder)
        monkeypatch.setenv("A_FILE", f"file {number}")
        assert fit("reads") == 10 + number


@pytest.mark.parametrize(
    ("does", "reason"),
    [
        ("raises", "ValueError: no luck"),
        ("ends", "it ended with status 7"),
        ("strikes", "its process was ended from outside"),
    ],
)
def test_a_process_that_fails_says_why_and_the_next_one_works(fit, does, reason):
    with pytest.raises(ChildError, match=f"^{reason}$"):
        fit(does)
    assert fit("counts") == 11


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_process_without_its_server_is_ended_and_the_next_one_works(
    fit, monkeypatch, tmp_path, wait_until, is_running
):
    monkeypatch.setenv("A_FILE", str(tmp_path / "pid"))
    fit("counts")
    with pytest.raises(ChildError, match=r"^it was not done after 2 seconds$"):
        fit("strikes and stays", 2.0)
    wait_until(lambda: not is_running((tmp_path / "pid").read_text()))
    assert fit("counts") == 11


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_process_ends_with_the_process_of_the_checks(
    data, install, tmp_path, wait_until, is_running
):
    install("odd", SOURCE)
    source = f"""
        from pathlib import Path
        from numpy import ones
        from genebench.conformance.child import ask
        request = {{"method": "odd", "params": {{"does": "stays"}}}}
        ask(Path({str(data.path())!r}), request, {{"geo": ones((2, 3))}}, 600)
    """
    file = tmp_path / "pid"
    environment = os.environ | {"PYTHONPATH": import_path(), "A_FILE": str(file)}
    checks = subprocess.Popen([sys.executable, "-c", dedent(source)], env=environment)
    wait_until(lambda: file.exists() and file.read_text())
    pid = file.read_text()
    assert is_running(pid)
    checks.kill()
    checks.wait()
    wait_until(lambda: not is_running(pid))


def test_an_order_and_landmarks_may_be_larger_than_a_buffer(data, install, monkeypatch):
    install("odd", SOURCE)
    monkeypatch.setenv("LARGE", "x" * 100_000)
    request = {"method": "odd", "params": {"does": "counts"}}
    landmarks = {"geo": np.full((3000, 900), 10, np.float32)}
    assert (ask(data.path(), request, landmarks, 300.0).predictions["geo"] == 11).all()


def test_a_process_that_takes_too_long_is_ended_and_the_next_one_works(fit):
    with pytest.raises(ChildError, match="not done after 1 seconds"):
        fit("sleeps", 1.0)
    assert fit("counts") == 11
