"""Copies of datasets on a node: whole, private, made once, and removed when nobody uses them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from genebench import api
from genebench._util.files import DAY_SECONDS, sha256_of
from genebench.data import local_copy as module
from genebench.data.digests import dataset_digest, platform_digest
from genebench.data.home import home as shared_home
from genebench.data.local_copy import local_home
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError
from genebench.results.store import ResultsStore
from genebench.runs.execute import execute
from genebench.runs.jobs import Settings

pytestmark = pytest.mark.skipif(not hasattr(os, "getuid"), reason="no numbers of users here")


@pytest.fixture
def node(tmp_path, monkeypatch) -> Path:
    """Return the folder for temporary files of a node."""
    folder = tmp_path / "node"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def shared(tiny, tmp_path, monkeypatch) -> Dataset:
    """Return a dataset of a data folder of its own, which a test may damage."""
    folder = tmp_path / "shared"
    shutil.copytree(tiny.root.parent, folder / "datasets" / tiny.name)
    monkeypatch.setenv("GENEBENCH_HOME", str(folder))
    return DataStore().open(tiny.name)


def named(dataset: Dataset) -> list[tuple[str, str]]:
    return [(dataset.name, dataset.digest)]


def content(folder: Path) -> dict[str, bytes]:
    """Return the content of a folder without its cache and its lock."""
    paths = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    named = {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}
    return {name: value for name, value in named.items() if not name.startswith("cache/")}


def age(path: Path, days: float) -> None:
    then = path.stat().st_mtime - days * DAY_SECONDS
    os.utime(path, (then, then))


def test_a_copy_is_whole_and_private_and_serves_as_data_folder(shared, node):
    with local_home(named(shared)) as folder:
        assert folder == node.resolve() / f"genebench-{os.getuid()}"
        assert folder.stat().st_mode & 0o777 == 0o700
        copied = DataStore(folder).open(shared.name, shared.digest)
        assert copied.root.is_relative_to(folder)
        assert content(copied.root) == content(shared.root)


def test_jobs_on_a_copy_have_the_same_scores_and_read_the_cached_moments(
    shared, node, tmp_path, monkeypatch
):
    plan = api.plan_run(
        "lsr", "geo", "sim", preset="tiny", seeds=1, overrides={}, results=tmp_path / "none"
    )

    def scores(name):
        settings = Settings(results=tmp_path / name)
        ResultsStore(settings.results).prepare()
        records = [record for job in plan.jobs for record in execute(job, settings)]
        return [(record.key, record.status, record.scores) for record in records]

    expected = scores("shared results")
    with local_home(named(shared)) as folder:
        [moments] = (folder / "datasets").rglob("geo-train.moments-*")
        before = moments.stat()
        monkeypatch.setenv("GENEBENCH_HOME", str(folder))
        assert scores("local results") == expected
        after = moments.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


SCRIPT = """
import os, shutil, sys
from genebench.data import local_copy

copied = []
real = shutil.copy2
shutil.copy2 = lambda *arguments: copied.append(arguments) or real(*arguments)
with local_copy.local_home([tuple(sys.argv[1:])]) as folder:
    print(folder, len(copied), flush=True)
    sys.stdin.read()
"""


def test_two_processes_at_once_copy_once(shared, node):
    command = [sys.executable, "-c", SCRIPT, *named(shared)[0]]
    environment = os.environ | {"TMPDIR": str(node), "GENEBENCH_HOME": str(shared_home())}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, env=environment, **pipes) for _ in range(2)]
    outputs = [process.communicate("")[0].split() for process in processes]
    assert [folder for folder, _ in outputs] == [str(node / f"genebench-{os.getuid()}")] * 2
    counts = sorted(int(number) for _, number in outputs)
    assert counts[0] == 0
    assert counts[1] >= len(shared.checksums())


def test_without_space_a_warning_says_so_once_and_the_shared_folder_is_used(
    shared, node, monkeypatch, caplog
):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    [message] = [record.getMessage() for record in caplog.records]
    assert "shared folder is used" in message
    assert "0.0 GB free, 1.1 GB are needed" in message
    assert not list(node.rglob("*.npy"))


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_behind(shared, node, monkeypatch, caplog):
    real, calls = shutil.copy2, []

    def copy2(source, target):
        calls.append(target)
        if len(calls) > 3:
            raise OSError(28, "No space left on device")
        return real(source, target)

    monkeypatch.setattr(shutil, "copy2", copy2)
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    assert "no space left on device" in caplog.text
    assert not [path for path in node.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_link_that_somebody_planted_is_not_followed(shared, node, tmp_path, caplog):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (node / f"genebench-{os.getuid()}").symlink_to(elsewhere)
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    assert "is a link" in caplog.text
    assert not list(elsewhere.iterdir())


def test_a_folder_that_others_can_write_to_is_not_used(shared, node, caplog):
    planted = node / f"genebench-{os.getuid()}"
    planted.mkdir()
    planted.chmod(0o770)
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    assert "open to other users" in caplog.text
    assert not list(planted.iterdir())


@pytest.mark.skipif(getattr(os, "getuid", int)() != 0, reason="only root can change owners")
def test_a_folder_of_another_user_is_not_used(shared, node, caplog):
    planted = node / f"genebench-{os.getuid()}"
    planted.mkdir(mode=0o700)
    os.chown(planted, 12345, 12345)
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    assert "belongs to somebody else" in caplog.text


def test_a_folder_in_which_others_can_replace_ours_is_not_used(shared, node, caplog):
    node.chmod(0o777)
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    node.chmod(0o1777)
    with local_home(named(shared)) as folder:
        assert folder != shared_home()


def test_a_dataset_that_changed_gets_its_own_copy_and_the_old_one_goes_after_a_day(
    tiny, shared, node, monkeypatch
):
    with local_home(named(shared)) as folder:
        old = folder / "datasets" / shared.name / shared.digest
    other = _other_dataset(shared)
    with local_home([(other.name, other.digest)]) as folder:
        assert content(folder / "datasets" / other.name / other.digest) == content(other.root)
        assert old.is_dir()
    age(old / ".lock", 2)
    with local_home([(other.name, other.digest)]):
        assert not old.exists()
        assert (folder / "datasets" / other.name / other.digest).is_dir()


def _other_dataset(shared: Dataset) -> Dataset:
    """Return another dataset under the same name: its profiles have other ids."""
    store = DataStore()
    with store.staging(shared.name) as staged:
        shutil.copytree(shared.root, staged, dirs_exist_ok=True)
        shutil.rmtree(staged / "cache", ignore_errors=True)
        for name in ("SHA256SUMS", ".lock"):
            (staged / name).unlink()
        genes = staged / "target_genes.tsv"
        first, *rest = genes.read_text().splitlines()
        rest[0] = "ENSG_OTHER\t" + rest[0].partition("\t")[2]
        genes.write_text("\n".join([first, *rest]) + "\n")
        info = (staged / "dataset.json").read_text()
        (staged / "dataset.json").write_text(info.replace(shared.digest, _digest_of(staged)))
        return store.publish(shared.name, staged)


def _digest_of(folder: Path) -> str:
    dataset = Dataset(folder)
    contents = {
        name: platform_digest(
            dataset.profile_table(name), sha256_of(folder / name / "expression.npy")
        )
        for name in dataset.platforms
    }
    return dataset_digest(dataset.landmark_genes, dataset.target_genes, contents)


def test_a_copy_in_use_is_not_removed_however_old(shared, node):
    with local_home(named(shared)) as folder:
        used = folder / "datasets" / shared.name / shared.digest
        age(used / ".lock", 30)
        module._sweep(folder)
        assert used.is_dir()
    age(used / ".lock", 30)
    module._sweep(folder)
    assert not used.exists()


def test_what_a_killed_process_left_is_removed(shared, node):
    with local_home(named(shared)) as folder:
        pass
    left = folder / ".staging-left"
    left.mkdir()
    (left / ".lock").touch()
    with local_home(named(shared)):
        assert not left.exists()


def test_a_copy_that_lost_a_file_is_made_again(shared, node):
    with local_home(named(shared)) as folder:
        copied = folder / "datasets" / shared.name / shared.digest
    (copied / "geo" / "expression.npy").unlink()
    with local_home(named(shared)):
        assert content(copied) == content(shared.root)


def test_damage_of_the_copy_alone_leads_to_the_shared_folder(shared, node, monkeypatch, caplog):
    real = shutil.copy2

    def copy2(source, target):
        real(source, target)
        if target.name == "expression.npy":
            target.write_bytes(target.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(shutil, "copy2", copy2)
    with local_home(named(shared)) as folder:
        assert folder == shared_home()
    assert "was not copied right" in caplog.text


def test_a_dataset_that_is_damaged_itself_is_refused(shared, node):
    path = shared.root / "geo" / "expression.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(UserError, match=r"damaged \(geo/expression.npy\). Prepare sim-tiny again"):
        local_home(named(shared)).__enter__()


def test_a_list_of_checksums_cannot_lead_out_of_the_folder(shared, node, tmp_path):
    (tmp_path / "secret").write_text("secret")
    sums = shared.root / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{'0' * 64}  ../../../../secret\n")
    with pytest.raises(UserError, match="is no file of the dataset"):
        local_home(named(shared)).__enter__()
    assert [path.name for path in node.rglob("secret")] == []


def test_a_dataset_that_is_gone_is_a_mistake_of_the_user(shared, node):
    with pytest.raises(UserError, match="Run the command again"):
        local_home([(shared.name, "0" * 16)]).__enter__()
