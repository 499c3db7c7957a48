"""The results folder: whole records or none, altered ones found, merging is a copy."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from genebench._util.files import sha256_of
from genebench._util.hashing import key_of
from genebench.errors import UserError
from genebench.results.checks import verify
from genebench.results.limits import VECTORS_BYTES
from genebench.results.panels import summarise
from genebench.results.record import RECORD_FORMAT, Code, Identity, Provenance, Record, Seal
from genebench.results.store import ResultsStore

MARK = "genebench-results.json"
GENES = np.array(["ENSG1", "ENSG2", "ENSG3", "ENSG4"])
TWIN = np.array([True, False, False, True])
VECTORS = {
    "gene-metric.mae": np.array([0.1, 0.2, 0.3, 0.4]),
    "gene-metric.cc": np.array([0.9, 0.8, 0.7, 0.6]),
    "gene.id": GENES,
    "gene.twin": TWIN,
}
PREDICTIONS = np.arange(12, dtype=np.float32).reshape(3, 4)


def record(seed=0, **changes) -> Record:
    identity = Identity(
        method="m",
        params={"k": 3, "rate": 0.1},
        seed=seed,
        protocol="geo",
        protocol_version=1,
        train="geo/train",
        validation="geo/validation",
        test="geo/test",
        data="d1",
        code=Code(distribution="dist", version="1.0", digest="c1"),
        numerics=1,
    )
    scores = {
        name: summarise(VECTORS[f"gene-metric.{name}"], TWIN)
        for name in ("mae", "cc")
        if changes.get("status") != "failed"
    }
    content = {
        "format": RECORD_FORMAT,
        "key": key_of(identity.model_dump()),
        "status": "done",
        "identity": identity,
        "dataset": "sim",
        "preset": "tiny",
        "published_data": False,
        "profiles": {"train": 8, "validation": 1, "test": 3},
        "genes": {"landmark": 2, "target": 4},
        "choices": {"k": 3},
        "notes": ("a note",),
        "scores": scores,
        "metrics": {"mae": "m1", "cc": "m2"},
        "constant_truth": 0,
        "constant_prediction": 0,
        "vectors": "",
        "predictions": "",
        "seconds": {"fit": 0.5},
        "shared_fit": ("geo",),
        "peak_memory": 1,
        "peak_memory_scope": "job",
        "failure": None,
        "seal": Seal(level="no", reason="nothing was run"),
        "provenance": Provenance(
            command="genebench run",
            started="2025-01-01T00:00:00+00:00",
            host="host",
            platform="Linux",
            cpus=2,
            device="cpu",
            accelerator="",
            python="3.12",
            versions={"genebench": "0.1.0"},
            git={},
        ),
    }
    return Record(**(content | changes))


FAILED = {
    "status": "failed",
    "failure": {"kind": "ValueError", "message": "no", "traceback": "Traceback"},
}


@pytest.fixture
def store(tmp_path) -> ResultsStore:
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    return store


@pytest.fixture
def written(store) -> Record:
    """A sound record with kept predictions."""
    unwritten = record()
    with store.scratch(unwritten.key) as scratch:
        with scratch.open("wb") as stream:
            np.save(stream, PREDICTIONS)
        digest = store.keep(scratch, unwritten.key, "predictions")
    return store.write(unwritten.model_copy(update={"predictions": digest}), VECTORS)


def files(store) -> set[str]:
    return {path.name for path in store.root.iterdir()} - {MARK}


def edit(store, written, change) -> Record:
    """The record as read after somebody edited its file."""
    path = store.root / f"{written.key}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return store.read(written.key)


# --- round trip -----------------------------------------------------------------------------------


def test_a_record_is_read_as_it_was_written(store, written):
    assert store.read(written.key) == written
    assert list(store.records()) == [written]
    assert store.keys() == [written.key]


def test_vectors_and_predictions_are_read_as_they_were_written(store, written):
    vectors = store.vectors(written)
    assert vectors.keys() == VECTORS.keys()
    for name, values in VECTORS.items():
        np.testing.assert_array_equal(vectors[name], values)
    np.testing.assert_array_equal(store.predictions(written), PREDICTIONS)


def test_the_files_of_a_record_bear_its_key(store, written):
    key, vectors, predictions = written.key, written.vectors[:16], written.predictions[:16]
    assert files(store) == {
        f"{key}.json", f"{key}.{vectors}.npz", f"{key}.{predictions}.predictions.npy",
    }  # fmt: skip


def test_a_failed_record_has_no_vectors(store):
    failed = store.write(record(**FAILED), {})
    assert store.read(failed.key) == failed
    assert files(store) == {f"{failed.key}.json"}
    assert verify(store.paths, failed) == []


def test_there_is_no_record_of_an_unknown_key(store):
    assert store.read("0" * 24) is None


def test_a_record_written_again_replaces_the_first(store, written):
    again = store.write(written.model_copy(update={"notes": ("again",)}), VECTORS)
    assert list(store.records()) == [again]


def test_records_come_in_the_order_of_their_keys(store):
    keys = [store.write(record(seed), VECTORS).key for seed in range(5)]
    assert [stored.key for stored in store.records()] == sorted(keys)


def test_vectors_and_predictions_are_never_unpickled(store, written):
    with pytest.raises(ValueError, match="Object arrays"):
        store.write(written, VECTORS | {"gene-metric.odd": np.array([{}], dtype=object)})
    np.save(store.paths.kept(written, "predictions"), np.array([{}], dtype=object))
    path = store.paths.kept(written, "predictions")
    digest = sha256_of(path)
    path.rename(store.paths.new(written.key, digest, "predictions"))
    kept = written.model_copy(update={"predictions": digest})
    with pytest.raises(UserError, match=r"cannot be read"):
        store.predictions(kept)


# --- whole or not at all --------------------------------------------------------------------------


@pytest.fixture
def failing_rename(monkeypatch):
    """Renaming to a file with this suffix fails; every other one works."""
    rename = Path.replace

    def fail(suffix, error):
        def replace(self, target):
            if str(target).endswith(suffix):
                raise error
            return rename(self, target)

        monkeypatch.setattr(Path, "replace", replace)
        monkeypatch.setattr("genebench._util.retries._PAUSES_SECONDS", (0.0,))

    return fail


@pytest.mark.parametrize(("suffix", "left"), [(".npz", 0), (".json", 1)])
def test_a_write_that_fails_midway_leaves_no_record_and_no_temporary_file(
    store, failing_rename, suffix, left
):
    failing_rename(suffix, OSError(errno.EIO, "input/output error"))
    with pytest.raises(UserError, match="input/output"):
        store.write(record(), VECTORS)
    assert store.keys() == []
    assert len(files(store)) == left
    assert not [name for name in files(store) if name.endswith(".tmp")]


def test_an_interruption_while_writing_leaves_no_record_and_no_temporary_file(
    store, failing_rename
):
    failing_rename(".json", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        store.write(record(), VECTORS)
    assert store.keys() == []
    [left] = files(store)
    assert left.startswith(record().key)
    assert left.endswith(".npz")


def test_a_record_that_cannot_be_replaced_stays_as_it_was(store, written, failing_rename):
    failing_rename(".json", OSError(errno.EIO, "input/output error"))
    with pytest.raises(UserError, match="input/output"):
        store.write(written.model_copy(update={"notes": ("again",)}), VECTORS)
    assert store.read(written.key) == written
    assert verify(store.paths, written) == []


def test_a_full_disk_is_the_users_error_with_a_remedy(store, failing_rename):
    failing_rename(".json", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(UserError, match=r"no space left to write\. Free some space, or name"):
        store.write(record(), VECTORS)


def test_predictions_that_are_not_kept_are_removed(store):
    with store.scratch("k") as scratch:
        scratch.write_bytes(b"x")
        assert scratch.is_relative_to(store.root)
    assert files(store) == set()


def test_a_temporary_file_is_no_record(store, written):
    with store.scratch(written.key):
        assert store.keys() == [written.key]


# --- checkpoints ----------------------------------------------------------------------------------


IDENTITY = record().identity
OTHER_TEST = IDENTITY.model_copy(update={"protocol": "gtex", "test": "gtex"})


def leave(store, *identities) -> Path:
    """Leave a checkpoint, as a killed job does, and return the folder."""
    with store.work(identities) as folder:
        (folder / "checkpoint").write_bytes(b"x")
    return folder


def test_work_that_was_left_is_found_by_the_same_fit_alone(store):
    leave(store, IDENTITY, OTHER_TEST)
    with store.work([record(seed=1).identity]) as other:
        assert not list(other.iterdir())
    for identities in ([IDENTITY], [OTHER_TEST], [OTHER_TEST, IDENTITY]):
        with store.work(identities) as again:
            assert (again / "checkpoint").read_bytes() == b"x"
    assert len(files(store)) == 1


@pytest.mark.parametrize("ending", [None, KeyboardInterrupt])
def test_a_folder_in_which_nothing_was_left_goes(store, ending):
    try:
        with store.work([IDENTITY]):
            if ending:
                raise ending
    except KeyboardInterrupt:
        pass
    assert files(store) == set()


def test_a_folder_that_another_process_removed_is_no_error(store):
    with store.work([IDENTITY]) as folder:
        shutil.rmtree(folder.parent)
    assert files(store) == set()


def test_work_that_is_in_use_stays(store):
    with store.work([IDENTITY]) as folder:
        with store.work([IDENTITY]):
            (folder / "checkpoint").write_bytes(b"x")
        for name in (folder.parent, folder):
            os.utime(name, (0, 0))
        store.prepare()
        assert (folder / "checkpoint").exists()


def test_work_goes_when_all_records_of_its_fit_are_done(store):
    second = record(identity=OTHER_TEST, key=key_of(OTHER_TEST.model_dump()))
    leave(store, IDENTITY, OTHER_TEST)
    store.write(record(), VECTORS)
    store.prepare()
    assert any(name.endswith(".work") for name in files(store))
    store.write(second, VECTORS)
    store.prepare()
    assert not any(name.endswith(".work") for name in files(store))


def test_work_that_nobody_came_back_to_for_a_month_goes(store):
    for days in (29, 31):
        folder = leave(store, record(seed=days).identity)
        then = time.time() - days * 24 * 3600
        for path in (folder, folder.parent):
            os.utime(path, (then, then))
    store.prepare()
    assert len(files(store)) == 1
    with store.work([record(seed=29).identity]) as kept:
        assert (kept / "checkpoint").exists()


# --- two processes at a time ----------------------------------------------------------------------

OTHER_VECTORS = VECTORS | {"gene-metric.mae": np.array([0.4, 0.3, 0.2, 0.15])}


def other_record(**changes) -> Record:
    """Another result under the same key: the method draws numbers that no seed controls."""
    scores = {name: summarise(OTHER_VECTORS[f"gene-metric.{name}"], TWIN) for name in ("mae", "cc")}
    return record(scores=scores, **changes)


WRITE = """if True:
    import sys
    from pathlib import Path
    import numpy as np
    from genebench.results.record import Record
    from genebench.results.store import ResultsStore

    store, record = ResultsStore(Path(sys.argv[1])), Record.model_validate_json(sys.argv[2])
    vectors = dict(np.load(sys.argv[3]))
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(100):
        store.write(record, vectors)
        store.prepare()
"""


def test_two_processes_write_two_results_under_one_key_and_a_third_reads(store, tmp_path):
    writers = []
    for number, (result, vectors) in enumerate(
        [(record(), VECTORS), (other_record(), OTHER_VECTORS)]
    ):
        path = tmp_path / f"{number}.npz"
        np.savez(path, **vectors)
        command = [sys.executable, "-W", "error", "-c", WRITE, store.root]
        writers.append(
            subprocess.Popen(
                [*command, result.model_dump_json(), path],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )
        )  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == b"ready\n"
    for writer in writers:
        writer.stdin.write(b"\n")
        writer.stdin.flush()
    reads = 0
    while any(writer.poll() is None for writer in writers):
        if (read := store.read(record().key)) is not None:
            stored = store.vectors(read)["gene-metric.mae"]
            assert read.scores["mae"]["all"].mean == pytest.approx(stored.mean())
            reads += 1
    for writer in writers:
        assert (writer.wait(), writer.stderr.read()) == (0, b"")
        for stream in (writer.stdin, writer.stdout, writer.stderr):
            stream.close()
    assert reads
    last = store.read(record().key)
    assert verify(store.paths, last) == []
    assert not [name for name in files(store) if name.endswith(".tmp")]


@pytest.mark.parametrize("hold_at", [".npz", ".json"])
def test_a_record_keeps_its_own_vectors_whoever_writes_in_between(store, monkeypatch, hold_at):
    rename = Path.replace

    def replace(self, target):
        result = rename(self, target)
        if str(target).endswith(hold_at):
            monkeypatch.setattr(Path, "replace", rename)
            store.write(other_record(), OTHER_VECTORS)
        return result

    monkeypatch.setattr(Path, "replace", replace)
    store.write(record(), VECTORS)
    last = store.read(record().key)
    assert verify(store.paths, last) == []
    expected = VECTORS if hold_at == ".npz" else OTHER_VECTORS
    np.testing.assert_array_equal(
        store.vectors(last)["gene-metric.mae"], expected["gene-metric.mae"]
    )


def test_a_reader_of_a_record_reads_its_vectors_when_it_is_replaced_meanwhile(store, written):
    store.write(other_record(), OTHER_VECTORS)
    store.prepare()
    np.testing.assert_array_equal(
        store.vectors(written)["gene-metric.mae"], VECTORS["gene-metric.mae"]
    )
    np.testing.assert_array_equal(store.predictions(written), PREDICTIONS)


def test_files_of_a_replaced_record_go_after_a_day(store, written):
    now = store.write(other_record(), OTHER_VECTORS)
    for path in store.root.iterdir():
        os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)
    store.prepare()
    assert files(store) == {path.name for path in store.paths.files(now)}


def test_files_beside_no_record_or_an_unreadable_one_stay(store, written):
    path = store.paths.record(written.key)
    for damage in (lambda: path.write_text("{}"), path.unlink):
        damage()
        before = files(store)
        for name in before:
            os.utime(store.root / name, (0, 0))
        store.prepare()
        assert files(store) == before


def test_a_folder_of_layout_1_is_read_and_becomes_one_of_layout_2(store, written):
    for path, name in (
        (store.paths.vectors(written), f"{written.key}.npz"),
        (store.paths.kept(written, "predictions"), f"{written.key}.predictions.npy"),
    ):
        path.rename(store.root / name)
    store.paths.layout.write_text('{"genebench-results": 1}')
    assert store.sound(thorough=True) == ([written], [])
    np.testing.assert_array_equal(store.predictions(written), PREDICTIONS)
    store.prepare()
    assert store.sound(thorough=True) == ([written], [])
    assert json.loads(store.paths.layout.read_text()) == {"genebench-results": 2}


def test_a_digest_of_a_stranger_leads_to_no_other_folder(store, written):
    for digest in ("../../secret", "", "0" * 8, "A" * 64):
        hostile = written.model_copy(update={"vectors": digest})
        assert store.paths.vectors(hostile) == store.root / f"{written.key}.npz"


# --- errors of the system -------------------------------------------------------------------------


@pytest.fixture
def odd(tmp_path) -> dict[str, Path]:
    """Folders that cannot be read, by the reason."""
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    (tmp_path / "file").write_text("")
    return {
        "too many levels of symbolic links": loop,
        "file name too long": tmp_path / ("x" * 300),
        "not a directory": tmp_path / "file" / "results",
    }


@pytest.mark.parametrize("use", ["prepare", "check_exists", "records", "sound"])
def test_a_folder_that_cannot_be_used_is_one_line(odd, use):
    for reason, folder in odd.items():
        with pytest.raises(UserError, match=reason) as caught:
            list(getattr(ResultsStore(folder), use)() or ())
        assert str(caught.value).endswith("Name another results folder.")


@pytest.mark.parametrize(
    ("code", "line"),
    [
        (errno.EACCES, "(permission denied). Check the file's permissions."),
        (errno.EPERM, "(operation not permitted). Check the file's permissions."),
        (errno.EMFILE, "(too many open files). Raise the limit, such as by ulimit -n 4096."),
        (errno.ENFILE, "(too many open files in system). Raise the limit, such as by ulimit"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        lambda store, written: store.read(written.key),
        lambda store, written: store.digest(written.key),
        lambda store, written: store.vectors(written),
        lambda store, written: store.predictions(written),
    ],
    ids=["record", "digest", "vectors", "predictions"],
)
def test_a_file_that_cannot_be_opened_is_one_line(store, written, monkeypatch, code, line, use):  # noqa: PLR0917  fixtures
    def fail(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(UserError) as caught:
        use(store, written)
    assert "cannot be read" in str(caught.value)
    assert line in str(caught.value)


def test_predictions_that_vanish_before_they_are_read_are_none(store, written, monkeypatch):
    """Another process removes files of a record that was replaced."""

    def gone(*_):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))

    monkeypatch.setattr(os, "open", gone)
    assert store.predictions(written) is None


# --- damage ---------------------------------------------------------------------------------------


def _drop(content):
    del content["peak_memory"]


def _add(content):
    content["surprise"] = 1


def _deep(content):
    content["provenance"]["surprise"] = 1


def _future(content):
    content["format"] = RECORD_FORMAT + 1


def _not_a_number(content):
    content["scores"]["mae"]["all"]["mean"] = float("nan")


def _text_for_number(content):
    content["peak_memory"] = "much"


@pytest.mark.parametrize(
    ("change", "where"),
    [
        (_drop, "peak_memory: "),
        (_add, "unknown key surprise"),
        (_deep, "unknown key provenance.surprise"),
        (_future, "format: "),
        (_not_a_number, "scores.mae.all.mean: "),
        (_text_for_number, "peak_memory: "),
    ],
)
def test_a_damaged_record_is_the_users_error_naming_file_and_fault(store, written, change, where):
    with pytest.raises(UserError) as caught:
        edit(store, written, change)
    message = str(caught.value)
    assert message.startswith(f"{store.root / written.key}.json: not a record of this version")
    assert f"({where}" in message
    assert "\n" not in message
    with pytest.raises(UserError, match=written.key):
        list(store.records())


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"format": 1'])
def test_a_file_that_is_no_json_object_is_the_users_error(store, written, content):
    (store.root / f"{written.key}.json").write_bytes(content)
    with pytest.raises(UserError, match=rf"{written.key}\.json: not a record"):
        store.read(written.key)


def test_a_record_under_the_name_of_another_is_not_taken_for_it(store, written):
    other = record(seed=1).key
    shutil.copy(store.root / f"{written.key}.json", store.root / f"{other}.json")
    with pytest.raises(UserError, match=other):
        store.read(other)


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_is_made_and_marked(tmp_path):
    store = ResultsStore(tmp_path / "deep" / "results")
    store.prepare()
    assert {path.name for path in store.root.iterdir()} == {MARK}
    store.prepare()


def test_an_empty_folder_may_become_a_results_folder(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"")
    ResultsStore(tmp_path).prepare()
    assert (tmp_path / MARK).exists()


def test_a_folder_with_something_else_in_it_is_not_written_to(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"not a results folder\. Name another results folder"):
        ResultsStore(tmp_path).prepare()
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.txt"}


@pytest.mark.parametrize("mark", ["", "{}", "[]", '{"genebench-results": 3}', "\xff"])
def test_a_folder_of_another_layout_is_refused(tmp_path, mark):
    (tmp_path / MARK).write_text(mark, "latin-1")
    with pytest.raises(UserError, match=r"genebench-results\.json: layout .* is not 1 or 2"):
        ResultsStore(tmp_path).prepare()


@pytest.mark.parametrize("inside", ["", "results"])
def test_a_file_in_the_place_of_the_folder_is_the_users_error(tmp_path, inside):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match=r"cannot write there \(.*\). Name another results folder"):
        ResultsStore(tmp_path / "file" / inside).prepare()


def test_a_folder_that_refuses_is_the_users_error(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match=r"cannot write there \(permission denied\)"):
        ResultsStore(tmp_path / "results").prepare()


def test_a_marked_folder_that_became_read_only_is_the_users_error(store, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(UserError, match="cannot write there"):
        store.prepare()


def test_a_folder_of_something_else_is_not_read(tmp_path):
    (tmp_path / "package.json").write_text("{}")
    with pytest.raises(UserError, match="not a results folder"):
        list(ResultsStore(tmp_path).records())


def test_a_folder_that_is_not_there_yet_holds_nothing(tmp_path):
    store = ResultsStore(tmp_path / "later")
    assert store.keys() == []
    with pytest.raises(UserError, match="no such folder"):
        list(store.records())
    assert not store.root.exists()


def test_copying_one_folder_into_another_merges_them(tmp_path):
    stores = [ResultsStore(tmp_path / name) for name in ("one", "two")]
    for seeds, store in zip([(0, 1), (1, 2)], stores, strict=True):
        store.prepare()
        for seed in seeds:
            store.write(record(seed), VECTORS)
    shutil.copytree(stores[1].root, stores[0].root, dirs_exist_ok=True)
    merged = list(stores[0].records())
    assert sorted(stored.identity.seed for stored in merged) == [0, 1, 2]
    assert [fault for stored in merged for fault in verify(stores[0].paths, stored)] == []


# --- verification ---------------------------------------------------------------------------------


def test_a_sound_record_has_no_fault(store, written):
    assert verify(store.paths, store.read(written.key)) == []


def _edited_mean(content):
    content["scores"]["mae"]["strict"]["mean"] -= 1e-6


def _edited_std(content):
    content["scores"]["mae"]["strict"]["std"] = 0.0


def _edited_count(content):
    content["scores"]["mae"]["strict"]["genes"] += 1


@pytest.mark.parametrize("change", [_edited_mean, _edited_std, _edited_count])
def test_an_edited_score_is_found(store, written, change):
    faults = verify(store.paths, edit(store, written, change))
    assert faults == ["mae on panel strict is not what its vector gives"]


def _invented_metric(content):
    content["scores"]["r2"] = content["scores"]["cc"]


def _invented_panel(content):
    content["scores"]["mae"]["best"] = content["scores"]["mae"]["all"]


@pytest.mark.parametrize(("change", "named"), [(_invented_metric, "r2"), (_invented_panel, "best")])
def test_a_score_that_no_vector_gives_is_found(store, written, change, named):
    [fault] = verify(store.paths, edit(store, written, change))
    assert named in fault


def _removed_metric(content):
    del content["scores"]["cc"]


def _removed_panel(content):
    del content["scores"]["cc"]["strict"]


@pytest.mark.parametrize("change", [_removed_metric, _removed_panel])
def test_a_score_that_was_removed_is_found(store, written, change):
    [fault] = verify(store.paths, edit(store, written, change))
    assert "cc" in fault


def _edited_params(content):
    content["identity"]["params"]["k"] = 4


def _edited_seed(content):
    content["identity"]["seed"] = 7


def _edited_data(content):
    content["identity"]["data"] = "d2"


def _edited_version(content):
    content["identity"]["code"]["version"] = "1.1"


@pytest.mark.parametrize("change", [_edited_params, _edited_seed, _edited_data, _edited_version])
def test_an_edited_identity_is_found(store, written, change):
    faults = verify(store.paths, edit(store, written, change))
    assert faults == ["the key is not that of its identity"]


def _edited_time(content):
    content["seconds"]["fit"] = 0.001


def _edited_command(content):
    content["provenance"]["command"] = "genebench run --methods other"


def _edited_choice(content):
    content["choices"]["k"] = 9


def _removed_checksum(content):
    content["checksum"] = ""


@pytest.mark.parametrize(
    "change", [_edited_time, _edited_command, _edited_choice, _removed_checksum]
)
def test_an_edit_of_what_nothing_else_can_check_breaks_the_checksum(store, written, change):
    faults = verify(store.paths, edit(store, written, change))
    assert faults == ["was edited after it was written: its checksum does not match"]


def _failed(content):
    content["status"] = "failed"


def _done(content):
    content["failure"] = None
    content["status"] = "done"


def _done_with_failure(content):
    content["status"] = "done"


def test_a_record_whose_outcome_was_edited_is_found(store, written):
    assert verify(store.paths, edit(store, written, _failed)) == [
        "its status is failed, but it has no failure", "its status is failed, but it has scores",
    ]  # fmt: skip
    both = store.write(record(seed=2, **FAILED), {})
    assert "its status is done, but it has a failure" in verify(
        store.paths, edit(store, both, _done_with_failure)
    )
    failed = store.write(record(seed=1, **FAILED), {})
    assert f"{failed.key}.npz is missing" in verify(store.paths, edit(store, failed, _done))


BEYOND = "holds a value that is not a finite number, or beyond the limit of ±1e+100"


@pytest.mark.parametrize(
    ("vectors", "said"),
    [
        ({"gene-metric.mae": np.zeros(3)}, "gene-metric.mae has shape (3,)"),
        (
            {"gene-metric.mae": np.zeros((4, 1))},
            "gene-metric.mae is no vector: its shape is (4, 1)",
        ),
        ({"gene.twin": TWIN[:3]}, "gene.twin has shape (3,)"),
        ({"gene.twin": TWIN.astype(int)}, "gene.twin is not true or false"),
        (
            {"gene-metric.mae": np.array([0.1, 0.2, 0.3, np.nan])},
            BEYOND,
        ),
        (
            {"gene-metric.mae": np.array(["a", "b", "c", "d"])},
            BEYOND,
        ),
        ({"profile.id": np.array(["p1"])}, "profile.id has shape (1,)"),
        ({"profile-share.mae.all": np.full(4, 0.25)}, "profile-share.mae.all has shape (4,)"),
        ({"profile-share.mae.all": np.full(3, 0.26)}, "shares of profiles in mae on panel all"),
        ({"profile-share.r2.all": np.full(3, 0.25)}, "shares of profiles in r2 on panel all"),
    ],
)
def test_vectors_that_cannot_be_the_records_are_found(store, vectors, said):
    """Written whole, with a digest that is right, yet not what the record says."""
    faults = verify(store.paths, store.write(record(), VECTORS | vectors))
    assert len(faults) == 1
    assert said in faults[0]


@pytest.mark.parametrize("values", [np.zeros(3), np.array([0.1, 0.2, 0.3, np.nan])])
def test_vectors_of_another_length_or_without_values_are_never_handed_out(store, values):
    written = store.write(record(), VECTORS | {"gene-metric.mae": values})
    with pytest.raises(UserError, match=r"npz: vector gene-metric.mae .*\. Remove the record"):
        store.vectors(written)
    assert list(store.vectors(written, ["gene.twin"])) == ["gene.twin"]


def test_vectors_that_are_not_those_that_were_written_are_never_handed_out(store, written):
    other = store.write(record(), VECTORS | {"gene-metric.mae": np.array([0.1, 0.2, 0.3, 0.5])})
    shutil.copy(store.paths.vectors(other), store.paths.vectors(written))
    with pytest.raises(UserError, match=r"npz: was changed after it was written\. Remove"):
        store.vectors(written)


def test_a_file_that_would_fill_the_memory_is_not_read(store, written, monkeypatch):
    with store.paths.vectors(written).open("r+b") as stream:
        stream.truncate(VECTORS_BYTES + 1)
    tracemalloc.start()
    with pytest.raises(UserError, match="bytes are more than any such file has"):
        store.vectors(written)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_shares_that_add_up_are_sound(store):
    shares = {"profile-share.mae.all": np.array([0.2, 0.25, 0.3])}
    assert verify(store.paths, store.write(record(), VECTORS | shares)) == []


@pytest.mark.parametrize("missing", ["gene.id", "gene.twin"])
def test_vectors_that_lack_what_they_are_of_are_found(store, missing):
    vectors = {name: values for name, values in VECTORS.items() if name != missing}
    assert verify(store.paths, store.write(record(), vectors)) == [f"vector {missing} is missing"]


def with_vectors(store, written, content: bytes) -> Record:
    """Return the record of other vectors, which lie in the folder under their own digest."""
    digest = hashlib.sha256(content).hexdigest()
    store.paths.new(written.key, digest).write_bytes(content)
    return written.model_copy(update={"vectors": digest})


@pytest.mark.parametrize("content", [b"garbage", b"", b"PK\x03\x04"])
def test_vectors_that_cannot_be_read_are_one_line(store, written, content):
    damaged = with_vectors(store, written, content)
    with pytest.raises(
        UserError, match=r"cannot be read as vectors .*\. Remove the record and run again"
    ):
        store.vectors(damaged)


def test_vectors_that_would_fill_the_memory_are_refused(store, written, monkeypatch):
    monkeypatch.setattr("genebench.results.vectors.VECTORS_BYTES", 1 << 20)
    store.vectors(written)
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gene.id.npy", bytes((1 << 20) + 1))
    large = with_vectors(store, written, content.getvalue())
    with pytest.raises(UserError, match="bytes of vectors are more than any record"):
        store.vectors(large)


# --- what can be shown ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "../../x", "x" * 10_000, "a b", ""])
@pytest.mark.parametrize("place", ["method", "protocol"])
def test_a_hostile_name_is_refused_in_one_short_line(store, written, name, place):
    identity = written.identity.model_copy(update={place: name})
    hostile = store.write(
        written.model_copy(
            update={
                "identity": identity, "key": key_of(identity.model_dump()), "predictions": "",
            }
        ),
        VECTORS,
    )  # fmt: skip
    records, [fault] = store.sound()
    assert [stored.key for stored in records] == [written.key]
    assert fault.key == hostile.key
    assert f"{place} name" in fault.line or f"{place}: String should have" in fault.line
    assert len(fault.line) < 400
    assert "\n" not in fault.line


@pytest.mark.parametrize("change", [_drop, _future, _not_a_number])
def test_the_sound_records_can_be_had_beside_a_damaged_one(store, written, change):
    other = store.write(record(seed=1), VECTORS)
    with pytest.raises(UserError):
        edit(store, written, change)
    records, [fault] = store.sound()
    assert records == [other]
    assert (fault.key, f"{written.key}.json" in fault.line) == (written.key, True)


def test_only_a_thorough_look_finds_an_edited_score(store, written):
    edit(store, written, _edited_mean)
    assert len(store.sound()[0]) == 1
    records, [fault] = store.sound(thorough=True)
    assert records == []
    assert "mae on panel strict" in fault.line
    assert f"{written.key}.json" in fault.line


def test_changed_vectors_are_found(store, written):
    path = store.paths.vectors(written)
    np.savez_compressed(path, **(VECTORS | {"gene-metric.mae": np.zeros(4)}))
    assert verify(store.paths, written) == [f"{path.name} was changed after it was written"]


def test_vectors_of_garbage_are_found(store, written):
    path = store.paths.vectors(written)
    path.write_bytes(b"garbage")
    assert verify(store.paths, written) == [f"{path.name} was changed after it was written"]


def test_missing_vectors_are_found(store, written):
    (store.paths.vectors(written)).unlink()
    assert verify(store.paths, written) == [f"{store.paths.vectors(written).name} is missing"]


def test_changed_predictions_are_found(store, written):
    path = store.paths.kept(written, "predictions")
    np.save(path, PREDICTIONS + 1)
    assert verify(store.paths, written) == [f"{path.name} was changed after it was written"]


def test_missing_predictions_are_found(store, written):
    path = store.paths.kept(written, "predictions")
    path.unlink()
    assert store.predictions(written) is None
    assert verify(store.paths, written) == [f"{path.name} is missing"]


def test_every_fault_of_a_record_is_named(store, written):
    (store.paths.kept(written, "predictions")).unlink()

    def change(content):
        _edited_params(content)
        _edited_mean(content)

    assert len(verify(store.paths, edit(store, written, change))) == 3


def test_records_of_before_curves_and_models_were_kept_can_still_be_read():
    now = record()
    older = now.model_dump()
    del older["curves"], older["model"]
    assert Record.model_validate(older) == now


def test_the_first_record_of_two_processes_stays(made_up, tmp_path):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    first = store.write(made_up("knn", {}, None, started="2026-01-01T00:00:00+00:00"), {})
    later = made_up("knn", {}, None, started="2026-01-02T00:00:00+00:00")
    assert store.write(later, {}, replaces="") == first
    assert store.read(first.key) == first
    assert store.newer(first.key, "") == first
    assert store.newer(first.key, first.version) is None
    replaced = store.write(later, {}, replaces=first.version)
    assert store.read(first.key) == replaced != first


def test_a_result_replaces_a_failure_that_came_first(made_up, tmp_path):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    failed = store.write(made_up("knn", {}, None), {})
    done = store.write(made_up("knn", {}, 0.5), {}, replaces="")
    assert (failed.status, done.status) == ("failed", "done")
    assert store.read(done.key) == done
    assert store.write(made_up("knn", {}, None), {}, replaces="") == done
