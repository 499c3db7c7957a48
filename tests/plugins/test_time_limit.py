"""Time limit: what takes too long is interrupted, and the alarms of others go on as before."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from threading import Thread

import pytest

from genebench.errors import UserError
from genebench.plugins.time_limit import LIMIT, Overdue, call_within, time_limit


@pytest.fixture(autouse=True)
def alarms():
    """Each test leaves the alarm as it was; it rings into this list."""
    rung = []
    before = signal.signal(signal.SIGALRM, lambda *_: rung.append(time.monotonic()))
    yield rung
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def loop(*ignored):
    """Loop for ever, or until an interruption that is not ignored."""
    while True:
        with suppress(*ignored):
            while True:
                time.sleep(0.001)


def test_what_returns_in_time_gives_its_answer_and_what_raises_raises():
    assert call_within(60, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        call_within(60, lambda: 1 / 0)


@pytest.mark.parametrize("ignored", [(), (Exception,)])
def test_what_loops_is_interrupted_even_if_it_goes_on_after_every_exception(ignored):
    began = time.monotonic()
    with pytest.raises(Overdue, match=rf"took more than 0\.1 s to load\. Set {LIMIT} to allow"):
        call_within(0.1, lambda: loop(*ignored))
    assert 0.1 <= time.monotonic() - began < 5


def test_what_swallows_an_interruption_is_interrupted_again():
    def swallow_once():
        with suppress(BaseException):
            loop()
        loop()

    with pytest.raises(Overdue):
        call_within(0.1, swallow_once)


@pytest.mark.parametrize("seconds", [0, 60])
def test_no_alarm_rings_afterwards(alarms, seconds):
    call_within(seconds, lambda: None)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    signal.raise_signal(signal.SIGALRM)
    assert len(alarms) == 1


@pytest.mark.parametrize("call", [lambda: time.sleep(0.05), loop])
def test_an_alarm_that_was_set_before_rings_when_it_would_have(alarms, call):
    began = time.monotonic()
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    with suppress(Overdue):
        call_within(0.1, call)
    while not alarms:
        assert time.monotonic() - began < 10
        time.sleep(0.01)
    assert 0.5 <= alarms[0] - began < 5


def test_an_alarm_that_has_become_due_rings_at_once(alarms):
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    call_within(60, lambda: time.sleep(0.2))
    time.sleep(0.05)
    assert len(alarms) == 1


def test_another_thread_is_not_interrupted():
    given = []
    thread = Thread(
        target=lambda: given.append(call_within(0.01, lambda: time.sleep(0.1) or "done"))
    )
    thread.start()
    thread.join()
    assert given == ["done"]


@pytest.mark.parametrize(("text", "seconds"), [("", 20), ("1.5", 1.5), ("0", 0)])
def test_the_limit_is_that_of_the_environment(monkeypatch, text, seconds):
    monkeypatch.setenv(LIMIT, text)
    assert time_limit() == seconds


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "inf", "1e9"])
def test_a_limit_that_is_none_is_refused_in_one_line(monkeypatch, text, genebench):
    monkeypatch.setenv(LIMIT, text)
    with pytest.raises(UserError, match=rf"{LIMIT}={text}: this is not a time limit\. Write"):
        time_limit()


def test_what_swallows_the_interruption_is_overdue_when_it_is_done():
    def stubborn():
        with suppress(BaseException):
            loop()
        return 1

    with pytest.raises(Overdue):
        call_within(0.2, stubborn)
