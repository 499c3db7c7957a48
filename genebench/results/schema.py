"""The record's schema, for programs in other languages."""

from __future__ import annotations

from typing import Any

from genebench.results.record import RECORD_FORMAT, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a record in the current format. Every key has a description.

    The schema describes one format only. Read older records through
    :mod:`genebench.results.upgrades`.
    """
    schema = Record.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, "$id": f"urn:genebench:record:{RECORD_FORMAT}", **schema}
