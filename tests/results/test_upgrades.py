"""Records of older formats stay readable: real ones, kept beside this test, and odd ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.models.saved import open_model
from genebench.results.checks import verify
from genebench.results.merge import merge
from genebench.results.record import RECORD_FORMAT, Record, Seal
from genebench.results.store import ResultsStore
from genebench.results.upgrades import upgraded, upgraded_identity

EXAMPLES = Path(__file__).parent / "examples"
BEFORE_CURVES = "404b77ddcd30fb6c2e209f62"
"""Written by the first genebench: no curves, no model."""
FAILED = "1143632fcaaba4ae1339ad7e"


TRIAL, NETWORK = "b145cb662987e33d9a0883a2", "09bfa3dc63c789c7acf8efd3"
"""Of format 2: a trial of tuning, and a trained network with its model."""

NETWORK_OF_3 = "58eabdef93fa606d2c79fe9e"
"""Of format 3: a trained network with its model."""


@pytest.fixture
def old(tmp_path) -> ResultsStore:
    return ResultsStore(Path(shutil.copytree(EXAMPLES / "format-1", tmp_path / "results")))


@pytest.fixture
def second(tmp_path) -> ResultsStore:
    return ResultsStore(Path(shutil.copytree(EXAMPLES / "format-2", tmp_path / "second")))


def test_an_older_format_has_no_reason(tmp_path):
    fourth = ResultsStore(Path(shutil.copytree(EXAMPLES / "format-4", tmp_path / "fourth")))
    records, faults = fourth.sound(thorough=True)
    assert faults == []
    assert sorted((r.identity.method, r.status, r.reason) for r in records) == [
        ("crash", "failed", ""), ("ensemble", "done", ""), ("knn-ge", "done", ""),
        ("lsr-l2", "done", ""),
    ]  # fmt: skip
    document = json.loads(fourth.paths.record(records[0].key).read_text()) | {"reason": ""}
    with pytest.raises(ValueError, match="format 4 has no reason"):
        upgraded(document)


@pytest.fixture
def third(tmp_path) -> ResultsStore:
    return ResultsStore(Path(shutil.copytree(EXAMPLES / "format-3", tmp_path / "third")))


def test_there_are_examples_of_every_older_format():
    assert {path.name for path in EXAMPLES.iterdir()} == {
        f"format-{n}" for n in range(1, RECORD_FORMAT)
    }


def test_every_older_record_is_read_and_found_sound(old):
    records, faults = old.sound(thorough=True)
    assert faults == []
    assert sorted(record.identity.method for record in records) == ["crash", "lsr", "lsr-l2"]
    assert {record.format for record in records} == {RECORD_FORMAT}
    assert {old.written(record.key)["format"] for record in records} == {1}


def test_an_older_record_says_what_it_said(old):
    for record in old.records():
        written = json.loads((old.root / f"{record.key}.json").read_text())
        read = json.loads(record.model_dump_json())
        del written["format"], read["format"]
        written["identity"] = upgraded_identity(written["identity"])
        written["profiles"]["validation"] = written["profiles"].pop("select")
        for key, value in written.items():
            assert value.items() <= read[key].items() if key == "provenance" else value == read[key]


def test_what_an_older_record_did_not_say_stays_unsaid(old):
    for record in old.records():
        assert record.model_parameters is None
        assert record.checksum == ""
        assert record.identity.splits == {}
    first = old.read(BEFORE_CURVES)
    assert (first.curves, first.model) == ({}, "")


def test_a_checkout_of_an_older_record_is_known_and_others_are_not(old):
    origins = old.read(FAILED).provenance.plugins
    assert set(origins) == {"genebench"}
    assert origins["genebench"].install == "editable"
    assert len(origins["genebench"].commit) == 40
    assert not origins["genebench"].dirty


def test_a_dirty_checkout_of_an_older_record_is_still_dirty(old):
    document = json.loads((old.root / f"{FAILED}.json").read_text())
    document["provenance"]["git"]["genebench"] += "-dirty"
    origin = Record.model_validate(document).provenance.plugins["genebench"]
    assert origin.dirty
    assert not origin.commit.endswith("-dirty")


def test_an_edited_older_record_is_found(old):
    path = old.root / f"{BEFORE_CURVES}.json"
    document = json.loads(path.read_text())
    document["scores"]["mae"]["all"]["mean"] -= 0.01
    path.write_text(json.dumps(document))
    [fault] = old.sound(thorough=True)[1]
    assert "mae on panel all is not what its vector gives" in fault.line


def with_key(document, name):
    """Return a document with one more key, ``a.b`` for a key of a table in it."""
    *parents, key = name.split(".")
    holder = document[parents[0]] if parents else document
    holder[key] = "added"
    return document


@pytest.mark.parametrize(
    ("version", "key"),
    [
        *((1, key) for key in ("seal", "model_parameters", "provenance.plugins")),
        *(
            (version, key)
            for version in (1, 2)
            for key in (
                "checksum", "identity.validation", "identity.splits", "profiles.validation",
            )
        ),
        (3, "seal"),
    ],
)  # fmt: skip
def test_a_record_with_a_key_that_came_after_its_format_is_refused(
    old, second, third, version, key
):
    """A record of format 1 has no checksum that could show an edit."""
    store, name = {1: (old, BEFORE_CURVES), 2: (second, NETWORK), 3: (third, NETWORK_OF_3)}[version]
    path = store.root / f"{name}.json"
    path.write_text(json.dumps(with_key(json.loads(path.read_text()), key)))
    [fault] = store.sound()[1]
    assert f"format {version} has no {key}, so the record was edited after it was" in fault.line


def test_parts_of_older_records_are_read_in_the_words_of_today():
    assert upgraded_identity(
        {"train": "geo/train/training-units", "select": "gtex/select", "test": "gtex/test"}
    ) == {
        "train": "geo/train/training-statistics", "validation": "gtex/validation",
        "test": "gtex/test",
    }  # fmt: skip


def test_a_record_of_today_is_not_touched(old):
    document = old.read(FAILED).model_dump()
    assert upgraded(document) is document


def test_every_record_of_format_2_is_read_and_found_sound(second):
    records, faults = second.sound(thorough=True)
    assert faults == []
    assert sorted(record.identity.method for record in records) == [
        "crash", "dgex", "knn", "lsr-l2",
    ]  # fmt: skip
    assert {second.written(record.key)["format"] for record in records} == {2}


def test_a_record_of_format_2_is_read_in_the_words_of_format_3(second):
    network, trial = second.read(NETWORK), second.read(TRIAL)
    assert (network.identity.train, network.identity.validation) == ("geo/train", "geo/validation")
    assert network.profiles == {"train": 320, "validation": 40, "test": 40}
    assert network.choices.keys() == {"epoch_1", "epoch_2", "validation_mae"}
    assert trial.identity.is_trial
    assert not network.identity.is_trial


def test_an_older_record_is_copied_as_it_was_written(second, tmp_path):
    copy = ResultsStore(tmp_path / "copy")
    assert NETWORK in merge([second.root], copy.root).added
    assert copy.written(NETWORK) == second.written(NETWORK)
    assert verify(copy.paths, copy.read(NETWORK)) == []


@pytest.mark.parametrize("change", [{"seconds": {"fit": 0.001}}, {"seal": "0" * 64}, {"seal": ""}])
def test_an_edited_record_of_format_2_is_found_by_its_checksum(second, change):
    path = second.root / f"{NETWORK}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    [fault] = second.sound(thorough=True)[1]
    assert "was edited after it was written: its checksum does not match" in fault.line


def test_an_edited_identity_of_format_2_is_found_by_its_key(second):
    path = second.root / f"{NETWORK}.json"
    document = json.loads(path.read_text())
    document["identity"]["seed"] = 1
    path.write_text(json.dumps(document))
    assert any(
        "the key is not that of its identity" in f.line for f in second.sound(thorough=True)[1]
    )


def test_every_record_of_format_3_is_read_and_found_sound(third):
    records, faults = third.sound(thorough=True)
    assert faults == []
    assert sorted(record.identity.method for record in records) == [
        "crash", "dgex", "knn", "lsr-l2",
    ]  # fmt: skip
    assert {third.written(record.key)["format"] for record in records} == {3}


def test_no_older_record_claims_that_its_method_was_kept_from_test_data(old, second, third):
    seals = {record.seal for store in (old, second, third) for record in store.records()}
    assert seals == {Seal(level="no", reason="unknown: written before seals were recorded")}


@pytest.mark.parametrize("change", [{"seconds": {"fit": 0.001}}, {"checksum": "0" * 64}])
def test_an_edited_record_of_format_3_is_found_by_its_checksum(third, change):
    path = third.root / f"{NETWORK_OF_3}.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    [fault] = third.sound(thorough=True)[1]
    assert "was edited after it was written: its checksum does not match" in fault.line


def test_a_model_saved_beside_a_record_of_format_2_predicts(second):
    model = open_model(second.root / f"{NETWORK}.model.safetensors")
    assert model.identity.validation == "geo/validation"
    assert model.standardiser.mean.shape == (192,)
    landmarks = np.zeros((2, len(model.landmark_genes)), np.float32)
    assert model.model.predict(landmarks).shape == (2, len(model.target_genes))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(
                ["format", "provenance", "git", "versions", "identity", "profiles", "select", "x"]
            ), inner
        ),
    )
)  # fmt: skip
def test_anything_can_be_upgraded_without_an_error(content):
    """What is no record stays none: the schema says what is wrong with it."""
    again = upgraded(content)
    if not (isinstance(content, dict) and content.get("format") in (1, 2, 3)):
        assert again is content
