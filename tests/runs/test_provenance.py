"""Provenance: the origin of the code of a result, from git and the installer."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from genebench.plugins.plugin import Plugin
from genebench.runs.provenance import origin_of, provenance

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="no git")


@pytest.fixture(autouse=True)
def _anew():
    origin_of.cache_clear()
    yield
    origin_of.cache_clear()


@pytest.fixture
def checkout(tmp_path):
    """Make a git repository of one commit."""
    folder = tmp_path / "a checkout"
    folder.mkdir()
    (folder / "code.py").write_text("x = 1\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "one")
    return folder


def git(folder, *words):
    identity = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", "-C", folder, *identity, *words], check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def installed_from(site, direct_url):
    """Record the origin of the fake distribution, as pip does (PEP 610)."""
    info = site / "fake-1.0.dist-info"
    (info / "direct_url.json").write_text(json.dumps(direct_url))


@needs_git
def test_an_editable_install_has_the_commit_of_its_checkout(install, checkout):
    direct_url = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    origin = origin_of("fake")
    assert (origin.version, origin.install, origin.dirty) == ("1.0", "editable", False)
    assert origin.commit == git(checkout, "rev-parse", "HEAD")


@needs_git
@pytest.mark.parametrize("name", ["code.py", "new.py"])
def test_a_checkout_with_changed_or_new_files_is_dirty(install, checkout, name):
    (checkout / name).write_text("x = 2\n")
    direct_url = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    assert origin_of("fake").dirty


@needs_git
def test_a_checkout_is_not_dirty_for_what_changes_beside_it(install, checkout):
    (checkout / "plugin").mkdir()
    (checkout / "plugin" / "more.py").write_text("")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    (checkout / "code.py").write_text("x = 2\n")
    direct_url = {"url": (checkout / "plugin").as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    assert not origin_of("fake").dirty


@pytest.fixture
def monorepo(checkout, monkeypatch):
    """Return a function that changes a file of a checkout like genebench's, with a plugin.

    It returns the distributions that are then dirty.
    """
    paths = ("pyproject.toml", "genebench/job.py", "plugins/fake/code.py", "tests/test_job.py")
    for path in paths:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text("x = 1\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "--quiet", "-m", "two")
    folders = {"genebench": checkout, "fake": checkout / "plugins" / "fake"}
    monkeypatch.setattr("genebench.runs.provenance._source", lambda name: (folders[name], ""))

    def dirty_after(path):
        (checkout / path).write_text("x = 2\n")
        return {name for name in folders if origin_of(name).dirty}

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
def test_genebench_and_a_plugin_of_one_checkout_are_dirty_each_by_itself(
    install, monorepo, changed, dirty
):
    install("fake", "")
    assert monorepo(changed) == dirty


def test_an_editable_install_without_git_has_no_commit(install, tmp_path):
    direct_url = {"url": (tmp_path / "gone").as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    origin = origin_of("fake")
    assert (origin.install, origin.commit, origin.dirty) == ("editable", "", False)


def test_a_wheel_is_a_wheel_and_clean(install):
    install("fake", "")
    origin = origin_of("fake")
    assert (origin.install, origin.commit, origin.dirty) == ("wheel", "", False)


def test_a_wheel_built_from_a_repository_has_its_commit(install):
    direct_url = {"url": "https://example.org/x", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    installed_from(install("fake", ""), direct_url)
    origin = origin_of("fake")
    assert (origin.install, origin.commit, origin.dirty) == ("wheel", "abc", False)


@needs_git
def test_provenance_names_every_distribution_and_genebench_itself(install, checkout, tmp_path):
    direct_url = {"url": checkout.as_uri(), "dir_info": {"editable": True}}
    installed_from(install("fake", ""), direct_url)
    (checkout / "code.py").write_text("x = 2\n")
    file = Plugin("my", "my.py", "0123", lambda: None, file=tmp_path / "my.py", digest="012345")
    plugins = [Plugin("fake", "fake", "1.0", lambda: None), file]
    result = provenance("genebench run", "2026-01-01T00:00:00+00:00", "cpu", plugins)
    assert list(result.plugins) == ["fake", "genebench", "my.py"]
    assert result.plugins["genebench"].install == "built-in"
    assert result.plugins["my.py"].install == "file"
    assert result.plugins["my.py"].digest == "012345"
    assert result.git["fake"] == f"{result.plugins['fake'].commit}-dirty"
    assert "my.py" not in result.git
    assert result.versions["fake"] == "1.0"
