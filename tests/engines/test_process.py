"""The process engine: whatever a method does to its process, the run goes on and records it."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genebench import hookimpl
from genebench._util.hashing import code_digest
from genebench.api import execute_plan, plan_run, planned_records, run
from genebench.data.store import DataStore
from genebench.engines.contained import _MODULE, _Watch
from genebench.errors import UserError
from genebench.plugins.discovery import installed, use_files
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry
from genebench.processes import supervisor
from genebench.processes.worker import _SUPERVISOR, Worker
from genebench.results.checks import verify
from genebench.results.store import ResultsStore
from genebench.runs.execute import execute
from genebench.runs.jobs import Settings
from genebench.runs.orders import Order, decoded

ROGUE = """
import ctypes, os, signal, sys, time
from pathlib import Path
from genebench import Method, Model, UserError, hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1

@hookimpl
def genebench_methods():
    how = Param(name="how", default="works", help="h")
    return [MethodSpec(name="rogue", title="t", summary="s", code="rogue:Rogue", params=(how,))]

@hookimpl
def genebench_job_started(job):
    raise RuntimeError("an observer \\x1b[31m fails")

class Zero(Model):
    n_parameters = 0
    def __init__(self, targets, how):
        self.targets, self.how = targets, how
    def predict(self, landmarks):
        if self.how == "dies late" and len(landmarks) == 60:  # the test profiles of gtex
            os._exit(7)
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0

class Rogue(Method):
    def __init__(self, how):
        if how == "refuses":
            raise UserError("rogue.how=refuses: not with me")
        self.how = how
    def fit(self, train, validation_sets, context):
        context.progress(1, 2, "half way")
        getattr(self, self.how.replace(" ", "_"), lambda: None)()
        return dict.fromkeys(validation_sets, Zero(len(train.target_genes), self.how))
    def loops(self):
        if os.fork() == 0:  # a child of its own, which ignores everything
            time.sleep(600)
        while True:
            pass
    def exits(self):
        print("\\x1b[31mlast words")
        os._exit(0)
    def crashes(self):
        ctypes.string_at(0)
    def leaks(self):
        held = []
        while True:
            held.append(b"x" * 2**24)
    def hides(self, held=0):  # a daemon: in a session of its own, and nobody's child
        hidden = Path(__file__).with_name("hidden")
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                hidden.touch()
                memory = b"x" * held
                time.sleep(600)
            os._exit(0)
        os.wait()
        while not hidden.exists():
            time.sleep(0.01)
    def hides_and_loops(self):
        self.hides(), self.loops()
    def hides_and_exits(self):
        self.hides(), os._exit(0)
    def hides_and_leaks(self):
        self.hides(2**29), time.sleep(600)
    def runs_away(self):  # a daemon that is another process at every look
        if os.fork() == 0:
            os.setsid()
            while os.fork() == 0:
                pass
            os._exit(0)
        self.loops()
    def ends_its_supervisor(self):
        os.kill(os.getppid(), signal.SIGKILL), self.loops()
    def prints(self):
        block = b"\\x1b]0;title\\x07\\xff\\x00" * 2**16
        for _ in range(40):  # 30 MB
            os.write(1, block), os.write(2, block)
        raise RuntimeError("after all that")
"""


@pytest.fixture
def rogue(tmp_path, monkeypatch, tiny):
    """Run the rogue in one way, each job in its own process: protocol → record."""
    monkeypatch.setenv(FILES, "")
    path = tmp_path / "rogue.py"
    path.write_text(ROGUE)
    use_files([path])
    registry.cache_clear()

    def run_it(how, protocols="geo", **limits):
        jobs, plan = planned(how, protocols, tmp_path)
        settings = Settings(results=tmp_path / "results", **limits)
        list(execute_plan(jobs, settings, "process"))
        records = planned_records(plan, settings.results)
        return {
            record.identity.protocol: record
            for record in records
            if record.identity.params == {"how": how}
        }

    yield run_it
    sys.modules.pop("rogue")
    installed.cache_clear()
    registry.cache_clear()


def planned(how, protocols, folder):
    plan = plan_run(
        "rogue", protocols, "sim", preset="tiny", seeds=1, overrides={"rogue": {"how": how}},
        results=folder / "results",
    )  # fmt: skip
    return [job for job in plan.remaining() if job.method.name == "rogue"], plan


@pytest.fixture
def watched():
    """An observer of this process, and the events that it has seen."""
    seen = []

    class Watcher:
        @hookimpl
        def genebench_job_started(self, job):
            seen.append("started")

        @hookimpl
        def genebench_job_progressed(self, done, total, message):
            seen.append((done, total, message))

        @hookimpl
        def genebench_job_finished(self, records):
            seen.append([record.status for record in records])

    return seen, Watcher()


def test_a_method_that_works_gives_the_same_as_in_this_process(rogue, tmp_path, watched, caplog):
    seen, watcher = watched
    installed().manager.register(watcher)
    with caplog.at_level(logging.WARNING, "genebench"):
        apart = rogue("works", "geo,gtex")
    assert seen == ["started", (1, 2, "half way"), ["done", "done"]]
    assert caplog.text.count("an observer �[31m fails") == 1
    here = run("rogue", "geo,gtex", preset="tiny", results=tmp_path / "here")
    for record in here.records:
        if record.identity.method == "rogue":
            other = apart[record.identity.protocol]
            assert (other.key, other.scores) == (record.key, record.scores)
            # Not their states in git, which change when this checkout is edited meanwhile.
            assert set(other.provenance.plugins) == set(record.provenance.plugins)
            assert other.provenance.plugins["rogue.py"].install == "file"
            assert verify(ResultsStore(tmp_path / "results").paths, other) == []


def test_a_method_that_ends_its_process_is_a_failed_record_with_its_last_words(rogue, watched):
    seen, watcher = watched
    installed().manager.register(watcher)
    record = rogue("exits")["geo"]
    assert record.failure.kind == "ProcessDied"
    assert record.failure.message == "its process ended with exit status 0"
    assert record.failure.traceback == "Printed last:\n�[31mlast words"
    assert record.seconds["process"] > 0
    assert seen[-1] == ["failed"]


def test_a_failure_is_recorded_although_the_dataset_was_replaced_meanwhile(rogue, monkeypatch):
    def follow_and_replace(watch, worker):
        follow(watch, worker)
        monkeypatch.setattr(DataStore, "open", lambda *_: None)

    follow = _Watch.follow
    monkeypatch.setattr(_Watch, "follow", follow_and_replace)
    record = rogue("exits")["geo"]
    assert record.failure.kind == "ProcessDied"
    assert record.profiles == {"train": 320, "validation": 40, "test": 40}


def test_a_crash_names_its_signal_and_leads_to_the_line(rogue):
    failure = rogue("crashes")["geo"].failure
    assert (failure.kind, failure.message) == ("ProcessDied", "its process was ended by SIGSEGV")
    assert "rogue.py" in failure.traceback
    assert "in crashes" in failure.traceback


def test_what_was_recorded_before_a_process_died_is_supervised(rogue):
    records = rogue("dies late", "geo,gtex")
    assert records["geo"].status == "done"
    assert records["gtex"].failure.message == "its process ended with exit status 7"


@pytest.fixture
def of_the_loop(monkeypatch):
    """Count a job's seconds from its first progress: a busy machine starts a process slowly."""
    began = []

    class Watcher:
        @hookimpl
        def genebench_job_progressed(self):
            began.append(time.monotonic())

    def seconds(_):
        return time.monotonic() - began[0] if began else 0.0

    installed().manager.register(Watcher())
    monkeypatch.setattr(Worker, "seconds", property(seconds))


@pytest.mark.parametrize("how", ["loops", "hides and loops", "runs away"])
def test_an_endless_loop_is_stopped_and_so_is_what_it_started(rogue, of_the_loop, tmp_path, how):
    record = rogue(how, time_limit=0.5)["geo"]
    assert (record.failure.kind, record.failure.message) == ("TimeLimit", "stopped after 0.5 s")
    assert 0.5 <= record.seconds["process"] < 100
    assert hidden(tmp_path) == ("hides" in how)
    assert living_of(tmp_path) == []


@pytest.mark.parametrize(("how", "status"), [("hides", "done"), ("hides and exits", "failed")])
def test_what_a_job_leaves_behind_ends_with_it(rogue, tmp_path, how, status):
    assert rogue(how)["geo"].status == status
    assert hidden(tmp_path)
    assert living_of(tmp_path) == []


def test_a_job_that_ends_its_supervisor_is_stopped_with_it(rogue, tmp_path):
    failure = rogue("ends its supervisor")["geo"].failure
    assert failure.message.startswith("its process was ended by SIGKILL")
    assert living_of(tmp_path) == []


def test_what_would_not_die_is_named(rogue, monkeypatch, caplog):
    def stubborn(pid):
        left(pid)
        return [12345]

    left = supervisor.kill
    monkeypatch.setattr(supervisor, "kill", stubborn)
    with caplog.at_level(logging.WARNING, "genebench"):
        rogue("works")
    assert "processes that a job has left cannot be ended: 12345" in caplog.text


def test_memory_of_a_process_that_hides_counts(rogue, tmp_path):
    record = rogue("hides and leaks", memory_limit=2**29, time_limit=60)["geo"]
    assert record.failure.kind == "MemoryLimit"
    assert 2**29 < record.peak_memory < 2**30
    assert hidden(tmp_path)
    assert living_of(tmp_path) == []


def test_a_leak_of_a_gigabyte_is_stopped_at_its_limit(rogue):
    record = rogue("leaks", memory_limit=2**30)["geo"]
    assert record.failure.kind == "MemoryLimit"
    assert "1,024 MiB allowed" in record.failure.message
    assert 2**30 < record.peak_memory < 2 * 2**30


def test_megabytes_of_garbage_neither_block_nor_reach_the_terminal(rogue, capfd):
    capfd.readouterr()
    failure = rogue("prints")["geo"].failure
    assert (failure.kind, failure.message) == ("RuntimeError", "after all that")
    assert capfd.readouterr() == ("", "")


def test_a_mistake_of_the_users_ends_the_run_in_one_line(rogue):
    with pytest.raises(UserError, match="not with me"):
        rogue("refuses")


def test_code_that_was_edited_after_planning_is_not_run_under_its_old_key(rogue, tmp_path):
    jobs, _ = planned("works", "geo", tmp_path)
    (tmp_path / "rogue.py").write_text(f"{ROGUE}\nEDITED = True\n")
    code_digest.cache_clear()  # as in a process that starts now
    with pytest.raises(
        UserError, match=r"rogue: its code was edited after planning\. Run the command again\."
    ):
        execute(jobs[0], Settings(results=tmp_path / "results"))


def test_an_interrupted_run_leaves_no_process(rogue, tmp_path):
    jobs, _ = planned("loops", "geo", tmp_path)

    class Interrupt:
        @hookimpl
        def genebench_job_progressed(self):
            raise KeyboardInterrupt

    installed().manager.register(Interrupt())
    with pytest.raises(KeyboardInterrupt):
        list(execute_plan(jobs, Settings(results=tmp_path / "results"), "process"))
    assert living_of(tmp_path) == []
    assert ResultsStore(tmp_path / "results").keys() == []


def test_a_worker_and_all_below_it_end_when_its_parent_is_killed(rogue, tmp_path, wait_until):
    jobs, _ = planned("hides and loops", "geo", tmp_path)
    ResultsStore(tmp_path / "results").prepare()
    order = Order.of(jobs[0], Settings(results=tmp_path / "results"))
    worker = Worker(order.encoded(), _MODULE)
    while not hidden(tmp_path):
        assert not worker.has_ended()
    worker._input.close()  # as the system does for a parent that is no more
    wait_until(worker.has_ended)
    assert living_of(tmp_path) == []
    worker.stop()


def test_an_order_survives_its_journey(rogue, tmp_path):
    jobs, _ = planned("works", "geo,gtex", tmp_path)
    settings = Settings(results=tmp_path, time_limit=1.5, keep=frozenset({"model"}))
    order = Order.of(jobs[0], settings)
    assert decoded(order.encoded()) == order
    assert b"\n" not in order.encoded()


@pytest.mark.parametrize("name", ["lsr-l2", "dgex", "ggan", "knn"])
def test_orders_keep_the_types_of_parameters(name, tiny, tmp_path):
    plan = plan_run(
        name, "geo", "sim", preset="tiny", seeds=1, overrides={}, results=tmp_path / "results"
    )
    order = Order.of(plan.jobs[-1], Settings(results=tmp_path))
    read = decoded(order.encoded())
    read.check()
    assert read == order
    assert [type(value) for value in read.job.params.values()] == [
        type(value) for value in order.job.params.values()
    ]


def test_memory_counts_what_is_written_but_no_mapped_files(tmp_path):
    held = "import mmap, sys; f = open(sys.argv[1]); m = mmap.mmap(f.fileno(), 0, prot=1); m[:]"
    code = f"{held}; m[::4096]; b = bytearray(b'x' * 2**26); print('ready', flush=True); input()"
    file = tmp_path / "large"
    file.write_bytes(b"y" * 2**26)
    with supervised(code, file) as process:
        process.stdout.readline()
        memory = supervisor.memory_of(process.pid)
        assert supervisor.kill(process.pid) == []
    assert 2**26 < memory < 1.8 * 2**26
    assert process.returncode == -signal.SIGKILL


def test_a_process_and_its_supervisor_can_be_killed_where_there_is_no_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(supervisor, "_PROC", tmp_path)
    with supervised("print('ready', flush=True); import time; time.sleep(600)") as process:
        process.stdout.readline()
        assert supervisor.memory_of(process.pid) == 0
        assert supervisor.kill(process.pid) == []
        assert process.stdout.read() == b""  # nobody is left to write
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(("code", "status"), [("exit(3)", 3), ("import os; os.abort()", -6)])
def test_a_supervisor_ends_as_its_process_did(code, status):
    with supervised(code) as process:
        assert process.wait() == status


def supervised(code: str, *arguments: object) -> subprocess.Popen[bytes]:
    """Start a supervisor of a Python that runs some code."""
    return subprocess.Popen(
        [*_SUPERVISOR, sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def hidden(folder: Path) -> bool:
    """Return whether the rogue has started a daemon."""
    return (folder / "hidden").exists()


def living_of(folder: Path) -> list[str]:
    """Return the command lines of living processes with a folder in their environment."""
    living = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            named = str(folder).encode() in (process / "environ").read_bytes()
            state = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if named and state not in "ZX" and process.name != str(os.getpid()):
            living.append((process / "cmdline").read_text())
    return living


def test_the_limit_of_the_command_line_reaches_the_job(genebench, tmp_path, rogue):
    path = tmp_path / "rogue.py"
    run("train-mean,copy-twin", "geo", preset="tiny", results=tmp_path / "results")
    outcome = genebench(
        "run", "--plugin", path, "--methods", "rogue", "--set", "rogue.how=exits",
        "--protocol", "geo", "--preset", "tiny", "--memory-limit", "4G",
        "--results", tmp_path / "results",
    )  # fmt: skip
    assert outcome.status == 1
    assert "failed: ProcessDied: its process ended with exit status 0" in outcome.err
    assert "\x1b" not in outcome.out + outcome.err


@pytest.mark.parametrize("limit", ["0", "soon", "3w", "-4"])
@pytest.mark.parametrize("option", ["--time-limit", "--memory-limit"])
def test_a_limit_that_is_none_is_refused_with_an_example(genebench, option, limit):
    outcome = genebench("run", f"{option}={limit}", "--dry-run")
    assert outcome.status == 2
    assert f"{option} {limit}: not a limit. Write it as " in outcome.err


def test_a_training_that_is_stopped_from_outside_is_no_failure(tiny, tmp_path):
    pytest.importorskip("torch")
    settings = Settings(results=tmp_path / "results")
    plan = plan_run(
        "dgex", "geo", "sim", preset="tiny", seeds=1, results=settings.results,
        overrides={"dgex": {"epochs": "4000", "patience": "4000"}},
    )  # fmt: skip
    [job] = [job for job in plan.remaining() if job.method.name == "dgex"]

    earlier = grandchildren()  # of other tests, which wait for more work

    class Stop:
        @hookimpl
        def genebench_job_progressed(self):
            [worker] = grandchildren() - earlier
            os.kill(worker, signal.SIGTERM)

    observer = Stop()
    installed().manager.register(observer)
    try:
        with pytest.raises(UserError, match=r"was stopped\. Run the same command again"):
            list(execute_plan([job], settings, "process"))
    finally:
        installed().manager.unregister(observer)
    assert ResultsStore(settings.results).keys() == []
    assert list(settings.results.rglob("training.safetensors"))


def grandchildren() -> set[int]:
    """Return the ids of the processes that children of this process have started."""
    pids = [int(process.name) for process in Path("/proc").glob("[0-9]*")]
    return {pid for pid in pids if parent_of(parent_of(pid)) == os.getpid()}


def parent_of(pid: int) -> int:
    """Return the id of the parent of a process, or 0 if there is no such process."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0
