"""The engine with fake commands of Slurm that end each task at once: blame, limits, leftovers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from genebench.api import plan_run
from genebench.errors import UserError
from genebench.plugins.registry import registry
from genebench.results.paths import ResultPaths
from genebench.results.store import ResultsStore
from genebench.runs.claims import claimed
from genebench.runs.jobs import Settings
from genebench.runs.orders import Attempt, attempts, orders, write_attempt, write_order
from genebench_slurm.causes import MOST_BROKEN, MOST_TIME, MOST_UNSTARTED
from genebench_slurm.engine import Driver, run
from genebench_slurm.runs import Ended, Runs
from genebench_slurm.script import TIMED_OUT

SBATCH = """\
#!/bin/sh
folder=$(dirname "$2")
cat "$2" >> {folder}/scripts
number=$((900 + $(grep -c '^#SBATCH --array' {folder}/scripts)))
if {refuses}; then echo 'sbatch: error: {refusal}' >&2; exit 1; fi
[ "{status}" ] && echo {status} > "$folder/1.status"
echo 'the last line' > "$folder/1.log"
echo "$number|1|FAILED|n1|genebench-$(basename "$folder")|NonZeroExitCode" >> {folder}/queue
echo $number
"""


class FakeSlurm:
    """Commands of Slurm. A task that is submitted has failed on node n1, with a given status."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._write("squeue", f"#!/bin/sh\ncat {folder}/queue\n")
        for name in ("scontrol", "scancel"):
            self._write(name, "#!/bin/sh\n")
        (folder / "queue").touch()
        (folder / "scripts").touch()

    def ends_with(self, status: int | None, refuses: str = "false", refusal: str = "") -> None:
        """Set how tasks end, and for which scripts sbatch refuses: a condition of the shell."""
        content = SBATCH.format(
            folder=self._folder, status="" if status is None else status, refuses=refuses,
            refusal=refusal,
        )  # fmt: skip
        self._write("sbatch", content)

    def add(self, array, state="FAILED", node="n1"):
        """Show the first task of an array in the queue."""
        with (self._folder / "queue").open("a") as stream:
            stream.write(f"{array.number}|1|{state}|{node}|genebench-{array.name}|x\n")

    def directives(self, option):
        """Return the values of an option in all scripts that were submitted."""
        lines = (self._folder / "scripts").read_text().splitlines()
        start = f"#SBATCH --{option}="
        return [line.removeprefix(start) for line in lines if line.startswith(start)]

    def _write(self, name: str, content: str) -> None:
        (self._folder / name).write_text(content)
        (self._folder / name).chmod(0o755)


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return FakeSlurm(folder)


@pytest.fixture
def settings(tmp_path):
    values = registry().engines.get("slurm").values({"poll": "0.1"})
    return Settings(results=tmp_path / "results", options=values)


@pytest.fixture
def jobs(home, settings):
    """Return three jobs of one method."""
    ResultsStore(settings.results).prepare()
    plans = [
        plan_run(
            "knn", "geo", "sim", preset="tiny", seeds=1, overrides={"knn": {"k_max": number}},
            results=settings.results,
        )
        for number in ("3", "4", "5")
    ]  # fmt: skip
    return [next(job for job in plan.remaining() if job.method.name == "knn") for plan in plans]


def left_files(settings):
    return [path.name for path in (settings.results / ".slurm").iterdir()]


def submitted(slurm, settings, jobs, status):
    """Submit a task as another driver would, which then died. The task has ended."""
    for job in jobs:
        write_order(job, settings)
    keys = " ".join(job.key for job in jobs)
    array = Runs(settings.results / ".slurm").create("0123456789ab", "", f"{keys}\n")
    array = array.with_number(900)
    (array.folder / "1.status").write_text(f"{status}\n")
    slurm.add(array)
    return array


def test_the_job_that_ran_last_is_blamed_whatever_the_order_of_the_plan(slurm, settings, jobs):
    slurm.ends_with(2)
    first, second, _ = jobs
    submitted(slurm, settings, [first, second], 2)
    write_attempt(settings.results, first.key, Attempt(cause="refused", host="n", message="first"))
    with pytest.raises(UserError, match="first"):
        list(run([second, first], settings))


def test_a_job_of_another_plan_is_not_blamed_and_nor_is_another(slurm, settings, jobs):
    slurm.ends_with(None)
    other, own, _ = jobs
    array = submitted(slurm, settings, [other, own], 2)
    # Its own array has another end: it is not refused because of the other job.
    with pytest.raises(UserError, match="tasks of Slurm end before they start"):
        list(run([own], settings))
    assert len(slurm.directives("array")) == MOST_UNSTARTED
    assert Runs(settings.results / ".slurm").ended()[array.name, 1] == Ended(
        array.name, 1, "refused", "FAILED", "-", "-"
    )


def test_a_mistake_in_the_setup_blames_no_node_and_is_forgotten(slurm, settings, jobs):
    slurm.ends_with(None)
    with pytest.raises(UserError, match=r"the last line Correct slurm\.setup"):
        list(run(jobs[:1], settings))
    assert slurm.directives("exclude") == []
    assert left_files(settings) == ["lock"]
    assert orders(settings.results) == []
    with pytest.raises(UserError, match="end before they start"):
        list(run(jobs[:1], settings))
    assert len(slurm.directives("array")) == 2 * MOST_UNSTARTED


def test_a_broken_node_is_left_for_others(slurm, settings, jobs):
    slurm.ends_with(78)
    with pytest.raises(UserError, match="the last line"):
        list(run(jobs[:1], settings))
    assert len(slurm.directives("array")) == MOST_BROKEN
    assert slurm.directives("exclude") == ["n1"] * (MOST_BROKEN - 1)


def test_a_cluster_whose_nodes_are_all_broken_says_why(slurm, settings, jobs):
    slurm.ends_with(78, refuses='grep -q exclude "$2"', refusal="not available")
    with pytest.raises(UserError, match="the last line"):
        list(run(jobs[:1], settings))


def test_a_job_without_checkpoints_gets_more_time_and_then_fails(slurm, settings, jobs):
    slurm.ends_with(TIMED_OUT)
    [job] = run(jobs[:1], settings)
    first, second, third = map(int, slurm.directives("time"))
    assert second - first > 0
    assert third - second == pytest.approx(2 * (second - first), rel=0.3)
    record = ResultsStore(settings.results).read(job.key)
    assert record.failure.kind == "TimeLimit"
    assert f"{MOST_TIME} times without a checkpoint" in record.failure.message
    assert "knn.time" in record.failure.message


def test_a_job_with_checkpoints_keeps_its_time(slurm, settings, jobs):
    slurm.ends_with(TIMED_OUT)
    job = jobs[0]
    folder = ResultPaths(settings.results).checkpoints(job.evaluations[0].identity)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "step").touch()
    for _ in range(2):
        write_attempt(settings.results, job.key, Attempt(cause="terminated", host="n1"))
    once = replace(settings, options={**settings.options, "restarts": 1})
    assert list(run([job], once)) == [job]
    assert len(slurm.directives("time")) == 1
    record = ResultsStore(settings.results).read(job.key)
    assert record.failure.message.startswith("stopped 2 times")


def test_a_refused_array_leaves_no_orders(slurm, settings, jobs):
    slurm.ends_with(None, refuses="true", refusal="invalid partition")
    write_attempt(settings.results, jobs[0].key, Attempt(cause="memory", host="n1"))
    with pytest.raises(UserError, match="invalid partition"):
        list(run(jobs, settings))
    assert orders(settings.results) == []
    assert left_files(settings) == ["lock"]
    # What was learnt of the job stays.
    assert [attempt.cause for attempt in attempts(settings.results, jobs[0].key)] == ["memory"]


def test_a_job_whose_other_record_is_claimed_is_not_submitted_again(slurm, settings):
    slurm.ends_with(77)
    ResultsStore(settings.results).prepare()
    plan = plan_run(
        "knn", "geo,gtex", "sim", preset="tiny", seeds=1, overrides={}, results=settings.results
    )
    job = next(job for job in plan.remaining() if len(job.evaluations) == 2)
    submitted(slurm, settings, [job], 77)
    driver = Driver([job], settings)
    other = replace(job, evaluations=job.evaluations[1:])
    with claimed(settings.results, other):
        for _ in range(3):
            driver._look()
        assert slurm.directives("array") == []
    driver._look()
    assert slurm.directives("array") == ["1-1"]
