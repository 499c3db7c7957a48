"""A method that cannot do the data or a protocol is not applicable, which is no failure."""

from __future__ import annotations

import json

import pytest

from genebench.conformance.collection import all_checks
from genebench.conformance.run import expected_failures, run_checks
from genebench.conformance.subject import Subject
from genebench.results.store import ResultsStore
from genebench.specs import MethodSpec

PLUGIN = '''
import numpy as np
from genebench import Method, Model, NotApplicable, hookimpl
from genebench.specs import MethodSpec, Param

genebench_contract = 1


class Zeros(Model):
    def __init__(self, n_targets, choosy):
        self.n_targets, self.choosy = n_targets, choosy

    def predict(self, landmarks):
        if self.choosy:
            raise NotApplicable("I do not like these profiles")
        return np.zeros((len(landmarks), self.n_targets), np.float32)


class Two(Method):
    """Needs at least some number of validation sets."""

    def __init__(self, least, when):
        super().__init__(least=least, when=when)
        if when == "create" and least:
            raise NotApplicable("never applicable")

    def fit(self, train, validation_sets, context):
        if len(validation_sets) < self.params["least"]:
            raise NotApplicable(f"needs {self.params['least']} validation\\n sets")
        model = Zeros(len(train.target_genes), self.params["when"] == "predict")
        return dict.fromkeys(validation_sets, model)


@hookimpl
def genebench_methods():
    params = (
        Param(name="least", default=9, minimum=0, help="validation sets that it needs"),
        Param(name="when", default="fit", choices=("fit", "create", "predict"), help="when"),
    )
    common = {"title": "Two", "summary": "needs two", "params": params}
    return [
        MethodSpec(name="two", code="needy:Two", **common),
        MethodSpec(
            name="no-gtex", code="needy:Two", not_applicable={"gtex": "knows no RNA-seq"}, **common
        ),
    ]
'''


@pytest.fixture
def needy(plugin_file):
    return plugin_file("needy", PLUGIN)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def records_of(results, method):
    found = ResultsStore(results).records()
    return {r.identity.protocol: r for r in found if r.identity.method == method}


@pytest.mark.parametrize("sealed", ["off", "auto"])
@pytest.mark.parametrize("when", ["fit", "create"])
@pytest.mark.usefixtures("needy", "tiny")
def test_the_reason_is_in_the_record_and_the_exit_status_is_0(results, genebench, sealed, when):
    arguments = (
        "run", "--methods", "two", "--set", f"two.when={when}", "--protocol", "geo", "--preset",
        "tiny", "--results", results, "--sealed", sealed,
    )  # fmt: skip
    done = genebench(*arguments)
    assert done.status == 0
    record = records_of(results, "two")["geo"]
    reason = {"fit": "needs 9 validation sets", "create": "never applicable"}[when]
    assert (record.status, record.reason, record.failure) == ("not applicable", reason, None)
    assert f"not applicable ({reason})" in done.err
    assert "n/a" in done.out
    assert f"is not applicable: {reason}" in done.out
    assert not ResultsStore(results).sound(thorough=True)[1]


def test_it_is_not_run_again_unless_that_is_asked_for(needy, tiny, results, genebench):
    arguments = (
        "run", "--methods", "two", "--protocol", "geo", "--preset", "tiny", "--results", results,
    )  # fmt: skip
    genebench(*arguments)
    first = records_of(results, "two")["geo"]
    again = genebench(*arguments)
    assert "nothing to do" in again.err
    assert "1 are of methods that cannot do" in again.err
    genebench(*arguments, "--retry-failed")
    assert records_of(results, "two")["geo"].status == "not applicable"
    assert first.key == records_of(results, "two")["geo"].key


def test_a_spec_may_say_so_for_one_protocol_and_the_other_runs(needy, tiny, results, genebench):
    arguments = (
        "run", "--methods", "no-gtex", "--set", "no-gtex.least=0", "--train-size", "100,all",
        "--preset", "tiny", "--results", results,
    )  # fmt: skip
    assert genebench(*arguments).status == 0
    records = records_of(results, "no-gtex")
    states = {protocol: record.status for protocol, record in records.items()}
    assert states == {
        "geo": "done", "geo-n100": "done",
        "gtex": "not applicable", "gtex-n100": "not applicable",
    }  # fmt: skip
    assert records["gtex"].reason == "knows no RNA-seq"
    assert records["geo"].shared_fit == ("geo",)


def test_a_model_that_says_so_has_failed(needy, tiny, results, genebench):
    done = genebench(
        "run", "--methods", "two", "--set", "two.when=predict", "--set", "two.least=0",
        "--protocol", "geo", "--preset", "tiny", "--results", results, "--sealed", "auto",
    )  # fmt: skip
    assert done.status == 1
    assert records_of(results, "two")["geo"].status == "failed"


def test_status_and_export_tell_it_from_a_failure(needy, tiny, results, genebench, tmp_path):
    genebench(
        "run", "--methods", "two", "--protocol", "geo", "--preset", "tiny", "--results", results
    )
    assert "0 failed, 1 not applicable" in genebench("status", "--results", results).out
    rows = json.loads(genebench("status", "--json", "--results", results).out)["records"]
    assert {row["method"]: row["status"] for row in rows}["two"] == "not applicable"
    file = tmp_path / "scores.json"
    genebench("results", "export", "--results", results, "--out", file)
    states = {row["method"]: row["status"] for row in json.loads(file.read_text())}
    assert states["two"] == "not applicable"


def test_a_board_has_a_section_of_its_own(needy, tiny, results, genebench, tmp_path):
    pytest.importorskip("jinja2")
    genebench(
        "run", "--methods", "two", "--protocol", "geo", "--preset", "tiny", "--results", results
    )
    assert genebench("leaderboard", results, "--out", tmp_path / "site").status == 0
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*.html")]
    assert any("The method cannot do these data or this protocol: needs 9" in p for p in pages)
    boards = [path.read_text() for path in (tmp_path / "site" / "boards").rglob("all.html")]
    assert boards
    assert all("not applicable" in page for page in boards)
    assert not any('<span class="chip bad">failed' in page for page in boards)


def test_a_member_that_is_not_applicable_makes_the_whole_so(needy, tiny, results, genebench):
    done = genebench(
        "run", "--methods", "ensemble,two,lsr", "--set", "ensemble.members=two,lsr",
        "--protocol", "geo", "--preset", "tiny", "--results", results,
    )  # fmt: skip
    assert done.status == 0
    record = records_of(results, "ensemble")["geo"]
    assert record.status == "not applicable"
    assert "its member two is not applicable" in record.reason


def test_conformance_names_the_reason_and_takes_a_declaration(needy, home):
    subject = Subject("two", preset="tiny", overrides={})
    outcomes = {
        outcome.check.name: outcome
        for outcome in run_checks(subject, all_checks(), expected_failures(subject))
    }
    assert outcomes["fits"].status == "failed"
    assert "needs 9 validation" in outcomes["fits"].detail
    assert "expected failure" in outcomes["fits"].detail
    others = {name for name, outcome in outcomes.items() if outcome.status == "failed"} - {"fits"}
    assert not others


@pytest.mark.parametrize("wrong", [{"geo": " "}, {"Geo!": "reason"}])
def test_a_declaration_needs_a_name_and_a_reason(wrong):
    with pytest.raises(ValueError, match=r"has no reason|malformed"):
        MethodSpec(name="x", title="X", summary="x", code="x:X", not_applicable=wrong)


@pytest.mark.usefixtures("needy")
def test_show_names_the_protocols_that_a_method_cannot_do(genebench):
    assert "Not applicable under gtex: knows no RNA-seq" in genebench("show", "no-gtex").out
    declared = json.loads(genebench("show", "no-gtex", "--json").out)
    assert declared["not_applicable"] == {"gtex": "knows no RNA-seq"}
    assert json.loads(genebench("show", "dgex", "--json").out)["bibtex"].startswith("@")
    assert "genebench cite dgex" in genebench("show", "dgex").out
