"""Published results are merged with those that are there, and committed by themselves."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from genebench._util.files import sha256_of
from genebench.results.store import ResultsStore


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path, monkeypatch) -> Path:
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "A. Person")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "a@person")
    folder = tmp_path / "board"
    folder.mkdir()
    git(folder, "init", "--quiet")
    return folder


def test_records_and_their_files_are_committed_and_nothing_else(made, repository, genebench):
    (repository / "draft.txt").write_text("not yet")
    git(repository, "add", "draft.txt")
    destination = repository / "results"
    done = genebench("results", "publish", destination, "--results", made, "-m", "First")
    assert done.status == 0
    assert "3 new" in done.out
    assert git(repository, "log", "-1", "--format=%s") == "First"
    committed = set(git(repository, "ls-tree", "-r", "--name-only", "HEAD").splitlines())
    store = ResultsStore(made)
    files = [store.paths.layout, *(p for r in store.records() for p in store.paths.files(r))]
    assert committed == {f"results/{path.name}" for path in files}
    assert git(repository, "status", "--porcelain") == "A  draft.txt"


def test_a_second_time_commits_nothing(made, repository, genebench):
    destination = repository / "results"
    genebench("results", "publish", destination, "--results", made)
    again = genebench("results", "publish", destination, "--results", made)
    assert again.status == 0
    assert "nothing new to commit" in again.out
    assert git(repository, "rev-list", "--count", "HEAD") == "1"


def test_what_is_there_already_stays(made, repository, genebench, tmp_path):
    other = Path(shutil.copytree(made, tmp_path / "other"))
    first, *rest = ResultsStore(other).records()
    for record in rest:
        ResultsStore(other).paths.record(record.key).unlink()
    destination = repository / "results"
    genebench("results", "publish", destination, "--results", other)
    done = genebench("results", "publish", destination, "--results", made)
    assert "2 new, 0 replaced, 1 there already" in done.out
    assert first.key in ResultsStore(destination).paths.keys()  # noqa: SIM118


def test_a_folder_outside_git_is_refused(made, tmp_path, genebench):
    outcome = genebench("results", "publish", tmp_path / "plain", "--results", made)
    assert outcome.status == 2
    assert "git init" in outcome.err
    assert outcome.err.count(". ") == 1, "one problem and one remedy"
    assert not (tmp_path / "plain").exists()


SENDER = {"name": "B", "contact": "b@there", "licence": "", "created": "", "bundle": "0"}


def test_the_sender_of_a_record_is_published_and_verification_is_not(store, repository, genebench):
    first, second, *_ = store.records()
    store.annotations.add(first.key, submitted=SENDER)
    destination = repository / "results"
    genebench("results", "publish", destination, "--results", store.root)
    board = ResultsStore(destination)
    board.annotations.add(
        first.key,
        verified={
            "record": sha256_of(board.paths.record(first.key)), "when": "", "genebench": "1",
            "metrics": ["mae"], "source": "model",
        },
    )  # fmt: skip
    again = genebench("results", "publish", destination, "--results", store.root)
    assert "nothing new to commit" in again.out
    names = git(repository, "ls-files").splitlines()
    assert f"results/{first.key}.marks.json" in names
    assert f"results/{second.key}.marks.json" not in names
    published = json.loads(git(repository, "show", f"HEAD:results/{first.key}.marks.json"))
    assert published == {"submitted": SENDER}
    assert board.annotations.read(first.key).verified, "the mark in this folder stays"


def test_the_sender_of_a_record_that_was_replaced_is_removed(store, repository, genebench):
    first = next(iter(store.records()))
    store.annotations.add(first.key, submitted=SENDER)
    destination = repository / "results"
    genebench("results", "publish", destination, "--results", store.root)
    ResultsStore(destination).paths.annotations(first.key).unlink()
    genebench("results", "publish", destination, "--results", store.root)
    assert "marks" not in git(repository, "ls-files")


def test_foreign_files_that_are_staged_in_the_folder_are_no_news(made, repository, genebench):
    destination = repository / "results"
    genebench("results", "publish", destination, "--results", made)
    (destination / "README").write_text("a draft")
    git(repository, "add", "results/README")
    again = genebench("results", "publish", destination, "--results", made)
    assert again.status == 0, again.err
    assert "nothing new to commit" in again.out
    assert git(repository, "status", "--porcelain") == "A  results/README"


def test_vectors_that_git_ignores_are_named_before_anything_is_merged(made, repository, genebench):
    (repository / ".gitignore").write_text("*.npz\n")
    outcome = genebench("results", "publish", repository / "results", "--results", made)
    assert outcome.status == 2
    assert ".gitignore hides files of results (.npz)" in outcome.err
    assert not (repository / "results").exists()


def test_a_refused_commit_leaves_nothing_staged(made, repository, genebench):
    hook = repository / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    outcome = genebench("results", "publish", repository / "results", "--results", made)
    assert outcome.status == 2
    assert "not today. Mend this" in outcome.err
    assert git(repository, "diff", "--cached", "--name-only") == ""


def test_a_commit_is_pushed_on_request(made, repository, genebench, tmp_path):
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(repository, "remote", "add", "origin", str(remote))
    git(repository, "config", "push.autoSetupRemote", "true")
    genebench("results", "publish", repository / "results", "--results", made, "--push")
    assert git(remote, "rev-list", "--all") == git(repository, "rev-parse", "HEAD")


def test_an_earlier_commit_is_pushed_on_request(made, repository, genebench, tmp_path):
    remote = tmp_path / "remote.git"
    git(tmp_path, "init", "--quiet", "--bare", str(remote))
    git(repository, "remote", "add", "origin", str(remote))
    git(repository, "config", "push.autoSetupRemote", "true")
    arguments = "results", "publish", repository / "results", "--results", made
    genebench(*arguments)
    pushed = genebench(*arguments, "--push")
    assert "nothing new to commit" in pushed.out
    assert git(remote, "rev-list", "--all") == git(repository, "rev-parse", "HEAD")


class FakeHub:
    """The parts of the client of Hugging Face that are used, with a folder for the hub."""

    def __init__(self, hub: Path) -> None:
        self.hub = hub

    def create_repo(self, name, *, repo_type, private, exist_ok):
        assert (name, repo_type, private, exist_ok) == ("me/results", "dataset", True, True)
        self.hub.mkdir(exist_ok=True)
        (self.hub / ".gitattributes").write_text("*.npz filter=lfs\n")

    def snapshot_download(self, name, *, repo_type, local_dir):
        shutil.copytree(self.hub, local_dir, dirs_exist_ok=True)

    def upload_folder(self, *, repo_id, repo_type, folder_path, commit_message, ignore_patterns):
        assert (repo_id, repo_type, commit_message) == ("me/results", "dataset", "Mine")
        shutil.copytree(folder_path, self.hub, dirs_exist_ok=True)
        return SimpleNamespace(commit_url="https://hub/commit/1")


def test_hugging_face_gets_the_merged_results(made, genebench, tmp_path, monkeypatch):
    client = ModuleType("huggingface_hub")
    client.HfApi = lambda: FakeHub(tmp_path / "hub")
    monkeypatch.setitem(sys.modules, "huggingface_hub", client)
    arguments = "results", "publish", "hf:me/results", "--results", made, "-m", "Mine"
    first = genebench(*arguments)
    assert first.status == 0
    assert "committed as https://hub/commit/1" in first.out
    assert not ResultsStore(tmp_path / "hub").sound(thorough=True)[1]
    assert "nothing new to commit" in genebench(*arguments).out


def test_without_its_client_hugging_face_is_refused(made, genebench, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    outcome = genebench("results", "publish", "hf:me/results", "--results", made)
    assert outcome.status == 2
    assert "pip install 'genebench-suite[hub]'" in outcome.err
