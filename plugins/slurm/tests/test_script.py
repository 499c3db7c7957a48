"""Arrays and their scripts: grouping, chunks, limits, quoting, and what is refused."""

from __future__ import annotations

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from genebench.api import plan_run
from genebench.errors import UserError
from genebench.plugins.registry import registry
from genebench.runs.jobs import Settings
from genebench.specs import Resources
from genebench_slurm.script import arrays, preview, render

GIGABYTE = 1 << 30


def options(**values):
    return registry().engines.get("slurm").values({k: str(v) for k, v in values.items()})


def settings(folder, **values):
    return Settings(results=folder, options=options(**values))


@pytest.fixture(scope="session")
def job(home, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plan")
    plan = plan_run(
        "lsr-l2", "geo", "sim", preset="tiny", seeds=1, overrides={}, results=folder
    )  # fmt: skip
    return plan.remaining()[0]


@pytest.fixture
def some_jobs(job):
    """Make jobs with other keys, which need the resources that are given."""

    def make(number, **resources):
        return [
            replace(
                job,
                evaluations=(replace(job.evaluations[0], key=f"{i:024x}"),),
                resources=Resources(**resources),
            )
            for i in range(number)
        ]

    return make


def test_jobs_that_hardly_differ_share_an_array(some_jobs):
    alike = [some_jobs(1, memory=GIGABYTE - i, seconds=4000 - i)[0] for i in range(3)]
    [array] = arrays(alike, options())
    assert len(array.tasks) == 3
    assert array.resources.memory >= GIGABYTE
    assert array.resources.seconds >= 4000


def test_rounding_adds_a_quarter_at_most(some_jobs):
    for memory in (300 << 20, GIGABYTE + 1, 11 * GIGABYTE, 700 * GIGABYTE):
        [array] = arrays(some_jobs(1, memory=memory), options())
        assert memory <= array.resources.memory <= 1.25 * memory


def test_jobs_of_other_resources_are_apart(some_jobs):
    mixed = [*some_jobs(2), *some_jobs(2, gpus=1), *some_jobs(2, cpus=4)]
    assert [len(array.tasks) for array in arrays(mixed, options())] == [2, 2, 2]


def test_short_jobs_share_a_task_and_long_ones_do_not(some_jobs):
    [short] = arrays(some_jobs(1000, seconds=60), options())
    [long] = arrays(some_jobs(1000, seconds=3600), options())
    assert {len(task) for task in short.tasks} == {60, 40}
    assert {len(task) for task in long.tasks} == {1}


def test_few_short_jobs_are_spread(some_jobs):
    [array] = arrays(some_jobs(20, seconds=1), options())
    assert len(array.tasks) == 10


def test_a_given_chunk_is_kept(some_jobs):
    [array] = arrays(some_jobs(7, seconds=3600), options(chunk=3))
    assert [len(task) for task in array.tasks] == [3, 3, 1]
    assert array.keys.splitlines()[2] == f"{6:024x}"


def test_an_array_has_no_more_tasks_than_the_cluster_allows(some_jobs):
    parts = list(arrays(some_jobs(250), options(), most=100))
    assert [len(array.tasks) for array in parts] == [100, 100, 50]


def test_the_time_limit_is_in_minutes_and_covers_all_jobs_of_a_task(some_jobs):
    [array] = arrays(some_jobs(4, seconds=100), options(chunk=2, warning=60))
    # Twice 120 s, a minute to start, and a minute of warning.
    assert array.minutes(options(warning=60)) == 6
    assert array.minutes(options(time=90)) == 90


def test_the_script_is_sound_and_says_what_is_asked_for(some_jobs, tmp_path):
    array = next(arrays(some_jobs(3, cpus=4, gpus=2, memory=GIGABYTE), options()))
    script = render(
        array, "abc", settings(tmp_path, partition="gpu", jobs=2, args="--nice=5", exclude="n7"),
        exclude=["n9", "n8"],
    )  # fmt: skip
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
    directives = [line for line in script.splitlines() if line.startswith("#SBATCH")]
    for wanted in (
        "--job-name=genebench-abc", "--array=1-3%2", "--partition=gpu", "--exclude=n7,n8,n9",
        "--cpus-per-task=4", "--mem=1536M", "--gres=gpu:2", "--requeue --open-mode=append",
        "--signal=B:USR1@120", "--nice=5",
    ):  # fmt: skip
        assert f"#SBATCH {wanted}" in directives


def test_a_job_without_gpus_asks_for_none(some_jobs, tmp_path):
    assert "gres" not in preview(some_jobs(1), settings(tmp_path))


def test_odd_names_of_folders_reach_the_node_as_they_are(some_jobs, tmp_path):
    folder = tmp_path / 'it\'s $HOME; 100% "odd"'
    script = preview(some_jobs(1), settings(folder))
    assert shlex.quote(str(folder)) in script
    assert str(folder).replace("%", "%%").replace("'", "'\"'\"'") in script
    echo = script[: script.index("# Slurm sends")].replace("rm -f", "echo")
    shown = subprocess.run(
        ["bash"], input=echo, text=True, check=True, capture_output=True,
        env={"SLURM_ARRAY_TASK_ID": "1"},
    ).stdout  # fmt: skip
    assert f"{folder}/.slurm/" in shown


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("partition", "main\n#SBATCH --uid=0"),
        ("setup", "true\nfalse"),
        ("args", "--nice=1 \x1b[31m"),
        ("args", "--array=1-1000"),
        ("args", "-J other"),
        ("args", "-Mother"),
        ("args", "--time=5"),
        ("args", "-t5"),
        ("args", "--comment='open"),
    ],
)
def test_options_that_would_break_the_script_are_refused(some_jobs, tmp_path, option, value):
    odd = replace(settings(tmp_path), options=options() | {option: value})
    with pytest.raises(UserError, match=rf"slurm\.{option}="):
        preview(some_jobs(1), odd)


@pytest.mark.parametrize(
    ("time", "warning", "is_refused"),
    [(2, 120, True), (3, 120, True), (4, 120, False), (1, 10, True), (2, 10, False)],
)
def test_a_time_limit_that_leaves_no_time_before_the_warning_is_refused(
    some_jobs, tmp_path, time, warning, is_refused
):
    chosen = settings(tmp_path, time=time, warning=warning)
    if is_refused:
        with pytest.raises(UserError, match=rf"slurm.time={time} minutes must exceed") as caught:
            preview(some_jobs(1), chosen)
        assert "\n" not in str(caught.value)
    else:
        assert f"--time={time}\n" in preview(some_jobs(1), chosen)


def test_a_short_job_has_more_time_than_the_warning_takes(some_jobs):
    [array] = arrays(some_jobs(1, seconds=1), options())
    assert array.minutes(options(warning=3600)) * 60 > 3600 + 60


@pytest.mark.parametrize(
    ("files", "requeues", "status"),
    [((), "0", "79"), (("step",), "0", "requeued"), (("step",), "50", "79")],
)
def test_a_task_puts_itself_back_at_its_limit_if_its_job_has_checkpoints(
    some_jobs, tmp_path, files, requeues, status
):
    """The tail of the script, after the node was stopped. A fake scontrol says what it is asked."""
    ended, stopped = some_jobs(2)
    script = render(next(arrays([ended, stopped], options(chunk=2))), "abc", settings(tmp_path))
    folder = tmp_path / ".slurm" / "abc"
    for path in (folder, tmp_path / ".jobs", tmp_path / ".fit.work" / "checkpoints",
                 tmp_path / ".fit.work" / "records"):  # fmt: skip
        path.mkdir(parents=True)
    (folder / "keys.txt").write_text(f"{ended.key} {stopped.key}\n")
    (tmp_path / ".jobs" / f"{stopped.key}.order.json").touch()
    (tmp_path / ".fit.work" / "records" / stopped.key).touch()
    for name in files:
        (tmp_path / ".fit.work" / "checkpoints" / name).touch()
    fake = tmp_path / "scontrol"
    fake.write_text(f"#!/bin/sh\necho requeued > {folder}/1.status\n")
    fake.chmod(0o755)
    head, tail = script.index("# Slurm sends"), script.index("# Returns 0")
    subprocess.run(
        ["bash"], input=f"{script[:head]}status=75 near_limit=yes\n{script[tail:]}", text=True,
        check=False, capture_output=True,
        env={"SLURM_ARRAY_TASK_ID": "1", "SLURM_RESTART_COUNT": requeues,
             "PATH": f"{tmp_path}:/usr/bin:/bin"},
    )  # fmt: skip
    assert (folder / "1.status").read_text().strip() == status


def test_a_folder_that_logs_cannot_be_written_to_is_refused(some_jobs):
    with pytest.raises(UserError, match="Name another results folder"):
        preview(some_jobs(1), settings(Path("/tmp/back\\slash")))


def test_another_python_keeps_its_own_libraries(some_jobs, tmp_path):
    assert "PYTHONPATH" in preview(some_jobs(1), settings(tmp_path))
    script = preview(some_jobs(1), settings(tmp_path, python="/else/where/python"))
    assert "PYTHONPATH" not in script
    assert "/else/where/python -P -m genebench.engines.node" in script


def test_a_preview_has_a_script_for_each_array(some_jobs, tmp_path):
    text = preview([*some_jobs(1), *some_jobs(1, gpus=1)], settings(tmp_path))
    assert text.count("#!/bin/bash") == 2
    assert not (tmp_path / ".slurm").exists()
