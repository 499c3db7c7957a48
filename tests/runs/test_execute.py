"""Jobs: one fit, test targets out of reach, and a failed record for every fault of a method."""

from __future__ import annotations

import json
import random
import shutil
import sys
from asyncio import CancelledError
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import metadata
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from genebench import Method, Model, api, hookimpl
from genebench._util.hashing import key_of
from genebench.analysis.recompute import recompute
from genebench.data.store import DataStore
from genebench.engines.local import run as run_locally
from genebench.errors import UserError
from genebench.methods.device import resolve_device
from genebench.methods.predictions import BadPredictionError
from genebench.methods.training.errors import DivergedError
from genebench.metrics import genebench_metrics
from genebench.plugins.discovery import installed
from genebench.plugins.plugin import Plugin
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.results.checks import verify
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.execute import check, execute
from genebench.runs.jobs import Job, Settings
from genebench.runs.plan import Request, make_plan
from genebench.runs.predicting import prediction_order
from genebench.specs import MethodSpec, MetricSpec

MARK = "genebench-results.json"
BAD = BadPredictionError.__name__


class Zero(Model):
    """Predicts 0 everywhere."""

    def __init__(self, n_targets):
        self.n_targets = n_targets

    def predict(self, landmarks):
        return np.zeros((len(landmarks), self.n_targets), np.float32)


class Fake(Method):
    """A method that works. Each test spoils or watches one thing of it."""

    model: type[Model] = Zero

    def fit(self, train, validation_sets, context):
        return {name: self.model(len(train.target_genes)) for name in validation_sets}


def predicting_with(model: type[Model]) -> type[Fake]:
    return type("FakeWithModel", (Fake,), {"model": model})


@dataclass
class Bench:
    """A plugin with the methods of a test, the tiny dataset, and a results folder."""

    module: object
    dataset: object
    folder: Path

    @property
    def store(self) -> ResultsStore:
        return ResultsStore(self.folder)

    def offer(self, *methods: MethodSpec, metrics: tuple[MetricSpec, ...] = ()) -> None:
        self.module.genebench_methods = hookimpl(lambda: list(methods))
        self.module.genebench_metrics = hookimpl(lambda: list(metrics))
        installed.cache_clear()
        registry.cache_clear()

    def jobs(self, protocols="geo", seeds=1) -> list[Job]:
        """Plan the methods on offer, and return their jobs without those of controls."""
        request = Request(
            methods=["all"], protocols=protocols.split(","), preset="tiny", seeds=seeds
        )
        made = make_plan(request, self.dataset, "sim", registry(), self.store)
        return [job for job in made.jobs if not job.method.control]

    def run(self, method: type[Method], protocols="geo", **settings) -> dict[str, Record]:
        """Execute one method, and return protocol → record."""
        self.module.Method = method
        self.offer(replace(SPEC, stochastic=True))
        return self.execute(self.jobs(protocols)[0], **settings)

    def execute(self, job: Job, **settings) -> dict[str, Record]:
        self.store.prepare()
        records = execute(job, Settings(results=self.folder, **settings))
        return {record.identity.protocol: record for record in records}

    def files(self) -> set[str]:
        return {path.name for path in self.folder.iterdir()} - {MARK}


SCORED = {spec.name for spec in genebench_metrics() if not spec.costly}
SPEC = MethodSpec(name="fake", title="Fake", summary="s", code="fakes:Method")


@pytest.fixture
def bench(tiny, tmp_path, monkeypatch):
    module = module_from_spec(ModuleSpec("fakes", loader=None))
    module.genebench_contract = 1
    # A distribution that is surely installed, and that nothing else here brings in.
    fakes = Plugin("fakes", "pytest", metadata.version("pytest"), lambda: module)
    monkeypatch.setitem(sys.modules, "fakes", module)
    monkeypatch.setattr("genebench.plugins.discovery._installed", lambda: [fakes])
    yield Bench(module, tiny, tmp_path / "results")
    installed.cache_clear()
    registry.cache_clear()


def metric(name, function="metric", **declared):
    return MetricSpec(
        name=name,
        title=name.upper(),
        summary="s",
        code=f"fakes:{function}",
        unit="1",
        direction="lower",
        best=0.0,
        **declared,
    )


# --- checkpoints ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "kept"), [(None, False), (DivergedError("at 3"), False), (MemoryError("gpu"), True)]
)
def test_checkpoints_stay_when_another_attempt_may_use_them(bench, error, kept):
    class Trained(Fake):
        def fit(self, train, validation_sets, context):
            resumed.append((context.scratch / "checkpoint").exists())
            (context.scratch / "checkpoint").write_bytes(b"x")
            if error:
                raise error
            return super().fit(train, validation_sets, context)

    resumed = []
    for _ in range(2):
        assert bench.run(Trained)["geo"].status == ("failed" if error else "done")
    assert resumed == [False, kept]
    assert any(name.endswith(".work") for name in bench.files()) == kept


def test_a_job_that_is_interrupted_between_two_records_finds_its_checkpoints(bench):
    def interrupt(predictions):
        if len(resumed) == 1:
            raise KeyboardInterrupt
        return predictions

    class Trained(bad_for_gtex(interrupt)):
        def fit(self, train, validation_sets, context):
            resumed.append((context.scratch / "checkpoint").exists())
            (context.scratch / "checkpoint").write_bytes(b"x")
            models = super().fit(train, validation_sets, context)
            return {name: models[name] for name in validation_sets}

    resumed = []
    with pytest.raises(KeyboardInterrupt):
        bench.run(Trained, "geo,gtex")
    assert any(name.endswith(".work") for name in bench.files())
    assert bench.run(Trained, "gtex")["gtex"].status == "done"
    assert resumed == [False, True]
    assert not any(name.endswith(".work") for name in bench.files())


def test_a_job_runs_on_its_dataset_when_another_of_that_name_is_published(
    bench, monkeypatch, tmp_path
):
    home = tmp_path / "home"
    monkeypatch.setenv("GENEBENCH_HOME", str(home))
    store, source = DataStore(), bench.dataset.root

    def publish(digest):
        with store.staging("x") as folder:
            ignored = shutil.ignore_patterns("cache", ".lock", "SHA256SUMS")
            shutil.copytree(source, folder, dirs_exist_ok=True, ignore=ignored)
            path = folder / "dataset.json"
            path.write_text(
                json.dumps(json.loads(path.read_text()) | {"name": "x", "digest": digest})
            )
            return store.publish("x", folder)

    bench.dataset = publish("a" * 16)
    bench.module.Method = Fake
    bench.offer(SPEC)
    [job] = bench.jobs()
    publish("b" * 16)
    assert bench.execute(job)["geo"].status == "done"
    bench.dataset = None
    publish("b" * 16)
    with pytest.raises(UserError, match="changed since the run was planned"):
        bench.execute(job)


# --- what a record holds --------------------------------------------------------------------------


def test_a_record_holds_identity_sizes_scores_and_where_it_came_from(bench, tiny):
    record = bench.run(Fake, command="genebench run")["geo"]
    parts = {"train": GEO.train, "validation": GEO.validation, "test": GEO.test}
    assert record.status == "done"
    assert record.failure is None
    assert record.key == key_of(record.identity.model_dump())
    assert (record.dataset, record.preset, record.published_data) == ("sim", "tiny", False)
    assert record.profiles == {name: len(tiny.profiles(part)) for name, part in parts.items()}
    assert record.genes == {"landmark": len(tiny.landmark_genes), "target": len(tiny.target_genes)}
    assert set(record.scores) == SCORED
    assert record.constant_prediction == len(tiny.target_genes)
    assert record.provenance.command == "genebench run"
    assert record.provenance.device == "cpu"


def test_the_record_in_the_folder_is_the_one_that_is_returned(bench):
    record = bench.run(Fake)["geo"]
    assert bench.store.read(record.key) == record
    assert verify(bench.store.paths, record) == []


def test_scores_are_means_over_the_panels_of_the_metrics_on_the_test_targets(bench, tiny):
    record = bench.run(Fake)["geo"]
    error = np.abs(tiny.profiles(GEO.test).targets.astype(np.float64)).mean(axis=0)
    twin = tiny.target_genes["twin"].to_numpy(dtype=bool)
    for panel, mask in {"all": twin | ~twin, "strict": ~twin, "twin": twin}.items():
        score = record.scores["mae"][panel]
        assert (score.mean, score.std, score.genes) == pytest.approx(
            (error[mask].mean(), error[mask].std(), mask.sum())
        )


def test_choices_and_notes_of_the_model_are_kept(bench):
    facts = {
        "choices": {"lambda": 0.1, "k": 3, "kind": "ridge", "early": True},
        "notes": ("stopped early",),
    }
    record = bench.run(predicting_with(type("Choosy", (Zero,), facts)))["geo"]
    assert record.choices == facts["choices"]
    assert record.notes == facts["notes"]


def test_a_curve_without_a_point_is_none_and_fails_nothing(bench):
    curves = {"path": {"k": [1, 2], "mae": [0.5, 0.4]}, "learning": {"epoch": [], "mae geo": []}}
    record = bench.run(predicting_with(type("Curved", (Zero,), {"curves": curves})))["geo"]
    assert record.curves == {"path": {"k": (1, 2), "mae": (0.5, 0.4)}}


def test_phases_are_timed_and_peak_memory_is_measured(bench):
    record = bench.run(Fake)["geo"]
    assert set(record.seconds) == {"fit", "predict", "score"}
    assert all(seconds >= 0 for seconds in record.seconds.values())
    assert record.peak_memory > 1_000_000


def test_provenance_holds_the_versions_of_genebench_the_plugin_and_the_libraries(bench):
    versions = bench.run(Fake)["geo"].provenance.versions
    assert versions["genebench"] == metadata.version("genebench-suite")
    for name in ("pytest", "numpy", "pandas"):
        assert versions[name] == metadata.version(name)


def test_provenance_names_the_distribution_of_a_metric_that_took_part(bench):
    bench.module.metric = lambda truth, prediction: np.zeros(truth.shape[1])
    bench.offer(metrics=(metric("extra"),))
    [job] = [job for job in _control_jobs(bench) if job.method.name == "train-mean"]
    assert "pytest" in bench.execute(job)["geo"].provenance.versions


def _control_jobs(bench):
    request = Request(methods=["train-mean"], protocols=["geo"], preset="tiny")
    return make_plan(request, bench.dataset, "sim", registry(), bench.store).jobs


def test_a_library_that_only_the_method_imports_is_in_the_provenance(bench, tmp_path, monkeypatch):
    record, _ = run_with_late_torch(bench, tmp_path, monkeypatch)
    assert "torch" in record.provenance.versions


# --- one fit --------------------------------------------------------------------------------------


def test_protocols_that_train_alike_share_one_fit_and_say_so(bench):
    fits = []

    class Counting(Fake):
        def fit(self, train, validation_sets, context):
            fits.append(sorted(validation_sets))
            return super().fit(train, validation_sets, context)

    records = bench.run(Counting, "geo,gtex")
    assert fits == [["geo", "gtex"]]
    assert [record.shared_fit for record in records.values()] == [("geo", "gtex")] * 2
    assert records["geo"].seconds["fit"] == records["gtex"].seconds["fit"]


def test_each_protocol_is_predicted_by_the_model_chosen_for_it(bench):
    class Named(Zero):
        pass

    class Choosing(Fake):
        def fit(self, train, validation_sets, context):
            models = {name: Named(len(train.target_genes)) for name in validation_sets}
            for name, model in models.items():
                model.choices = {"for": name}
            return models

    records = bench.run(Choosing, "geo,gtex")
    assert {name: record.choices for name, record in records.items()} == {
        "geo": {"for": "geo"},
        "gtex": {"for": "gtex"},
    }


def test_parameters_in_effect_seed_and_device_reach_the_method(bench):
    seen = []

    class Watching(Fake):
        def fit(self, train, validation_sets, context):
            seen.append((self.params, context.seed, context.device))
            return super().fit(train, validation_sets, context)

    bench.module.Method = Watching
    bench.offer(replace(SPEC, stochastic=True))
    job = bench.jobs(seeds=2)[1]
    bench.execute(replace(job, params={"k": 3}))
    assert seen == [({"k": 3}, 1, "cpu")]


def test_global_generators_are_seeded_by_the_seed_of_the_job(bench):
    class Rolling(Fake):
        def fit(self, train, validation_sets, context):
            models = super().fit(train, validation_sets, context)
            for model in models.values():
                model.choices = {"python": random.random(), "numpy": np.random.rand()}
            return models

    bench.module.Method = Rolling
    bench.offer(replace(SPEC, stochastic=True))
    for seed, job in enumerate(bench.jobs(seeds=2)):
        rolled = bench.execute(job)["geo"].choices
        assert rolled["python"] == random.Random(seed).random()
        assert rolled["numpy"] == np.random.RandomState(seed).rand()


LATE = """
import torch
from genebench import Method, Model
class Zero(Model):
    def __init__(self, targets):
        self.targets = targets
    def predict(self, landmarks):
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0
class Late(Method):
    def fit(self, train, validation_sets, context):
        return dict.fromkeys(validation_sets, Zero(len(train.target_genes)))
"""


def run_with_late_torch(bench, tmp_path, monkeypatch):
    """Run a method whose module is the first to import torch; return the record and the seeds.

    A stand-in for torch collects the seeds.
    """
    (tmp_path / "late_method.py").write_text(LATE)
    (tmp_path / "torch.py").write_text("seeds = []\nmanual_seed = seeds.append\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delitem(sys.modules, "late_method", raising=False)
    bench.offer(replace(SPEC, code="late_method:Late", stochastic=True))
    record = bench.execute(bench.jobs(seeds=2)[1])["geo"]
    assert record.status == "done"
    return record, sys.modules.pop("torch").seeds


def test_torch_is_seeded_even_when_the_method_is_the_first_to_import_it(
    bench, tmp_path, monkeypatch
):
    _, seeds = run_with_late_torch(bench, tmp_path, monkeypatch)
    assert seeds == [1]


# --- who sees what --------------------------------------------------------------------------------


def test_a_method_is_given_training_and_validation_profiles_only(bench, tiny):
    seen = []

    class Spy(Fake):
        def fit(self, train, validation_sets, context):
            seen.append(train.profiles.index)
            seen.extend(validation.profiles.index for validation in validation_sets.values())
            return super().fit(train, validation_sets, context)

    bench.run(Spy, "geo,gtex")
    expected = [GEO.train, GEO.validation, GTEX.validation]
    assert [list(ids) for ids in seen] == [
        list(tiny.profiles(part).profiles.index) for part in expected
    ]
    for part in (GEO.test, GTEX.test):
        assert set(tiny.profiles(part).profiles.index).isdisjoint(set().union(*seen))


def test_a_model_is_given_blocks_of_the_test_landmarks_and_nothing_else(bench, tiny):
    blocks = []

    class Spy(Zero):
        def predict(self, *arguments, **named):
            assert not named
            [landmarks] = arguments
            assert type(landmarks) is np.ndarray
            blocks.append(landmarks.copy())
            return super().predict(landmarks)

    bench.run(predicting_with(Spy))
    test = tiny.profiles(GEO.test)
    order = prediction_order(test)
    np.testing.assert_array_equal(np.concatenate(blocks), test.landmarks[order])


def test_the_order_of_predictions_says_nothing_and_stays_the_same(tiny):
    order = prediction_order(tiny.profiles(GTEX.test))
    assert sorted(order) == list(range(len(order)))
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.3
    assert list(order) == list(prediction_order(tiny.profiles(GTEX.test)))


def test_a_model_that_spoils_its_input_changes_no_truth(bench):
    class Spoiling(Zero):
        def predict(self, landmarks):
            landmarks[:] = 99
            return super().predict(landmarks)

    spoilt = bench.run(predicting_with(Spoiling))["geo"].scores
    assert spoilt == bench.run(Fake)["geo"].scores


# --- failures -------------------------------------------------------------------------------------


def failed(record, kind, message):
    assert record.status == "failed"
    assert record.failure.kind == kind
    assert message in record.failure.message
    assert record.failure.traceback.startswith("Traceback")
    assert record.scores == {}
    assert (record.vectors, record.predictions) == ("", "")
    return True


def raising(error):
    class Raising(Fake):
        def fit(self, train, validation_sets, context):
            raise error

    return Raising


def test_a_fit_that_raises_is_a_failed_record_for_every_protocol(bench):
    records = bench.run(raising(ZeroDivisionError("singular")), "geo,gtex")
    assert set(records) == {"geo", "gtex"}
    for record in records.values():
        assert failed(record, "ZeroDivisionError", "singular")
        assert "raise error" in record.failure.traceback
        assert bench.store.read(record.key) == record
        assert verify(bench.store.paths, record) == []
        assert set(record.seconds) == {"fit"}


@pytest.mark.parametrize(
    "error", [MemoryError(), OSError("disk"), SystemExit("bye"), CancelledError()], ids=repr
)
def test_whatever_a_fit_raises_is_a_failed_record(bench, error):
    assert failed(bench.run(raising(error))["geo"], type(error).__name__, "")


def test_a_method_whose_code_is_missing_is_a_failed_record(bench):
    bench.offer(SPEC)
    assert failed(bench.execute(bench.jobs()[0])["geo"], "AttributeError", "Method")


def test_a_method_that_refuses_its_parameters_is_a_failed_record(bench):
    class Fussy(Fake):
        def __init__(self):
            raise TypeError("no parameters, please")

    assert failed(bench.run(Fussy)["geo"], "TypeError", "no parameters")


class Wide(Fake):
    """Refuses training profiles, of which it reads the number alone."""

    def check(self, train):
        raise UserError(f"{len(train)} profiles are too few. Use more.")

    def fit(self, train, validation_sets, context):
        self.check(train)


def test_training_profiles_are_refused_before_any_job_starts(bench):
    bench.module.Good, bench.module.Wide = Fake, Wide
    bench.offer(
        replace(SPEC, name="good", code="fakes:Good"), replace(SPEC, name="wide", code="fakes:Wide")
    )
    settings = Settings(results=bench.folder, sealed="off")
    with pytest.raises(UserError, match="320 profiles are too few"):
        list(api.execute_plan(bench.jobs(), settings, "local"))
    assert list(bench.store.keys()) == []


def test_training_profiles_that_fit_refuses_are_a_failed_record(bench):
    assert failed(bench.run(Wide)["geo"], "UserError", "320 profiles are too few. Use more.")


def test_a_check_that_is_broken_is_left_to_the_job(bench):
    class Broken(Fake):
        def check(self, train):
            raise ValueError("broken")

    bench.module.Method = Broken
    bench.offer(SPEC)
    settings = Settings(results=bench.folder, sealed="off")
    assert len(list(api.execute_plan(bench.jobs(), settings, "local"))) == 1


def test_training_profiles_are_opened_once_for_all_jobs(bench):
    seen = []

    class Watching(Fake):
        def check(self, train):
            seen.append(train)

    bench.module.Method = Watching
    bench.offer(replace(SPEC, stochastic=True))
    check(bench.jobs(seeds=2), Settings(results=bench.folder, sealed="off"))
    assert len(seen) == 2
    assert seen[0] is seen[1]


def test_jobs_after_a_failed_one_are_executed(bench):
    bench.module.Bad, bench.module.Good = raising(ValueError("no")), Fake
    bench.offer(
        replace(SPEC, name="bad", code="fakes:Bad"), replace(SPEC, name="good", code="fakes:Good")
    )
    jobs = bench.jobs()
    bench.store.prepare()
    ended = run_locally(jobs, Settings(results=bench.folder))
    assert [job.method.name for job in ended] == ["bad", "good"]
    states = {record.identity.method: record.status for record in bench.store.records()}
    assert states == {"bad": "failed", "good": "done"}


def test_the_local_engine_yields_a_job_once_its_records_are_there(bench):
    bench.module.Method = Fake
    bench.offer(replace(SPEC, stochastic=True))
    bench.store.prepare()
    for job in run_locally(bench.jobs(seeds=2), Settings(results=bench.folder)):
        assert bench.store.read(job.evaluations[0].key).status == "done"


def test_a_validation_set_without_a_model_is_named(bench):
    class Forgetful(Fake):
        def fit(self, train, validation_sets, context):
            models = super().fit(train, validation_sets, context)
            del models["gtex"]
            return models

    records = bench.run(Forgetful, "geo,gtex")
    assert failed(records["gtex"], "BadModelError", "fit returned no model for gtex")


def test_a_fit_that_returns_nothing_is_a_failed_record(bench):
    class Empty(Fake):
        def fit(self, train, validation_sets, context):
            return None

    assert failed(bench.run(Empty)["geo"], "TypeError", "")


def test_a_fit_that_returns_names_without_models_is_a_failed_record(bench):
    class Names(Fake):
        def fit(self, train, validation_sets, context):
            return set(validation_sets)

    assert failed(bench.run(Names)["geo"], "TypeError", "")


def test_a_thing_that_is_no_model_is_a_failed_record(bench):
    class Wrong(Fake):
        def fit(self, train, validation_sets, context):
            return dict.fromkeys(validation_sets, "a model")

    assert failed(bench.run(Wrong)["geo"], "AttributeError", "predict")


def bad_for_gtex(bad: Callable[[np.ndarray], object]):
    """Return a method that predicts zeros on geo and ``bad(zeros)`` on gtex."""

    class Bad(Zero):
        def predict(self, landmarks):
            return bad(super().predict(landmarks))

    class Mixed(Fake):
        def fit(self, train, validation_sets, context):
            n_targets = len(train.target_genes)
            return {"geo": Zero(n_targets), "gtex": Bad(n_targets)}

    return Mixed


def _raise(_):
    raise ArithmeticError("overflow")


def _with(value):
    def spoil(zeros):
        spoilt = zeros.astype(np.float64)
        spoilt[-1, -1] = value
        return spoilt

    return spoil


@pytest.mark.parametrize(
    ("bad", "kind", "message"),
    [
        (_raise, "ArithmeticError", "overflow"),
        (lambda zeros: zeros[:, :-1], BAD, "values where"),
        (lambda zeros: zeros[:-1], BAD, "values where"),
        (lambda zeros: zeros[None], BAD, "values where"),
        (lambda _: None, BAD, "values where"),
        (_with(np.nan), BAD, "NaN or infinite"),
        (_with(np.inf), BAD, "NaN or infinite"),
        (_with(1e300), BAD, ""),
        (lambda zeros: zeros.astype(complex), BAD, ""),
        (lambda zeros: zeros.astype(str), "", ""),
    ],
    ids=[
        "raises", "too few genes", "too few profiles", "too many axes", "nothing", "NaN",
        "infinite", "too large for float32", "complex", "text",
    ],
)  # fmt: skip
def test_a_bad_prediction_is_a_failed_record_for_that_protocol_only(bench, bad, kind, message):
    records = bench.run(bad_for_gtex(bad), "geo,gtex")
    assert records["geo"].status == "done"
    assert failed(records["gtex"], kind or records["gtex"].failure.kind, message)
    paths = bench.store.paths
    expected = [*paths.files(records["geo"]), paths.record(records["gtex"].key)]
    assert bench.files() == {path.name for path in expected}


@pytest.mark.parametrize(
    "spoilt",
    [
        {"choices": {"k": None}},
        {"choices": {"k": float("nan")}},
        {"choices": {"k": 10**400}},
        {"notes": (3,)},
        {"curves": {"path": {"k": [1, 2], "mae": [0.5]}}},
    ],
    ids=lambda spoilt: str(spoilt)[:40],
)
def test_choices_and_notes_that_no_record_can_hold_are_a_failed_record(bench, spoilt):
    model = type("Odd", (Zero,), spoilt)
    record = bench.run(predicting_with(model))["geo"]
    assert record.status == "failed"


def test_a_failed_job_that_is_done_again_replaces_its_record(bench):
    before = bench.run(raising(ValueError("no")))["geo"]
    after = bench.run(Fake)["geo"]
    assert after.key == before.key
    assert bench.store.read(after.key).status == "done"


@pytest.mark.parametrize("where", ["fit", "predict"])
def test_an_interruption_propagates_and_leaves_nothing(bench, where):
    def interrupt(*_):
        raise KeyboardInterrupt

    if where == "fit":
        method = type("Interrupted", (Fake,), {"fit": interrupt})
    else:
        model = type("Interrupted", (Zero,), {"predict": interrupt})
        method = predicting_with(model)
    with pytest.raises(KeyboardInterrupt):
        bench.run(method, keep={"predictions"})
    assert bench.files() == set()


def test_an_interruption_keeps_the_protocols_that_were_finished(bench):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.run(bad_for_gtex(interrupt), "geo,gtex")
    assert [record.identity.protocol for record in bench.store.records()] == ["geo"]


# --- metrics --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "fault"),
    [
        (lambda truth, prediction: 1 / 0, "ZeroDivisionError"),
        (lambda truth, prediction: np.full(truth.shape[1], np.nan), "NaN or infinite"),
        (lambda truth, prediction: np.zeros(3), "shape (3,), expected"),
        (lambda truth, prediction: "good", "could not convert"),
    ],
    ids=["raises", "NaN", "wrong shape", "text"],
)
def test_a_bad_metric_costs_its_own_column_only_and_is_noted(bench, function, fault):
    bench.module.Method, bench.module.metric = Fake, function
    bench.offer(SPEC, metrics=(metric("bad"),))
    record = bench.execute(bench.jobs()[0])["geo"]
    assert record.status == "done"
    assert set(record.scores) == SCORED
    [note] = record.notes
    assert note.startswith("metric bad failed: ")
    assert fault in note
    assert verify(bench.store.paths, record) == []


def test_a_metric_whose_code_is_missing_costs_its_own_column_only(bench):
    bench.module.Method = Fake
    bench.offer(SPEC, metrics=(metric("bad", "no_such_function"),))
    record = bench.execute(bench.jobs()[0])["geo"]
    assert set(record.scores) == SCORED
    assert "metric bad failed: AttributeError" in record.notes[0]


def test_a_metric_that_spoils_its_input_changes_no_other_metric(bench):
    def spoil(truth, prediction):
        truth[:] = prediction[:] = 7
        return np.zeros(truth.shape[1])

    before = bench.run(Fake)["geo"].scores
    bench.module.metric = spoil
    bench.offer(SPEC, metrics=(metric("a-spoiler"),))
    after = bench.execute(bench.jobs()[0])["geo"].scores
    assert {name: after[name] for name in before} == before


def test_a_costly_metric_that_was_asked_for_once_is_scored_whenever_it_is_done_again(bench):
    bench.module.Method = Fake
    bench.module.metric = lambda truth, prediction: np.abs(truth - prediction).mean(axis=0)
    bench.offer(SPEC, metrics=(metric("dear", costly=True), metric("gone", costly=True)))
    first = bench.execute(bench.jobs()[0], metrics=("dear", "gone"))["geo"]
    bench.offer(SPEC, metrics=(metric("dear", costly=True), metric("cheap")))
    again = bench.execute(bench.jobs()[0])["geo"]
    assert set(first.scores) == {*SCORED, "dear", "gone"}
    assert set(again.scores) == {*SCORED, "dear", "cheap"}
    assert again.metrics.keys() == again.scores.keys()


def test_a_metric_per_profile_is_scored_over_profiles(bench, tiny):
    bench.module.Method = Fake
    bench.module.metric = lambda truth, prediction: np.abs(truth - prediction).mean(axis=1)
    bench.offer(SPEC, metrics=(metric("profile-error", axis="profile"),))
    record = bench.execute(bench.jobs()[0])["geo"]
    truth = tiny.profiles(GEO.test).targets.astype(np.float64)
    assert set(record.scores["profile-error"]) == {"all"}
    score = record.scores["profile-error"]["all"]
    assert score.genes == len(truth)
    assert score.mean == pytest.approx(np.abs(truth).mean())


# --- predictions ----------------------------------------------------------------------------------


class Halving(Zero):
    """Predicts half of the first landmark, in double precision."""

    def predict(self, landmarks):
        return np.repeat(landmarks[:, :1].astype(np.float64) / 2, self.n_targets, axis=1)


class Half(Fake):
    model = Halving


def test_kept_predictions_are_what_the_method_predicted_as_float32(bench, tiny):
    record = bench.run(Half, keep={"predictions"})["geo"]
    kept = bench.store.predictions(record)
    test = tiny.profiles(GEO.test)
    expected = Halving(len(test.target_genes)).predict(test.landmarks).astype(np.float32)
    assert kept.dtype == np.float32
    np.testing.assert_array_equal(kept, expected)
    assert verify(bench.store.paths, record) == []


def test_scores_computed_anew_from_kept_predictions_are_the_same(bench):
    record = bench.run(Half, keep={"predictions"})["geo"]
    assert recompute(record, bench.store, registry()).scores == record.scores


def test_keeping_predictions_changes_no_score(bench):
    kept = bench.run(Half, keep={"predictions"})["geo"]
    assert bench.run(Half)["geo"].scores == kept.scores


def test_without_keeping_predictions_nothing_but_record_and_vectors_is_left(bench):
    record = bench.run(Half)["geo"]
    assert bench.files() == {path.name for path in bench.store.paths.files(record)}
    assert len(bench.files()) == 2
    assert bench.store.predictions(record) is None
    with pytest.raises(UserError, match="predictions were not kept"):
        recompute(record, bench.store, registry())


@pytest.mark.parametrize(
    "tensors", [lambda self: 1 / 0, lambda self: {"w": np.array([object()])}, lambda self: None]
)
def test_a_model_that_cannot_say_what_it_is_made_of_is_a_failed_record(bench, tensors):
    method = predicting_with(type("Odd", (Zero,), {"tensors": tensors}))
    record = bench.run(method, keep={"model"})["geo"]
    assert record.status == "failed"
    assert bench.files() == {f"{record.key}.json"}


def test_whoever_may_read_a_record_may_read_its_predictions(bench):
    record = bench.run(Half, keep={"predictions"})["geo"]
    modes = {
        path.suffix: path.stat().st_mode
        for path in bench.folder.iterdir()
        if path.name.startswith(record.key)
    }
    assert set(modes) == {".json", ".npz", ".npy"}
    assert len(set(modes.values())) == 1


# --- data and devices -----------------------------------------------------------------------------


def test_data_that_changed_since_the_plan_are_refused(bench):
    bench.module.Method = Fake
    bench.offer(SPEC)
    [job] = bench.jobs()
    faults = {
        "data": "has changed since the run was planned",
        "store": "dataset 0000000000000000: not",
    }
    for part, fault in faults.items():
        changed = replace(job, **{part: "0" * 16})
        with pytest.raises(UserError, match=fault):
            bench.execute(changed)
    assert bench.files() == set()


@pytest.fixture
def cuda(monkeypatch):
    """Return a function that sets whether torch, or a stand-in for it, finds a CUDA device."""

    def set_available(available):
        devices = SimpleNamespace(is_available=lambda: available)
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=devices))

    return set_available


BOTH = replace(SPEC, devices=("cpu", "cuda"))


@pytest.mark.parametrize(
    ("wanted", "method", "available", "device"),
    [
        ("auto", BOTH, True, "cuda"),
        ("auto", BOTH, False, "cpu"),
        ("cuda", BOTH, True, "cuda"),
        ("cpu", BOTH, True, "cpu"),
        ("auto", SPEC, True, "cpu"),
        ("cuda", SPEC, True, "cpu"),
    ],
)
def test_a_method_runs_on_cuda_when_it_can_and_may_and_there_is_one(
    cuda, wanted, method, available, device
):
    cuda(available)
    assert resolve_device(wanted, method) == device


def test_cuda_that_is_asked_for_and_absent_is_the_users_error(cuda):
    cuda(available=False)
    with pytest.raises(UserError, match="--device cuda: torch finds no CUDA device"):
        resolve_device("cuda", BOTH)


@pytest.mark.parametrize("wanted", ["auto", "cpu"])
def test_a_method_is_never_given_a_device_that_it_does_not_declare(cuda, wanted):
    cuda(available=False)
    with pytest.raises(UserError):
        resolve_device(wanted, replace(SPEC, devices=("cuda",)))


# --- how much a model learnt ----------------------------------------------------------------------


@pytest.mark.parametrize(("stated", "recorded"), [(None, None), (0, 0), (np.int64(12), 12)])
def test_how_many_numbers_a_model_learnt_is_recorded(bench, stated, recorded):
    model = type("Counted", (Zero,), {"n_parameters": stated})
    assert bench.run(predicting_with(model))["geo"].model_parameters == recorded


@pytest.mark.parametrize("stated", [-1, 1.5, "many", True])
def test_a_number_of_parameters_that_is_none_fails_the_job_by_name(bench, stated):
    model = type("Miscounted", (Zero,), {"n_parameters": stated})
    failure = bench.run(predicting_with(model))["geo"].failure
    assert failure.kind == "BadModelError"
    assert "n_parameters" in failure.message
