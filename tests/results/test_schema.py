"""The schema that others read: complete, described, and true of what is written."""

from __future__ import annotations

import json

import pytest

from genebench.results.record import RECORD_FORMAT, Record
from genebench.results.schema import json_schema

SCHEMA = json_schema()
PARTS = {"Record": SCHEMA, **SCHEMA["$defs"]}


def test_the_schema_names_its_version():
    assert SCHEMA["$id"].endswith(f":{RECORD_FORMAT}")
    assert SCHEMA["properties"]["format"]["const"] == RECORD_FORMAT


def test_the_schema_has_every_key_of_a_record():
    assert set(SCHEMA["properties"]) == set(Record.model_fields)


@pytest.mark.parametrize("part", PARTS)
def test_every_key_is_described_and_no_other_is_allowed(part):
    assert PARTS[part]["description"]
    assert PARTS[part]["additionalProperties"] is False
    for name, key in PARTS[part]["properties"].items():
        assert key.get("description"), f"{part}.{name}"


@pytest.fixture
def written(made) -> dict:
    """A record as it is on disk."""
    path = next(path for path in made.glob("*.json") if len(path.stem) == 24)
    return json.loads(path.read_text())


def test_what_is_written_has_the_keys_that_the_schema_asks_for(written):
    assert set(SCHEMA["required"]) <= set(written) <= set(SCHEMA["properties"])


def test_what_is_written_fits_the_schema(written):
    validator = pytest.importorskip("jsonschema").Draft202012Validator(SCHEMA)
    assert list(validator.iter_errors(written)) == []
    assert list(validator.iter_errors(written | {"peak_memory": "much"}))


def test_the_command_prints_the_schema(genebench):
    outcome = genebench("results", "schema")
    assert outcome.status == 0
    assert json.loads(outcome.out) == SCHEMA
