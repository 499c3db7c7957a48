"""Methods that are made of others: plans, refusals, order of jobs, records, seals."""

from __future__ import annotations

import json
import os
from dataclasses import replace

import numpy as np
import pytest

from genebench import api
from genebench._util.hashing import key_of
from genebench.analysis.costs import fit_joules
from genebench.analysis.variants import variants_of
from genebench.errors import UserError
from genebench.models.saved import read_model
from genebench.plugins.registry import registry
from genebench.results.record import Identity, Seal
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Settings
from genebench.runs.orders import Order, decoded
from genebench.runs.suite import Run, Suite
from genebench.runs.verifying import predict_again
from genebench.specs import MethodSpec, Param
from tests.sealing.conftest import needs_landlock

pytestmark = pytest.mark.usefixtures("tiny")

PAIR = {"ensemble": {"members": "lsr-l2,knn-ge"}}

STRANGER = '''
import os
import numpy as np
from pathlib import Path
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec, Param

genebench_contract = 1

class Mean(Model):
    n_parameters = 1
    def __init__(self, level):
        self.level = level
        self.choices = {"fit_pid": os.getpid()}
    def predict(self, landmarks):
        return np.repeat(self.level[None], len(landmarks), axis=0)
    def tensors(self):
        return {"level": self.level}

class Stranger(Method):
    """Predicts the mean, plus the number of test files that it finds."""
    def fit(self, train, validation_sets, context):
        if self.params["fault"]:
            raise ValueError("no luck today")
        draw = np.random.default_rng(context.seed).normal(size=len(train.target_genes))
        model = Mean((train.targets.mean(axis=0) + 0.01 * draw).astype(np.float32))
        return dict.fromkeys(validation_sets, model)
    def restore(self, tensors, context):
        model = Mean(np.asarray(tensors["level"]))
        home = Path(self.params["home"])
        try:
            found = len(list(home.rglob("expression.npy")))
        except OSError:
            found = 0
        print(f"restored in {os.getpid()} with {found} files in reach", flush=True)
        return model

class Made(Method):
    """Made of others: the sum of all of them."""
    def fit(self, train, validation_sets, context):
        return {name: Sum(context.members[name], context.seed) for name in validation_sets}
    def restore(self, tensors, context):
        [members] = context.members.values()
        return Sum(members, int(tensors["seed"][0]))

class Sum(Model):
    def __init__(self, members, seed):
        self.members, self.seed = members, seed
        self.choices = {"pid": os.getpid(), "names": ",".join(members)}
    def predict(self, landmarks):
        return sum(np.asarray(model.predict(landmarks)) for model in self.members.values())
    def tensors(self):
        return {"seed": np.array([self.seed])}

@hookimpl
def genebench_methods():
    return [
        MethodSpec(name="stranger", title="t", summary="s", code="stranger:Stranger",
                   stochastic=True, params=(
                       Param(name="fault", default=False, help="h"),
                       Param(name="home", default="", help="h"))),
        MethodSpec(name="made", title="t", summary="s", code="stranger:Made", members="parts",
                   params=(Param(name="parts", default="", help="h"),)),
    ]
'''


@pytest.fixture
def stranger(plugin_file):
    return plugin_file("stranger", STRANGER)


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


def plan(results, methods="ensemble", protocols="geo", **asked):
    overrides = asked.pop("overrides", PAIR)
    options = {"preset": "tiny", "seeds": 1, "results": results} | asked
    return api.plan_run(methods, protocols, "sim", overrides=overrides, **options)


def run(results, methods="lsr-l2,knn-ge,ensemble", protocols="geo", **asked):
    """Run methods. Return method → record of the first seed."""
    options = {"params": PAIR, "dataset": "sim", "preset": "tiny", "results": results} | asked
    records = api.run(methods, protocols, **options).records
    return {record.identity.method: record for record in reversed(records)}


def refused(results, match, **asked):
    with pytest.raises(UserError, match=match) as caught:
        plan(results, **asked).remaining()
    assert len(str(caught.value).splitlines()) == 1


def ensemble_of(made, seed=0, method="ensemble"):
    [item] = [
        item for job, item in made.evaluations if (job.method.name, job.seed) == (method, seed)
    ]
    return item


# --- specs and keys -------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [(), (Param(name="parts", default=1, help="h"),)])
def test_the_parameter_that_lists_members_must_be_text(params):
    with pytest.raises(ValueError, match="members='parts' is not one of its text parameters"):
        MethodSpec(name="made", title="t", summary="s", code="m:M", members="parts", params=params)


def test_a_method_of_no_others_has_no_members_in_its_identity(results):
    made = plan(results, "lsr-l2", overrides={})
    for _, item in made.evaluations:
        dumped = item.identity.model_dump()
        assert "members" not in dumped
        assert "members" not in item.identity.model_dump_json()
        # As it was before methods could have members.
        assert item.key == key_of({name: dumped[name] for name in dumped if name != "members"})


def test_the_key_covers_the_keys_of_all_members(results):
    item = ensemble_of(plan(results, "lsr-l2,knn-ge,ensemble"))
    changed = PAIR | {"lsr-l2": {"lambdas": "5"}}
    other = ensemble_of(plan(results, "lsr-l2,knn-ge,ensemble", overrides=changed))
    assert item.identity.params == other.identity.params
    assert item.key != other.key
    members = plan(results, "lsr-l2,knn-ge,ensemble", overrides=changed).members
    assert {members[member.key].method.name for member in other.identity.members.values()} == {
        "lsr-l2", "knn-ge",
    }  # fmt: skip


def test_spaces_in_the_list_change_nothing(results):
    spaced = {"ensemble": {"members": " lsr-l2 , knn-ge,"}}
    everything = "lsr-l2,knn-ge,ensemble"
    first, second = (plan(results, everything, overrides=o) for o in (PAIR, spaced))
    assert ensemble_of(first).key == ensemble_of(second).key


def test_the_order_of_the_list_changes_nothing(results):
    turned = {"ensemble": {"members": "knn-ge,lsr-l2"}}
    everything = "lsr-l2,knn-ge,ensemble"
    first, second = (plan(results, everything, overrides=o) for o in (PAIR, turned))
    assert ensemble_of(first).key == ensemble_of(second).key
    assert ensemble_of(first).identity.params["members"] == "knn-ge,lsr-l2"


def test_the_order_of_methods_changes_nothing(results):
    first = plan(results, "lsr-l2,knn-ge,ensemble")
    second = plan(results, "ensemble,knn-ge,lsr-l2")
    assert ensemble_of(first).key == ensemble_of(second).key


def test_the_test_setting_is_that_of_other_methods(results):
    made = plan(results, "lsr-l2,knn-ge,ensemble")
    settings = {json.dumps(item.identity.test_setting()) for _, item in made.evaluations}
    assert len(settings) == 1


def test_there_are_as_many_seeds_as_a_stochastic_member_has(stranger, results):
    parts = {"made": {"parts": "stranger,lsr-l2"}}
    made = plan(results, "stranger,lsr-l2,made", overrides=parts, seeds=2)
    first, second = (ensemble_of(made, seed, "made").identity for seed in (0, 1))
    assert first.members["stranger"] != second.members["stranger"]
    assert first.members["lsr-l2"] == second.members["lsr-l2"]
    assert first.without_seed() == second.without_seed()
    alone = plan(results, "lsr-l2,made", overrides={"made": {"parts": "lsr-l2"}}, seeds=2)
    assert [job.seed for job in alone.jobs if job.method.name == "made"] == [0]


def test_each_protocol_is_a_job_of_its_own(results):
    made = plan(results, "lsr-l2,knn-ge,ensemble", "geo,gtex")
    protocols = [
        [item.protocol.name for item in job.evaluations]
        for job in made.jobs
        if job.method.name == "ensemble"
    ]
    assert protocols == [["geo"], ["gtex"]]


def test_all_methods_are_those_that_need_no_others():
    assert "ensemble" not in [spec.name for spec in registry().methods.choose(["all"])]
    assert "ensemble" in [spec.name for spec in registry().methods.choose(["all", "ensemble"])]


# --- refusals of names ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ("", r"ensemble\.members lists no methods\. .*--set ensemble\.members=lsr-l2,knn-ge"),
        (" , ", "lists no methods"),
        ("lsr-l2,knn-g", r"ensemble\.members: unknown method 'knn-g'\. Did you mean knn-ge"),
        ("lsr-l2,lsr-l2", "lsr-l2 is listed twice"),
        ("lsr-l2,train-mean", "train-mean is a control"),
        ("ensemble", "ensemble is made of other methods itself"),
    ],
)
def test_what_no_method_can_be_made_of_is_refused(results, members, message):
    refused(results, message, overrides={"ensemble": {"members": members}})


def test_a_member_has_no_grid(results):
    grid = {"knn-ge": {"k_max": ["5", "10"]}}
    refused(results, "knn-ge has a grid", methods="lsr-l2,knn-ge,ensemble", grid=grid)


def test_parameters_may_be_of_members_and_of_no_other_method(results):
    plan(results, overrides=PAIR | {"lsr-l2": {"lambdas": "5"}})
    refused(results, "knn is not among", overrides=PAIR | {"knn": {"k_max": "5"}})


# --- refusals of results --------------------------------------------------------------------------


def test_a_member_without_a_result_is_refused_with_the_command_that_makes_it(results):
    refused(
        results,
        r"ensemble: its member knn-ge has no result under protocol geo in .*genebench run "
        r"--methods knn-ge --protocol geo --dataset sim --preset tiny --set knn-ge.k_max=5 "
        r".*--keep-models, or add knn-ge to --methods",
        overrides=PAIR | {"knn-ge": {"k_max": "5"}},
    )


def test_the_command_in_the_message_is_enough(results, genebench):
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            plan(results).remaining()
        command = str(caught.value).partition("Run genebench ")[2].partition(", or add")[0]
        assert genebench(*command.split()).status == 0
    run(results, "ensemble")


def test_a_member_whose_model_was_not_saved_is_refused(results):
    run(results, "lsr-l2,knn-ge", params={})
    refused(results, "the model of its member knn-ge under protocol geo was not saved")


def test_a_member_whose_model_is_gone_is_refused(results):
    run(results, "lsr-l2,knn-ge", params={}, keep="model")
    for path in results.glob("*.safetensors"):
        path.unlink()
    refused(results, "the model of its member .* was not saved")


def test_a_member_whose_models_cannot_be_saved_is_refused(results):
    run(results, "lsr-l2,knn", params={}, keep="model")
    refused(
        results, "models of its member knn cannot be saved. Leave it out",
        overrides={"ensemble": {"members": "lsr-l2,knn"}},
    )  # fmt: skip


def test_a_member_with_other_parameters_is_told_apart(results):
    run(results, "lsr-l2,knn-ge", params={"lsr-l2": {"lambdas": 5}}, keep="model")
    refused(results, r"lsr-l2 has no result .*: the one there has lambdas=5")


def test_a_member_with_other_data_is_told_apart(results):
    run(results, "lsr-l2,knn-ge", params={}, keep="model")
    with pytest.raises(UserError, match="the one there is of other data"):
        api.plan_run(
            "ensemble", "geo", "sim", preset="small", seeds=1, overrides=PAIR, results=results
        ).remaining()


def test_a_member_of_another_seed_is_told_apart(stranger, results):
    parts = {"made": {"parts": "stranger"}}
    run(results, "stranger", params={}, keep="model")
    with pytest.raises(UserError, match="with seed 1: the one there has seed 0") as caught:
        plan(results, "made", overrides=parts, seeds=2).remaining()
    assert "--seeds 2" in str(caught.value)


def test_a_member_that_failed_earlier_is_refused_unless_it_is_tried_again(stranger, results):
    fault = {"stranger": {"fault": "true"}}
    run(results, "stranger", params=fault)
    asked = {"overrides": {"made": {"parts": "stranger"}} | fault}
    refused(
        results, r"stranger failed under protocol geo \(no luck today\)", methods="made", **asked
    )
    with pytest.raises(UserError, match="Run it again with --retry-failed"):
        plan(results, "made", **asked).remaining()
    both = plan(results, "stranger,made", **asked).remaining(retry_failed=True)
    assert {"stranger", "made"} <= {job.method.name for job in both}


def test_what_is_done_needs_no_members(results):
    run(results)
    for path in results.glob("*.safetensors"):
        path.unlink()
    assert [job.method.name for job in plan(results).remaining()] == []


# --- runs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["local", "process"])
def test_members_run_first_and_keep_their_models(results, engine):
    records = run(results, "ensemble,knn-ge,lsr-l2", "geo,gtex", engine=engine)
    assert {record.status for record in records.values()} == {"done"}
    assert all(len(records[name].model) == 64 for name in ("lsr-l2", "knn-ge"))
    assert records["ensemble"].model == ""
    assert records["train-mean"].model == ""
    assert plan(results, "ensemble,knn-ge,lsr-l2", "geo,gtex").remaining() == []


def test_results_without_a_model_are_done_again_for_the_ensemble(results):
    before = run(results, "lsr-l2,knn-ge", params={})
    assert before["lsr-l2"].model == ""
    after = run(results)
    assert after["ensemble"].status == "done"
    assert len(after["lsr-l2"].model) == 64
    assert after["lsr-l2"].scores == before["lsr-l2"].scores


class Counter:
    """A counter of energy that rises by a joule at each reading."""

    def __init__(self):
        self.count = 0.0

    def read(self):
        self.count += 1.0
        return self.count


def test_the_energy_of_an_ensemble_includes_the_fits_of_its_members(results, monkeypatch):
    monkeypatch.setattr("genebench.runs.recording.energy_counter", lambda device: Counter())
    records = run(results)
    fits = [records[name].energy.joules["fit"] for name in ("lsr-l2", "knn-ge")]
    joules = records["ensemble"].energy.joules
    assert joules["members"] == sum(fits) > 0
    [variant] = variants_of([records["ensemble"]], registry())
    assert fit_joules(variant) == joules["members"] + joules["fit"]
    assert "members" not in records["lsr-l2"].energy.joules


def test_without_the_energy_of_every_member_there_is_none_of_members(results, monkeypatch):
    run(results, "knn-ge", params={}, keep="model")
    monkeypatch.setattr("genebench.runs.recording.energy_counter", lambda device: Counter())
    record = run(results)["ensemble"]
    assert "members" not in record.energy.joules
    assert record.energy.joules["fit"] > 0
    [variant] = variants_of([record], registry())
    assert fit_joules(variant) is None


def test_runs_give_the_same_to_the_last_bit(tmp_path):
    scores = [run(tmp_path / name)["ensemble"].scores for name in ("first", "second")]
    assert scores[0] == scores[1]


def test_engines_are_given_members_before_what_is_made_of_them(results, monkeypatch):
    launches = []

    def watched(jobs, settings):
        from genebench.engines.local import run as run_locally

        launches.append({job.method.name for job in jobs})
        return run_locally(jobs, settings)

    monkeypatch.setattr(api, "_engine_code", lambda spec, code: watched)
    run(results)
    assert launches == [{"train-mean", "copy-twin", "lsr-l2", "knn-ge"}, {"ensemble"}]


def test_a_failed_member_makes_a_failed_record(stranger, results):
    params = {"made": {"parts": "lsr-l2,stranger"}, "stranger": {"fault": True}}
    record = run(results, "lsr-l2,stranger,made", params=params)["made"]
    assert record.status == "failed"
    assert record.failure.kind == "MemberError"
    assert record.failure.message == "its member stranger failed: ValueError: no luck today"
    assert record.seconds["members"] > 0


@pytest.mark.parametrize("member", ["stranger", "knn"])
def test_a_run_that_continues_after_a_member_of_no_use_ends_as_one_at_a_stretch(
    stranger, results, member
):
    params = {"made": {"parts": f"lsr-l2,{member}"}, "stranger": {"fault": True}}
    run(results, member, params={name: params[name] for name in params if name == member})
    methods = f"lsr-l2,{member},made"
    params = {name: params[name] for name in params if name in methods}
    continued = run(results, methods, params=params)
    alone = run(results.with_name("alone"), methods, params=params)
    assert continued["lsr-l2"].status == "done"
    assert continued["made"].failure.message == alone["made"].failure.message


def test_members_in_the_plan_are_not_looked_for_among_other_results(results, monkeypatch):
    def refuse(store):
        raise AssertionError

    monkeypatch.setattr(ResultsStore, "keys", refuse)
    assert len(plan(results, "lsr-l2,knn-ge,ensemble").remaining()) == 5


def test_a_member_that_cannot_be_saved_makes_a_failed_record(results):
    params = {"ensemble": {"members": "lsr-l2,knn"}}
    record = run(results, "lsr-l2,knn,ensemble", params=params)["ensemble"]
    assert record.failure.message == "the model of its member knn cannot be saved"


def test_a_changed_model_of_a_member_is_refused(results):
    run(results, "lsr-l2,knn-ge", params={}, keep="model")
    for path in results.glob("*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
    with pytest.raises(UserError, match="was changed after it was written"):
        run(results, "ensemble")


def test_an_interrupted_run_continues(results, monkeypatch):
    from genebench_ensemble.method import Ensemble

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ensemble, "fit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            run(results)
    left = plan(results, "lsr-l2,knn-ge,ensemble").remaining()
    assert [job.method.name for job in left] == ["ensemble"]
    assert run(results)["ensemble"].status == "done"


def test_a_saved_model_holds_its_members(results):
    records = run(results, keep="model")
    store = ResultsStore(results)
    saved = read_model(store.model_path(records["ensemble"]))
    assert saved.identity == records["ensemble"].identity
    for name, member in saved.members.items():
        alone = read_model(store.model_path(records[name]))
        assert member.identity == alone.identity
        assert set(member.tensors) == set(alone.tensors)
        for tensor, values in alone.tensors.items():
            np.testing.assert_array_equal(member.tensors[tensor], values)


def test_seeds_are_one_row_of_a_table(stranger, results):
    from genebench.analysis.variants import variants_of

    parts = {"made": {"parts": "stranger,lsr-l2"}}
    records = api.run(
        "stranger,lsr-l2,made", "geo", "sim", preset="tiny", params=parts, results=results, seeds=2
    ).records
    made = [record for record in records if record.identity.method == "made"]
    [variant] = variants_of(made, registry())
    assert [record.identity.seed for record in variant.records] == [0, 1]


def test_rows_of_other_members_are_told_apart(results):
    from genebench.analysis.variants import variants_of

    first = run(results)["ensemble"]
    changed = PAIR | {"lsr-l2": {"lambdas": 5}}
    second = run(results, params=changed)["ensemble"]
    labels = [variant.label for variant in variants_of([first, second], registry())]
    assert len(set(labels)) == 2
    assert all("members" in label for label in labels)


def test_trials_are_made_of_the_same_models(results):
    run(results, "lsr-l2,knn-ge", params={}, keep="model")
    trial, test = plan(results, trials=True), plan(results)
    members = [ensemble_of(made).identity.members for made in (trial, test)]
    assert members[0] == members[1]


# --- orders, shares, lists ------------------------------------------------------------------------


def test_an_order_carries_members_and_files_to_keep(results):
    made = plan(results, "lsr-l2,knn-ge,ensemble")
    for job in made.remaining():
        order = decoded(Order.of(job, Settings(results=results)).encoded())
        order.check()
        assert order.job == job
    keeping = {job.method.name for job in made.jobs if "model" in job.keep}
    assert keeping == {"lsr-l2", "knn-ge"}


def test_an_order_with_another_member_is_refused(results):
    made = plan(results, "lsr-l2,knn-ge,ensemble")
    [job] = [job for job in made.jobs if job.method.name == "ensemble"]
    [item] = job.evaluations
    members = dict(item.identity.members)
    members["lsr-l2"] = members["knn-ge"]
    identity = Identity(**(item.identity.model_dump() | {"members": members}))
    edited = replace(job, evaluations=(replace(item, identity=identity),))
    with pytest.raises(UserError, match="was edited"):
        Order.of(edited, Settings(results=results)).check()


COMMAND = (
    "--methods", "lsr-l2,knn-ge,ensemble", "--set", "ensemble.members=lsr-l2,knn-ge",
    "--protocol", "geo", "--preset", "tiny", "--results",
)  # fmt: skip


def test_jobs_are_listed_with_those_that_come_before(results, genebench, caplog):
    jobs = json.loads(genebench("jobs", *COMMAND, results, "--json").out)
    keys = {job["method"]: job["key"] for job in jobs}
    after = {job["method"]: job["after"] for job in jobs}
    assert after["ensemble"] == [keys["knn-ge"], keys["lsr-l2"]]
    assert after["lsr-l2"] == []
    early = genebench("job", keys["ensemble"], "--results", results)
    assert early.status == 2
    assert "Execute the job of that member first" in caplog.text
    for method in ("lsr-l2", "knn-ge", "ensemble"):
        assert genebench("job", keys[method], "--results", results).status == 0


def test_a_share_leaves_out_what_waits_for_other_shares(results, genebench):
    def share(number):
        return genebench("run", *COMMAND, results, "--shard", f"{number}/5", "-q")

    done = [share(number) for number in (5, 1, 2, 3, 4)]
    assert {outcome.status for outcome in done} == {0}
    assert "made of results of other shares" in done[0].err
    assert share(5).status == 0
    methods = {record.identity.method for record in ResultsStore(results).records()}
    assert "ensemble" in methods


def test_models_that_are_kept_for_others_are_announced(results, genebench):
    first = genebench("run", *COMMAND, results)
    assert f"2 models of members are kept in {results}." in first.err
    assert "of members" not in genebench("run", *COMMAND, results).err


def test_models_that_are_kept_anyway_are_not_announced(results, genebench):
    assert "of members" not in genebench("run", *COMMAND, results, "--keep-models").err


def test_a_dry_run_shows_or_refuses_the_same(results, genebench):
    shown = genebench("run", *COMMAND, results, "--dry-run")
    assert shown.status == 0
    assert "ensemble" in shown.out
    alone = [word.replace("lsr-l2,knn-ge,ensemble", "ensemble") for word in COMMAND]
    missing = genebench("run", *alone, results, "--dry-run")
    assert missing.status == 2
    assert "has no result" in missing.err


# --- suites ---------------------------------------------------------------------------------------


def suite(*runs):
    return Suite(protocols=["geo"], preset="tiny", runs=[Run(**run) for run in runs])


ENSEMBLE = {"methods": ["ensemble"], "set": {"members": "lsr-l2,knn-ge"}}


def member_params(made, name):
    item = ensemble_of(made)
    return made.members[item.identity.members[name].key].params


def test_members_may_be_in_other_runs_of_a_suite(results):
    runs = suite(ENSEMBLE, {"methods": ["lsr-l2"], "set": {"lambdas": 5}}, {"methods": ["knn-ge"]})
    made = api.plan_suite(runs, "sim", results=results)
    assert member_params(made, "lsr-l2")["lambdas"] == 5
    jobs = made.remaining()
    assert {job.method.name for job in jobs if "model" in job.keep} == {"lsr-l2", "knn-ge"}
    for _ in api.execute_plan(jobs, Settings(results=results), "local"):
        pass
    assert api.plan_suite(runs, "sim", results=results).remaining() == []


@pytest.mark.parametrize(
    "others",
    [
        [{"methods": ["lsr-l2"], "set": {"lambdas": 5}}, {"methods": ["lsr-l2"]}],
        [{"methods": ["lsr-l2"], "grid": {"lambdas": [5, 6]}}],
    ],
)
def test_a_member_with_several_results_in_a_suite_is_that_of_the_preset(results, others):
    made = api.plan_suite(suite(ENSEMBLE, {"methods": ["knn-ge"]}, *others), "sim", results=results)
    assert member_params(made, "lsr-l2")["lambdas"] == 29


def test_the_run_of_an_ensemble_sets_parameters_of_its_members(results):
    made_of = ENSEMBLE | {"members": {"lsr-l2": {"lambdas": 7}}}
    others = [{"methods": ["lsr-l2"], "set": {"lambdas": 5}}, {"methods": ["knn-ge"]}]
    made = api.plan_suite(suite(made_of, *others), "sim", results=results)
    assert member_params(made, "lsr-l2")["lambdas"] == 7
    alone = suite({"methods": ["lsr-l2"], "members": {"lsr-l2": {"lambdas": 3}}})
    with pytest.raises(UserError, match="in a run of lsr-l2, which is not made of others"):
        api.plan_suite(alone, "sim", results=results)
    with pytest.raises(UserError, match="knn is set, but knn is not among"):
        api.plan_suite(suite(ENSEMBLE | {"members": {"knn": {"k_max": 3}}}), "sim", results=results)


# --- seals ----------------------------------------------------------------------------------------


@needs_landlock
def test_code_of_a_strange_member_runs_apart_from_the_scores(stranger, results, home, monkeypatch):
    monkeypatch.delenv("GENEBENCH_SEALED")
    params = {
        "ensemble": {"members": "lsr-l2,stranger", "weights": "stack"},
        "stranger": {"home": str(home)},
    }
    records = run(results, "lsr-l2,stranger,ensemble", params=params)
    assert {record.status for record in records.values()} == {"done"}
    assert records["stranger"].choices["fit_pid"] != os.getpid()
    assert records["ensemble"].seal.level == records["stranger"].seal.level != "no"
    assert records["lsr-l2"].seal.level == "no"
    assert "stranger.py" in records["ensemble"].provenance.plugins
    alone = run(results.with_name("alone"), "ensemble,lsr-l2,knn-ge")
    assert alone["ensemble"].seal.level == "no"


@needs_landlock
def test_a_member_restored_in_a_seal_finds_no_test_data(
    stranger, results, home, monkeypatch, capfd
):
    params = {"made": {"parts": "stranger"}, "stranger": {"home": str(home)}}
    run(results, "stranger,made", params=params, sealed="off")
    open_ = capfd.readouterr()
    assert f"restored in {os.getpid()} with" in open_.out + open_.err
    assert "with 0 files" not in open_.out + open_.err
    apart = results.with_name("apart")
    records = run(apart, "stranger,made", params=params, sealed="auto")
    closed = capfd.readouterr()
    assert "with 0 files in reach" in closed.out + closed.err
    assert f"restored in {os.getpid()} " not in closed.out + closed.err
    assert records["made"].choices["pid"] != os.getpid()
    [before] = [record for record in api.records(results).records
                if record.identity.method == "made"]  # fmt: skip
    assert records["made"].scores == before.scores


@needs_landlock
def test_the_seal_is_that_of_the_weakest_strange_member(stranger, results):
    run(results, "stranger", params={}, keep="model", sealed="off")
    parts = {"made": {"parts": "stranger"}}
    record = run(results, "made", params=parts, sealed="auto")["made"]
    assert record.seal.level == "no"
    assert record.seal.reason.startswith("its member stranger: ")


@needs_landlock
def test_predictions_are_made_again_from_the_one_file(results, tiny):
    records = run(results, keep="model,predictions")
    store = ResultsStore(results)
    record = records["ensemble"]
    again = predict_again(record, store.model_path(record), tiny)
    np.testing.assert_allclose(again, store.predictions(record), atol=1e-6)


@needs_landlock
def test_members_must_be_confined_where_that_is_required(results):
    run(results, "lsr-l2,knn-ge", params={}, keep="model")
    refused(results, "knn-ge was not confined", sealed="require")
    records = run(results, sealed="require")
    assert {records[name].seal.level for name in ("lsr-l2", "knn-ge", "ensemble")} == {"landlock"}


@needs_landlock
def test_an_ensemble_is_to_do_where_seals_are_required_and_a_member_has_none(results):
    records = run(results, sealed="require")
    key = records["ensemble"].key
    assert plan(results, sealed="require").states[key] == "done"
    unsealed = records["lsr-l2"].model_copy(update={"seal": Seal(level="no")}).with_checksum()
    (results / f"{unsealed.key}.json").write_text(unsealed.model_dump_json(), "utf-8")
    assert plan(results).states[key] == "done"
    assert plan(results, sealed="require").states[key] == "to do"
