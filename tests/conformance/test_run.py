"""Outcomes of checks: expected failures, the summary, pytest, the command."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from genebench.conformance.base import CheckError, NothingToCheck
from genebench.conformance.checks.purity import _listed
from genebench.conformance.collection import all_checks, chosen_checks, protocol_checks
from genebench.conformance.run import expected_failures, run_checks, summary
from genebench.conformance.subject import Subject
from genebench.errors import UserError
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry
from genebench.processes.worker import Worker
from genebench.testing import parametrize_with_checks

LEARNS = "learns_what_is_easy"


def outcome_of(method, check, expected=None):
    (outcome,) = run_checks(Subject(method), chosen_checks([check]), expected or {})
    return outcome


def test_every_check_states_its_rule_in_one_sentence():
    checks = all_checks()
    for check in checks:
        assert re.fullmatch(r"[A-Z][^.]*\.([A-Z]\w+[^.]*\.)?", check.rule), check.rule
    assert len({check.rule for check in checks}) == len({check.name for check in checks})


def test_the_error_is_the_rule_and_what_the_method_does_instead(dishonest):
    with pytest.raises(CheckError, match=r"^Have a clearly lower MAE .* But its MAE is \d\.\d+"):
        chosen_checks([LEARNS])[0](Subject("constant"))


def test_what_cannot_be_checked_says_why():
    with pytest.raises(NothingToCheck, match="a control need not learn"):
        chosen_checks([LEARNS])[0](Subject("train-mean"))


def test_a_failure_that_was_expected_is_none_and_gives_its_reason(dishonest):
    outcome = outcome_of("constant", LEARNS, {LEARNS: "a constant cannot learn"})
    assert (outcome.status, outcome.detail) == ("expected", "a constant cannot learn")


def test_an_expected_failure_that_passes_is_a_failure(dishonest):
    outcome = outcome_of("honest", LEARNS, {LEARNS: "was broken once"})
    assert outcome.status == "failed"
    assert "(was broken once), and passes" in outcome.detail


def test_expected_failures_are_declared_with_the_method(install, fresh, genebench):
    install(
        "humble",
        """
        from genebench import hookimpl
        from genebench.specs import MethodSpec
        genebench_contract = 1

        @hookimpl
        def genebench_methods():
            return [MethodSpec(
                name="humble", title="h", summary="s", code="genebench.methods.controls:TrainMean",
                expected_failures={"learns_what_is_easy": "it is a mean"},
            )]
        """,
    )
    subject = Subject("humble")
    assert expected_failures(subject, {"fits": "no"}) == {LEARNS: "it is a mean", "fits": "no"}
    with pytest.raises(UserError, match=r"unknown check .* 'fit'. Did you mean fits"):
        expected_failures(subject, {"fit": "no"})
    done = genebench("check", "humble", "--only", LEARNS)
    assert done.status == 0
    [shown, reason, last] = done.out.splitlines()
    assert shown.startswith("xfail learning")
    assert reason.strip() == f"it is a mean [{LEARNS}]"
    assert last == "humble: 1 of 1 checks ran, 0 passed, 1 failed as expected (1 × it is a mean)"


@pytest.fixture
def fresh():
    def forget():
        installed.cache_clear()
        registry.cache_clear()

    forget()
    yield
    forget()


def test_the_last_line_counts_and_gives_reasons(dishonest):
    subject = Subject("constant")
    checks = chosen_checks(["learning", "fits", "keeps_to_its_deadline", "failure"])
    outcomes = list(run_checks(subject, checks, {LEARNS: "it cannot"}))
    assert summary(outcomes) == (
        "3 of 5 checks ran, 2 passed, 2 skipped (1 × it has no parameter minutes, "
        "1 × it has no parameters), 1 failed as expected (1 × it cannot)"
    )


def test_a_plugin_that_imports_torch_with_its_hooks_fails_the_check(install, fresh):
    install(
        "heavy",
        """
        import torch
        from genebench import hookimpl
        from genebench.specs import MethodSpec
        genebench_contract = 1

        @hookimpl
        def genebench_methods():
            code = "genebench.methods.controls:TrainMean"
            return [MethodSpec(name="heavy", title="h", summary="s", code=code)]
        """,
    )
    outcome = outcome_of("heavy", "starts_without_torch")
    assert outcome.status == "failed"
    assert "heavy imports it. Move the code that needs torch to the module" in outcome.detail


@pytest.mark.parametrize(
    ("method", "check", "observation"),
    [
        ("spoilsgenerator", "leaves_generators_alone", "But it changes numpy.random. Draw from"),
        ("spoilserrors", "leaves_settings_alone", "numpy. Restore it."),
    ],
)
def test_a_changed_state_of_the_process_is_named_with_a_remedy(
    dishonest, method, check, observation
):
    assert observation in outcome_of(method, check).detail


def test_names_are_listed_as_in_a_sentence():
    assert [_listed(["a", "b", "c"][:count]) for count in (1, 2, 3)] == [
        "a",
        "a and b",
        "a, b and c",
    ]


def test_the_users_own_data_and_generators_are_left_alone(home, dishonest):
    import random

    before = sorted(home.rglob("*")), random.getstate()
    list(run_checks(Subject("spoilsgenerator"), chosen_checks(["purity", "learning"]), {}))
    assert (sorted(home.rglob("*")), random.getstate()) == before


def test_a_subject_writes_and_fits_nothing_before_its_first_check(dishonest, tmp_path):
    Subject("honest")
    assert list(tmp_path.glob("genebench-check-*")) == []


def test_a_failure_holds_the_rule_and_the_observation_apart(dishonest):
    with pytest.raises(CheckError) as caught:
        chosen_checks([LEARNS])[0](Subject("constant"))
    assert caught.value.rule == chosen_checks([LEARNS])[0].rule
    assert str(caught.value) == f"{caught.value.rule} But {caught.value.observation}"


def test_nothing_is_left_on_disk(dishonest):
    subject = Subject("honest")
    list(run_checks(subject, chosen_checks(["fits"]), {}))
    root = subject.home.root
    assert root.exists()
    del subject
    assert not root.exists()


def test_pytest_gets_every_check_of_every_method(dishonest):
    expected = {LEARNS: "it cannot"}
    mark = parametrize_with_checks(["constant", "honest"], expected=expected).mark
    names, parameters = mark.args
    assert names == ("check", "method")
    assert len(parameters) == 2 * len(all_checks())
    assert parameters[0].id == "constant-spec-describes_itself"
    (xfail,) = (p for p in parameters if p.id == f"constant-learning-{LEARNS}")
    assert (xfail.marks[0].name, xfail.marks[0].kwargs) == (
        "xfail", {"reason": "it cannot", "strict": True},
    )  # fmt: skip
    skipped = next(p for p in parameters if p.id == "honest-life-keeps_to_its_deadline")
    with pytest.raises(pytest.skip.Exception, match="no parameter minutes"):
        skipped.values[0](skipped.values[1])
    chosen = parametrize_with_checks("honest", only=["repeat", LEARNS]).mark.args[1]
    groups = [param.id.split("-")[1] for param in chosen]
    assert set(groups) == {"learning", "repeat"}
    assert groups.count("learning") == 1


def test_the_parametrised_test_runs_in_pytest(pytester_like):
    done = pytester_like(
        """
        from genebench.testing import parametrize_with_checks

        @parametrize_with_checks("constant", expected={"fits": "a joke"})
        def test_conforms(check, method):
            if check.group in ("learning", "failure") or check.name == "fits":
                check(method)
        """
    )
    assert "FAILED test_it.py::test_conforms[constant-learning-learns_what_is_easy]" in done
    assert "FAILED test_it.py::test_conforms[constant-shape-fits]" in done
    assert "[XPASS(strict)] a joke" in done
    assert "2 failed" in done
    assert "1 skipped" in done


@pytest.fixture
def pytester_like(dishonest, tmp_path):
    """Run pytest on a source, in a process that finds the dishonest plugin; its output."""
    import os
    import subprocess
    import sys
    import textwrap

    def run(source):
        (tmp_path / "test_it.py").write_text(textwrap.dedent(source))
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-rA", "-p", "no:cacheprovider", "test_it.py"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": str(dishonest)},
        )  # fmt: skip
        return done.stdout

    return run


def test_genebench_testing_needs_no_pytest():
    import subprocess
    import sys

    code = "import sys; sys.modules['pytest'] = None; from genebench.testing import *"
    code += "; from genebench.conformance.run import run_checks"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_says_what_passed_and_what_did_not(genebench, dishonest):
    done = genebench("check", "constant", "--only", "learning,fits")
    assert done.status == 1
    lines = done.out.splitlines()
    assert lines[0].split(maxsplit=2)[:2] == ["pass", "shape"]
    assert "FAIL" in done.out
    assert f"[{LEARNS}]" in done.out
    assert lines[-1] == "constant: 3 of 3 checks ran, 2 passed, 1 failed"


def test_the_command_shows_where_it_failed(genebench, dishonest):
    done = genebench("check", "forgetsparameter", "--only", "fits", "--traceback", "--quiet")
    assert "ForgetsParameter.__init__() got an unexpected keyword" in done.out
    assert "Traceback (most recent call last):" in done.out


def test_the_command_takes_parameters_and_refuses_what_is_wrong(genebench, dishonest):
    assert genebench("check", "refusesquietly", "--only", "fits", "--set", "depth=5").status == 0
    for arguments, message in (
        (["constnat"], "Did you mean constant"),
        (["constant", "--only", "lerning"], "Did you mean learning"),
        (["constant", "--set", "depth"], "Write [METHOD.]PARAM=VALUE"),
        (["refusesquietly", "--param", "depth=10"], "The largest value is 9"),
        (["refusesquietly", "--param", "deptj=1"], "Did you mean depth"),
        (["constant", "--preset", "huge"], "unknown preset"),
    ):
        done = genebench("check", *arguments)
        assert done.status == 2, arguments
        assert message in done.err


RUNAWAY = """
    import ctypes, os, time
    from genebench import Method, hookimpl
    from genebench.specs import MethodSpec, Param
    genebench_contract = 1

    class Runaway(Method):
        def fit(self, train, validation_sets, context):
            print("a word")
            how = self.params["how"]
            if how == "exits":
                os._exit(0)
            if how == "exits in c":
                ctypes.CDLL(None)._exit(0)
            time.sleep(600)

    @hookimpl
    def genebench_methods():
        how = Param(name="how", default="loops", help="h")
        return [MethodSpec(name="runaway", title="t", summary="s", code="runaway:Runaway",
                           params=(how,), expected_failures={"fits": "it is none"})]
"""


@pytest.fixture
def runaway(install, fresh):
    install("runaway", RUNAWAY)


@pytest.fixture
def timed_from_the_first_check(monkeypatch):
    """Count a worker's seconds from its first event: a busy machine starts a process slowly."""
    events, began = Worker.events, []

    def noticed(worker):
        for event in events(worker):
            began.append(time.monotonic())
            yield event

    monkeypatch.setattr(Worker, "events", noticed)
    monkeypatch.setattr(
        Worker, "seconds", property(lambda _: time.monotonic() - began[0] if began else 0.0)
    )


@pytest.mark.usefixtures("timed_from_the_first_check")
@pytest.mark.parametrize(
    ("how", "limit", "reason"),
    [
        ("loops", "1s", "But it was stopped after 1 s. [fits]"),
        ("exits in c", "10m", "But its process ended with exit status 0. [fits]"),
    ],
)
def test_a_method_that_ends_the_process_of_its_checks_or_never_returns_has_failed(  # noqa: PLR0917  fixtures
    genebench, runaway, tmp_path, how, limit, reason
):
    only = "--only", "describes_itself,shape"
    done = genebench("check", "runaway", "--param", f"how={how}", "--time-limit", limit, *only)
    assert done.status == 1
    first, failed, why, *_, last = done.out.splitlines()
    assert (first[:4], failed[:4], why.strip()) == ("pass", "FAIL", reason)
    assert last == (
        "runaway: 2 of 7 checks ran, 1 passed, 1 failed, "
        "5 skipped (5 × fits ended the process of the checks)"
    )
    assert done.err == "a word\n"
    assert list(tmp_path.glob("genebench-check-*")) == []


def test_a_method_that_calls_exit_fails_the_check_that_it_is_called_in(runaway):
    (outcome,) = run_checks(
        Subject("runaway", overrides={"how": "exits"}), chosen_checks(["fits"]), {}
    )
    assert outcome.status == "failed"
    assert outcome.detail.endswith("os._exit(0) was called, and would have ended genebench")


def test_the_command_names_plugins_that_could_not_be_loaded(genebench, install, fresh):
    install("sad", "raise ValueError('no')")
    done = genebench("check", "sad")
    assert done.status == 2
    assert "Plugins that could not be loaded: sad" in done.err


@pytest.mark.parametrize(
    ("fold", "family"), [("geo-5fold.1", "geo-5fold"), ("geo-5fold.2-n80", "geo-5fold-n80")]
)
def test_a_single_fold_is_not_checked_and_its_protocol_is_named(genebench, fold, family):
    done = genebench("check", fold)
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert f"{fold} is one fold of {family}, " in done.err
    assert done.err.endswith(f"Check {family}.\n")


def test_the_guide_lists_every_check():
    guide = (Path(__file__).parents[2] / "docs" / "reference" / "conformance.md").read_text("utf-8")
    rows = [f"| {check.group} | `{check.name}` | {check.rule} |" for check in all_checks()]
    groups = tuple(f"| {check.group} |" for check in all_checks())
    assert [line for line in guide.splitlines() if line.startswith(groups)] == rows


def test_the_guide_lists_every_check_of_protocols():
    guide = (Path(__file__).parents[2] / "docs" / "reference" / "conformance.md").read_text("utf-8")
    rows = [f"| {check.group} | `{check.name}` | {check.rule} |" for check in protocol_checks()]
    assert [line for line in guide.splitlines() if line.startswith("| protocol |")] == rows
