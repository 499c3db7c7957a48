"""Progress of long work: on a terminal, elsewhere, and with --quiet."""

from __future__ import annotations

import io
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import pytest

from genebench.cli import progress
from genebench.cli.progress import bar, jobs_shown
from genebench.plugins.discovery import installed

MESSAGE = "epoch 9 of 80, MAE train 0.3000, geo 0.4107 █▅▂▁, gtex 0.6543 █▄▁▁"


class Terminal(io.TextIOWrapper):
    """A stream of an encoding that counts as a terminal."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)

    def isatty(self):
        return True

    @property
    def shown(self):
        return self.buffer.getvalue().decode(self.encoding)


@dataclass(frozen=True)
class Evaluation:
    key: str


@dataclass(frozen=True)
class Job:
    label: str = "ggan seed 0 on u133 (geo, gtex)"
    evaluations: tuple[Evaluation, ...] = (Evaluation("first"), Evaluation("second"))

    @property
    def key(self):
        return self.evaluations[0].key


def job(number):
    return Job(f"ggan hidden=9000 seed {number} on u133 (geo, gtex)", (Evaluation(str(number)),))


def hooks():
    return installed().manager.hook


@pytest.fixture
def terminal(monkeypatch):
    def replaced(encoding):
        stream = Terminal(encoding)
        monkeypatch.setattr(sys, "stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        return stream

    return replaced


def train(*, quiet=False):
    """Notify observers as a run does while a job trains."""
    with jobs_shown(2, quiet=quiet):
        hooks().genebench_job_started(job=Job())
        hooks().genebench_job_progressed(job=Job(), done=9, total=80, message=MESSAGE)


def test_a_terminal_shows_the_curve_of_each_validation_set_however_narrow(terminal):
    stream = terminal("utf-8")
    train()
    assert "█▅▂▁" in stream.shown
    assert "█▄▁▁" in stream.shown


def test_a_terminal_without_block_characters_shows_it_in_ascii(terminal):
    stream = terminal("latin-1")
    train()
    assert "#=._" in stream.shown
    assert "#-__" in stream.shown


def test_elsewhere_there_is_a_plain_line_now_and_then(capsys, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    with bar(quiet=False) as show:
        for now[0] in (100.0, 129.0, 130.0, 159.0, 161.0):
            show(int(now[0]), 200, f"at {now[0]:.0f}")
    assert capsys.readouterr().err.splitlines() == ["at 130 (65%)", "at 161 (80%)"]


def test_a_plain_line_has_no_curve(capsys, monkeypatch):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    train()
    assert capsys.readouterr().err.splitlines()[-1] == (
        "[0/2] ggan seed 0 on u133 (geo, gtex): "
        "epoch 9 of 80, MAE train 0.3000, geo 0.4107, gtex 0.6543 (11%)"
    )


def test_quiet_shows_nothing_anywhere(capsys, monkeypatch, terminal):
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.0)
    train(quiet=True)
    assert capsys.readouterr().err == ""
    stream = terminal("utf-8")
    train(quiet=True)
    assert stream.shown == ""


def lines_of(stream):
    """Return the lines of a terminal's output without what controls it."""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.shown)
    return [line.rstrip() for line in re.split(r"[\r\n]+", plain) if line.strip()]


def test_each_running_job_has_one_line_in_a_terminal(terminal):
    stream = terminal("utf-8")
    with jobs_shown(5, quiet=False):
        for number in range(3):
            hooks().genebench_job_started(job=job(number))
            hooks().genebench_job_progressed(
                job=job(number), done=9, total=80, message=f"epoch 9, MAE 0.3 {'█▅▂▁' * 20}"
            )
    last = lines_of(stream)[-4:]
    assert [line.split(" on ")[0] for line in last[:3]] == [
        f"ggan hidden=9000 seed {number}" for number in range(3)
    ]
    assert last[3] == "[0/5] 3 running"
    assert max(map(len, last)) <= 80


@pytest.mark.parametrize(("encoding", "ellipsis"), [("utf-8", "…"), ("latin-1", "...")])
def test_more_jobs_than_fit_are_counted(terminal, encoding, ellipsis):
    stream = terminal(encoding)
    with jobs_shown(44, quiet=False):
        for number in range(44):
            hooks().genebench_job_started(job=job(number))
    last = lines_of(stream)[-12:]
    assert "seed 0 on" in last[0]
    assert "seed 9 on" in last[9]
    assert last[10:] == [f"{ellipsis} and 34 more", "[0/44] 44 running"]


def test_a_job_that_ends_leaves_its_line_to_another(terminal, made_up):
    stream = terminal("utf-8")
    with jobs_shown(12, quiet=False):
        for number in range(12):
            hooks().genebench_job_started(job=job(number))
        for number in (0, 5):
            hooks().genebench_job_finished(job=job(number), records=[made_up("ggan", {})])
    last = lines_of(stream)[-11:]
    shown = [int(re.search(r"seed (\d+)", line)[1]) for line in last[:-1]]
    assert shown == [1, 2, 3, 4, 6, 7, 8, 9, 10, 11]
    assert last[-1] == "[2/12] 10 running"


@pytest.fixture
def clock(monkeypatch):
    """Return a clock that stands still until its value is set."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def took(made_up, seconds, **changes):
    return made_up("ggan", {}).model_copy(update={"seconds": seconds, **changes})


def test_jobs_are_numbered_as_they_end_and_timed_from_their_own_start(capsys, clock, made_up):
    with jobs_shown(3, quiet=False):
        for number in range(3):
            clock[0] = 100.0 + 10 * number
            hooks().genebench_job_started(job=job(number))
        for clock[0], number in ((125.0, 2), (130.0, 0), (131.0, 1)):
            hooks().genebench_job_finished(job=job(number), records=[took(made_up, {"fit": 1.0})])
    assert capsys.readouterr().err.splitlines() == [
        f"[{place}/3] {job(number).label}: done in {seconds} s"
        for place, number, seconds in ((1, 2, "5.0"), (2, 0, "30.0"), (3, 1, "21.0"))
    ]


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        ({"fit": 60.0, "predict": 2.0}, {"fit": 60.0, "predict": 3.0, "score": 1.0}, "66.0"),
        ({"process": 9.0}, {"process": 9.0}, "9.0"),
    ],
)
def test_a_job_of_another_run_takes_what_its_records_say_with_one_fit(
    capsys, made_up, first, second, shown
):
    with jobs_shown(1, quiet=False):
        records = [took(made_up, first), took(made_up, second)]
        hooks().genebench_job_finished(job=job(0), records=records)
    assert capsys.readouterr().err == f"[1/1] {job(0).label}: done in {shown} s\n"


def test_a_failed_job_says_why(capsys, clock, made_up):
    with jobs_shown(1, quiet=False):
        hooks().genebench_job_started(job=job(0))
        hooks().genebench_job_finished(job=job(0), records=[made_up("ggan", {}, None)])
    assert f"[1/1] {job(0).label}: failed: " in capsys.readouterr().err


def test_a_job_may_end_with_a_part_of_its_evaluations(terminal, made_up):
    stream = terminal("utf-8")
    rest = replace(Job(), evaluations=Job().evaluations[1:])
    with jobs_shown(2, quiet=False):
        hooks().genebench_job_started(job=Job())
        hooks().genebench_job_finished(job=rest, records=[made_up("ggan", {}, None)])
    assert lines_of(stream)[-1] == "[1/2] 0 running"


def test_a_late_message_does_not_bring_a_job_back(terminal, made_up):
    stream = terminal("utf-8")
    with jobs_shown(2, quiet=False):
        hooks().genebench_job_started(job=job(0))
        hooks().genebench_job_finished(job=job(0), records=[made_up("ggan", {})])
        hooks().genebench_job_progressed(job=job(0), done=1, total=2, message="late")
    assert "late" not in stream.shown
    assert lines_of(stream)[-1] == "[1/2] 0 running"


def test_elsewhere_each_job_has_a_line_now_and_then(capsys, clock):
    with jobs_shown(2, quiet=False):
        for number in range(2):
            hooks().genebench_job_started(job=job(number))
        for clock[0] in (110.0, 130.0, 140.0, 160.0):
            for number in range(2):
                hooks().genebench_job_progressed(
                    job=job(number), done=int(clock[0]), total=200, message="fit"
                )
    assert capsys.readouterr().err.splitlines() == [
        f"[0/2] {job(number).label}: fit ({share})"
        for share in ("65%", "80%")
        for number in range(2)
    ]


def test_jobs_that_end_in_many_threads_each_have_a_number_of_their_own(capsys, made_up):
    record = made_up("ggan", {})

    def end(number):
        hooks().genebench_job_started(job=job(number))
        hooks().genebench_job_finished(job=job(number), records=[record])

    with jobs_shown(200, quiet=False), ThreadPoolExecutor(16) as pool:
        list(pool.map(end, range(200)))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("]")[0] for line in lines] == [f"[{place}/200" for place in range(1, 201)]
    assert len({line.split()[3] + line.split()[4] for line in lines}) == 200


@pytest.mark.parametrize(
    ("status", "line"),
    [
        ({"status": "not applicable", "reason": "needs arrays", "failure": None},
         "[1/2] ggan seed 0 on u133 (geo, gtex): not applicable (needs arrays)\n"),
        ({"seconds": {"fit": 2.0}}, "failed: ValueError: no luck in 2.0 s\n"),
    ],
)  # fmt: skip
def test_the_line_of_a_job_without_scores_has_its_reason(made_up, capsys, status, line):
    record = made_up("ggan", {}, None, **status)
    with jobs_shown(2, quiet=False):
        hooks().genebench_job_started(job=Job())
        hooks().genebench_job_finished(job=Job(), records=[record])
    assert line in capsys.readouterr().err
