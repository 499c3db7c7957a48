"""Failures of plugin code: every exception becomes one kind, except those that end a run."""

from __future__ import annotations

import pytest

from genebench import UserError
from genebench.runs.failures import MethodFailedError, method_code


@pytest.mark.parametrize(
    "error", [ValueError("no luck"), SystemExit("bye"), StopIteration(), UserError("no")], ids=repr
)
def test_whatever_a_method_raises_is_described(error):
    with pytest.raises(MethodFailedError) as caught, method_code():
        raise error
    failure = caught.value.failure
    assert (failure.kind, failure.message) == (type(error).__name__, str(error))
    assert failure.traceback.startswith("Traceback")
    assert "raise error" in failure.traceback


@pytest.mark.parametrize("error", [KeyboardInterrupt(), UserError("k is above 9")], ids=repr)
def test_an_interruption_and_what_is_passed_on_are_raised_as_they_are(error):
    with pytest.raises(type(error)) as caught, method_code(UserError):
        raise error
    assert caught.value is error
