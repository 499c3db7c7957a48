"""Provenance: the origin of the code of a result, from git and the installer."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import genebench
from genebench.plugins.plugin import Plugin
from genebench.runs.provenance import imported_file, origin_of, provenance

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


@pytest.fixture(autouse=True)
def _anew():
    origin_of.cache_clear()
    yield
    origin_of.cache_clear()


@pytest.fixture
def checkout(tmp_path):
    """Make a git repository of one commit, with a project."""
    return repository(tmp_path / "a checkout")


def repository(folder):
    folder.mkdir()
    (folder / "pyproject.toml").write_text("")
    (folder / "fake.py").write_text("x = 1\n")
    (folder / ".gitignore").write_text("ignored/\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", folder.name)
    return folder


def git(folder, *words):
    identity = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def head(folder):
    return git(folder, "rev-parse", "HEAD")


def installed_from(site, direct_url):
    """Record the origin of the fake distribution, as pip does (PEP 610)."""
    info = site / "fake-1.0.dist-info"
    (info / "direct_url.json").write_text(json.dumps(direct_url))


@pytest.fixture
def editable(install, checkout):
    """Install the fake distribution from the checkout. Return the file that an import finds."""
    site = install("fake", "")
    (site / "fake.py").unlink()
    installed_from(site, {"url": checkout.as_uri(), "dir_info": {"editable": True}})
    return checkout / "fake.py"


@needs_git
def test_an_editable_install_has_the_commit_of_its_checkout(editable, checkout):
    origin = origin_of("fake", editable)
    assert (origin.version, origin.install, origin.dirty) == ("1.0", "editable", False)
    assert origin.commit == head(checkout)


@needs_git
@pytest.mark.parametrize("name", ["fake.py", "new.py"])
def test_a_checkout_with_changed_or_new_files_is_dirty(editable, checkout, name):
    (checkout / name).write_text("x = 2\n")
    assert origin_of("fake", editable).dirty


@needs_git
def test_a_checkout_is_not_dirty_for_what_changes_beside_it(install, checkout):
    (checkout / "plugin").mkdir()
    (checkout / "plugin" / "pyproject.toml").write_text("")
    (checkout / "plugin" / "more.py").write_text("")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    (checkout / "fake.py").write_text("x = 2\n")
    direct_url = {"url": (checkout / "plugin").as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    origin = origin_of("fake", checkout / "plugin" / "more.py")
    assert (origin.install, origin.dirty, origin.commit) == ("editable", False, head(checkout))


@needs_git
@pytest.mark.parametrize("beside", [True, False])
def test_files_of_another_checkout_have_its_commit_and_are_no_editable_install(
    editable, checkout, tmp_path, beside
):
    other = repository((tmp_path if beside else checkout) / "another")
    (checkout / "fake.py").write_text("x = 2\n")
    origin = origin_of("fake", other / "fake.py")
    assert (origin.install, origin.commit, origin.dirty) == ("path", head(other), False)
    (other / "fake.py").write_text("x = 3\n")
    origin_of.cache_clear()
    assert origin_of("fake", other / "fake.py").dirty


@needs_git
def test_files_before_a_wheel_are_said_not_to_be_of_it(install, checkout):
    install("fake", "")
    origin = origin_of("fake", checkout / "fake.py")
    assert (origin.install, origin.commit) == ("path", head(checkout))


@needs_git
def test_a_file_that_git_ignores_is_in_no_commit(editable, checkout):
    (checkout / "ignored").mkdir()
    (checkout / "ignored" / "fake.py").write_text("")
    origin = origin_of("fake", checkout / "ignored" / "fake.py")
    assert (origin.install, origin.commit, origin.dirty) == ("editable", "", False)


@needs_git
def test_a_hook_of_git_does_not_change_which_repository_is_asked(
    editable, checkout, tmp_path, monkeypatch
):
    other = repository(tmp_path / "another")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    origin = origin_of("fake", editable)
    monkeypatch.delenv("GIT_DIR")
    assert origin.commit == head(checkout)


@pytest.fixture
def monorepo(install, checkout, monkeypatch):
    """Return a function that changes a file of a checkout like genebench's, with a plugin.

    It returns the distributions that are then dirty.
    """
    files = {"genebench": "genebench/job.py", "fake": "plugins/fake/code.py"}
    for path in ("plugins/fake/pyproject.toml", "tests/test_job.py", *files.values()):
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text("x = 1\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    install("fake", "")

    def dirty_after(path):
        (checkout / path).write_text("x = 2\n")
        return {name for name, file in files.items() if origin_of(name, checkout / file).dirty}

    return dirty_after


@needs_git
@pytest.mark.parametrize(
    ("changed", "dirty"),
    [
        ("genebench/job.py", {"genebench"}),
        ("genebench/new.py", {"genebench"}),
        ("pyproject.toml", {"genebench"}),
        ("plugins/fake/code.py", {"fake"}),
        ("plugins/fake/new.py", {"fake"}),
        ("tests/test_job.py", set()),
        ("notes.txt", set()),
    ],
)
def test_genebench_and_a_plugin_of_one_checkout_are_dirty_each_by_itself(monorepo, changed, dirty):
    assert monorepo(changed) == dirty


def test_an_editable_install_without_git_has_no_commit(install, tmp_path):
    (tmp_path / "pyproject.toml").write_text("")
    direct_url = {"url": tmp_path.as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    for file in (tmp_path / "fake.py", None):
        origin = origin_of("fake", file)
        assert (origin.install, origin.commit, origin.dirty) == ("editable", "", False)


def test_a_wheel_is_a_wheel_and_clean(install):
    origin = origin_of("fake", install("fake", "") / "fake.py")
    assert (origin.install, origin.commit, origin.dirty) == ("wheel", "", False)


def test_a_wheel_built_from_a_repository_has_its_commit(install):
    site = install("fake", "")
    direct_url = {"url": "https://example.org/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    installed_from(site, direct_url)
    origin = origin_of("fake", site / "fake.py")
    assert (origin.install, origin.commit, origin.dirty) == ("wheel", "abc", False)


def test_the_file_of_a_plugin_is_found_without_its_import(install):
    site = install("fake", "raise RuntimeError")
    assert imported_file(Plugin("fake", "fake", "1.0", lambda: None)) == site / "fake.py"


def test_the_file_of_a_plugin_is_that_of_its_module(install, checkout):
    install("fake", "")
    module = ModuleType("fake")
    module.__file__ = str(checkout / "fake.py")
    plugin = Plugin("fake", "fake", "1.0", lambda: None, module=module)
    assert imported_file(plugin) == checkout / "fake.py"


@needs_git
def test_provenance_names_every_distribution_and_genebench_itself(
    editable, checkout, tmp_path, monkeypatch
):
    monkeypatch.syspath_prepend(checkout)
    (checkout / "fake.py").write_text("x = 2\n")
    file = Plugin("my", "my.py", "0123", lambda: None, file=tmp_path / "my.py", digest="012345")
    built_in = Plugin("genebench.metrics", "genebench", "1.0", lambda: None)
    plugins = [built_in, Plugin("fake", "fake", "1.0", lambda: None), file]
    result = provenance("genebench run", "2026-01-01T00:00:00+00:00", "cpu", plugins)
    assert list(result.plugins) == ["fake", "genebench", "my.py"]
    assert result.plugins["my.py"].install == "file"
    assert result.plugins["my.py"].digest == "012345"
    assert result.git["fake"] == f"{result.plugins['fake'].commit}-dirty"
    assert "my.py" not in result.git
    assert result.versions["fake"] == "1.0"


@needs_git
def test_the_files_that_pythonpath_puts_first_are_those_of_the_record(editable, tmp_path):
    """In a process whose genebench and plugin both lie before the installed ones."""
    package = tmp_path / "shadow" / "genebench"
    shutil.copytree(
        Path(genebench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__")
    )
    (package.parent / "pyproject.toml").write_text("")
    (package.parent / ".gitignore").write_text("__pycache__/\n")
    git(package.parent, "init", "--quiet")
    git(package.parent, "add", ".")
    git(package.parent, "commit", "--quiet", "-m", "shadow")
    plugin = repository(tmp_path / "shadow plugin")
    code = """if True:
        from genebench.plugins.plugin import Plugin
        from genebench.runs.provenance import provenance
        plugins = [Plugin("fake", "fake", "1.0", lambda: None)]
        print(provenance("", "", "cpu", plugins).model_dump_json(include={"plugins"}))
    """
    folders = [package.parent, plugin, tmp_path / "site-packages"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}

    def origins():
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, check=True, capture_output=True, text=True
        )
        found = json.loads(done.stdout)["plugins"]
        return {name: (one["install"], one["commit"], one["dirty"]) for name, one in found.items()}

    clean = {
        "genebench": ("path", head(package.parent), False),
        "fake": ("path", head(plugin), False),
    }
    assert origins() == clean
    with (package / "errors.py").open("a") as stream:
        stream.write("# edited\n")
    assert origins() == clean | {"genebench": ("path", head(package.parent), True)}
