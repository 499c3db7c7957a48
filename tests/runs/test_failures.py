"""Failures of plugin code: every exception becomes one kind, except those that end a run."""

from __future__ import annotations

import pytest

from genebench import UserError
from genebench.results.limits import LINE_LETTERS, TEXT_LETTERS
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


def test_a_long_message_and_traceback_are_cut_and_say_so():
    with pytest.raises(MethodFailedError) as caught, method_code():
        raise ValueError("x" * 10_000_000)
    failure = caught.value.failure
    assert (len(failure.message), failure.message[-1]) == (LINE_LETTERS, "…")
    assert len(failure.traceback) == TEXT_LETTERS
    assert failure.traceback.startswith("Traceback")
    assert "letters are left out here" in failure.traceback


class _UnprintableError(ValueError):
    def __str__(self):
        raise RuntimeError("no")


def test_an_exception_that_cannot_be_printed_is_described():
    with pytest.raises(MethodFailedError) as caught, method_code():
        raise _UnprintableError
    assert caught.value.failure.message == "(its message cannot be printed)"


def test_half_a_character_in_a_message_does_not_lose_the_failure():
    with pytest.raises(MethodFailedError) as caught, method_code():
        raise ValueError("half: \ud800")
    assert caught.value.failure.message == "half: \\ud800"
