"""genebench run: tables, work done once, failures shown, one line for every mistake."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from genebench.cli import invoke
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry
from genebench.results.store import ResultsStore

pytestmark = pytest.mark.usefixtures("tiny")

METHODS = ("train-mean", "copy-twin", "knn-ge", "knn", "lsr", "lsr-l2")
QUICK = ("--preset", "tiny", "--methods", ",".join(METHODS[2:]))

MOODY = """
    import os
    import signal

    import numpy as np

    from genebench import Method, Model, hookimpl
    from genebench.specs import MethodSpec

    genebench_contract = 1


    @hookimpl
    def genebench_methods():
        return [
            MethodSpec(
                name="moody", title="Moody", summary="does what MOOD says", code="moody:Moody"
            ),
            MethodSpec(
                name="dice", title="Dice", summary="guesses", code="moody:Dice", stochastic=True
            ),
        ]


    def act(phase):
        mood = os.environ.get("MOOD", "")
        if mood == f"{phase} fails":
            raise ValueError("no luck\\x1b[31m today")
        if mood.startswith(f"{phase} SIG"):
            os.kill(os.getpid(), getattr(signal, mood.split()[1]))


    class Moody(Method):
        def fit(self, train, validation_sets, context):
            act("fit")
            return dict.fromkeys(validation_sets, Constant(train, 0.5))


    class Dice(Method):
        def fit(self, train, validation_sets, context):
            guess = np.random.default_rng(context.seed).random()
            return dict.fromkeys(validation_sets, Constant(train, guess))


    class Constant(Model):
        def __init__(self, train, value):
            self.targets, self.value = len(train.target_genes), value

        def predict(self, landmarks):
            act("predict")
            return np.full((len(landmarks), self.targets), self.value)
"""


def forget_plugins() -> None:
    registry.cache_clear()
    installed.cache_clear()
    sys.modules.pop("moody", None)
    importlib.invalidate_caches()


@pytest.fixture
def moody(install) -> Iterator[Path]:
    """Install the methods `moody`, which follows the variable MOOD, and the stochastic `dice`."""
    site = install("moody", MOODY)
    forget_plugins()
    yield site
    forget_plugins()


@pytest.fixture
def run(genebench, tmp_path) -> Callable:
    """Return genebench run with the quick methods as a default, into this test's own folder."""
    return lambda *arguments: genebench(
        "run", *QUICK, "--results", tmp_path / "results", *arguments
    )


@pytest.fixture(scope="module")
def complete(tiny, tmp_path_factory) -> Path:
    """Return a results folder with every quick method. No test writes to it."""
    folder = tmp_path_factory.mktemp("complete") / "results"
    assert invoke(["run", *QUICK, "--quiet", "--results", str(folder)]) == 0
    return folder


@pytest.fixture
def copied(complete, tmp_path) -> Path:
    """Return a copy of the complete folder, which this test may change."""
    return Path(shutil.copytree(complete, tmp_path / "results"))


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def in_a_process(site: Path, mood: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from genebench.cli import main; main()", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(site), "MOOD": mood, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def rows(genebench, folder: Path) -> set[tuple[str, str]]:
    """Return (protocol, method) of every record in a folder."""
    table = json.loads(genebench("report", "--format", "json", "--results", folder).out)
    return {(row["protocol"], row["method"]) for row in table}


def assert_one_line_error(outcome, *fragments: str) -> None:
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("genebench: error: ")
    assert outcome.err.endswith("\n")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err


# The table


def test_mae_and_cc_tables_of_every_method_are_printed_for_both_protocols(run, copied):
    outcome = run()
    assert outcome.status == 0
    assert "sim · geo · data " in outcome.out
    assert "sim · gtex · data " in outcome.out
    for method in METHODS:
        # One line under each of two protocols.
        lines = [line for line in outcome.out.splitlines() if line.startswith(f"{method}  ")]
        assert len(lines) == 2, method
    assert outcome.out.count("MAE ↓") == outcome.out.count("CC ↑") == 2
    assert outcome.out.count("Its fit took") == 2


def test_costs_and_notes_are_printed_on_request(run, copied):
    assert "peak memory MB" not in run().out
    outcome = run("--cost", "--notes")
    assert outcome.out.count("peak memory MB") == 2
    assert "step-down" in outcome.out
    assert "--notes" not in outcome.out


def test_a_run_can_print_json(run, copied):
    rows = json.loads(run("--json").out)
    assert {(row["protocol"], row["metric"]) for row in rows} == {
        (protocol, metric) for protocol in ("geo", "gtex") for metric in ("mae", "cc")
    }
    assert {row["rank"] for row in rows if row["control"]} == {None}


def test_least_squares_beats_the_controls_and_copied_twins_are_perfect_on_rnaseq(
    genebench, complete
):
    table = json.loads(genebench("report", "--format", "json", "--results", complete).out)
    value = {(r["protocol"], r["method"], r["metric"], r["panel"]): r["mean"] for r in table}
    assert value["geo", "lsr", "mae", "all"] < value["geo", "copy-twin", "mae", "all"]
    assert value["geo", "copy-twin", "mae", "all"] < value["geo", "train-mean", "mae", "all"]
    assert value["gtex", "copy-twin", "mae", "twin"] == pytest.approx(0, abs=1e-6)
    assert value["gtex", "train-mean", "cc", "all"] == 0


def test_progress_names_each_finished_job_on_stderr_and_the_tables_alone_go_to_stdout(run):
    outcome = run("--methods", "lsr")
    assert "[1/3] train-mean on sim (geo, gtex): done in " in outcome.err
    assert "[3/3] lsr on sim (geo, gtex): done in " in outcome.err
    assert "done in" not in outcome.out


def test_quiet_prints_the_tables_and_nothing_else(run):
    outcome = run("--methods", "lsr", "--quiet")
    assert outcome.err == ""
    assert "lsr" in outcome.out


def test_piped_output_has_no_escape_sequences(run, copied):
    outcome = run()
    assert "\x1b" not in outcome.out + outcome.err


# Work done once


def test_the_same_command_again_does_no_work_says_so_and_touches_no_file(run, copied):
    before = snapshot(copied)
    outcome = run()
    assert outcome.status == 0
    first, *where = outcome.err.splitlines()
    assert first == f"nothing to do: all 12 results are in {copied}"
    assert [line.split(": ")[1].split()[:2] for line in where] == [
        ["genebench", "report"],
        ["genebench", "compare"],
    ]
    assert snapshot(copied) == before


def test_the_order_of_names_and_repetitions_change_nothing(run, copied):
    outcome = run("--methods", "lsr-l2, lsr,lsr", "--protocol", "gtex,geo")
    assert "nothing to do" in outcome.err


def test_an_added_method_adds_only_its_jobs(run, genebench, tmp_path):
    results = tmp_path / "results"
    run("--methods", "lsr")
    before = snapshot(results)
    outcome = run("--methods", "lsr,knn")
    assert "6 results are in" in outcome.err
    assert "[1/1] knn on sim (geo, gtex): done" in outcome.err
    after = snapshot(results)
    assert len(after) == len(before) + 4, "a record and its vectors under each protocol"
    assert before.items() <= after.items()
    assert {method for _, method in rows(genebench, results)} == {
        "train-mean", "copy-twin", "lsr", "knn",
    }  # fmt: skip


def test_an_added_protocol_keeps_what_is_there(run, genebench, tmp_path):
    results = tmp_path / "results"
    run("--methods", "lsr", "--protocol", "geo")
    before = snapshot(results)
    outcome = run("--methods", "lsr")
    assert "[3/3] lsr on sim (gtex): done" in outcome.err
    assert before.items() <= snapshot(results).items()


def test_the_same_command_elsewhere_gives_the_same_keys_and_values(genebench, complete, tmp_path):
    other = tmp_path / "other"
    genebench("run", "--preset", "tiny", "--methods", "lsr,knn", "--results", other)
    chosen = ("report", "--format", "csv", "--methods", "lsr,knn", "--results")
    assert genebench(*chosen, other).out == genebench(*chosen, complete).out


def test_a_copied_record_counts_as_done_so_merging_is_a_copy(run, complete, tmp_path):
    results = tmp_path / "results"
    run("--methods", "train-mean")
    for path in complete.iterdir():
        shutil.copy(path, results)
    assert "nothing to do: all 12" in run().err


def test_a_dry_run_shows_the_jobs_and_writes_nothing(run, tmp_path):
    outcome = run("--methods", "lsr,knn", "--dry-run", "--set", "knn.k_max=7")
    assert outcome.status == 0
    assert outcome.out.count("to do") == 8 + 1, "a line for each, and the sum"
    assert "k_max=7" in outcome.out
    assert not (tmp_path / "results").exists()


def test_a_dry_run_tells_what_is_done_and_changes_no_file(run, copied):
    before = snapshot(copied)
    outcome = run("--dry-run")
    assert outcome.out.count(" done ") == 12
    assert snapshot(copied) == before


def test_a_dry_run_of_a_dataset_not_yet_built_lists_its_jobs_and_does_not_build_it(
    genebench, tmp_path, monkeypatch
):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    command = ("run", "--preset", "tiny", "--methods", "knn", "--dry-run")
    shown = genebench(*command, "--grid", "k_max=3,7", "--results", tmp_path / "results")
    assert shown.out.count("k_max=7") == 2
    assert "not built yet" in shown.out
    assert "done" not in shown.out
    folds = genebench(*command, "--protocol", "geo-5fold")
    assert "Each job of geo-5fold is one for every fold" in " ".join(folds.out.split())
    [first, *_] = json.loads(genebench(*command, "--json").out)
    assert (first["state"], first["key"]) == ("unknown", "")
    assert list(tmp_path.glob("home/datasets/*")) == []


def test_a_dry_run_fits_a_narrow_terminal(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("--methods", "lsr,ggan", "--dry-run", "--set", "ggan.epochs=7")
    assert max(map(len, shown.out.splitlines())) <= 80
    assert "epochs=7" in shown.out
    # What the preset gives says nothing new.
    assert "batch=" not in shown.out


def test_a_dry_run_tells_time_and_memory_of_each_job_and_of_all(run):
    shown = " ".join(run("--methods", "lsr,ggan", "--dry-run").out.split())
    # Memory is an upper bound until all of them have run here.
    assert re.search(r"4 jobs to do: about \d+ s.*, (at most|about) \d+\.\d GB\.", shown)
    listed = json.loads(run("--methods", "ggan", "--dry-run", "--json").out)
    estimates = {row["method"]: row["estimate"] for row in listed if "estimate" in row}
    assert estimates["ggan"]["basis"] in {"declared", "measured", "scaled"}
    assert estimates["ggan"]["seconds"] > 0


def test_a_method_without_a_formula_is_unknown_before_its_first_run(run, moody):
    shown = " ".join(run("--methods", "moody", "--dry-run").out.split())
    assert "an unknown time for moody" in shown


# Parameters and seeds


def test_a_set_parameter_takes_effect_and_has_its_own_row(run, genebench, tmp_path):
    run("--methods", "knn", "--protocol", "geo")
    outcome = run("--methods", "knn", "--protocol", "geo", "--set", "knn.k_max=1", "--notes")
    assert "knn: chosen k = 1" in outcome.out
    report = genebench("report", "--results", tmp_path / "results").out
    labels = [line.split("  ")[0].strip() for line in report.splitlines()]
    assert "knn (k_max=50)" in labels
    assert "knn (k_max=1)" in labels


def test_setting_a_parameter_to_its_value_in_effect_is_the_same_job(run, copied):
    assert "nothing to do" in run("--set", "knn.k_max=50").err


def test_seeds_multiply_stochastic_methods_only(run, moody, tmp_path):
    outcome = run("--methods", "dice", "--protocol", "geo", "--seeds", "3", "--notes")
    assert "[5/5] dice seed 2 on sim (geo): done" in outcome.err
    assert "dice: mean of 3 seeds" in outcome.out
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    dice = [r for r in records if r.get("identity", {}).get("method") == "dice"]
    assert sorted(record["identity"]["seed"] for record in dice) == [0, 1, 2]
    assert len({record["scores"]["mae"]["all"]["mean"] for record in dice}) == 3


# Failures


@pytest.mark.parametrize("phase", ["fit", "predict"])
def test_a_failed_job_is_shown_as_failed_and_the_rest_is_done(run, moody, monkeypatch, phase):
    monkeypatch.setenv("MOOD", f"{phase} fails")
    outcome = run("--methods", "moody,lsr")
    assert outcome.status == 1
    row = next(line for line in outcome.out.splitlines() if line.split()[:1] == ["moody"])
    assert row.split() == ["moody", "–", "–", "failed", "failed", "–"]
    assert "moody failed: ValueError: no luck" in outcome.out
    assert "moody on sim (geo, gtex): failed: ValueError: no luck" in outcome.err
    assert "Traceback" not in outcome.out + outcome.err
    assert "\x1b" not in outcome.out + outcome.err
    assert "[4/4] lsr on sim (geo, gtex): done" in outcome.err


def test_a_failed_job_is_retried_only_when_asked(run, moody, monkeypatch, tmp_path):
    monkeypatch.setenv("MOOD", "fit fails")
    run("--methods", "moody")
    monkeypatch.setenv("MOOD", "")
    before = snapshot(tmp_path / "results")

    again = run("--methods", "moody")
    assert again.status == 1
    assert "2 failed earlier. Try them again with --retry-failed." in again.err
    assert snapshot(tmp_path / "results") == before

    retried = run("--methods", "moody", "--retry-failed")
    assert retried.status == 0
    assert "[1/1] moody on sim (geo, gtex): done" in retried.err
    assert "failed" not in retried.out


def test_a_failed_record_keeps_the_traceback(run, moody, monkeypatch, tmp_path):
    monkeypatch.setenv("MOOD", "fit fails")
    run("--methods", "moody", "--protocol", "geo")
    records = [json.loads(path.read_text()) for path in (tmp_path / "results").glob("*.json")]
    (failed,) = [record for record in records if record.get("status") == "failed"]
    assert failed["failure"]["kind"] == "ValueError"
    assert 'act("fit")' in failed["failure"]["traceback"]


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--methods", "lsrr"], ["method 'lsrr'", "Did you mean lsr or "]),
        (["--methods", ""], ["no method named"]),
        (["--protocol", "gtx"], ["protocol 'gtx'", "gtex"]),
        (["--protocol", ","], ["no protocol named"]),
        (["--dataset", "simm"], ["dataset 'simm'", "sim"]),
        (["--preset", "tinny"], ["preset 'tinny'", "tiny"]),
        (["--device", "cuba"], ["device 'cuba'", "cuda"]),
        (["--engine", "locale"], ["engine 'locale'", "local"]),
        (["--set", "knn.kmax=3"], ["parameter of knn 'kmax'", "k_max"]),
        (["--set", "lsr.x=3"], ["parameter of lsr 'x'", "no parameter"]),
        (["--set", "kn.k_max=3"], ["'kn'", "knn"]),
        (["--methods", "lsr", "--set", "knn.k_max=3"], ["knn"]),
        (["--set", "k_max=3"], ["--set k_max=3", "METHOD.PARAM=VALUE"]),
        (["--set", "knn.k_max"], ["--set knn.k_max", "METHOD.PARAM=VALUE"]),
        (["--set", "knn.=3"], ["METHOD.PARAM=VALUE"]),
        (["--set", "knn.k_max="], ["knn.k_max=", "whole number"]),
        (["--set", "knn.k_max=many"], ["knn.k_max=many", "whole number"]),
        (["--set", "knn.k_max=2.5"], ["knn.k_max=2.5", "whole number"]),
        (["--set", "knn.k_max=0"], ["knn.k_max=0", "out of range", "1"]),
        (["--set", "knn.k_max=1001"], ["knn.k_max=1001", "out of range", "1000"]),
        (["--set", "lsr-l2.lambda_min=nan"], ["lsr-l2.lambda_min=nan", "finite"]),
        (["--set", "lsr-l2.lambda_max=inf"], ["lsr-l2.lambda_max=inf", "finite"]),
        (["--seeds", "0"], ["seeds", "at least one"]),
        (["--seeds", "-3"], ["seeds", "at least one"]),
        (["--seeds", "two"], ["--seeds"]),
        (["--shard", "0/2"], ["--shard 0/2", "Write I/N"]),
        (["--shard", "auto"], ["SLURM_ARRAY_TASK_ID is not set"]),
        (["--engine-set", "partition=gpu"], ["NAME.OPTION=VALUE"]),
        (["--engine-set", "slurmy.partition=gpu"], ["unknown engine 'slurmy'"]),
        (["--resources", "memory=8"], ["--resources memory=8", "800M or 8G"]),
        (["--metods", "lsr"], ["--metods", "--methods"]),
        (["lsr"], ["lsr"]),
        (["--methods", "\x1b[31mred"], ["[31mred"]),
    ],
    ids=" ".join,
)
def test_a_mistake_costs_one_line_and_nothing_is_written(run, tmp_path, arguments, fragments):
    assert_one_line_error(run(*arguments), *fragments)
    assert not (tmp_path / "results").exists()


def test_an_unknown_engine_is_one_line_even_when_all_is_done(run, copied):
    assert_one_line_error(run("--engine", "locale"), "engine 'locale'")


def test_an_unknown_engine_is_found_before_a_dataset_is_built(genebench, tmp_path, monkeypatch):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    outcome = genebench(
        "run", "--preset", "tiny", "--engine", "locale", "--results", tmp_path / "results"
    )
    assert_one_line_error(outcome, "engine 'locale'")
    assert list(tmp_path.glob("home/datasets/*")) == []


def test_parameters_that_contradict_each_other_are_the_users_error(run):
    outcome = run("--methods", "lsr-l2", "--set", "lsr-l2.lambda_min=1e7")
    assert "lambda_min=1e+07 is above lambda_max=1e+06" in outcome.out + outcome.err
    assert outcome.status != 0


def test_a_dataset_without_the_platform_that_a_protocol_needs_is_refused(
    run, tiny, tmp_path, monkeypatch
):
    platforms = {name: tiny.info["platforms"][name] for name in ("geo", "1000g")}
    monkeypatch.setattr("genebench.data.store.Dataset.platforms", list(platforms))
    assert_one_line_error(run("--protocol", "gtex"), "protocol gtex needs platform gtex")
    assert not (tmp_path / "results").exists()


# Shares of the jobs


def test_shares_do_every_job_once_and_print_only_their_own(run, genebench, tmp_path, complete):
    done = [run("--methods", "lsr,knn", "--shard", f"{number}/3") for number in (1, 2, 3)]
    assert [outcome.status for outcome in done] == [0, 0, 0]
    # Four jobs: two controls, lsr and knn. The first share has the first and the last of them.
    rows_of = [
        {line.split()[0] for line in outcome.out.splitlines() if line.split()} for outcome in done
    ]
    methods = {"train-mean", "copy-twin", "lsr", "knn"}
    shown = [names & methods for names in rows_of]
    assert sorted(map(len, shown)) == [1, 1, 2]
    assert set().union(*shown) == methods
    assert "nothing to do" in run("--methods", "lsr,knn").err


def test_shares_stay_the_same_while_results_arrive(run, genebench, tmp_path):
    first = run("--methods", "lsr,knn", "--shard", "2/2")
    before = snapshot(tmp_path / "results")
    again = run("--methods", "lsr,knn", "--shard", "2/2")
    assert again.out == first.out
    assert "nothing to do" in again.err
    assert snapshot(tmp_path / "results") == before


def test_a_task_of_a_job_array_runs_its_share(run, monkeypatch):
    for name, value in {"ID": "5", "MIN": "4", "COUNT": "2"}.items():
        monkeypatch.setenv(f"SLURM_ARRAY_TASK_{name}", value)
    shown = run("--methods", "lsr,knn", "--shard", "auto", "--dry-run")
    listed = run("--methods", "lsr,knn", "--shard", "2/2", "--dry-run")
    assert shown.out == listed.out
    assert shown.out.count("  to do  ") == 4, "two jobs of four, each under two protocols"


def test_a_share_without_jobs_says_so_and_is_no_failure(run):
    outcome = run("--methods", "lsr", "--shard", "9/9")
    assert (outcome.status, outcome.out) == (0, "")
    assert "share 9 of 9 is empty: the plan has 3 jobs." in outcome.err


def test_a_share_of_a_suite_or_a_sweep_is_shown_without_the_gaps_of_the_others(
    genebench, tiny, tmp_path
):
    common = ("--preset", "tiny", "--protocol", "geo", "--results", tmp_path / "results", "-q")
    sweep = ("sweep", "--methods", "knn", "--grid", "k_max=3,5", *common)
    shown = genebench(*sweep, "--shard", "2/2")
    assert shown.status == 0, shown.err
    assert "not run" not in shown.out
    assert "knn" in shown.out
    assert "train-mean" not in shown.out
    suite = tmp_path / "mine.toml"
    suite.write_text('[[runs]]\nmethods = ["knn"]\ngrid = { k_max = [3, 5] }\n')
    assert genebench("run", suite, *common, "--shard", "2/2").out == shown.out
    assert_one_line_error(genebench(*sweep, "--shard", "1/2", "--out", tmp_path), "--out")


# Results folders


def test_a_file_where_the_results_folder_should_be_is_refused(run, tmp_path):
    (tmp_path / "results").write_text("mine\n")
    assert_one_line_error(run("--methods", "lsr"), "results", "Name another results folder.")
    assert (tmp_path / "results").read_text() == "mine\n"


def test_a_file_among_the_parents_of_the_results_folder_is_refused(genebench, tmp_path):
    (tmp_path / "file").write_text("mine\n")
    outcome = genebench("run", "--preset", "tiny", "--results", tmp_path / "file" / "results")
    assert_one_line_error(outcome, "Name another results folder.")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_results_folder_without_permission_is_refused(run, tmp_path):
    (tmp_path / "results").mkdir(mode=0o555)
    assert_one_line_error(run("--methods", "lsr"), "cannot write", "another results folder")


def test_a_folder_that_is_something_else_is_refused_and_left_alone(run, tmp_path):
    results = tmp_path / "results"
    results.mkdir()
    (results / "thesis.tex").write_text("precious\n")
    before = snapshot(results)
    assert_one_line_error(
        run("--methods", "lsr"), "not a results folder", "Name another results folder."
    )
    assert snapshot(results) == before


def test_a_results_folder_of_another_layout_is_refused_and_left_alone(run, copied):
    (copied / "genebench-results.json").write_text('{"genebench-results": 99}')
    before = snapshot(copied)
    assert_one_line_error(run(), "layout 99")
    assert snapshot(copied) == before


def test_a_record_cut_short_is_named_with_the_remedy(run, copied):
    record = next(copied.glob("????????????????????????.json"))
    record.write_bytes(record.read_bytes()[:100])
    assert_one_line_error(run(), record.name, "Remove the file")
    record.unlink()
    assert "11 results are in" in run().err


def test_missing_parents_of_the_results_folder_are_made(genebench, tmp_path):
    folder = tmp_path / "a" / "b"
    outcome = genebench("run", "--preset", "tiny", "--methods", "lsr", "--results", folder)
    assert outcome.status == 0
    assert (folder / "genebench-results.json").exists()


def test_the_data_disappearing_between_plan_and_job_is_one_line(
    genebench, tiny, tmp_path, monkeypatch
):
    home = tmp_path / "home"
    monkeypatch.setenv("GENEBENCH_HOME", str(home))
    shutil.copytree(tiny.root.parent, home / "datasets" / "sim-tiny")
    prepare = ResultsStore.prepare
    monkeypatch.setattr(
        ResultsStore, "prepare", lambda self: [prepare(self), shutil.rmtree(home, True)]
    )
    outcome = genebench(
        "run", "--preset", "tiny", "--methods", "lsr", "--results", tmp_path / "results"
    )
    assert_one_line_error(outcome, "dataset sim")


# Interruptions


COMMAND = ("run", "--preset", "tiny", "--methods", "lsr,moody,knn")


@pytest.fixture
def uninterrupted(genebench, moody, tmp_path) -> str:
    """Return the results of COMMAND without an interruption, as csv."""
    genebench(*COMMAND, "--results", tmp_path / "uninterrupted")
    return genebench("report", "--format", "csv", "--results", tmp_path / "uninterrupted").out


@pytest.mark.parametrize("mood", ["fit SIGINT", "predict SIGINT", "fit SIGTERM"])
def test_an_interrupt_leaves_only_whole_results_and_the_same_command_continues(
    genebench, moody, tmp_path, uninterrupted, mood
):
    results = tmp_path / "results"
    ended = in_a_process(moody, mood, *COMMAND, "--results", results)
    assert ended.returncode == 130
    assert "interrupted" in ended.stderr
    assert "same command" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert [path for path in results.iterdir() if path.name.endswith(".tmp")] == []
    assert {method for _, method in rows(genebench, results)} == {
        "train-mean", "copy-twin", "lsr",
    }  # fmt: skip
    before = snapshot(results)

    continued = genebench(*COMMAND, "--results", results)
    assert continued.status == 0
    assert "6 results are in" in continued.err
    assert before.items() <= snapshot(results).items()
    csv = genebench("report", "--format", "csv", "--results", results).out
    assert csv == uninterrupted


def test_a_killed_run_issued_again_gives_the_same_tables(genebench, moody, tmp_path, uninterrupted):
    results = tmp_path / "results"
    ended = in_a_process(moody, "predict SIGKILL", *COMMAND, "--results", results)
    assert ended.returncode == -signal.SIGKILL
    assert genebench("results", "verify", "--results", results).status == 0

    continued = genebench(*COMMAND, "--results", results)
    assert continued.status == 0
    csv = genebench("report", "--format", "csv", "--results", results).out
    assert csv == uninterrupted
