"""Heads of records: the part that a list of results shows, read without the rest.

Reading a head takes a quarter of the time of a whole record. This counts in a folder with 10,000.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from pydantic import AliasPath, BaseModel, ConfigDict, Field

from genebench.errors import UserError
from genebench.results.limits import RECORD_BYTES
from genebench.results.record import (
    Count,
    Line,
    Name,
    SealLevel,
    Seconds,
    Setting,
    Status,
    Table,
)
from genebench.results.store import Fault, ResultsStore
from genebench.results.untrusted import read_file
from genebench.specs import check_name


class Head(BaseModel):
    """The part of a :class:`~genebench.results.record.Record` that a list shows.

    Its values meet the conditions of a record's. The rest of the record is not checked.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    format: Literal[6] = Field(description="version of the schema")
    key: Name = Field(description="key of the record")
    status: Status = Field(description="how the job ended")
    dataset: Name = Field(description="name that the dataset was run by")
    preset: Name = Field(description="preset that the parameters were taken from")
    method: Name = Field(validation_alias=AliasPath("identity", "method"))
    protocol: Name = Field(validation_alias=AliasPath("identity", "protocol"))
    seed: Count = Field(validation_alias=AliasPath("identity", "seed"))
    params: Table[Setting] = Field(
        default={},
        validation_alias=AliasPath("identity", "params"),
        description="parameters in effect",
    )
    validation: Name = Field(validation_alias=AliasPath("identity", "validation"))
    test: Name = Field(validation_alias=AliasPath("identity", "test"))
    sealed: SealLevel = Field(validation_alias=AliasPath("seal", "level"))
    started: Name = Field(validation_alias=AliasPath("provenance", "started"))
    host: Name = Field(validation_alias=AliasPath("provenance", "host"))
    fit_seconds: Seconds = Field(default=0.0, validation_alias=AliasPath("seconds", "fit"))
    members_seconds: Seconds = Field(default=0.0, validation_alias=AliasPath("seconds", "members"))
    failure: Line = Field(default="", validation_alias=AliasPath("failure", "message"))

    @property
    def scored_on(self) -> str:
        """The set that the model was scored on: that of trials is ``validation``."""
        return "validation" if self.test == self.validation else "test"


def read_head(store: ResultsStore, key: str) -> Head | None:
    """Return the head of a record, or None if there is no record.

    Raises:
        UserError: the record is damaged, or is that of another key.
    """
    # A ValidationError is a ValueError.
    with suppress(OSError, ValueError):
        head = Head.model_validate_json(read_file(store.paths.record(key), RECORD_BYTES))
        check_name("method", head.method)
        check_name("protocol", head.protocol)
        if head.key == key:
            return head
    # A record of an older format, or one with a fault, which this call names.
    record = store.read(key)
    return Head.model_validate_json(record.model_dump_json()) if record else None


def read_heads(store: ResultsStore) -> tuple[list[Head], list[Fault]]:
    """Return the heads of all records that can be shown, by key, and the faults of the others.

    Raises:
        UserError: there is no such folder, or it is something else.
    """
    store.check_exists()
    heads: list[Head] = []
    faults: list[Fault] = []
    for key in store.keys():  # noqa: SIM118  not a mapping
        try:
            head = read_head(store, key)
        except UserError as error:
            faults.append(Fault(key, str(error)))
            continue
        if head:
            heads.append(head)
    return heads, faults
