"""Retries of what a network file system fails for a moment."""

from __future__ import annotations

import errno

import pytest

from genebench._util import retries


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(retries, "_PAUSES_SECONDS", (0, 0, 0))


def failing(code, times):
    calls = []

    def action():
        calls.append(code)
        if len(calls) <= times:
            raise OSError(code, "no")
        return "done"

    return action, calls


@pytest.mark.parametrize("code", [errno.ESTALE, errno.ENOLCK, errno.EIO])
def test_an_error_that_passes_is_waited_for(code):
    action, calls = failing(code, 3)
    assert retries.retried(action) == "done"
    assert len(calls) == 4


def test_one_that_stays_is_raised():
    action, calls = failing(errno.EIO, 99)
    with pytest.raises(OSError, match="no"):
        retries.retried(action)
    assert len(calls) == 4


def test_another_error_is_raised_at_once():
    action, calls = failing(errno.ENOSPC, 99)
    with pytest.raises(OSError, match="no"):
        retries.retried(action)
    assert len(calls) == 1
