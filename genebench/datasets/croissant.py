"""Metadata of a prepared dataset in Croissant 1.0 (JSON-LD), for catalogues of datasets.

Format: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pandas as pd

from genebench.data.store import Dataset
from genebench.datasets.card import Card

_CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""The context that the specification prescribes."""

_ENCODINGS = {
    ".json": "application/json",
    ".npy": "application/x-npy",
    ".tsv": "text/tab-separated-values",
}


def croissant(dataset: Dataset, card: Card, *, url: str, creator: str) -> dict[str, Any]:
    """Return the metadata of a dataset: its files with checksums, and its tables by column.

    Files are named relative to the folder of the dataset. The matrices are no tables of Croissant,
    so they are files only.

    Args:
        dataset: the dataset.
        card: its card.
        url: the address of the dataset, or "" if it has none yet.
        creator: the person or organisation that prepared it, or "".
    """
    facts = card.facts
    platforms = facts["platforms"]
    sources = [source for item in platforms.values() for source in item["sources"]]
    licences = sorted({str(source["licence"]) for source in sources})
    prepared = datetime.fromtimestamp((dataset.root / "dataset.json").stat().st_mtime, UTC)
    sizes = ", ".join(f"{item['profiles']:,} of {name}" for name, item in platforms.items())
    return {
        "@context": dict(_CONTEXT),
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts["name"],
        "description": (
            f"{facts['title']}. Expression of {facts['landmarks']:,} landmark and "
            f"{facts['targets']:,} target genes in profiles of {len(platforms)} platforms ({sizes})"
            f", {facts['values']}. genebench digest {facts['digest']}."
        ),
        "license": "; ".join(licences),
        "url": url or f"urn:genebench:{facts['digest']}",
        "creator": {"@type": "Organization", "name": creator or "not stated"},
        "datePublished": prepared.date().isoformat(),
        "version": f"1.0.0+{facts['digest']}",
        "keywords": ["gene expression", "landmark genes", "benchmark"],
        # The licences of known public files name the papers to cite.
        "citeAs": facts["origin"].get("bibtex") or "; ".join(licences),
        "isBasedOn": sorted({str(source["file"]) for source in sources}),
        "distribution": list(_files(dataset)),
        "recordSet": [
            _records("landmark_genes.tsv", _with_ids(dataset.landmark_genes, "ensembl")),
            _records("target_genes.tsv", _with_ids(dataset.target_genes, "ensembl")),
            *(
                _records(f"{name}/profiles.tsv", _with_ids(dataset.profile_table(name), "profile"))
                for name in dataset.platforms
            ),
        ],
    }


def _files(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Yield every file of a dataset that has a checksum."""
    for line in (dataset.root / "SHA256SUMS").read_text("utf-8").splitlines():
        sha256, _, name = line.partition("  ")
        path = dataset.root / name
        yield {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": _ENCODINGS.get(path.suffix, "application/octet-stream"),
            "sha256": sha256,
        }


def _with_ids(table: pd.DataFrame, name: str) -> list[str]:
    """Return the columns of a table as its file has them. ``twin`` is computed when it is read."""
    return [name, *(str(column) for column in table.columns if column != "twin")]


def _records(file: str, columns: list[str]) -> dict[str, Any]:
    """Return a table of a dataset, whose cells are all text."""
    name = file.removesuffix(".tsv").replace("/", "_")
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "key": {"@id": f"{name}/{columns[0]}"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": f"{name}/{column}",
                "description": f"column {column} of {file}",
                "dataType": "sc:Text",
                "source": {"fileObject": {"@id": file}, "extract": {"column": column}},
            }
            for column in columns
        ],
    }
