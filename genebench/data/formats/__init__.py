"""File formats of expression, as hooks; each is a reader behind one interface (``base``)."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import FormatSpec

genebench_contract = CONTRACT

_HERE = "genebench.data.formats"


@hookimpl
def genebench_formats() -> list[FormatSpec]:
    """What users of inference tools bring."""
    return [
        FormatSpec(
            name="gctx",
            title="GCTX (HDF5), as the Connectivity Map publishes it",
            suffixes=(".gctx",),
            reader=f"{_HERE}.gctx:GctxReader",
        ),
        FormatSpec(
            name="gct",
            title="GCT 1.2 and 1.3, genes × profiles",
            suffixes=(".gct", ".gct.gz"),
            reader=f"{_HERE}.gct:GctReader",
        ),
        FormatSpec(
            name="delimited",
            title="tab- or comma-separated text, genes × profiles",
            suffixes=(".tsv", ".tsv.gz", ".txt", ".txt.gz", ".csv", ".csv.gz"),
            reader=f"{_HERE}.delimited:DelimitedReader",
        ),
    ]
