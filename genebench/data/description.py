"""The description of a prepared dataset, ``dataset.json``: its keys and their types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genebench._util.schema import first_fault


class OtherVersionError(ValueError):
    """The dataset was written by another version of genebench."""


class _Part(BaseModel):
    # Other keys are allowed: not all are read, and later versions may add some.
    model_config = ConfigDict(strict=True)


class _Genes(_Part):
    in_map: int
    found: int
    missing: list[str]
    partial: list[str]


class _Coverage(_Part):
    landmarks: _Genes
    targets: _Genes


class _Found(_Part):
    """The columns and profiles that the reader of a file found."""

    profiles: int
    first: str
    last: str
    id_column: str | None
    skipped: list[str]
    unlike: list[str]


class _Repeated(_Part):
    """The rule for genes with several rows, and the number of genes that it was used for."""

    rule: str
    genes: int
    other_rows: int


class _MissingValues(_Part):
    """The rule for missing values, and the genes and profiles that it dropped."""

    rule: str
    cells: int
    genes: list[str]
    profiles: list[str]
    other_genes: int


class _Platform(_Part):
    profiles: int
    ids: str
    level: str = "log2"
    group: str | None
    coverage: _Coverage
    filled: list[str] = []
    found: _Found | None = None
    repeated: _Repeated | None = None
    missing_values: _MissingValues | None = None


class _Duplicates(_Part):
    rule: str
    removed: list[str]


class _Description(_Part):
    """The keys that are read, and their types."""

    name: str
    title: str
    digest: str = Field(pattern=r"^[0-9a-f]{16}$")
    preset: str
    origin: dict[str, Any]
    platforms: dict[str, _Platform]
    landmarks: int
    targets: int
    twins: int
    split_seed: int = 0
    missing_genes: str = ""
    duplicates: _Duplicates | None = None


def read_description(path: Path, version: int) -> dict[str, Any]:
    """Return the content of a ``dataset.json``.

    Raises:
        OSError: the file cannot be read.
        OtherVersionError: it was written by another version.
        ValueError: it is not JSON, lacks a key, or has a value of another type.
    """
    content = json.loads(path.read_bytes())
    if isinstance(content, dict) and content.get("format") != version:
        raise OtherVersionError
    try:
        _Description.model_validate(content)
    except ValidationError as error:
        raise ValueError(f"{path.name}: {first_fault(error)}") from None
    return dict(content)
