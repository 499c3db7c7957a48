"""Annotations: kept beside the record, valid for the record that they were made for."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

SUBMITTED = {"name": "A", "contact": "a@b", "licence": "", "created": "now", "bundle": "0"}


def test_an_annotation_is_added_to_those_that_there_are(store, lsr):
    assert store.annotations.read(lsr.key).names == []
    verified = {
        "record": store.digest(lsr.key),
        "when": "",
        "genebench": "",
        "metrics": (),
        "source": "model",
    }
    store.annotations.add(lsr.key, submitted=SUBMITTED)
    store.annotations.add(lsr.key, verified=verified)
    annotations = store.annotations.read(lsr.key)
    assert annotations.names == ["submitted", "verified"]
    assert annotations.submitted.model_dump() == SUBMITTED


def test_an_unknown_annotation_is_refused(store, lsr):
    with pytest.raises(ValidationError):
        store.annotations.add(lsr.key, winner={})
    assert store.annotations.read(lsr.key).names == []


def test_an_annotation_of_a_record_that_changed_since_no_longer_holds(store, lsr, change):
    store.annotations.add(
        lsr.key,
        verified={
            "record": store.digest(lsr.key),
            "when": "",
            "genebench": "",
            "metrics": (),
            "source": "model",
        },
    )
    assert store.annotations.read(lsr.key).names == ["verified"]
    change(store, lsr, notes=("edited",))
    assert store.annotations.read(lsr.key).names == []


def test_a_mark_of_a_version_that_marked_too_easily_is_left_out(store, lsr):
    """Once, some metrics were enough, and the method could have seen the test data."""
    old = {"record": store.digest(lsr.key), "when": "", "genebench": "0.1.0", "metrics": ["mae"]}
    path = store.root / f"{lsr.key}.marks.json"
    path.write_text(json.dumps({"submitted": SUBMITTED, "verified": old}))
    assert store.annotations.read(lsr.key).names == ["submitted"]


@pytest.mark.parametrize("content", ["[" * 3_000_000, '{"submitted":' * 500_000])
def test_annotations_without_end_are_none(store, lsr, content):
    (store.root / f"{lsr.key}.marks.json").write_text(content)
    assert store.annotations.read(lsr.key).names == []


@pytest.mark.parametrize("content", ["", "{", '{"verified": 1}', json.dumps({"winner": {}})])
def test_annotations_that_cannot_be_read_are_none(store, lsr, content):
    (store.root / f"{lsr.key}.marks.json").write_text(content)
    assert store.annotations.read(lsr.key).names == []
    assert store.sound(thorough=True)[1] == []
