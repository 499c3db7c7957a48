"""The config file and the same keys in suites: which value counts, and which are refused."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from genebench import UserError
from genebench.api import configure
from genebench.runs.config import Defaults, merged_resources, preference, read_config
from genebench.runs.jobs import Settings

QUEUE = """
from genebench import hookimpl
from genebench.specs import EngineSpec, Param

genebench_contract = 1


@hookimpl
def genebench_engines():
    options = (
        Param(name="partition", default="cpu", help="p"),
        Param(name="nodes", default=1, minimum=1, help="n"),
        Param(name="exclusive", default=False, help="e"),
    )
    return [EngineSpec(name="queue", title="q", code="queue_:run", options=options)]


def run(jobs, settings):
    raise AssertionError("no test runs it")
"""


@pytest.fixture(autouse=True)
def queue(plugin_file):
    """An engine of a third party, with options."""
    plugin_file("queue_", QUEUE)


@pytest.fixture
def config(tmp_path, monkeypatch) -> Callable[[str], Path]:
    """Write the config file."""

    def config(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text)
        monkeypatch.setenv("GENEBENCH_CONFIG", str(path))
        return path

    return config


def suite(**content: object) -> dict[str, Defaults]:
    return {"mine.toml": Defaults.model_validate(content)}


def configured(engine=None, **arguments):
    return configure(Settings(results=Path("results")), engine, **arguments)


def test_without_a_file_nothing_is_set(monkeypatch, tmp_path):
    monkeypatch.delenv("GENEBENCH_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "nowhere"))
    assert read_config() == {}
    engine, settings = configured()
    assert (engine, settings.options, settings.resources) == ("local", {}, {})


@pytest.mark.skipif(sys.platform != "linux", reason="the folder is another one there")
def test_the_file_lies_in_the_users_config_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("GENEBENCH_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = tmp_path / "genebench" / "config.toml"
    path.parent.mkdir()
    path.write_text('engine = "queue"')
    assert list(read_config()) == [str(path)]
    assert configured()[0] == "queue"


def test_the_command_line_goes_before_the_suite_and_the_suite_before_the_file(config):
    config('engine = "queue"\n[engines.queue]\npartition = "file"\nnodes = 2\nexclusive = true')
    engine, settings = configured()
    assert engine == "queue"
    assert settings.options == {"partition": "file", "nodes": 2, "exclusive": True}

    engines = {"queue": {"partition": "suite", "nodes": 3}}
    _, settings = configured(suite=suite(engines=engines))
    assert settings.options == {"partition": "suite", "nodes": 3, "exclusive": True}

    typed = {"queue": {"partition": "typed"}}
    _, settings = configured(suite=suite(engines=engines), options=typed)
    assert settings.options == {"partition": "typed", "nodes": 3, "exclusive": True}

    assert configured(suite=suite(engine="process"))[0] == "process"
    assert configured("local", suite=suite(engine="process"))[0] == "local"


def test_options_of_an_engine_that_is_not_used_are_no_mistake_in_a_file(config):
    config('[engines.queue]\npartition = "gpu"\n[engines.process]\n')
    assert configured("local")[1].options == {}


def test_options_without_a_name_are_for_the_engine_that_is_used(config):
    config('engine = "queue"')
    assert configured(options={"": {"nodes": "4"}})[1].options["nodes"] == 4


@pytest.mark.parametrize(
    ("engine", "options", "message"),
    [
        (None, {"queue": {"nodes": "2"}}, "Options of engine queue are set, but engine local"),
        ("queue", {"local": {"x": "2"}}, "Use --engine local, or remove the options"),
        ("queue", {"queeu": {"nodes": "2"}}, "Did you mean queue"),
        ("queue", {"queue": {"node": "2"}}, "unknown option of engine queue 'node'"),
        ("queue", {"queue": {"nodes": "0"}}, "queue.nodes=0 is out of range"),
        ("local", {"": {"nodes": "0"}}, "unknown option of engine local 'nodes'"),
    ],
)
def test_an_option_that_does_not_fit_the_engine_is_refused(engine, options, message):
    with pytest.raises(UserError, match=message):
        configured(engine, options=options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('engin = "local"', "unknown key 'engin'. Did you mean engine"),
        (
            'engine = "farm"',
            "its engine is not installed. Install its plugin, or use another --engine: unknown",
        ),
        ("engine = 3", "engine: Input should be a valid string"),
        ('engine = "queue"\n[engines.queue]\nnods = 2', "unknown option of engine queue 'nods'"),
        ('engine = "queue"\n[engines.queue]\nnodes = 0', "queue.nodes=0 is out of range"),
        ("[engines.queue]\nnodes = [1]", "engines.queue.nodes."),
        (
            '[resources]\nmemroy = "8G"',
            "'resources.memroy'. Did you mean resources.memory",
        ),
        ('[resources.knn]\nmemroy = "8G"', "unknown key 'resources.knn.memroy'"),
        ("[resources]\nmemory = 8", "resources.memory: no size. Write it as 800M or 8G, in quotes"),
        ('[resources]\ntime = "soon"', "resources.time: no time. Write it as 90s"),
        ("[resources]\ncpus = 0", "resources.cpus: Input should be greater than or equal to 1"),
        ("[resources.knn]\ngpus = -1", "resources.knn.gpus: Input should be greater"),
        ("[runs]", "unknown key 'runs'"),
        ("engine", "not TOML"),
    ],
)
def test_a_mistake_in_the_file_is_one_line_that_names_it(
    config, genebench, tmp_path, text, message
):
    path = config(text)
    refused = genebench("run", "--methods", "lsr", "--results", tmp_path / "results")
    assert refused.status == 2
    assert f"{path}: " in refused.err
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1
    assert not (tmp_path / "results").exists()


def test_a_mistake_in_a_suite_names_the_suite(genebench, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('engine = "farm"\n[[runs]]\nmethods = ["lsr"]\n')
    refused = genebench("run", path, "--results", tmp_path / "results")
    assert refused.status == 2
    assert f"{path}: its engine is not installed" in refused.err
    assert len(refused.err.splitlines()) == 1


def test_a_file_that_is_named_must_exist(monkeypatch, tmp_path):
    monkeypatch.setenv("GENEBENCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(UserError, match="no such file"):
        read_config()


def test_names_that_are_not_installed_are_left_out_with_a_warning(config, caplog):
    path = config("[engines.quue]\nnodes = 2\n[resources.kn]\ngpus = 1\n[resources.knn]\ngpus = 2")
    with caplog.at_level(logging.WARNING, "genebench"):
        _, settings = configured()
    assert settings.resources == {"knn": {"gpus": 2}}
    messages = [record.getMessage() for record in caplog.records]
    for message, name in zip(messages, ("engine 'quue'", "method 'kn'"), strict=True):
        assert message.startswith(f"{path}: values are left out: unknown {name}. Did you mean")


def test_resources_are_read_with_their_units(config):
    config('[resources]\nmemory = "8G"\n[resources.lsr-l2]\ncpus = 2\ngpus = 1\ntime = "4h"')
    assert configured()[1].resources == {
        "": {"memory": 2**33},
        "lsr-l2": {"cpus": 2, "gpus": 1, "seconds": 14_400},
    }


def test_resources_of_the_command_line_go_before_those_of_the_suite_and_the_file(config):
    config('[resources]\ncpus = 2\nmemory = "1G"\n[resources.knn]\nmemory = "2G"\ngpus = 1')
    own = suite(resources={"memory": "4G", "knn": {"cpus": 4}})
    assert configured(suite=own)[1].resources == {
        "": {"memory": 2**32, "cpus": 2},
        "knn": {"cpus": 4, "gpus": 1},
    }
    typed = {"": {"cpus": 8}, "lsr": {"seconds": 60.0}}
    assert configured(suite=own, resources=typed)[1].resources == {
        "": {"cpus": 8, "memory": 2**32},
        "lsr": {"seconds": 60.0},
        "knn": {"gpus": 1},
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"knnn": {"cpus": 1}}, "Did you mean knn"),
        ({"": {"time": 1}}, "unknown resource 'time'"),
        ({"": {"cpus": 0}}, "cpus=0 is out of range. Use 1 or more"),
        ({"": {"gpus": -1}}, "gpus=-1 is out of range"),
        ({"": {"seconds": float("nan")}}, "out of range"),
        ({"": {"memory": 1.5}}, "memory=1.5 is no whole number"),
    ],
)
def test_resources_that_no_job_can_have_are_refused(given, message):
    with pytest.raises(UserError, match=message):
        merged_resources(given, {})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Write the file of a project in a repository, and work in a folder below."""

    def project(text, name="genebench.toml"):
        root = tmp_path / "repository"
        (root / ".git").mkdir(parents=True, exist_ok=True)
        below = root / "below"
        below.mkdir(exist_ok=True)
        monkeypatch.chdir(below)
        path = root / name
        path.write_text(text)
        return path

    return project


def test_a_project_goes_before_the_user_and_after_the_command_line(project, config, genebench):
    own = config('dataset = "sim"\nseeds = 4\nengine = "queue"\ndevice = "cpu"')
    path = project('results = "out"\nseeds = 2\nengine = "process"')
    assert preference("seeds") == (2, str(path))
    assert preference("dataset") == ("sim", str(own))
    assert preference("results") == (str(path.parent / "out"), str(path))
    assert preference("preset") is None
    assert configured()[0] == "process"
    assert configured("local")[0] == "local"
    shown = {
        row["key"]: (row["value"], row["source"])
        for row in json.loads(genebench("config", "--json").out)["values"]
    }
    assert shown["seeds"] == (2, str(path))
    assert shown["device"] == ("cpu", str(own))
    assert shown["preset"] == ("as the dataset suggests", "built in")


def test_the_table_of_pyproject_is_a_project_file(project):
    path = project('[project]\nname = "x"\n[tool.genebench]\nseeds = 7\n', "pyproject.toml")
    assert preference("seeds") == (7, f"{path} [tool.genebench]")
    path.write_text('[project]\nname = "x"\n')
    assert preference("seeds") is None


def test_beyond_the_repository_no_file_counts(project, tmp_path):
    project("seeds = 2").unlink()
    (tmp_path / "genebench.toml").write_text("seeds = 3")
    assert preference("seeds") is None


def test_without_a_repository_only_the_folder_itself_counts(tmp_path, monkeypatch):
    (tmp_path / "genebench.toml").write_text("seeds = 3")
    monkeypatch.chdir(tmp_path)
    assert preference("seeds").value == 3
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert preference("seeds") is None


def test_commands_take_the_defaults_of_a_project(project, genebench, tmp_path, tiny):
    path = project(
        'results = "out"\npreset = "tiny"\nprotocols = ["geo"]\ndataset = "sim"\ndevice = "cpu"'
    )
    plan = json.loads(genebench("run", "--methods", "lsr", "--dry-run", "--json").out)
    assert {row["protocol"] for row in plan} == {"geo"}
    assert genebench("run", "--methods", "lsr", "--quiet").status == 0
    assert list((path.parent / "out").glob("*.json"))
    assert json.loads(genebench("status", "--json").out)["records"]
    typed = genebench("status", "--json", "--results", tmp_path / "none")
    assert typed.status == 2


def test_a_suite_goes_before_the_project(project, genebench, tmp_path, tiny):
    project('preset = "small"\nprotocols = ["geo"]\nseeds = 2')
    suite = tmp_path / "mine.toml"
    suite.write_text(
        'preset = "tiny"\nprotocols = ["gtex"]\nseeds = 1\n[[runs]]\nmethods = ["lsr"]\n'
    )
    plan = json.loads(genebench("run", suite, "--dry-run", "--json").out)
    assert {row["protocol"] for row in plan} == {"gtex"}
    suite.write_text('preset = "tiny"\n[[runs]]\nmethods = ["lsr"]\n')
    plan = json.loads(genebench("run", suite, "--dry-run", "--json").out)
    assert {row["protocol"] for row in plan} == {"geo"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('plugins = ["evil.py"]', "unknown key 'plugins'"),
        ('reslts = "out"', "unknown key 'reslts'. Did you mean results"),
        ('device = "gpuu"', "device: Input should be 'auto', 'cpu', 'cuda' or 'gpu'"),
        ("seeds = 0", "seeds: Input should be greater than or equal to 1"),
        ('[engines.queue]\npartition = "x; rm -rf /"', "engines.queue.partition is text"),
        ('[engines.none]\nsetup = "x"', "engines.none.setup is text"),
        ('[resources]\nmemroy = "8G"', "Did you mean resources.memory"),
    ],
)
def test_a_mistake_in_the_file_of_a_project_is_one_line(project, genebench, text, message):
    path = project(text)
    refused = genebench("run", "--methods", "lsr", "--dry-run")
    assert refused.status == 2
    assert f"{path}: " in refused.err
    assert message in refused.err
    assert len(refused.err.splitlines()) == 1


def test_a_project_may_set_numbers_of_an_engine(project):
    project('engine = "queue"\n[engines.queue]\nnodes = 3\nexclusive = true')
    assert configured()[1].options == {"partition": "cpu", "nodes": 3, "exclusive": True}
