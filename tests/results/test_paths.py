"""Paths in a results folder: the names on disk are a promise to other programs."""

from __future__ import annotations

from genebench.results.paths import ResultPaths
from genebench.results.record import UNSAVED

KEY = "0123456789abcdef01234567"


def test_the_names_on_disk_are_those_of_the_documentation(tmp_path):
    paths = ResultPaths(tmp_path)
    assert paths.layout == tmp_path / "genebench-results.json"
    assert paths.record(KEY) == tmp_path / f"{KEY}.json"
    assert paths.vectors(KEY) == tmp_path / f"{KEY}.npz"
    assert paths.kept(KEY, "predictions") == tmp_path / f"{KEY}.predictions.npy"
    assert paths.kept(KEY, "model") == tmp_path / f"{KEY}.model.safetensors"
    assert paths.annotations(KEY) == tmp_path / f"{KEY}.marks.json"


def test_only_records_have_a_key(tmp_path):
    paths = ResultPaths(tmp_path)
    for path in (paths.layout, paths.record(KEY), paths.vectors(KEY), paths.annotations(KEY)):
        path.write_bytes(b"")
    (tmp_path / "notes.json").write_bytes(b"")
    assert paths.keys() == [KEY]


def test_the_files_of_a_record_are_those_that_it_has_a_digest_of(store, lsr):
    assert [path.name for path in store.paths.files(lsr)] == [
        f"{lsr.key}.npz", f"{lsr.key}.predictions.npy", f"{lsr.key}.json",
    ]  # fmt: skip
    unsaved = lsr.model_copy(update={"predictions": "", "model": UNSAVED})
    assert [path.name for path in store.paths.files(unsaved)] == [
        f"{lsr.key}.npz", f"{lsr.key}.json",
    ]  # fmt: skip
    saved = lsr.model_copy(update={"model": "a digest"})
    assert store.paths.digests(saved)[store.paths.kept(lsr.key, "model")] == "a digest"


def test_a_job_has_one_checkpoint_folder_in_any_order_of_its_records(tmp_path):
    paths = ResultPaths(tmp_path)
    assert paths.checkpoints(["a", "b"]) == paths.checkpoints(["b", "a"])
    assert paths.checkpoints(["a", "b"]) != paths.checkpoints(["a"])
