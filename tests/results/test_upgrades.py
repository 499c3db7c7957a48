"""Records of older formats stay readable: real ones, kept beside this test, and odd ones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.results.record import FORMAT, Record
from genebench.results.store import ResultsStore
from genebench.results.upgrades import upgraded

EXAMPLES = Path(__file__).parent / "examples"
BEFORE_CURVES = "404b77ddcd30fb6c2e209f62"
"""Written by the first genebench: no curves, no model."""
FAILED = "1143632fcaaba4ae1339ad7e"


@pytest.fixture
def old(tmp_path) -> ResultsStore:
    return ResultsStore(Path(shutil.copytree(EXAMPLES / "format-1", tmp_path / "results")))


def test_there_are_examples_of_every_older_format():
    assert {path.name for path in EXAMPLES.iterdir()} == {f"format-{n}" for n in range(1, FORMAT)}


def test_every_older_record_is_read_and_found_sound(old):
    records, faults = old.sound(thorough=True)
    assert faults == []
    assert sorted(record.identity.method for record in records) == ["crash", "lsr", "lsr-l2"]
    assert {record.format for record in records} == {FORMAT}
    assert {old.written_format(record.key) for record in records} == {1}


def test_an_older_record_says_what_it_said(old):
    for record in old.records():
        written = json.loads((old.root / f"{record.key}.json").read_text())
        read = json.loads(record.model_dump_json())
        del written["format"], read["format"]
        for key, value in written.items():
            assert value.items() <= read[key].items() if key == "provenance" else value == read[key]


def test_what_an_older_record_did_not_say_stays_unsaid(old):
    for record in old.records():
        assert record.model_parameters is None
        assert record.seal == ""
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


@pytest.mark.parametrize("kept", ["seal", "model_parameters", "plugins"])
def test_a_record_of_today_that_says_it_is_older_is_refused(old, kept):
    """An older record has no seal that could be broken."""
    document = json.loads(old.read(BEFORE_CURVES).sealed().model_dump_json()) | {"format": 1}
    newer = {"seal": document, "model_parameters": document, "plugins": document["provenance"]}
    for key, holder in newer.items():
        if key != kept:
            del holder[key]
    document["seconds"]["fit"] = 0.001
    (old.root / f"{BEFORE_CURVES}.json").write_text(json.dumps(document))
    [fault] = old.sound(thorough=True)[1]
    assert f"says format 1, which has no {kept}: was edited after it was written" in fault.line


def test_a_record_of_today_is_not_touched(old):
    document = old.read(FAILED).model_dump()
    assert upgraded(document) is document


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3),
        lambda inner: st.lists(inner) | st.dictionaries(
            st.sampled_from(["format", "provenance", "git", "versions", "x"]), inner
        ),
    )
)  # fmt: skip
def test_anything_can_be_upgraded_without_an_error(content):
    """What is no record stays none: the schema says what is wrong with it."""
    again = upgraded(content)
    if not (isinstance(content, dict) and content.get("format") == 1):
        assert again is content
