"""The engine of a run: the one that is named, or the first that keeps the limits asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from genebench import UserError
from genebench.api import choose_engine, execute_plan, run
from genebench.plugins.discovery import FILES, installed, use_files
from genebench.plugins.registry import registry
from genebench.runs.jobs import Settings
from genebench.specs import EngineSpec

FARM = """
from genebench import hookimpl
from genebench.specs import EngineSpec

genebench_contract = 1
seen = []


@hookimpl
def genebench_engines():
    return [EngineSpec(name="farm", title="f", code="farm:run", limits=("time",))]


def run(jobs, settings):
    from genebench.runs.execute import execute

    for job in jobs:
        seen.append(settings.time_limit)
        execute(job, settings)
        yield job
"""

TIME = {"time_limit": 3.0}
MEMORY = {"memory_limit": 2**30}


@pytest.fixture
def farm(plugin_file):
    """An engine of a third party, which keeps time limits but no memory limits."""
    plugin_file("farm", FARM)


@pytest.mark.parametrize(
    ("name", "limits", "chosen"),
    [
        (None, {}, "local"),
        (None, TIME, "process"),
        (None, MEMORY, "process"),
        ("local", {}, "local"),
        ("process", TIME | MEMORY, "process"),
        ("farm", {}, "farm"),
        ("farm", TIME, "farm"),
    ],
)
def test_without_a_name_the_first_engine_that_keeps_the_limits_is_chosen(
    farm, tmp_path, name, limits, chosen
):
    assert choose_engine(name, Settings(results=tmp_path, **limits)) == chosen


@pytest.mark.parametrize(
    ("name", "limits", "message"),
    [
        ("local", TIME, "does not support time limits. Remove --time-limit, or"),
        ("local", MEMORY, "does not support memory limits. Remove --memory-limit, or"),
        (
            "local", TIME | MEMORY,
            "does not support time or memory limits. Remove --time-limit and --memory-limit, or",
        ),
        ("farm", TIME | MEMORY, "does not support memory limits. Remove --memory-limit, or"),
    ],
)  # fmt: skip
def test_an_engine_that_lacks_a_limit_is_refused_with_one_that_keeps_it(
    farm, tmp_path, name, limits, message
):
    with pytest.raises(UserError) as refused:
        choose_engine(name, Settings(results=tmp_path, **limits))
    assert str(refused.value) == f"Engine {name} {message} use --engine process."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, "No engine supports time and memory limits together. Remove --time-limit and"),
        ("farm", "Engine farm does not support memory limits. Remove --memory-limit."),
    ],
)
def test_limits_that_no_engine_keeps_are_refused(farm, tmp_path, monkeypatch, name, message):
    monkeypatch.delitem(registry().engines.specs, "process")
    with pytest.raises(UserError, match=message):
        choose_engine(name, Settings(results=tmp_path, **TIME, **MEMORY))


def test_no_engine_is_given_a_limit_that_it_does_not_keep(farm, tmp_path):
    with pytest.raises(UserError, match="farm does not support memory limits"):
        list(execute_plan([], Settings(results=tmp_path / "results", **MEMORY), "farm"))
    assert not (tmp_path / "results").exists()


def test_a_limit_reaches_the_engine_of_a_third_party(farm, tiny, tmp_path):
    done = run(
        "train-mean", "geo", preset="tiny", results=tmp_path / "results", engine="farm",
        time_limit=60.0,
    )  # fmt: skip
    assert {record.status for record in done.records} == {"done"}
    assert set(sys.modules["farm"].seen) == {60.0}


@pytest.mark.parametrize("command", ["run", "sweep"])
def test_the_command_line_refuses_a_limit_in_one_line(genebench, tmp_path, command):
    grid = ("--grid", "k_max=3,5") if command == "sweep" else ()
    refused = genebench(
        command, "--methods", "knn", *grid, "--engine", "local", "--time-limit", "5m",
        "--results", tmp_path / "results",
    )  # fmt: skip
    assert (refused.status, refused.out) == (2, "")
    assert refused.err == (
        "genebench: error: Engine local does not support time limits. "
        "Remove --time-limit, or use --engine process.\n"
    )


CLUSTER = """
from genebench import hookimpl
from genebench.specs import EngineSpec, Param

genebench_contract = 1
seen = []


@hookimpl
def genebench_engines():
    return [
        EngineSpec(
            name="cluster", title="c", code="farm:run", contains=True, limits=("time", "memory"),
            many_machines=True, options=(Param(name="partition", default="cpu", help="p"),),
        )
    ]


def run(jobs, settings):
    from genebench.runs.execute import execute

    for job in jobs:
        seen.append((settings.device, dict(settings.options), dict(settings.resources)))
        # Another machine, where the device is there.
        object.__setattr__(settings, "device", "cpu")
        execute(job, settings)
        yield job
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch) -> Iterator[None]:
    """An engine of other machines. It stands before the built-in ones, and can do all they can."""
    monkeypatch.setenv(FILES, "")
    path = tmp_path / "farm.py"
    path.write_text(CLUSTER)
    use_files([path])
    registry.cache_clear()
    specs = registry().engines.specs
    specs |= {name: specs.pop(name) for name in list(specs) if name != "cluster"}
    yield
    sys.modules.pop("farm", None)
    installed.cache_clear()
    registry.cache_clear()


@pytest.mark.parametrize("limits", [{}, TIME, TIME | MEMORY])
def test_an_engine_of_other_machines_is_used_only_if_it_is_asked_for(cluster, tmp_path, limits):
    settings = Settings(results=tmp_path, **limits)
    assert choose_engine(None, settings) == ("process" if limits else "local")
    assert choose_engine("cluster", settings) == "cluster"


def test_an_engine_of_other_machines_is_not_offered_in_place_of_another(cluster, tmp_path):
    with pytest.raises(UserError, match=r"or use --engine process\.$"):
        choose_engine("local", Settings(results=tmp_path, **TIME))


def test_the_device_of_other_machines_is_not_looked_up_here(cluster, tiny, tmp_path, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = {
        "methods": "mlp-l1", "protocols": "geo", "preset": "tiny", "device": "cuda",
        "results": tmp_path / "results", "params": {"mlp-l1": {"epochs": 1}},
    }  # fmt: skip
    with pytest.raises(UserError, match="cuda"):
        run(**arguments)
    assert not list((tmp_path / "results").glob("*.npz"))
    done = run(**arguments, engine="cluster")
    assert {record.status for record in done.records} == {"done"}


def test_options_and_resources_reach_the_engine(cluster, tiny, tmp_path):
    run(
        "train-mean", "geo", preset="tiny", results=tmp_path / "results", engine="cluster",
        engine_options={"partition": "gpu"}, resources={"": {"cpus": 2}},
    )  # fmt: skip
    assert sys.modules["farm"].seen[0] == ("auto", {"partition": "gpu"}, {"": {"cpus": 2}})


@pytest.mark.parametrize("command", ["run", "sweep", "tune"])
def test_the_command_line_sets_options_and_resources(cluster, genebench, tiny, tmp_path, command):
    grid = () if command == "run" else ("--grid", "k_max=3,5")
    done = genebench(
        command, "--methods", "knn", "--protocol", "geo", "--preset", "tiny", *grid,
        "--engine", "cluster", "--engine-set", "cluster.partition=long", "--time-limit", "1h",
        "--resources", "knn.memory=1G", "--results", tmp_path / "results",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert sys.modules["farm"].seen[0][1:] == ({"partition": "long"}, {"knn": {"memory": 2**30}})


@pytest.mark.usefixtures("cluster", "tiny")
@pytest.mark.parametrize("command", ["run", "sweep", "tune"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--engine-set", "cluster.partition=x"), "Use --engine cluster, or remove the options."),
        (("--engine-set", "local.x=1", "--engine", "local"), "unknown option of engine local 'x'"),
        (("--resources", "lsr.cpus=2"), "lsr is not among the methods"),
        (("--resources", "cpus=0"), "cpus=0 is out of range"),
    ],
)
def test_options_that_nothing_uses_are_refused(genebench, tmp_path, command, arguments, message):
    grid = () if command == "run" else ("--grid", "k_max=3,5")
    refused = genebench(
        command, "--methods", "knn", "--preset", "tiny", *grid, *arguments,
        "--results", tmp_path / "results",
    )  # fmt: skip
    assert (refused.status, refused.out) == (2, "")
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("limits", [("space",), "time"])
def test_an_engine_cannot_declare_a_limit_that_does_not_exist(limits):
    with pytest.raises(ValueError, match="engine e: limit"):
        EngineSpec(name="e", title="t", code="m:f", limits=limits)


FAULTY = """
from genebench import hookimpl
from genebench.specs import EngineSpec

genebench_contract = 1


@hookimpl
def genebench_engines():
    return [
        EngineSpec(name=name, title="t", code=f"farm:{name}")
        for name in ("missing", "returnsnothing", "forgets")
    ]


def returnsnothing(jobs, settings):
    pass


def forgets(jobs, settings):
    yield from jobs
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "Engine missing: farm:missing cannot be loaded"),
        ("returnsnothing", "Engine returnsnothing: farm:returnsnothing returned None"),
        ("forgets", "Engine forgets ended without a result of 3 of 3 jobs, such as train-mean"),
    ],
)
def test_a_mistake_of_an_engine_is_one_line(tmp_path, monkeypatch, tiny, name, message):
    path = tmp_path / "farm.py"
    path.write_text(FAULTY)
    monkeypatch.setenv(FILES, "")
    sys.modules.pop("farm", None)
    use_files([path])
    registry.cache_clear()
    try:
        with pytest.raises(UserError, match=message):
            run("lsr", "geo", preset="tiny", results=tmp_path / "results", engine=name)
    finally:
        sys.modules.pop("farm", None)
        installed.cache_clear()
        registry.cache_clear()
