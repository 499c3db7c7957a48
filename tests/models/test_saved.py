"""Saved models: they predict without the data and the process that made them."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys

import numpy as np
import pytest

from genebench import Model, UserError, api
from genebench.models.saved import Saved, open_model, save_model, tensors_of
from genebench.protocols import GEO
from genebench.results.checks import verify
from genebench.results.record import UNSAVED
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def kept(tiny, tmp_path_factory):
    """Results with models and predictions kept: folder, and method → record."""
    folder = tmp_path_factory.mktemp("saved") / "results"
    made = api.run(
        "lsr-l2,knn-ge,knn", "geo", dataset="sim", preset="tiny", results=folder,
        keep=("model", "predictions"),
    )  # fmt: skip
    return ResultsStore(folder), {record.identity.method: record for record in made.records}


@pytest.mark.parametrize("method", ["lsr-l2", "knn-ge", "train-mean", "copy-twin"])
def test_a_saved_model_predicts_what_it_predicted_when_it_was_fitted(kept, tiny, method):
    store, records = kept
    saved = open_model(store.model_path(records[method]))
    predicted = saved.model.predict(tiny.profiles(GEO.test).landmarks)
    expected = store.predictions(records[method])
    np.testing.assert_allclose(predicted, expected, atol=1e-6)
    assert saved.notes == ()


def test_it_predicts_in_a_process_that_never_saw_the_data(kept, tmp_path):
    store, records = kept
    code = (
        "import sys, numpy as np; from genebench import open_model\n"
        "saved = open_model(sys.argv[1])\n"
        "p = len(saved.landmark_genes)\n"
        "out = saved.model.predict(np.zeros((2, p), np.float32))\n"
        "assert out.shape == (2, len(saved.target_genes)) and np.isfinite(out).all()\n"
    )
    path = store.model_path(records["lsr-l2"])
    environment = {"GENEBENCH_HOME": str(tmp_path), "PATH": ""}
    subprocess.run([sys.executable, "-c", code, path], check=True, env=environment)


def test_it_says_what_it_is_of(kept, tiny):
    store, records = kept
    saved = open_model(store.model_path(records["lsr-l2"]))
    assert saved.identity == records["lsr-l2"].identity
    assert saved.landmark_genes.index.tolist() == tiny.landmark_genes.index.tolist()
    assert saved.target_genes["symbol"].tolist() == tiny.target_genes["symbol"].tolist()
    assert saved.tensors["weights"].shape == (len(tiny.landmark_genes), len(tiny.target_genes))
    mean, std = tiny.statistics("geo")
    np.testing.assert_array_equal(saved.standardiser.mean, mean)
    np.testing.assert_array_equal(saved.standardiser.std, std)


def test_a_method_that_cannot_save_its_models_is_no_failure(kept):
    store, records = kept
    assert records["knn"].status == "done"
    assert records["knn"].model == UNSAVED
    assert "cannot be saved" in records["knn"].notes[-1]
    assert store.model_path(records["knn"]) is None
    assert verify(store.paths, records["knn"]) == []


def test_results_with_models_are_not_done_again_and_those_without_are(kept, tiny, tmp_path):
    store, _ = kept

    def to_do(results, keep):
        plan = api.plan_run(
            "lsr-l2,knn-ge,knn", "geo", "sim",
            preset="tiny", seeds=1, overrides={}, results=results, keep=keep,
        )  # fmt: skip
        return len(plan.remaining())

    assert to_do(store.root, {"model"}) == 0
    api.run("lsr-l2", "geo", dataset="sim", preset="tiny", results=tmp_path / "bare")
    assert to_do(tmp_path / "bare", set()) == 2
    assert to_do(tmp_path / "bare", {"model"}) == 5


def test_a_changed_model_is_found(kept, tmp_path):
    store, records = kept
    path = store.model_path(records["copy-twin"])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert verify(store.paths, records["copy-twin"]) == [
        f"{path.name} was changed after it was written"
    ]
    with pytest.raises(UserError, match="was changed after it was written"):
        store.model_path(records["copy-twin"])
    path.write_bytes(content)


def rewritten(path, change):
    """The file with its header's own JSON changed."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    change(header["__metadata__"])
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def spoil(name, value):
    def change(metadata):
        content = json.loads(metadata["genebench"])
        content[name] = value
        metadata["genebench"] = json.dumps(content)

    return change


def rename(metadata):
    content = json.loads(metadata["genebench"])
    content["identity"]["method"] = "os.system"
    metadata["genebench"] = json.dumps(content)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda metadata: metadata.pop("genebench"), "genebench did not save this file"),
        (spoil("format", 7), r"not a model of this version \(format"),
        (spoil("surprise", 1), r"surprise"),
        (rename, "unknown method 'os.system'"),
    ],
)
def test_a_file_that_is_no_sound_model_is_refused(kept, tmp_path, change, message):
    store, records = kept
    path = tmp_path / "odd.safetensors"
    path.write_bytes(rewritten(store.model_path(records["lsr-l2"]), change))
    with pytest.raises(UserError, match=message):
        open_model(path)


def misshapen(kept, tmp_path, **changed):
    """The saved ridge model with some of its tensors changed, or left out."""
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    store, records = kept
    source = store.model_path(records["lsr-l2"])
    with safe_open(source, "numpy") as file:
        header = file.metadata()
    tensors = load_file(source) | {name.replace("__", "."): v for name, v in changed.items()}
    path = tmp_path / "odd.safetensors"
    save_file({name: v for name, v in tensors.items() if v is not None}, path, header)
    return path


@pytest.mark.parametrize(
    "changed",
    [
        {"standardiser__mean": None},
        {"standardiser__mean": np.zeros(3)},
        {"standardiser__std": np.full(192, np.nan)},
        {"model__weights": None},
        {"model__weights": np.zeros((3, 3), np.float32)},
        {"model__weights": np.zeros((32, 160), np.int64)},
        {"model__weights": np.full((32, 160), np.nan, np.float32)},
        {"model__bias": np.zeros(7, np.float32)},
    ],
    ids=str,
)
def test_a_model_whose_tensors_do_not_fit_is_refused(kept, tmp_path, changed):
    with pytest.raises(UserError, match="lsr-l2 cannot restore its model"):
        open_model(misshapen(kept, tmp_path, **changed))


def test_a_model_that_predicts_what_is_no_number_is_refused(kept, monkeypatch):
    store, records = kept
    path = store.model_path(records["lsr-l2"])
    saved = open_model(path)
    text = np.full((1, len(saved.target_genes)), "0")
    monkeypatch.setattr(type(saved.model), "predict", lambda *_: text)
    with pytest.raises(UserError, match="BadPredictionError: predicted values of type"):
        open_model(path)


def test_a_model_of_other_parameters_or_doubtful_genes_is_refused(kept, tmp_path):
    def params(metadata):
        content = json.loads(metadata["genebench"])
        content["identity"]["params"] = {"surprise": 1}
        metadata["genebench"] = json.dumps(content)

    def genes(metadata):
        content = json.loads(metadata["genebench"])
        content["landmarks"]["ids"][0] = content["landmarks"]["ids"][1]
        metadata["genebench"] = json.dumps(content)

    store, records = kept
    path = tmp_path / "odd.safetensors"
    for change, message in ((params, "cannot restore"), (genes, "ids must be unique")):
        path.write_bytes(rewritten(store.model_path(records["lsr-l2"]), change))
        with pytest.raises(UserError, match=message):
            open_model(path)


def test_a_full_disk_is_one_line(kept, tiny, tmp_path):
    store, records = kept
    saved = open_model(store.model_path(records["lsr-l2"]))
    train = tiny.profiles(GEO.train)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot be written .*Free some space"):
            save_model(tmp_path / "m", Saved(saved.identity, tensors_of(saved.model)), "k", train)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("tensors", "problem"),
    [
        ({"a\udcff": np.zeros(2)}, "its name is not text"),
        ({3: np.zeros(2)}, "its name is not text"),
        ({"a": np.zeros(2, np.longdouble)}, "not numbers of at most 64 bits"),
        ({"a": np.array(["x"])}, "not numbers of at most 64 bits"),
    ],
)
def test_a_tensor_that_no_file_can_hold_is_refused(tensors, problem):
    class Odd(Model):
        def predict(self, landmarks):
            return landmarks

        def tensors(self):
            return tensors

    with pytest.raises(ValueError, match=problem):
        tensors_of(Odd())


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("standardiser.std", -0.001, "negative values"),
        ("standardiser.std", np.nan, "not one number"),
        ("standardiser.mean", 1e300, "not one number"),
    ],
)
def test_statistics_that_give_no_numbers_are_refused(kept, tmp_path, name, value, problem):
    from safetensors import safe_open
    from safetensors.numpy import load_file, save_file

    store, records = kept
    original, path = store.model_path(records["lsr-l2"]), tmp_path / "odd.safetensors"
    tensors = load_file(original)
    tensors[name][3] = value
    with safe_open(original, "numpy") as file:
        save_file(tensors, path, file.metadata())
    with pytest.raises(UserError, match=problem):
        open_model(path)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_a_file_of_another_kind_is_refused(tmp_path, content):
    path = tmp_path / "odd.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="not a safetensors file"):
        open_model(path)
    with pytest.raises(UserError, match="no such file"):
        open_model(tmp_path / "none.safetensors")


def test_who_has_other_code_than_made_it_is_told(kept, tmp_path):
    def age(metadata):
        content = json.loads(metadata["genebench"])
        content["identity"]["code"]["digest"] = "0" * 16
        metadata["genebench"] = json.dumps(content)

    store, records = kept
    path = tmp_path / "older.safetensors"
    path.write_bytes(rewritten(store.model_path(records["lsr-l2"]), age))
    [note] = open_model(path).notes
    assert "differs" in note
