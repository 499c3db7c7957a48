"""The store of prepared datasets: several processes, removal, damage, errors of the system."""

from __future__ import annotations

import errno
import gc
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from genebench._util.files import LOCK_FILE
from genebench.data.home import home, prepared_titles
from genebench.data.store import Dataset, DataStore
from genebench.data.verification import changed_cache_files, changed_files
from genebench.errors import UserError
from genebench.specs import Part

GEO = Part(platform="geo", split="train")
PREPARE = """if True:
    import json, shutil, sys, time
    from pathlib import Path
    from genebench.data.digests import dataset_digest
    from genebench.data.store import DataStore

    source, home, content, start = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    store = DataStore(home)
    time.sleep(max(0, float(start) - time.time()))
    with store.staging("x") as folder:
        shutil.copytree(source, folder, dirs_exist_ok=True)
        info = json.loads((folder / "dataset.json").read_text())
        info.update(name="x", digest=content * 16)
        (folder / "dataset.json").write_text(json.dumps(info))
        dataset = store.publish("x", folder)
    # What a run does next: it uses what it prepared, whatever others publish meanwhile.
    for _ in range(20):
        assert dataset.profile_table("geo") is not None
        dataset.expression("gtex")[:]
        opened = store.open("x")
        assert opened.digest in ("a" * 16, "b" * 16, "c" * 16)
        opened.landmark_genes
"""


@pytest.fixture
def source(tiny, tmp_path) -> Path:
    """The files of a dataset, without cache."""
    ignored = shutil.ignore_patterns("cache", LOCK_FILE, "SHA256SUMS")
    return Path(shutil.copytree(tiny.root, tmp_path / "source", ignore=ignored))


@pytest.fixture
def store(tmp_path) -> DataStore:
    return DataStore(tmp_path / "home")


@pytest.fixture
def publish(store, source):
    """publish(content): prepare a dataset x with the digest content × 16, and open it."""

    def publish(content: str = "a") -> Dataset:
        with store.staging("x") as folder:
            shutil.copytree(source, folder, dirs_exist_ok=True)
            info = json.loads((folder / "dataset.json").read_text())
            info.update(name="x", digest=content * 16)
            (folder / "dataset.json").write_text(json.dumps(info))
            return store.publish("x", folder)

    return publish


def everything(store: DataStore) -> set[str]:
    """The paths of datasets and of other things in the store, but not their files."""
    paths = [*store.root.iterdir(), *store.root.glob("*/*")]
    return {path.relative_to(store.root).as_posix() for path in paths}


def whole(*contents: str) -> set[str]:
    return {"x", "x/current", *(f"x/{content * 16}" for content in contents)}


# --- several processes ----------------------------------------------------------------------------


@pytest.mark.parametrize("contents", ["ab", "aab", "aa"])
def test_preparations_at_the_same_time_leave_one_whole_dataset(store, source, contents):
    start = time.time() + 2
    command = [sys.executable, "-W", "error", "-c", PREPARE, source, store.root.parent]
    processes = [
        subprocess.Popen(
            [*command, content, str(start)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for content in contents
    ]
    for process in processes:
        _, errors = process.communicate(timeout=300)
        assert (process.returncode, errors) == (0, b"")
    dataset = store.open("x")
    store.sweep()
    assert everything(store) == whole(dataset.digest[0])
    assert len(dataset.profiles(GEO).targets)


def test_a_dataset_in_use_keeps_its_files_when_another_is_published(store, publish):
    used = publish("a")
    expected = np.array(used.expression("geo"))
    publish("b")
    assert everything(store) == whole("a", "b")
    assert used.table_checksum("geo")
    np.testing.assert_array_equal(used.expression("geo"), expected)
    assert store.open("x").digest == "b" * 16
    assert store.open("x", "a" * 16).digest == "a" * 16
    del used
    gc.collect()
    publish("c")
    assert everything(store) == whole("c")
    assert store.open("x", "a" * 16) is None


def test_profiles_in_use_keep_the_files_of_their_dataset(store, publish):
    profiles = publish("a").profiles(GEO, mmap=True)
    gc.collect()
    publish("b")
    assert len(profiles.targets) == len(profiles)
    del profiles
    gc.collect()
    store.sweep()
    assert everything(store) == whole("b")


def test_the_same_content_again_takes_nothing_from_its_users(store, publish):
    used = publish("a")
    targets = used.profiles(GEO, mmap=True).targets
    again = publish("a")
    np.testing.assert_array_equal(used.profiles(GEO, mmap=True).targets, targets)
    assert changed_files(again) == ["digest"], "all files are sound, and the digest is made up"
    publish("b")
    assert everything(store) == whole("a", "b")


def test_a_killed_preparation_is_litter_that_goes_at_once(store, publish):
    code = """if True:
        import sys
        from pathlib import Path
        from genebench.data.store import DataStore
        with DataStore(Path(sys.argv[1])).staging("x"):
            print("ready", flush=True)
            sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, store.root.parent],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout.readline() == b"ready\n"
        old = time.time() - 9 * 24 * 3600
        for path in store.root.glob(".staging-*"):
            os.utime(path, (old, old))
        publish("a")
        assert len(everything(store)) == 3 + 3  # the folder, its lock file, and the dataset in it
        process.kill()
    publish("b")
    assert everything(store) == whole("b")


def test_a_preparation_that_fails_leaves_nothing(store):
    with pytest.raises(ZeroDivisionError), store.staging("x"):
        raise ZeroDivisionError
    assert everything(store) == set()


# --- removal --------------------------------------------------------------------------------------


def test_a_dataset_in_use_is_removed_when_it_is_free(store, publish):
    used = publish("a")
    assert not store.remove("x")
    assert store.names() == []
    assert store.open("x") is None
    assert len(used.profile_table("geo"))
    del used
    gc.collect()
    store.sweep()
    assert everything(store) == set()


def test_a_free_dataset_is_removed_with_everything(store, publish):
    publish("a")
    assert store.remove("x")
    assert everything(store) == set()


def age(folder: Path, days: float) -> None:
    for path in [folder, *folder.iterdir()]:
        os.utime(path, (time.time() - days * 24 * 3600,) * 2)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_replaced_datasets_stay_for_a_day(store, publish):
    publish("a")
    age(store.root / "x", 9)
    publish("b")
    publish("c")
    assert everything(store) == whole("a", "b", "c")
    age(store.root / "x", 2)
    publish("c")
    assert everything(store) == whole("c")


def test_a_dataset_of_an_earlier_version_has_no_lock_and_stays_for_a_day(store, publish):
    (publish("a").root / LOCK_FILE).unlink()
    publish("b")
    assert everything(store) == whole("a", "b")
    age(store.root / "x", 2)
    store.sweep()
    assert everything(store) == whole("b")


# --- damage, and errors of the system -------------------------------------------------------------

SOUND = {
    "format": 3, "recipe": 1, "name": "x", "title": "t", "digest": "a" * 16, "preset": "tiny",
    "landmarks": 1, "targets": 1, "twins": 0, "origin": {}, "platforms": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "content",
    [
        "[]", "null", "3", '"x"', "{", "{}", "\xff",
        SOUND | {"name": 3}, SOUND | {"title": None}, SOUND | {"origin": []},
        SOUND | {"platforms": ["geo"]}, SOUND | {"platforms": {"geo": 3}},
        SOUND | {"platforms": {"geo": {"profiles": "many"}}}, SOUND | {"landmarks": "3"},
        SOUND | {"digest": "../.."}, SOUND | {"split_seed": "x"}, SOUND | {"duplicates": 1},
        SOUND | {"format": 2},
    ],
    ids=str,
)  # fmt: skip
def test_a_description_that_is_none_is_one_line(store, publish, content):
    path = publish("a").root / "dataset.json"
    text = content if isinstance(content, str) else json.dumps(content)
    path.write_text(text, "latin-1")
    for use in (lambda: store.open("x"), lambda: store.find("a" * 16)):
        with pytest.raises(UserError, match=r"Prepare x again\.$") as caught:
            use()
        assert str(path.parent) in str(caught.value)
    assert publish("a").info["title"], "it can be prepared again"


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x\0y", b"../../etc", b"a" * 300])
def test_a_current_digest_that_is_none_is_one_line(store, publish, content):
    publish("a")
    (store.root / "x" / "current").write_bytes(content)
    with pytest.raises(UserError):
        store.open("x")
    assert publish("b").digest == "b" * 16


def failing(monkeypatch, code, name):
    """Opening a file of this name fails."""
    really = os.open

    def opened(path, *arguments, **options):
        if Path(path).name == name:
            raise OSError(code, os.strerror(code), str(path))
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", opened)
    read = Path.read_bytes

    def read_bytes(self):
        if self.name == name:
            raise OSError(code, os.strerror(code), str(self))
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (errno.EMFILE, "(too many open files). Raise the limit, such as by ulimit -n 4096."),
        (errno.EACCES, "(permission denied). Correct that, or set GENEBENCH_HOME"),
        (errno.EIO, "(input/output error). Correct that, or set GENEBENCH_HOME"),
    ],
)
@pytest.mark.parametrize("name", ["dataset.json", LOCK_FILE])
def test_a_dataset_that_cannot_be_opened_is_not_called_damaged(  # noqa: PLR0917
    store, publish, monkeypatch, code, line, name
):
    publish("a")
    failing(monkeypatch, code, name)
    with pytest.raises(UserError) as caught:
        store.open("x")
    assert f"cannot be read {line}" in str(caught.value)
    assert "damaged" not in str(caught.value)


def test_too_many_open_files_are_no_changed_files(publish, monkeypatch):
    dataset = publish("a")
    assert len(dataset.profiles(GEO, mmap=True).targets)

    def fail(self, *_, **__):
        raise OSError(errno.EMFILE, "Too many open files", str(self))

    monkeypatch.setattr(Path, "open", fail)
    for check in (changed_files, changed_cache_files):
        with pytest.raises(UserError, match=r"too many open files.*Raise the limit"):
            check(dataset)


@pytest.mark.parametrize("content", [b"\xff", b"", b"x  a\0b\n"])
def test_a_damaged_list_of_checksums_is_a_fault(publish, content):
    dataset = publish("a")
    (dataset.root / "SHA256SUMS").write_bytes(content)
    assert changed_files(dataset)


@pytest.fixture
def odd_home(tmp_path) -> dict[str, str]:
    """Data folders that cannot be read, by the reason."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tmp_path / "file").write_text("")
    return {
        "too many levels of symbolic links": str(loop),
        "file name too long": str(tmp_path / ("x" * 300)),
        "not a directory": str(tmp_path / "file"),
        "there is no such user": "~nouser-of-this-name/x",
    }


COMMANDS = [
    ("list", "datasets"),
    ("data", "list"),
    ("data", "info", "u133"),
    ("data", "remove", "u133"),
    ("data", "prepare", "sim", "--preset", "tiny"),
    ("run", "--methods", "lsr", "--preset", "tiny", "-q"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_data_folder_that_cannot_be_read_is_one_line(
    genebench, odd_home, monkeypatch, tmp_path, command
):
    monkeypatch.chdir(tmp_path)
    for reason, folder in odd_home.items():
        monkeypatch.setenv("GENEBENCH_HOME", folder)
        outcome = genebench(*command)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1), outcome.err
        assert reason in outcome.err
        assert outcome.err.endswith("to another folder.\n")


def test_a_damaged_dataset_hides_no_other_title(store, publish, monkeypatch):
    monkeypatch.setenv("GENEBENCH_HOME", str(store.root.parent))
    title = publish("a").info["title"]
    for name, digest in (("binary", b"\xff"), ("gone", b"b" * 16), ("long", b"c" * 300)):
        (home() / "datasets" / name).mkdir()
        (home() / "datasets" / name / "current").write_bytes(digest)
    damaged = "damaged: prepare it again"
    assert prepared_titles() == {"x": title, "binary": damaged, "gone": damaged, "long": damaged}
