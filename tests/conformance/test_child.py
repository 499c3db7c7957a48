"""Fresh processes for checks: nothing of one reaches the next, and the next always starts."""

from __future__ import annotations

import numpy as np
import pytest

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
                case "strikes": os.kill(os.getppid(), signal.SIGKILL)
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


def test_a_process_that_takes_too_long_is_ended_and_the_next_one_works(fit):
    with pytest.raises(ChildError, match="not done after 1 seconds"):
        fit("sleeps", 1.0)
    assert fit("counts") == 11
