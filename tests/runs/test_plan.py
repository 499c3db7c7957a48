"""Plans: the jobs of a request, and which of them are left to do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from genebench import hookimpl, preprocessing
from genebench._util.hashing import key_of
from genebench.errors import UserError
from genebench.plugins.manager import Plugins
from genebench.plugins.plugin import Plugin
from genebench.plugins.registry import Registry
from genebench.protocols import GEO, GTEX
from genebench.runs.plan import Request, make_plan
from genebench.specs import MethodSpec, Param, Part, ProtocolSpec


def method(name, **declared):
    return MethodSpec(name=name, title=name.upper(), summary="s", code="code:M", **declared)


K = Param(name="k", default=5, help="h", minimum=1, maximum=9, presets={"tiny": 2})
PLAIN = method("plain", params=(K,))
RANDOM = method("random", stochastic=True)
FLOOR = method("floor", control=True)
DICE = method("dice", control=True, stochastic=True)
TURNED = ProtocolSpec(
    name="turned",
    title="trained on RNA-seq",
    summary="s",
    train=Part(platform="gtex", split="train"),
    validation=Part(platform="gtex", split="validation"),
    test=Part(platform="geo", split="test"),
)


@dataclass(frozen=True)
class FakeDataset:
    """A dataset as far as a plan reads it."""

    name: str = "store-name"
    digest: str = "d1"
    platforms: tuple[str, ...] = ("geo", "1000g", "gtex")


class FakeResults(dict):
    """Results by key, each a state."""

    def read(self, key):
        if key not in self:
            return None
        scored = {"mae": "digest of the metric"}
        return SimpleNamespace(
            status=self[key], metrics=scored, predictions="", model="", version="1"
        )


def registry_of(*methods):
    module = ModuleType("fake")
    module.genebench_contract = 1
    module.genebench_methods = hookimpl(lambda: list(methods))
    module.genebench_protocols = hookimpl(lambda: [GEO, GTEX, TURNED])
    built_in = Plugin("splits", "genebench", "1.0", lambda: preprocessing)
    return Registry(Plugins([built_in, Plugin("fake", "dist", "1.0", lambda: module)]))


REGISTRY = registry_of(PLAIN, RANDOM, FLOOR)


def plan(  # noqa: PLR0917
    methods="plain",
    protocols="geo",
    results=None,
    registry=REGISTRY,
    dataset=None,
    preset="paper",
    **asked,
):
    request = Request(
        methods=methods.split(","), protocols=protocols.split(","), preset=preset, **asked
    )
    return make_plan(request, dataset or FakeDataset(), "sim", registry, results or FakeResults())


def job(made, name, seed=0):
    [match] = [job for job in made.jobs if (job.method.name, job.seed) == (name, seed)]
    return match


def summary(made):
    """Return method, seed and protocols of each job."""
    return [
        (job.method.name, job.seed, *(item.protocol.name for item in job.evaluations))
        for job in made.jobs
    ]


# --- jobs -----------------------------------------------------------------------------------------


def test_protocols_with_the_same_training_profiles_share_one_job():
    assert summary(plan(protocols="geo,gtex")) == [
        ("floor", 0, "geo", "gtex"),
        ("plain", 0, "geo", "gtex"),
    ]


def test_a_protocol_with_other_training_profiles_is_a_job_of_its_own():
    jobs = summary(plan(protocols="geo,turned,gtex"))
    assert [job for job in jobs if job[0] == "plain"] == [
        ("plain", 0, "geo", "gtex"),
        ("plain", 0, "turned"),
    ]


def test_the_field_equations_is_no_part_of_a_key():
    said = registry_of(replace(PLAIN, equations="$x$"), RANDOM, FLOOR)
    keys = [job(plan(registry=each), "plain").evaluations[0].key for each in (REGISTRY, said)]
    assert keys[0] == keys[1]


def test_each_protocol_has_the_key_it_would_have_alone():
    both = {
        item.protocol.name: item.key
        for item in job(plan(protocols="geo,gtex"), "plain").evaluations
    }
    alone = {
        name: job(plan(protocols=name), "plain").evaluations[0].key for name in ("geo", "gtex")
    }
    assert both == alone


def test_controls_are_part_of_every_plan():
    assert [job.method.name for job in plan("plain").jobs] == ["floor", "plain"]


@pytest.mark.parametrize("named", ["floor", "plain,floor", "floor,plain,floor", "all", "all,floor"])
def test_a_control_that_is_named_is_still_there_once(named):
    names = [job.method.name for job in plan(named).jobs]
    assert names.count("floor") == 1


def test_a_method_named_twice_is_run_once():
    assert [job.method.name for job in plan("plain,plain").jobs] == ["floor", "plain"]


def test_a_deterministic_method_has_one_seed_however_many_are_asked_for():
    jobs = summary(plan("plain,random", seeds=3))
    assert [job[:2] for job in jobs] == [
        ("floor", 0),
        ("plain", 0),
        ("random", 0),
        ("random", 1),
        ("random", 2),
    ]


def test_a_stochastic_control_has_its_seeds_too():
    jobs = summary(plan("plain", seeds=2, registry=registry_of(PLAIN, DICE)))
    assert [job[:2] for job in jobs] == [("dice", 0), ("dice", 1), ("plain", 0)]


def test_a_job_holds_the_parameters_in_effect():
    assert job(plan(), "plain").params == {"k": 5}
    assert job(plan(preset="tiny"), "plain").params == {"k": 2}
    assert job(plan(preset="tiny", overrides={"plain": {"k": "7"}}), "plain").params == {"k": 7}


def test_a_parameter_set_for_one_method_changes_no_other_jobs_key():
    changed = plan("plain,random", overrides={"plain": {"k": "7"}})
    same = plan("plain,random")
    assert job(changed, "random").evaluations == job(same, "random").evaluations
    assert job(changed, "plain").evaluations != job(same, "plain").evaluations


def test_a_job_holds_both_names_and_the_digest_of_its_dataset():
    made = job(plan(), "plain")
    assert (made.dataset, made.store, made.data) == ("sim", "store-name", "d1")


def test_a_key_is_that_of_the_evaluations_identity():
    for made, evaluation in plan(protocols="all", seeds=2).evaluations:
        identity = evaluation.identity
        assert evaluation.key == key_of(identity.model_dump())
        assert identity.method == made.method.name
        assert identity.params == made.params
        assert identity.code.distribution == "dist"


def test_all_keys_of_a_plan_are_different():
    keys = [item.key for _, item in plan("all", "all", seeds=3).evaluations]
    assert len(set(keys)) == len(keys)


def test_a_label_names_method_dataset_and_protocols_and_a_seed_where_there_is_one():
    made = plan("all", "geo,gtex", seeds=2)
    assert job(made, "plain").label == "plain on sim (geo, gtex)"
    assert job(made, "random", 1).label == "random seed 1 on sim (geo, gtex)"


# --- states ---------------------------------------------------------------------------------------


@pytest.fixture
def mixed():
    """A plan of which floor is done, plain failed on gtex, and the rest is to do."""
    fresh = plan("plain,random", "geo,gtex")
    states = {item.key: "done" for item in job(fresh, "floor").evaluations}
    states[job(fresh, "plain").evaluations[0].key] = "done"
    states[job(fresh, "plain").evaluations[1].key] = "failed"
    return plan("plain,random", "geo,gtex", FakeResults(states))


def test_a_plan_counts_the_states_of_its_keys(mixed):
    assert (mixed.count("done"), mixed.count("failed"), mixed.count("to do")) == (3, 1, 2)


def test_what_is_done_or_failed_is_not_done_again(mixed):
    assert [(job.method.name, len(job.evaluations)) for job in mixed.remaining()] == [("random", 2)]


def test_failures_are_tried_again_on_request_and_only_they(mixed):
    retried = mixed.remaining(retry_failed=True)
    assert [
        (job.method.name, [item.protocol.name for item in job.evaluations]) for job in retried
    ] == [
        ("plain", ["gtex"]),
        ("random", ["geo", "gtex"]),
    ]


def test_a_reduced_job_is_otherwise_the_same(mixed):
    whole = job(mixed, "plain")
    [retried] = [job for job in mixed.remaining(retry_failed=True) if job.method.name == "plain"]
    assert replace(retried, evaluations=whole.evaluations) == whole


def test_nothing_remains_of_a_plan_that_is_done():
    keys = [item.key for _, item in plan("all", "all").evaluations]
    done = plan("all", "all", FakeResults.fromkeys(keys, "done"))
    assert done.remaining() == done.remaining(retry_failed=True) == []


def test_another_method_adds_only_its_own_jobs():
    keys = [item.key for _, item in plan("plain", "all").evaluations]
    more = plan("plain,random", "all", FakeResults.fromkeys(keys, "done"))
    assert {job.method.name for job in more.remaining()} == {"random"}


def test_other_data_are_to_do_anew():
    keys = [item.key for _, item in plan().evaluations]
    results = FakeResults.fromkeys(keys, "done")
    assert plan(results=results, dataset=FakeDataset(digest="d2")).count("done") == 0


# --- what cannot be planned -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"methods": "plane"}, r"unknown method 'plane'. Did you mean plain\?"),
        ({"methods": ""}, "no method named"),
        ({"protocols": "gte"}, r"unknown protocol 'gte'. Did you mean gtex"),
        ({"protocols": " "}, "no protocol named"),
        ({"seeds": 0}, "seeds=0: at least one seed is needed"),
        ({"seeds": -1}, "seeds=-1: at least one seed is needed"),
        (
            {"overrides": {"plane": {"k": "3"}}},
            r"unknown method 'plane'. Did you mean plain\?",
        ),
        (
            {"overrides": {"random": {"k": "3"}}},
            "a parameter of random is set, but random is not among the methods",
        ),
        (
            {"overrides": {"plain": {"kk": "3"}}},
            r"unknown parameter of plain 'kk'. Did you mean k\?",
        ),
        (
            {"overrides": {"plain": {"k": "10"}}},
            r"plain\.k=10 is out of range\. The largest value is 9",
        ),
        ({"overrides": {"plain": {"k": "x"}}}, r"plain\.k=x is not a whole number"),
        ({"overrides": {"floor": {"k": "3"}}}, "There is no parameter of floor"),
    ],
    ids=str,
)
def test_what_cannot_be_planned_is_refused_in_one_line(asked, message):
    with pytest.raises(UserError, match=message):
        plan(**asked)


@pytest.mark.parametrize(
    ("protocols", "platforms", "missing"),
    [("gtex", ("geo", "gtex"), "1000g"), ("geo", ("gtex",), "geo"), ("all", ("geo",), "1000g")],
)
def test_a_platform_that_the_dataset_lacks_is_named_with_those_it_has(
    protocols, platforms, missing
):
    with pytest.raises(UserError) as caught:
        plan(protocols=protocols, dataset=FakeDataset(platforms=platforms))
    assert f"needs platform {missing}, which dataset store-name lacks" in str(caught.value)
    assert str(caught.value).endswith(f"the platforms that it has: {', '.join(platforms)}.")


# --- training sizes -------------------------------------------------------------------------------


@dataclass(frozen=True)
class SplitDataset(FakeDataset):
    """A dataset whose platforms have 80 training profiles each."""

    split_seed: int = 0

    def split(self, platform, name):
        return np.repeat(["train", "validation", "test"], [80, 10, 10])

    def rows(self, part):
        return np.flatnonzero(self.split(part.platform, part.by) == part.split)


def test_protocols_of_one_size_share_their_fits_and_those_of_other_sizes_do_not():
    made = plan(protocols="geo-n20,gtex-n20,geo-n50,geo", dataset=SplitDataset())
    assert [names for name, _, *names in summary(made) if name == "plain"] == [
        ["geo-n20", "gtex-n20"], ["geo-n50"], ["geo"],
    ]  # fmt: skip


def test_a_size_changes_the_key_and_leaves_that_of_the_whole_as_it_was():
    def keys(protocols):
        made = plan(protocols=protocols, dataset=SplitDataset())
        return {item.protocol.name: item.key for _, item in made.evaluations}

    together = keys("geo,geo-n20,geo-n79")
    assert together["geo"] == keys("geo")["geo"]
    assert len(set(together.values())) == len(together)


def test_a_size_above_the_training_set_is_refused_with_the_number_there_is():
    assert plan(protocols="geo-n79", dataset=SplitDataset()).jobs
    with pytest.raises(UserError, match=r"gtex-n81 needs 81 .* has 80\. Choose a smaller size"):
        plan(protocols="geo-n20,gtex-n81", dataset=SplitDataset())
