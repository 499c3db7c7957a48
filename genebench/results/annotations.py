"""Annotations: facts about a record that were added after it was written.

Annotations lie beside the record in ``<key>.marks.json``, and describe one folder only. They are
no part of the record. ``verified`` is never copied from another folder: each owner verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genebench._util.files import atomic_write, sha256_of, user_errors
from genebench.results.paths import OTHER_FOLDER, ResultPaths


class _Annotation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Submitted(_Annotation):
    """The sender of the bundle that the record came in."""

    name: str = Field(description="name of the sender")
    contact: str = Field(description="address of the sender")
    licence: str = Field(description="licence of the results, empty if none was named")
    created: str = Field(description="time when the bundle was made, UTC, ISO 8601")
    bundle: str = Field(description="sha256 of the bundle")


class Verified(_Annotation):
    """The recomputation of the record's scores, here, from its predictions and the dataset."""

    record: str = Field(description="sha256 of the record's file as it was then")
    when: str = Field(description="time of the recomputation, UTC, ISO 8601")
    genebench: str = Field(description="version of genebench that recomputed")
    metrics: tuple[str, ...] = Field(description="metrics that were recomputed")


class Annotations(_Annotation):
    """All annotations of a record. Each may be absent."""

    submitted: Submitted | None = Field(default=None, description="it came in a bundle")
    verified: Verified | None = Field(default=None, description="it was recomputed here")

    @property
    def names(self) -> list[str]:
        """Names of the annotations that are present."""
        return list(self.model_dump(exclude_none=True))


class AnnotationFiles:
    """Reads and writes the annotations in a results folder."""

    def __init__(self, paths: ResultPaths) -> None:
        self._paths = paths

    def read(self, key: str) -> Annotations:
        """Return the annotations of a record. A file that cannot be read counts as empty.

        ``verified`` is left out once the record's file is no longer the one that was verified.
        """
        try:
            content = self._paths.annotations(key).read_bytes()
            annotations = Annotations.model_validate_json(content)
        except (OSError, ValidationError):
            return Annotations()
        # A record may be run again, or edited, after it was verified.
        record = self._paths.record(key)
        if annotations.verified and not (
            record.exists() and sha256_of(record) == annotations.verified.record
        ):
            return annotations.model_copy(update={"verified": None})
        return annotations

    def add(self, key: str, **annotations: BaseModel | Mapping[str, Any]) -> None:
        """Add ``submitted`` or ``verified`` to the annotations of a record, or replace it.

        Raises:
            UserError: the file cannot be written.
            ValidationError: an annotation has another name, or other keys.
        """
        current = self.read(key)
        changed = Annotations.model_validate({**dict(current), **annotations})
        path = self._paths.annotations(key)
        with user_errors(self._paths.root, OTHER_FOLDER), atomic_write(path) as stream:
            stream.write(changed.model_dump_json(indent=1, exclude_none=True).encode())
