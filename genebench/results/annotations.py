"""Marks: what was learnt of a record after it was written. Kept beside it, and local to a folder.

A mark says what *this* folder's owner knows, so it is never part of the record, and ``verified``
is not taken over from anybody else's folder.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class _Mark(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Submitted(_Mark):
    """The record came in a bundle."""

    name: str = Field(description="who submitted it")
    contact: str = Field(description="how to reach them")
    licence: str = Field(description="licence of the results; empty when none was named")
    created: str = Field(description="when the bundle was made, UTC, ISO 8601")
    bundle: str = Field(description="sha256 of the bundle")


class Verified(_Mark):
    """Its scores were recomputed here from its predictions and the dataset, and agreed."""

    record: str = Field(description="sha256 of the record's file as it was then")
    when: str = Field(description="when, UTC, ISO 8601")
    genebench: str = Field(description="version of genebench that recomputed")
    metrics: tuple[str, ...] = Field(description="metrics that were recomputed")


class Marks(_Mark):
    """All marks of a record; each may be absent."""

    submitted: Submitted | None = Field(default=None, description="it came in a bundle")
    verified: Verified | None = Field(default=None, description="it was recomputed here")
