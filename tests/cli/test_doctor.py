"""genebench doctor: one line for each subject, in words that help, whatever the machine is like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from genebench.cli import diagnosis
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry
from genebench.results.record import Seal

REPOSITORY = Path(__file__).resolve().parents[2]
SUBJECTS = [
    "python", "genebench", "libraries", "data folder", "datasets", "disk", "memory", "processors",
    "gpu", "sealing", "extras", "browser", "terminal", "locale", "git",
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


@pytest.fixture
def examine(genebench):
    """examine(*options): the exit status, and subject → finding."""

    def examine(*options: str):
        outcome = genebench("doctor", "--format", "json", *options)
        content = json.loads(outcome.out)
        found = {finding["subject"]: finding for finding in content["findings"]}
        marks = [finding["mark"] for finding in content["findings"]]
        assert content["state"] == max(marks, key=diagnosis.MARKS.index)
        assert outcome.status == (1 if content["state"] == "missing" else 0)
        return outcome.status, found

    return examine


def test_every_subject_is_examined(examine):
    status, found = examine("--no-gpu")
    assert status == 0
    assert [subject for subject in found if not subject.startswith("plugin")] == SUBJECTS
    for finding in found.values():
        assert finding["fact"]
        assert "could not be examined" not in finding["fact"]


def test_the_text_fits_eighty_columns(genebench, monkeypatch):
    monkeypatch.setattr("genebench.cli.output.width", lambda: 80)
    outcome = genebench("doctor", "--no-gpu")
    *lines, summary = outcome.out.splitlines()
    assert summary.endswith(" 0 missing")
    # Paths stay whole, however long they are.
    assert [line for line in lines if len(line) > 80 and max(map(len, line.split())) < 45] == []
    for subject in SUBJECTS:
        assert any(line[9:].startswith(f"{subject}: ") for line in lines), subject
    assert outcome.out.isascii()


def test_torch_is_not_imported(own_home):
    code = (
        "import sys; from genebench.cli import invoke; status = invoke(['doctor', '--no-gpu']); "
        "sys.exit(status or 'torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def torch_that(statement: str, tmp_path: Path, monkeypatch) -> None:
    """Put a module torch before the real one."""
    (tmp_path / "fake").mkdir()
    (tmp_path / "fake" / "torch.py").write_text(statement)
    path = os.pathsep.join([str(tmp_path / "fake"), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)


CARDS = """
from types import SimpleNamespace
__version__, version = "9.9", SimpleNamespace(cuda={cuda!r})
cuda = SimpleNamespace(is_available=lambda: bool({names}), device_count=lambda: len({names}),
                       get_device_name=lambda number: {names}[number])
"""


@pytest.mark.parametrize(
    ("statement", "mark", "words"),
    [
        (CARDS.format(cuda="13.0", names=["H200", "H200"]), "ok", "2 x H200 (torch 9.9, CUDA 13"),
        (CARDS.format(cuda="13.0", names=[]), "limited", "torch 9.9 for CUDA 13.0 finds no device"),
        (CARDS.format(cuda=None, names=[]), "limited", "torch 9.9 is built without CUDA"),
        ("raise OSError('libcudart.so: not found')", "missing", "OSError: libcudart.so: not found"),
        ("import os; os._exit(9)", "missing", "torch cannot be imported: exit status 9"),
    ],
    ids=["two cards", "no card", "no CUDA", "broken", "crash"],
)
def test_what_torch_says_is_told(examine, tmp_path, monkeypatch, statement, mark, words):  # noqa: PLR0917  fixtures
    torch_that(statement, tmp_path, monkeypatch)
    status, found = examine()
    assert found["gpu"]["mark"] == mark
    assert words in found["gpu"]["fact"]
    assert status == (1 if mark == "missing" else 0)


def test_a_torch_that_hangs_is_not_waited_for(examine, tmp_path, monkeypatch):
    torch_that("import time; time.sleep(60)", tmp_path, monkeypatch)
    monkeypatch.setattr(diagnosis, "_TORCH_SECONDS", 0.5)
    _, found = examine()
    assert found["gpu"]["mark"] == "limited"
    assert "not imported within 0.5 seconds" in found["gpu"]["fact"]


def test_a_data_folder_that_cannot_be_used_is_missing(examine, own_home, monkeypatch):
    own_home.write_text("a file")
    status, found = examine("--no-gpu")
    assert (status, found["data folder"]["mark"]) == (1, "missing")
    assert found["data folder"]["remedy"].startswith("Set GENEBENCH_HOME")
    monkeypatch.setenv("GENEBENCH_HOME", str(own_home.parent / ("n" * 300)))
    status, found = examine("--no-gpu")
    assert (status, found["data folder"]["mark"]) == (1, "missing")


def test_a_damaged_dataset_is_named(examine, own_home):
    for name in ("sound", "spoilt"):
        folder = own_home / "datasets" / name / "0123456789abcdef"
        folder.mkdir(parents=True)
        (folder / "dataset.json").write_text('{"title": "t"}' if name == "sound" else "{")
        (folder.parent / "current").write_text(f"{folder.name}\n")
    finding = subprocess.run(
        [sys.executable, "-m", "genebench", "doctor", "--no-gpu"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "limited  datasets: spoilt is damaged\n" in finding
    assert "genebench data remove spoilt" in finding
    assert "ok       datasets: 1 prepared: sound\n" in finding


def test_results_of_the_current_folder_are_counted(examine, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / f"{24 * 'a'}.json").write_text("{}")
    _, found = examine("--no-gpu")
    assert found["results"]["fact"] == f"{tmp_path / 'results'} has 1 record"


PLUGIN = """
from genebench import hookimpl
from genebench.specs import MethodSpec
genebench_contract = {contract}
@hookimpl
def genebench_methods():
    return [MethodSpec(name=f"m{{i}}", title="t", summary="s", code="some:M") for i in (1, 2)]
"""


@pytest.fixture
def with_plugin(install):
    def fresh():
        installed.cache_clear()
        registry.cache_clear()

    def with_plugin(name: str, contract: int) -> Path:
        site = install(name, PLUGIN.format(contract=contract))
        fresh()
        return site

    yield with_plugin
    fresh()


def test_plugins_have_their_origin_and_their_methods(examine, with_plugin):
    site = with_plugin("doctored", 1)
    _, found = examine("--no-gpu")
    finding = found["plugin doctored"]
    assert finding["mark"] == "ok"
    assert finding["fact"] == f"doctored 1.0, wheel, {site}: 2 methods"


def test_a_broken_plugin_has_its_reason(examine, with_plugin):
    with_plugin("sick_plugin", 7)
    status, found = examine("--no-gpu")
    finding = found["plugin sick_plugin"]
    assert (status, finding["mark"]) == (0, "limited")
    assert "is broken: declares contract version 7" in finding["fact"]
    assert "genebench list plugins --traceback" in finding["remedy"]


def test_an_absent_extra_has_its_command(examine, monkeypatch):
    monkeypatch.setattr(
        diagnosis, "find_spec", lambda name: None if name == "pyarrow" else "a spec"
    )
    _, found = examine("--no-gpu")
    assert found["extras"]["mark"] == "limited"
    assert found["extras"]["fact"].endswith("Not installed: arrow (pyarrow)")
    assert "pip install 'genebench-suite[arrow]'" in found["extras"]["remedy"]


def test_the_extras_are_those_of_the_project():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    names = {
        "sklearn": "scikit-learn", "huggingface_hub": "huggingface-hub", "pynvml": "nvidia-ml-py",
    }  # fmt: skip
    for extra, modules in diagnosis.EXTRAS.items():
        declared = {
            diagnosis._library_name(text) for text in project["optional-dependencies"][extra]
        }
        assert {names.get(module, module) for module in modules} == declared
    plugins = {folder.name for folder in (REPOSITORY / "plugins").iterdir()}
    others = {"all", "bench", "dev", "release"} | plugins
    assert set(project["optional-dependencies"]) - set(diagnosis.EXTRAS) == others


def test_a_library_that_is_needed_and_not_installed_is_missing(examine, monkeypatch):
    monkeypatch.setattr(diagnosis.metadata, "requires", lambda _: ["numpy>=2", "no_such_library"])
    status, found = examine("--no-gpu")
    assert (status, found["libraries"]["mark"]) == (1, "missing")
    assert found["libraries"]["remedy"] == "Install them: pip install no_such_library"


def test_more_threads_than_processors_are_a_limit(examine, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4000")
    _, found = examine("--no-gpu")
    assert found["processors"]["mark"] == "limited"
    assert "OMP_NUM_THREADS=4000: more threads than processors" in found["processors"]["fact"]
    assert found["processors"]["remedy"].startswith("Set OMP_NUM_THREADS=")


def test_the_lowest_limit_of_the_control_groups_holds(tmp_path):
    inner = tmp_path / "root" / "outer" / "inner"
    inner.mkdir(parents=True)
    (tmp_path / "membership").write_text("1:cpu:/old\n0::/outer/inner\n")
    (inner / "memory.max").write_text("max\n")
    (inner.parent / "memory.max").write_text("1000\n")
    (inner / "cpu.max").write_text("150000 100000\n")
    (inner.parent / "cpu.max").write_text("max 100000\n")
    places = {"membership": tmp_path / "membership", "root": tmp_path / "root"}
    assert diagnosis.cgroup_limit("memory.max", **places) == 1000
    assert diagnosis.cgroup_limit("cpu.max", **places) == 1.5
    assert diagnosis.cgroup_limit("memory.high", **places) is None
    assert diagnosis.cgroup_limit("memory.max", membership=tmp_path / "none") is None


@pytest.mark.parametrize(
    ("level", "mark", "words"),
    [
        ("landlock", "ok", "Landlock ABI 4, and apart from others by namespaces: network"),
        ("view", "limited", "no Landlock: the kernel is old"),
        ("no", "limited", "not possible: the kernel is old"),
    ],
)
def test_what_sealing_can_do_is_told(examine, monkeypatch, level, mark, words):
    answer = Seal(level=level, abi=4, isolated=("network",), reason="the kernel is old")
    monkeypatch.setattr("genebench.confinement.policy.capability", lambda: answer)
    _, found = examine("--no-gpu")
    assert found["sealing"]["mark"] == mark
    assert words in found["sealing"]["fact"]


def test_a_check_that_fails_costs_only_its_line(examine, monkeypatch):
    def fail():
        raise OSError("no such luck")

    monkeypatch.setattr(diagnosis, "_memory", fail)
    status, found = examine("--no-gpu")
    assert status == 0
    assert found["memory"]["fact"] == "could not be examined: OSError: no such luck"
    assert found["git"]["mark"] == "ok"
