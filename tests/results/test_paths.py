"""Paths in a results folder: the names on disk are a promise to other programs."""

from __future__ import annotations

from pathlib import Path

import pytest

from genebench.results.paths import SHARED_FILES, ResultPaths
from genebench.results.record import UNSAVED

KEY = "0123456789abcdef01234567"


def test_the_names_on_disk_are_those_of_the_documentation(tmp_path):
    paths, digest = ResultPaths(tmp_path), "89abcdef" * 8
    assert paths.layout == tmp_path / "genebench-results.json"
    assert paths.record(KEY) == tmp_path / f"{KEY}.json"
    assert paths.annotations(KEY) == tmp_path / f"{KEY}.marks.json"
    start = f"{KEY}.89abcdef89abcdef"
    assert paths.new(KEY, digest) == tmp_path / f"{start}.npz"
    assert paths.new(KEY, digest, "predictions") == tmp_path / f"{start}.predictions.npy"
    assert paths.new(KEY, digest, "model") == tmp_path / f"{start}.model.safetensors"


def test_only_records_have_a_key(tmp_path):
    paths = ResultPaths(tmp_path)
    for path in (paths.layout, paths.record(KEY), paths.new(KEY, "0" * 64), paths.annotations(KEY)):
        path.write_bytes(b"")
    (tmp_path / "notes.json").write_bytes(b"")
    assert paths.keys() == [KEY]


def test_the_files_of_a_record_are_those_that_it_has_a_digest_of(store, lsr):
    paths, key = store.paths, lsr.key
    predictions = paths.new(key, lsr.predictions, "predictions")
    assert paths.files(lsr) == [paths.new(key, lsr.vectors), predictions, paths.record(key)]
    unsaved = lsr.model_copy(update={"predictions": "", "model": UNSAVED})
    assert paths.files(unsaved) == [paths.new(key, lsr.vectors), paths.record(key)]
    saved = lsr.model_copy(update={"model": "0" * 64})
    assert paths.digests(saved)[paths.new(key, "0" * 64, "model")] == "0" * 64


@pytest.mark.parametrize("name", ["{key}.json", "{key}.npz", "{key}.{digest}.predictions.npy"])
def test_files_of_both_layouts_may_be_sent(name):
    assert SHARED_FILES.fullmatch(name.format(key=KEY, digest="0" * 16))


@pytest.mark.parametrize(
    "name", ["{key}.marks.json", "{key}.{digest}.json", "{key}.x.npz", "../{key}.npz", ".{key}.tmp"]
)
def test_other_files_may_not_be_sent(name):
    assert not SHARED_FILES.fullmatch(name.format(key=KEY, digest="0" * 16))


def test_all_records_of_a_fit_have_one_checkpoint_folder(lsr):
    paths, identity = ResultPaths(Path("results")), lsr.identity
    same = [
        {"protocol": "other"},
        {"test": "gtex"},
        {"validation": "1000g"},
        {"splits": {"a": "1"}},
    ]
    for change in same:
        changed = identity.model_copy(update=change)
        assert paths.checkpoints(changed) == paths.checkpoints(identity)
    others = [
        {"seed": 1}, {"method": "other"}, {"params": {"k": 1}}, {"train": "gtex"}, {"data": "d2"},
        {"numerics": 99}, {"code": identity.code.model_copy(update={"digest": "other"})},
        {"test": identity.validation},
    ]  # fmt: skip
    folders = {paths.checkpoints(identity.model_copy(update=change)) for change in others}
    assert len(folders | {paths.checkpoints(identity)}) == len(others) + 1


@pytest.mark.parametrize("train", ["geo/train/by-a", "geo/train/by-a/50-profiles"])
def test_another_training_split_is_another_fit(lsr, train):
    paths = ResultPaths(Path("results"))
    first, second = (
        lsr.identity.model_copy(update={"train": train, "splits": {"a": digest}})
        for digest in ("1", "2")
    )
    assert paths.checkpoints(first) != paths.checkpoints(second)
