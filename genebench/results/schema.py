"""The record's schema, for programs in other languages."""

from __future__ import annotations

from typing import Any

from genebench.results.record import RECORD_FORMAT, Record

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema of a record as it is written today; every key has its description.

    Readers of older records should go through :mod:`genebench.results.upgrades`: the schema is
    that of one format.
    """
    schema = Record.model_json_schema(mode="serialization")
    return {"$schema": DIALECT, "$id": f"urn:genebench:record:{RECORD_FORMAT}", **schema}
