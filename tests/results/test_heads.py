"""Heads show what records hold, and find the same faults in what they show."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from genebench.errors import UserError
from genebench.results.heads import read_head, read_heads
from genebench.results.store import ResultsStore

EXAMPLES = Path(__file__).parent / "examples"


def shown(record) -> dict:
    """Return what a head holds, from the whole record."""
    return {
        "format": record.format,
        "key": record.key,
        "status": record.status,
        "dataset": record.dataset,
        "preset": record.preset,
        "method": record.identity.method,
        "protocol": record.identity.protocol,
        "seed": record.identity.seed,
        "params": record.identity.params,
        "validation": record.identity.validation,
        "test": record.identity.test,
        "sealed": record.seal.level,
        "started": record.provenance.started,
        "host": record.provenance.host,
        "fit_seconds": record.seconds.get("fit", 0.0),
        "members_seconds": record.seconds.get("members", 0.0),
        "failure": record.failure.message if record.failure else "",
    }


def test_a_head_has_the_values_of_the_record(store):
    heads, faults = read_heads(store)
    assert faults == []
    assert [head.model_dump() for head in heads] == [shown(record) for record in store.records()]


@pytest.mark.parametrize("version", ["format-1", "format-2", "format-3"])
def test_a_head_of_an_older_record_is_that_of_its_upgrade(tmp_path, version):
    store = ResultsStore(Path(shutil.copytree(EXAMPLES / version, tmp_path / version)))
    heads, faults = read_heads(store)
    assert faults == []
    assert [head.model_dump() for head in heads] == [shown(record) for record in store.records()]


def test_trials_are_scored_on_the_validation_set(tmp_path):
    store = ResultsStore(EXAMPLES / "format-2")
    sets = {head.key: head.scored_on for head in read_heads(store)[0]}
    assert sets.pop("b145cb662987e33d9a0883a2") == "validation"
    assert set(sets.values()) == {"test"}


def hostile_method(content):
    content["identity"]["method"] = "<script>"


def hostile_protocol(content):
    content["identity"]["protocol"] = "../geo"


def other_status(content):
    content["status"] = "excellent"


def other_level(content):
    content["seal"]["level"] = "perfect"


def endless_start(content):
    content["provenance"]["started"] = "9" * 10_000


def no_seed(content):
    del content["identity"]["seed"]


def negative_time(content):
    content["seconds"]["fit"] = -1.0


def later_format(content):
    content["format"] = 99


def other_key(content):
    content["key"] = "0" * 24


@pytest.mark.parametrize(
    "change",
    [
        hostile_method, hostile_protocol, other_status, other_level, endless_start, no_seed,
        negative_time, later_format, other_key,
    ],
)  # fmt: skip
def test_a_fault_of_what_is_shown_is_that_of_the_whole_record(store, lsr, change):
    path = store.paths.record(lsr.key)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError) as whole:
        store.read(lsr.key)
    heads, [fault] = read_heads(store)
    assert fault == (lsr.key, str(whole.value))
    assert lsr.key not in {head.key for head in heads}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"format": 4', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_record_has_no_head(store, lsr, content):
    store.paths.record(lsr.key).write_bytes(content)
    with pytest.raises(UserError, match=f"{lsr.key}.json"):
        read_head(store, lsr.key)


def test_a_key_without_a_record_has_no_head(store):
    assert read_head(store, "0" * 24) is None
