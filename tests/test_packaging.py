"""Packaging: one version, bounds that are tried, wheels that hold everything, workflows.

The wheels are tried in clean environments by ``packaging/try_wheels.py``, which takes minutes.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from hatchling.build import build_sdist, build_wheel

from genebench.hookspecs import DISTRIBUTION, PROJECT
from genebench.plugins.discovery import SHIPPED
from genebench.plugins.registry import registry
from genebench.results.record import Record

ROOT = Path(__file__).resolve().parents[1]
PACKAGING = ROOT / "packaging"
PLUGINS = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))
PROJECTS = [ROOT, *PLUGINS]
ACTION = ROOT / ".github" / "actions" / "check-plugin" / "action.yml"


def project(folder):
    return tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["project"]


def script(name):
    spec = importlib.util.spec_from_file_location(name, PACKAGING / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def bounds(requirements):
    """Return name → lowest version of requirements such as ``numpy>=2.0``."""
    found = [re.fullmatch(r"([A-Za-z0-9-]+)>=([0-9.]+)", text) for text in requirements]
    return {match[1].lower(): match[2] for match in found if match}


def required_by_users():
    """Yield the requirements of genebench, its features and its plugins."""
    for folder in PROJECTS:
        content = project(folder)
        yield from content["dependencies"]
        for extra, requirements in content.get("optional-dependencies", {}).items():
            if extra not in {"bench", "client", "dev", "release"}:
                yield from requirements


# Versions and requirements


def test_every_place_has_one_version():
    version = script("version")
    assert version.faults(version.current()) == []
    assert version.current() == metadata.version(DISTRIBUTION)


def test_another_version_is_set_everywhere(tmp_path, monkeypatch):
    version = script("version")
    for path in (*version.PROJECTS, ROOT / "CITATION.cff", PACKAGING / "recipe.yaml"):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(path.read_text("utf-8"), "utf-8")
    monkeypatch.setattr(version, "ROOT", tmp_path)
    copies = tuple(tmp_path / path.relative_to(ROOT) for path in version.PROJECTS)
    monkeypatch.setattr(version, "PROJECTS", copies)
    assert len(version.faults("3.7.2")) == 3 * len(PLUGINS) + 3
    version.set_version("3.7.2")
    assert version.faults("3.7.2") == []
    assert '"genebench-suite~=3.7.0"' in (tmp_path / "plugins/knn/pyproject.toml").read_text()


def test_each_plugin_is_shipped_has_an_extra_and_is_in_all():
    content = project(ROOT)
    names = {project(folder)["name"] for folder in PLUGINS}
    assert names == {*SHIPPED} - {PROJECT}
    extras = content["optional-dependencies"]
    [everything] = extras["all"]
    included = re.search(r"\[(.*)\]", everything)[1].split(",")
    for folder in PLUGINS:
        assert extras[folder.name] == [f"genebench-{folder.name}~={content['version'][:4]}0"]
    assert {*included} == {*extras} - {"all", "bench", "dev", "release"}


@pytest.mark.parametrize("folder", PROJECTS, ids=lambda folder: folder.name)
def test_each_folder_is_a_package_with_its_licence_and_types(folder):
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()
    assert project(folder)["license-files"][0] == "LICENSE"
    assert project(folder)["requires-python"] == project(ROOT)["requires-python"]
    assert len([*folder.glob("genebench*/py.typed")]) == 1


def test_the_oldest_versions_that_are_tried_are_the_bounds():
    tried = dict(
        line.split("==") for line in (PACKAGING / "oldest.txt").read_text().splitlines() if line
    )
    assert tried == bounds(required_by_users())


def test_two_packages_do_not_ask_for_different_oldest_versions():
    asked = {}
    for requirement in required_by_users():
        for name, version in bounds([requirement]).items():
            assert asked.setdefault(name, version) == version


def test_the_conda_recipe_has_the_same_version_and_requirements():
    text = (PACKAGING / "recipe.yaml").read_text()
    recipe = yaml.safe_load(text)
    content = project(ROOT)
    names = {"pytorch": "torch"}
    wanted = {
        names.get(name, name) + bound
        for name, bound in (line.split(maxsplit=1) for line in recipe["requirements"]["run"])
        if name != "python"
    }
    assert wanted == {*content["dependencies"]}
    assert recipe["context"]["version"] == content["version"]
    assert f">={recipe['context']['python_min']}" == content["requires-python"]


# Names


def test_records_name_the_project_whatever_its_distribution_is_called(lsr_and_knn):
    """So a result of before the distribution was renamed keeps its key, and is not run again."""
    assert registry().methods.plugins["train-mean"].distribution == PROJECT
    for path in lsr_and_knn.glob("*.json"):
        if not path.stem.isalnum():
            continue
        record = Record.model_validate_json(path.read_text())
        assert DISTRIBUTION not in path.read_text()
        assert record.provenance.plugins[PROJECT].version == metadata.version(DISTRIBUTION)


@pytest.fixture
def beside_a_namesake(tmp_path, monkeypatch):
    """Install the other project of this name, as far as its metadata goes."""
    info = tmp_path / "genebench-0.0.4.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: genebench\nVersion: 0.0.4\n")
    registry.cache_clear()
    monkeypatch.syspath_prepend(tmp_path)
    yield
    registry.cache_clear()


@pytest.mark.usefixtures("beside_a_namesake")
def test_beside_its_namesake_every_command_ends_in_one_line(genebench):
    for words in (["list", "methods"], ["report"], ["data", "list"]):
        outcome = genebench(*words)
        assert (outcome.status, outcome.out, outcome.err.count("\n")) == (2, "", 1)
        assert "genebench 0.0.4 is installed, another project" in outcome.err
        assert "pip uninstall genebench" in outcome.err


@pytest.mark.usefixtures("beside_a_namesake")
def test_the_doctor_knows_the_namesake_and_says_the_rest_too(genebench):
    outcome = genebench("doctor", "--no-gpu", "--json")
    found = json.loads(outcome.out)["findings"]
    [fault] = [one for one in found if "another project" in one["fact"]]
    assert (outcome.status, fault["subject"], fault["mark"]) == (1, "genebench", "missing")
    assert "--force-reinstall --no-deps genebench-suite" in fault["remedy"]
    assert {"python", "disk", "plugin"} <= {one["subject"].split()[0] for one in found}


# Wheels


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the sdist, and the wheel of genebench from it, as ``python -m build`` does."""
    folder = tmp_path_factory.mktemp("dist")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        sdist = folder / build_sdist(str(folder))
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        root = folder / sdist.name.removesuffix(".tar.gz")
        patch.chdir(root)
        wheel = folder / build_wheel(str(folder))
    return root, wheel


def tracked(*places):
    done = subprocess.run(
        ["git", "ls-files", *places], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not in a checkout")
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_the_package(built):
    with zipfile.ZipFile(built[1]) as archive:
        names = {*archive.namelist()}
    assert tracked("genebench") <= names
    others = names - tracked("genebench")
    assert {name.partition("/")[0] for name in others} == {
        f"genebench_suite-{metadata.version(DISTRIBUTION)}.dist-info"
    }
    licences = {
        Path(name).name for name in tracked("genebench/leaderboard/static/vendor")
        if "LICENSE" in name or "NOTICE" in name
    }  # fmt: skip
    assert len(licences) >= 4
    assert {"LICENSE", *licences} == {Path(name).name for name in others if "licenses/" in name}


def test_the_sdist_holds_what_its_tests_read(built):
    missing = [name for name in tracked() if not (built[0] / name).exists()]
    assert {name.partition("/")[0] for name in missing} <= {".ci", ".github"}


def test_the_wheel_is_sound(built):
    for words in (["check_wheel_contents"], ["twine", "check", "--strict"]):
        done = subprocess.run(
            [sys.executable, "-m", *words, str(built[1])],
            capture_output=True, text=True, check=False, cwd=built[0],
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


# Workflows


def workflows():
    return sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("github-workflows", workflows()), ("github-actions", [ACTION])],
    ids=["workflows", "action"],
)
def test_workflows_follow_the_published_schema(schema, paths):
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *paths],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_input_is_pasted_into_a_command():
    """An expression in ``run`` becomes part of the script, whatever a stranger wrote there."""
    for path in (*workflows(), ACTION):
        content = yaml.safe_load(path.read_text())
        jobs = content.get("jobs", {"action": content.get("runs", {})})
        for job in jobs.values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), (path.name, step.get("name"))


def test_only_jobs_that_publish_may_write():
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
    assert release["permissions"] == {"contents": "read"}
    writing = {
        name
        for name, job in release["jobs"].items()
        if "write" in job.get("permissions", {}).values()
    }
    assert writing == {"attest", "publish", "release"}
    order = ["build", "test", "attest", "publish", "release"]
    assert [release["jobs"][name].get("needs") for name in order] == [None, *order[:-1]]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("method", {"checks": "mine", "methods": "mine"}),
        ("dataset", {"dataset": "mine"}),
        ("metric", {"metrics": "mae,cc,mine"}),
        ("protocol", {"checks": "mine", "protocols": "mine"}),
    ],
)
def test_an_author_gets_the_action_that_is_tested_here(genebench, tmp_path, kind, inputs):
    assert genebench("new", kind, "mine", "--out", tmp_path).status == 0
    [needed, *_] = project(tmp_path / "genebench-mine")["dependencies"]
    assert needed == f"genebench-suite~={metadata.version(DISTRIBUTION)[:4]}0"
    folder = tmp_path / "genebench-mine" / ".github"
    assert (folder / "actions" / "check-plugin" / "action.yml").read_text() == ACTION.read_text()
    workflow = yaml.safe_load((folder / "workflows" / "genebench.yml").read_text())
    steps = workflow["jobs"]["check"]["steps"]
    assert steps[-1]["uses"] == "./.github/actions/check-plugin"
    given = steps[-1]["with"]
    assert given.keys() <= yaml.safe_load(ACTION.read_text())["inputs"].keys()
    usual = {
        "checks": "", "methods": "train-mean", "protocols": "geo,gtex", "metrics": "",
        "dataset": "sim",
    }  # fmt: skip
    assert given == usual | inputs | {"token": given["token"]}
    command = (
        f"genebench run --methods {given['methods']} --protocol {given['protocols']} "
        f"{'--dataset mine ' * (kind == 'dataset')}{'--metrics mae,cc,mine ' * (kind == 'metric')}"
        "--preset tiny --results board"
    )
    assert command in (tmp_path / "genebench-mine" / "README.md").read_text()


class Runner:
    """A runner of the steps of an action, as far as this one needs it.

    Args:
        site: folder that the plugin is installed into, in place of the developer's environment.
        work: folder that the steps run in, as in a checkout of the plugin.
    """

    def __init__(self, site, work):
        self.work = work
        self.summary = work.parent / "summary.md"
        self.said = work.parent / "said.jsonl"
        tools = work.parent / "tools"
        tools.mkdir()
        # pip would change the environment of the tests. Here it builds a wheel, and unpacks it.
        self._command(
            tools / "python",
            f"""
            import pathlib, subprocess, sys, zipfile
            words = sys.argv[1:]
            if words[:3] == ["-m", "pip", "check"]:
                sys.exit()
            if words[:3] != ["-m", "pip", "install"]:
                sys.exit(subprocess.run([{sys.executable!r}, *words]).returncode)
            build = [{sys.executable!r}, "-m", "build", "--wheel", "--no-isolation"]
            subprocess.run([*build, "--outdir", {str(tools)!r}, words[3]], check=True)
            for wheel in pathlib.Path({str(tools)!r}).glob("*.whl"):
                zipfile.ZipFile(wheel).extractall({str(site)!r})
            """,
        )
        self._command(
            tools / "genebench",
            "import runpy; runpy.run_module('genebench', run_name='__main__', alter_sys=True)",
        )
        # In place of the service: what would be sent is kept, and one request has a comment.
        self._command(
            tools / "gh",
            f"""
            import json, os, sys
            with open({str(self.said)!r}, "a") as file:
                print(json.dumps(sys.argv[1:]), file=file)
            if "--paginate" in sys.argv and os.environ["NUMBER"] == "2":
                print("17")
            """,
        )
        self.environment = os.environ | {
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GENEBENCH_SEALED": "auto",
            "GENEBENCH_PLUGIN_TIME_LIMIT": "0",  # on a busy machine, an import takes long
        }

    @staticmethod
    def _command(path, source):
        path.write_text(f"#!{sys.executable}\n{textwrap.dedent(source)}")
        path.chmod(0o755)

    def run(self, inputs, github, skipped=""):
        """Run every step whose condition holds, in order, and return their names."""
        action = yaml.safe_load(ACTION.read_text())
        known = {f"github.{name}": value for name, value in github.items()}
        defaults = {name: about.get("default", "") for name, about in action["inputs"].items()}
        known |= {
            f"inputs.{name}": filled(value, known) for name, value in (defaults | inputs).items()
        }
        ran = []
        for step in action["runs"]["steps"]:
            if step["name"] == skipped or not holds(step.get("if"), known):
                continue
            settings = {name: filled(text, known) for name, text in step["env"].items()}
            done = subprocess.run(
                # As GitHub starts it for `shell: bash`.
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=self.work, env=self.environment | settings, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            assert done.returncode == 0, (step["name"], done.stdout)
            ran.append(step["name"])
        return ran


def filled(text, known):
    """Return a text with its expressions replaced. Only names are known here."""
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda match: known[match[1]], text)


def holds(condition, known):
    """Evaluate comparisons that are joined by ``&&``."""
    for term in condition.split("&&") if condition else ():
        left, operator, right = (known.get(word, word.strip("'")) for word in term.split())
        if (left == right) is not (operator == "=="):
            return False
    return True


def test_the_steps_of_an_authors_workflow_check_a_plugin_and_comment(genebench, tmp_path):
    """The steps are executed one by one, on a plugin that is as ``genebench new`` wrote it."""
    assert genebench("new", "method", "mine", "--out", tmp_path).status == 0
    folder = tmp_path / "genebench-mine"
    runner = Runner(tmp_path / "site", folder)
    github = {
        "event_name": "pull_request", "repository": "me/mine", "token": "secret",
        "event.pull_request.head.repo.full_name": "me/mine", "event.pull_request.number": "1",
    }  # fmt: skip
    inputs = {"checks": "mine", "methods": "mine", "protocols": "geo"}
    assert runner.run(inputs, github) == ["Install", "Check", "Run", "Difference", "Comment"]
    comment = (folder / "difference.md").read_text()
    assert comment.startswith("<!-- genebench -->\n")
    assert re.search(r"\| mine +\| +– \| +0\.\d{4} \| +– \| +new \|", comment)
    assert runner.summary.read_text() == comment
    records = [
        Record.model_validate_json(path.read_text())
        for path in (folder / "results").glob("*.json")
        if path.stem.isalnum()
    ]
    [seal] = [record.seal.level for record in records if record.identity.method == "mine"]
    assert seal != "no"
    # Its author keeps the results, and makes the method worse.
    (folder / "results").rename(folder / "board")
    method = folder / "genebench_mine" / "method.py"
    text = method.read_text()
    method.write_text(text.replace("LARGEST = 0.1, 1e6", "LARGEST = 0.1, 0.1"))
    runner.said.unlink()
    runner.run(inputs, github | {"event.pull_request.number": "2"}, skipped="Check")
    comment = (folder / "difference.md").read_text()
    worse = r"\| mine +\| +0\.\d{4} \| +0\.\d{4} \| +\+0\.\d{4} \| +worse \|"
    assert re.search(worse, comment), comment
    assert re.search(r"\| train-mean .* the same \|", comment)
    assert "code.digest" in comment
    said = [json.loads(line) for line in runner.said.read_text().splitlines()]
    assert said[-1][:4] == ["api", "--method", "PATCH", "repos/me/mine/issues/comments/17"]


def test_the_steps_check_a_protocol_and_score_a_metric(genebench, tmp_path):
    """A package that offers no method runs one of genebench's under or by what it offers."""
    assert genebench("new", "protocol", "mine", "--out", tmp_path).status == 0
    folder = tmp_path / "genebench-mine"
    assert genebench("new", "metric", "sided", "--into", folder).status == 0
    workflow = yaml.safe_load((folder / ".github" / "workflows" / "genebench.yml").read_text())
    inputs = {
        name: str(value)
        for name, value in workflow["jobs"]["check"]["steps"][-1]["with"].items()
        if name != "token"
    }
    github = {
        "event_name": "push", "repository": "me/mine", "token": "",
        "event.pull_request.head.repo.full_name": "", "event.pull_request.number": "",
    }  # fmt: skip
    runner = Runner(tmp_path / "site", folder)
    assert runner.run(inputs, github) == ["Install", "Check", "Run", "Difference"]
    difference = (folder / "difference.md").read_text()
    for fold in range(1, 6):
        assert f"mine.{fold}" in difference
    new = re.findall(r"\| train-mean +\| +– \| +[01]\.\d{4} \| +– \| +new \|", difference)
    assert len(new) == 15
    for metric in ("MAE", "CC", "sided"):
        assert difference.count(f"{metric} on panel all") == 5


@pytest.mark.parametrize(("checks", "checked"), [("", ["a", "b"]), ("c", ["c"])])
def test_the_methods_are_checked_where_nothing_else_is_named(checks, checked):
    [step] = [
        s for s in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if s["name"] == "Check"
    ]
    known = {"inputs.checks": checks, "inputs.methods": "a b"}
    done = subprocess.run(
        ["bash", "-e", "-c", f"genebench() {{ echo $*; }}\n{step['run']}"], check=True, text=True,
        env=os.environ | {name: filled(text, known) for name, text in step["env"].items()},
        capture_output=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"check {name}" for name in checked]


def test_a_strangers_pull_request_gets_no_comment():
    """Its token may not write, and the step would fail."""
    step = yaml.safe_load(ACTION.read_text())["runs"]["steps"][-1]
    known = {
        "github.event_name": "pull_request", "inputs.token": "secret",
        "github.repository": "me/mine", "github.event.pull_request.head.repo.full_name": "me/mine",
    }  # fmt: skip
    assert holds(step["if"], known)
    for name, value in (
        ("github.event.pull_request.head.repo.full_name", "them/mine"),
        ("github.event_name", "push"),
        ("inputs.token", ""),
    ):
        assert not holds(step["if"], known | {name: value})


# Containers


def test_both_containers_install_by_the_same_commands():
    """Of the two recipes, the steps that install are the same shell."""
    steps = re.findall(
        r"^RUN (.*?[^\\])$", (PACKAGING / "Containerfile").read_text(), re.MULTILINE | re.DOTALL
    )
    recipe = (PACKAGING / "genebench.def").read_text()
    post = re.sub(r"\{\{ extras \}\}", "$EXTRAS", recipe.partition("%post")[2].partition("%env")[0])
    words = " ".join(post.replace("\\\n", " ").split())
    for step in steps[:3]:
        plain = " ".join(step.replace("\\\n", " ").split())
        for command in re.split(r" && (?=python|rm|if)", plain):
            said = command.replace("DEVICE=cpu needs TORCH_INDEX", "device=cpu needs torch_index")
            assert said.replace('"DEVICE=$', '"device=$') in words, said


@pytest.mark.parametrize(
    ("device", "index", "torch", "remark"),
    [
        ("cpu", "", False, "DEVICE=cpu needs TORCH_INDEX"),
        ("cpu", "", True, ""),
        ("cpu", "address", False, ""),
        ("cuda", "", False, ""),
    ],
)
def test_a_container_for_processors_is_refused_before_gigabytes_are_loaded(
    tmp_path, device, index, torch, remark
):
    if torch:
        (tmp_path / "torch-2.wheel").touch()
    text = (PACKAGING / "Containerfile").read_text()
    [first, *_] = re.findall(r"^RUN (.*?[^\\])$", text, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["sh", "-c", first.replace("\\\n", "").replace("/wheels", str(tmp_path))],
        env=os.environ | {"DEVICE": device, "TORCH_INDEX": index},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, remark in done.stderr) == (1 if remark else 0, True)
