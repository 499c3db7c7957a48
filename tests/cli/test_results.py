"""genebench results: verify, merge, export, submit; what is wrong is named, the rest goes on."""

from __future__ import annotations

import contextlib
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from genebench import api
from genebench._util.files import sha256_of
from genebench._util.hashing import key_of
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry
from genebench.results.panels import scores_of
from genebench.results.record import PluginOrigin, Seal
from genebench.results.store import ResultsStore
from tests.sealing.conftest import needs_landlock


@pytest.fixture
def released(copied) -> Path:
    """The same, as if it were sealed, and all code from wheels: a test's checkout may be dirty."""
    release(copied)
    return copied


def release(folder: Path) -> None:
    store = ResultsStore(folder)
    for record in list(store.records()):
        origins = {
            name: PluginOrigin(version="1.0", install="wheel") for name in record.provenance.plugins
        }
        provenance = record.provenance.model_copy(update={"plugins": origins})
        changes = {"provenance": provenance, "seal": Seal(level="landlock")}
        store.write(record.model_copy(update=changes), store.vectors(record))


def record_of(folder: Path):
    records = ResultsStore(folder).records()
    return next(r for r in records if (r.identity.method, r.identity.protocol) == ("lsr", "geo"))


def edit(folder: Path, change: Callable[[dict], None]) -> str:
    """Edit the record of lsr as somebody with a text editor would; return its key."""
    key = record_of(folder).key
    path = folder / f"{key}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    return key


def assert_one_line_error(outcome, *fragments: str) -> None:
    assert outcome.status == 2
    assert outcome.err.startswith("genebench: error: ")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err


# Verifying


def test_an_edited_record_that_says_it_is_of_an_older_format_is_named(genebench, copied):
    key = edit(copied, lambda content: content.update(format=1, seconds={"fit": 0.001}))
    done = genebench("results", "verify", "--results", copied)
    assert done.status == 1
    assert f"{key}: " in done.out
    assert "format 1 has no seal, so the record was edited" in done.out


def test_what_run_wrote_is_sound(genebench, made):
    outcome = genebench("results", "verify", "--results", made)
    assert outcome.status == 0
    assert outcome.out == "6 of 6 records are sound, 6 recomputed from their predictions\n"


def change_a_score(content: dict) -> None:
    content["scores"]["cc"]["twin"]["mean"] += 1e-6


def invent_a_panel(content: dict) -> None:
    content["scores"]["mae"]["best"] = content["scores"]["mae"]["all"]


def invent_a_metric(content: dict) -> None:
    content["scores"]["accuracy"] = content["scores"]["mae"]


def drop_a_panel(content: dict) -> None:
    del content["scores"]["mae"]["strict"]


def change_the_identity(content: dict) -> None:
    content["identity"]["method"] = "ggan"


def change_a_digest(content: dict) -> None:
    content["vectors"] = "0" * 64


def change_a_time(content: dict) -> None:
    content["seconds"]["fit"] = 0.0


def change_the_preset(content: dict) -> None:
    content["preset"] = "paper"


def drop_a_key(content: dict) -> None:
    del content["peak_memory"]


def come_from_the_future(content: dict) -> None:
    content["format"] = 99


def score_nan(content: dict) -> None:
    content["scores"]["mae"]["all"]["mean"] = float("nan")


def name_it_hostile(content: dict) -> None:
    content["identity"]["method"] = "<script>alert(1)</script>"


EDITS = {
    change_a_score: "cc on panel twin",
    invent_a_panel: "mae on panel best",
    invent_a_metric: "accuracy",
    drop_a_panel: "mae on panel strict",
    change_the_identity: "the key is not that of its identity",
    change_a_digest: ".npz is missing",
    change_a_time: "its checksum does not match",
    change_the_preset: "its checksum does not match",
    drop_a_key: "peak_memory: this key is missing",
    come_from_the_future: "Use the genebench that wrote format 99",
    score_nan: "scores.mae.all.mean: Input should be a finite number",
    name_it_hostile: "method name '<script>alert(1)</script>' is malformed",
}


@pytest.mark.parametrize(
    ("change", "said"), EDITS.items(), ids=[change.__name__ for change in EDITS]
)
def test_an_edited_record_is_named_with_what_was_edited(genebench, copied, change, said):
    key = edit(copied, change)
    outcome = genebench("results", "verify", "--results", copied)
    assert outcome.status == 1
    [line] = [line for line in outcome.out.splitlines() if line.startswith(key)]
    assert said in line
    assert "5 of 6 records are sound" in outcome.out


@pytest.mark.parametrize("suffix", [".npz", ".predictions.npy"])
@pytest.mark.parametrize("fault", ["changed", "missing"])
def test_a_changed_or_missing_file_is_found(genebench, copied, suffix, fault):
    [path] = copied.glob(f"{record_of(copied).key}.*{suffix}")
    path.unlink() if fault == "missing" else path.write_bytes(path.read_bytes() + b"x")
    outcome = genebench("results", "verify", "--results", copied)
    assert outcome.status == 1
    assert path.name in outcome.out
    assert fault in outcome.out


def test_a_record_under_the_name_of_another_is_found(genebench, copied):
    """A copy of a record must not pass for a second result."""
    key = record_of(copied).key
    shutil.copy(copied / f"{key}.json", copied / f"{'0' * 24}.json")
    assert genebench("results", "verify", "--results", copied).status == 1


def seal(folder: Path) -> None:
    """Write all records again, as sealed runs would have written them."""
    store = ResultsStore(folder)
    for record in list(store.records()):
        sealed = record.model_copy(update={"seal": Seal(level="landlock")})
        store.write(sealed, store.vectors(record))


def test_what_was_not_sealed_is_recomputed_and_not_marked(genebench, copied):
    outcome = genebench("results", "verify", "--mark", "--results", copied)
    assert outcome.status == 0
    assert "6 not marked: its method could have seen the test data (seal no:" in outcome.out
    assert "6 recomputed from their predictions, 0 marked as verified" in outcome.out


def test_a_forged_metric_of_other_code_is_not_marked(genebench, copied):
    """Vectors and scores divided by ten, the metric's digest zero, predictions honest."""
    seal(copied)
    store, record = ResultsStore(copied), record_of(copied)
    forged = {
        name: values / 10 if name.startswith(("gene-metric.mae", "profile-share.mae")) else values
        for name, values in store.vectors(record).items()
    }
    changes = {
        "scores": scores_of(forged), "metrics": record.metrics | {"mae": "0" * 16},
        "seal": Seal(level="landlock"),
    }  # fmt: skip
    store.write(record.model_copy(update=changes), forged)
    outcome = genebench("results", "verify", "--mark", "--results", copied)
    assert "1 not marked: mae was not recomputed: its code here is not that" in outcome.out
    assert "6 recomputed from their predictions, 5 marked as verified" in outcome.out
    assert store.annotations.read(record.key).names == []


def test_what_was_recomputed_is_marked_on_request_and_only_that(genebench, copied):
    seal(copied)
    key = record_of(copied).key
    [path] = copied.glob(f"{key}.*.predictions.npy")
    path.write_bytes(b"x")
    outcome = genebench("results", "verify", "--mark", "--results", copied)
    assert outcome.status == 1
    assert "5 recomputed from their predictions, 5 marked as verified" in outcome.out
    store = ResultsStore(copied)
    marked = {name: bool(store.annotations.read(name).verified) for name in store.keys()}  # noqa: SIM118
    assert marked == {name: name != key for name in marked}


# Exporting


def test_scores_are_exported_in_full(genebench, made, tmp_path):
    for form in ("csv", "json", "parquet"):
        if form == "parquet":
            pytest.importorskip("pyarrow")
        out = tmp_path / f"scores.{form}"
        assert genebench("results", "export", "-o", out, "--results", made).status == 0
        read = {"csv": pd.read_csv, "json": pd.read_json, "parquet": pd.read_parquet}[form]
        table = read(out)
        expected = api.records(made).table
        assert list(table.columns) == list(expected.columns)
        assert table["mean"].tolist() == pytest.approx(expected["mean"].tolist(), abs=1e-15)
        assert table["key"].tolist() == expected["key"].tolist()


def test_numbers_in_json_are_exact(genebench, made, tmp_path):
    out = tmp_path / "scores.json"
    genebench("results", "export", "-o", out, "--results", made)
    means = [row["mean"] for row in json.loads(out.read_text())]
    assert means == api.records(made).table["mean"].tolist()


@pytest.mark.parametrize(("table", "rows"), [("genes", 160), ("profiles", 40)])
def test_vectors_are_exported_long_or_wide(genebench, made, tmp_path, table, rows):
    arguments = ("--table", table, "--metric", "cc", "--protocol", "geo", "--results", made)
    long, wide = tmp_path / "long.csv", tmp_path / "wide.csv"
    assert genebench("results", "export", "-o", long, *arguments).status == 0
    assert genebench("results", "export", "-o", wide, "--wide", *arguments).status == 0
    assert len(pd.read_csv(long)) == 3 * rows
    assert len(pd.read_csv(wide)) == rows
    assert sum("/" in name for name in pd.read_csv(wide).columns) == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-o", "scores.xlsx"), "unknown export format 'xlsx'"),
        (("-o", "scores.csv", "--wide"), "--wide is for --table genes"),
        (("-o", "scores.csv", "--methods", "lrs"), "Did you mean lsr"),
        (("-o", "scores.csv", "--table", "genes", "--metric", "mea"), "Did you mean mae"),
        (("-o", "gone/scores.csv"), "cannot write there"),
    ],
)
def test_a_mistake_in_exporting_is_one_line(genebench, made, tmp_path, arguments, said):
    with contextlib.chdir(tmp_path):
        outcome = genebench("results", "export", *arguments, "--results", made)
    assert_one_line_error(outcome, said)
    assert list(tmp_path.iterdir()) == []


# Submitting and merging

WHO = ("--name", "A. Person", "--contact", "a@example.org")


@pytest.fixture
def bundle(genebench, released, tmp_path) -> Path:
    out = tmp_path / "bundle.zip"
    outcome = genebench("results", "submit", *WHO, "-o", out, "--results", released)
    assert outcome.status == 0, outcome.out
    return out


def test_a_submission_is_verified_with_one_command(genebench, bundle):
    outcome = genebench("results", "verify", bundle)
    assert outcome.status == 0
    assert "submitted by A. Person <a@example.org>" in outcome.out
    assert "6 of 6 records are sound, 6 recomputed from their predictions" in outcome.out
    assert outcome.out.endswith("every entry condition is met\n")


def test_the_seal_of_a_submission_is_a_claim_that_verifies_no_predictions(
    genebench, bundle, tmp_path
):
    board = tmp_path / "board"
    outcome = genebench("results", "merge", bundle, "--results", board)
    assert (outcome.status, outcome.out.split()[0]) == (0, "6")
    outcome = genebench("results", "verify", "--mark", "--results", board)
    assert outcome.status == 0
    assert "6 not marked: it was submitted, so its seal is a claim of its sender" in outcome.out
    assert "6 recomputed from their predictions, 0 marked as verified" in outcome.out
    store = ResultsStore(board)
    for key in store.keys():  # noqa: SIM118  not a mapping
        assert store.annotations.read(key).names == ["submitted"]


def test_what_does_not_meet_a_condition_is_not_submitted(genebench, released, tmp_path):
    edit(released, change_a_time)
    out = tmp_path / "bundle.zip"
    outcome = genebench("results", "submit", "--name", "A", "-o", out, "--results", released)
    assert outcome.status == 1
    conditions = [line for line in outcome.out.splitlines() if line.startswith("not met: ")]
    assert len(conditions) == 2
    assert "no contact" in conditions[0]
    assert "its checksum does not match" in conditions[1]
    assert not out.exists()


def test_only_what_is_named_is_submitted(genebench, released, tmp_path):
    out = tmp_path / "bundle.zip"
    arguments = ("--methods", "lsr", "--protocol", "gtex")
    submitted = genebench("results", "submit", *WHO, *arguments, "-o", out, "--results", released)
    assert submitted.out.startswith("wrote 1 records")


def test_trials_stay_out_of_a_submission(genebench, released, tmp_path):
    store, record = ResultsStore(released), record_of(released)
    identity = record.identity.model_copy(update={"test": record.identity.validation})
    trial = {"identity": identity, "key": key_of(identity.model_dump()), "predictions": ""}
    store.write(record.model_copy(update=trial), store.vectors(record))
    out = tmp_path / "bundle.zip"
    outcome = genebench("results", "submit", *WHO, "-o", out, "--results", released)
    assert outcome.out.startswith("wrote 6 records")
    assert f"{trial['key']}.json" not in zipfile.ZipFile(out).namelist()


@pytest.mark.parametrize("command", ["verify", "merge"])
def test_a_bundle_of_a_stranger_that_is_none_is_one_line(genebench, tmp_path, command):
    odd = tmp_path / "odd.zip"
    odd.write_bytes(b"no zip")
    assert_one_line_error(
        genebench("results", command, odd, *(("--results", tmp_path / "r") * (command == "merge"))),
        "odd.zip",
    )
    assert {path.name for path in tmp_path.iterdir()} == {"odd.zip"}


def test_merging_says_what_became_of_every_record(genebench, copied, made, tmp_path):
    key = edit(copied, change_a_score)
    outcome = genebench("results", "merge", copied, made, "--results", tmp_path / "all")
    assert outcome.status == 1
    lines = outcome.out.splitlines()
    assert lines[0].startswith("not taken: ")
    assert key in lines[0]
    assert lines[-1].startswith("6 new, 0 replaced, 5 there already, 1 not taken, in ")


@pytest.mark.parametrize(
    ("command", "change"),
    [
        (("report",), drop_a_key),
        (("report",), come_from_the_future),
        (("report",), score_nan),
        (("report",), name_it_hostile),
        (("status",), name_it_hostile),
        (("results", "export", "-o"), name_it_hostile),
    ],
)
def test_a_bad_record_is_left_out_with_a_warning_and_the_others_are_shown(
    genebench, copied, caplog, command, change
):
    key = edit(copied, change)
    out = (copied.with_name("out.csv"),) if command[-1] == "-o" else ()
    outcome = genebench(*command, *out, "--results", copied)
    assert outcome.status == 0
    [warning] = caplog.messages
    assert f"{key}.json" in warning
    shown = out[0].read_text() if out else outcome.out
    assert "train-mean" in shown
    assert "<script>" not in shown


# Models


@pytest.fixture(scope="module")
def with_models(tiny, tmp_path_factory) -> Path:
    """Return a folder of lsr-l2 and the controls, with their models, and not sealed."""
    folder = tmp_path_factory.mktemp("models") / "results"
    api.run("lsr-l2", "geo", dataset="sim", preset="tiny", results=folder, keep="model")
    return folder


@needs_landlock
def test_records_verify_from_their_models_even_if_they_were_not_sealed(
    genebench, with_models, tmp_path
):
    folder = Path(shutil.copytree(with_models, tmp_path / "results"))
    outcome = genebench("results", "verify", "--mark", "--results", folder)
    assert outcome.out == (
        "3 of 3 records are sound, 3 recomputed from their models, 0 recomputed from their "
        "predictions, 3 marked as verified\n"
    )
    store = ResultsStore(folder)
    sources = {store.annotations.read(record.key).verified.source for record in store.records()}
    assert sources == {"model"}


@needs_landlock
def test_a_submission_with_models_is_merged_and_then_marked(genebench, with_models, tmp_path):
    sent, board, bundle = tmp_path / "sent", tmp_path / "board", tmp_path / "bundle.zip"
    shutil.copytree(with_models, sent)
    release(sent)
    options = ("--results", sent, "-o", bundle)
    assert genebench("results", "submit", *WHO, *options).status == 0
    assert genebench("results", "merge", bundle, "--results", board).status == 0
    outcome = genebench("results", "verify", "--mark", "--results", board)
    assert "3 recomputed from their models" in outcome.out
    store = ResultsStore(board)
    for key in store.keys():  # noqa: SIM118  not a mapping
        assert store.annotations.read(key).names == ["submitted", "verified"]


@needs_landlock
def test_a_model_that_predicts_something_else_is_named(genebench, with_models, tmp_path):
    folder = Path(shutil.copytree(with_models, tmp_path / "results"))
    store = ResultsStore(folder)
    record = next(r for r in store.records() if r.identity.method == "lsr-l2")
    path = store.paths.kept(record, "model")
    tensors = load_file(path)
    with safe_open(path, "np") as opened:
        header = opened.metadata()
    weights = max(
        (name for name in tensors if name.startswith("model.")), key=lambda n: tensors[n].size
    )
    tensors[weights] = tensors[weights] * np.float32(1.01)
    save_file(tensors, path, header)
    digest = sha256_of(path)
    path.rename(store.paths.new(record.key, digest, "model"))
    store.write(record.model_copy(update={"model": digest}), store.vectors(record))
    outcome = genebench("results", "verify", "--mark", "--results", folder)
    assert outcome.status == 1
    assert f"{record.key}: mae is not what its model predicts: up to 0.0" in outcome.out
    assert "2 marked as verified" in outcome.out


def test_a_model_of_another_version_of_its_method_is_not_used_but_kept_predictions_are(
    genebench, with_models, tmp_path
):
    folder = Path(shutil.copytree(with_models, tmp_path / "results"))
    options = {"dataset": "sim", "preset": "tiny", "results": folder}
    api.run("lsr-l2", "geo", keep="predictions,model", **options)
    store = ResultsStore(folder)
    record = next(r for r in store.records() if r.identity.method == "lsr-l2")
    code = record.identity.code.model_copy(update={"digest": "0" * 16, "version": "0.0.1"})
    identity = record.identity.model_copy(update={"code": code})
    other = {"identity": identity, "key": key_of(identity.model_dump())}
    for kind in ("predictions", "model"):
        path = store.paths.kept(record, kind)
        shutil.copy(path, store.paths.new(other["key"], sha256_of(path), kind))
    store.write(record.model_copy(update=other), store.vectors(record))
    outcome = genebench("results", "verify", "--results", folder)
    assert outcome.status == 0
    assert "1 model not used, but predictions: " in outcome.out
    assert "Install genebench-linear 0.0.1." in outcome.out


PLUGIN = """
import numpy as np

from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec

genebench_contract = 1


class Mean(Model):
    def __init__(self, level):
        self.level = level

    def predict(self, landmarks):
        return np.repeat(self.level[None], len(landmarks), axis=0)

    def tensors(self):
        return {"level": self.level}


class Means(Method):
    def fit(self, train, validation_sets, context):
        level = np.asarray(train.targets).mean(axis=0).astype(np.float32)
        return dict.fromkeys(validation_sets, Mean(level))

    def restore(self, tensors, context):
        return Mean(tensors["level"])


@hookimpl
def genebench_methods():
    summary = "means of the training profiles"
    return [MethodSpec(name="means", title="Means", summary=summary, code="theirmeans:Means")]
"""


@pytest.fixture
def means(genebench, tiny, tmp_path, monkeypatch):
    """Return a function that runs a plugin file, and its results folder."""
    monkeypatch.setenv("GENEBENCH_PLUGINS", "")
    plugin, folder = tmp_path / "code" / "theirmeans.py", tmp_path / "results"
    plugin.parent.mkdir()
    plugin.write_text(PLUGIN)

    def run(keep, sealed):
        monkeypatch.setenv("GENEBENCH_SEALED", sealed)
        command = ("--methods", "means", "--protocol", "geo", "--preset", "tiny", "--quiet")
        outcome = genebench("run", "--plugin", plugin, *command, keep, "--results", folder)
        assert outcome.status == 0, outcome.err
        records = list(ResultsStore(folder).records())
        return next(record for record in records if record.identity.method == "means")

    yield run, folder
    for cached in (installed, registry):
        cached.cache_clear()


@needs_landlock
def test_a_plugin_that_was_sealed_is_verified_from_its_kept_predictions(genebench, means):
    run, folder = means
    record = run("--keep-predictions", "auto")
    assert record.seal.level == "landlock"
    outcome = genebench("results", "verify", "--mark", "--results", folder)
    assert "2 not marked: its method could have seen the test data (seal no" in outcome.out
    assert "3 recomputed from their predictions, 1 marked as verified" in outcome.out
    assert ResultsStore(folder).annotations.read(record.key).verified.source == "predictions"


@needs_landlock
def test_a_plugin_that_runs_where_scores_are_made_verifies_no_model(genebench, means):
    """With seals switched off its module is imported here, and could change what scores."""
    run, folder = means
    record = run("--keep-models", "off")
    outcome = genebench("results", "verify", "--mark", "--results", folder)
    assert "1 not recomputed: " in outcome.out
    assert "means cannot be confined here (its plugin theirmeans offers more" in outcome.out
    assert ResultsStore(folder).annotations.read(record.key).names == []
