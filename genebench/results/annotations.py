"""Annotations: facts about a record that were added after it was written.

Annotations lie beside the record in ``<key>.marks.json``, and describe one folder only. They are
no part of the record. ``verified`` is never copied from another folder: each owner verifies.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genebench._util.files import atomic_write, user_errors
from genebench.results.limits import ANNOTATIONS_BYTES, ENTRIES, LINE_LETTERS, RECORD_BYTES
from genebench.results.paths import OTHER_FOLDER, ResultPaths
from genebench.results.untrusted import digest_of, read_document

_Line = Annotated[str, Field(max_length=LINE_LETTERS)]


class _Annotation(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Submitted(_Annotation):
    """The sender of the bundle that the record came in."""

    name: _Line = Field(description="name of the sender")
    contact: _Line = Field(description="address of the sender")
    licence: _Line = Field(description="licence of the results, empty if none was named")
    created: _Line = Field(description="time when the bundle was made, UTC, ISO 8601")
    bundle: _Line = Field(description="sha256 of the bundle")


class Verified(_Annotation):
    """The recomputation of all of the record's scores, here, on the dataset."""

    record: _Line = Field(description="sha256 of the record's file as it was then")
    when: _Line = Field(description="time of the recomputation, UTC, ISO 8601")
    genebench: _Line = Field(description="version of genebench that recomputed")
    metrics: Annotated[tuple[_Line, ...], Field(max_length=ENTRIES)] = Field(
        description="metrics that were recomputed: all that the record has"
    )
    source: Literal["model", "predictions"] = Field(
        description="model (predictions were made again, from the saved model) or predictions "
        "(those that the record kept, of a method that had no test data)"
    )


class Annotations(_Annotation):
    """All annotations of a record. Each may be absent."""

    submitted: Submitted | None = Field(default=None, description="it came in a bundle")
    verified: Verified | None = Field(default=None, description="it was recomputed here")

    @property
    def names(self) -> list[str]:
        """Names of the annotations that are present."""
        return list(self.model_dump(exclude_none=True))


def _readable(document: Mapping[str, Any]) -> dict[str, BaseModel]:
    """Return the annotations of a document that can be read.

    ``verified`` of earlier versions cannot: they marked records with some scores recomputed.
    """
    readable: dict[str, BaseModel] = {}
    kinds: dict[str, type[_Annotation]] = {"submitted": Submitted, "verified": Verified}
    for name, kind in kinds.items():
        with suppress(ValidationError):
            readable[name] = kind.model_validate(document.get(name))
    return readable


class AnnotationFiles:
    """Reads and writes the annotations in a results folder."""

    def __init__(self, paths: ResultPaths) -> None:
        self._paths = paths

    def read(self, key: str) -> Annotations:
        """Return the annotations of a record. One that cannot be read is left out.

        ``verified`` is left out once the record's file is no longer the one that was verified.
        """
        try:
            document = read_document(self._paths.annotations(key), ANNOTATIONS_BYTES)
            annotations = Annotations.model_validate(_readable(document))
            return self._of_this_file(key, annotations)
        except Exception:  # noqa: BLE001  a stranger may have written the file
            return Annotations()

    def _of_this_file(self, key: str, annotations: Annotations) -> Annotations:
        """Return the annotations without ``verified`` if another file was verified."""
        # A record may be run again, or edited, after it was verified.
        record = self._paths.record(key)
        if annotations.verified and not (
            record.exists() and digest_of(record, RECORD_BYTES) == annotations.verified.record
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
