"""File formats of expression. Each has a reader with the interface of ``base``, and a writer."""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import FormatSpec

genebench_contract = CONTRACT

_HERE = "genebench.formats"

_STREAMS = "", ".gz", ".bz2", ".xz"
"""Endings of text files, which can be read while they are unpacked."""


@hookimpl
def genebench_formats() -> list[FormatSpec]:
    """Return the built-in formats of expression files."""
    return [
        FormatSpec(
            name="gctx",
            title="GCTX (HDF5), as the Connectivity Map publishes it",
            suffixes=(".gctx",),
            reader=f"{_HERE}.gctx:GctxReader",
            writer=f"{_HERE}.gctx:write_gctx",
        ),
        FormatSpec(
            name="gct",
            title="GCT 1.2 and 1.3, genes × profiles",
            suffixes=tuple(f".gct{packing}" for packing in _STREAMS),
            reader=f"{_HERE}.gct:GctReader",
            writer=f"{_HERE}.gct:write_gct",
        ),
        FormatSpec(
            name="delimited",
            title="tab- or comma-separated text, genes × profiles or profiles × genes",
            suffixes=tuple(
                f".{ending}{packing}" for ending in ("tsv", "txt", "csv") for packing in _STREAMS
            ),
            reader=f"{_HERE}.delimited:DelimitedReader",
            writer=f"{_HERE}.delimited:write_delimited",
        ),
        FormatSpec(
            name="npy",
            title="a numpy array beside two lists of ids, genes × profiles or profiles × genes",
            suffixes=(".npy",),
            reader=f"{_HERE}.npy:NpyReader",
            writer=f"{_HERE}.npy:write_npy",
        ),
        FormatSpec(
            name="npz",
            title="numpy arrays matrix, genes and profiles, genes × profiles or profiles × genes",
            suffixes=(".npz",),
            reader=f"{_HERE}.npy:NpzReader",
            writer=f"{_HERE}.npy:write_npz",
        ),
        FormatSpec(
            name="h5ad",
            title="AnnData (HDF5), obs = profiles, var = genes",
            suffixes=(".h5ad",),
            reader=f"{_HERE}.h5ad:H5adReader",
            writer=f"{_HERE}.h5ad:write_h5ad",
        ),
        FormatSpec(
            name="parquet",
            title="parquet, genes × profiles or profiles × genes",
            suffixes=(".parquet",),
            reader=f"{_HERE}.columnar:ColumnarReader",
            writer=f"{_HERE}.columnar:write_parquet",
            extra="arrow",
        ),
        FormatSpec(
            name="feather",
            title="feather (Arrow IPC), genes × profiles or profiles × genes",
            suffixes=(".feather",),
            reader=f"{_HERE}.columnar:ColumnarReader",
            writer=f"{_HERE}.columnar:write_feather",
            extra="arrow",
        ),
        FormatSpec(
            name="series-matrix",
            title="series matrix of GEO, with its samples as the profile table",
            suffixes=(".txt", ".txt.gz", ".tsv", ".tsv.gz", ".gz"),
            reader=f"{_HERE}.series_matrix:SeriesMatrixReader",
            recognise=f"{_HERE}.series_matrix:recognise",
        ),
        FormatSpec(
            name="counts",
            title="table of counts below remarks, as of recount3 and featureCounts",
            suffixes=(".tsv", ".tsv.gz", ".txt", ".txt.gz", ".gz"),
            reader=f"{_HERE}.preamble:PreambleReader",
            recognise=f"{_HERE}.preamble:recognise",
        ),
        FormatSpec(
            name="gtex-tissue",
            title="GCT of one tissue of GTEx v8, with row numbers before the ids",
            suffixes=(".gct", ".gct.gz"),
            reader=f"{_HERE}.gtex_tissue:GtexTissueReader",
            recognise=f"{_HERE}.gtex_tissue:recognise",
        ),
        FormatSpec(
            name="mage-tab",
            title="MAGE-TAB data matrix of ArrayExpress, with two header rows",
            suffixes=(".txt", ".txt.gz", ".tsv", ".tsv.gz", ".csv", ".csv.gz"),
            reader=f"{_HERE}.mage_tab:MageTabReader",
            recognise=f"{_HERE}.mage_tab:recognise",
        ),
        FormatSpec(
            name="depmap",
            title="CSV of DepMap, profiles × genes such as TP53 (7157)",
            suffixes=(".csv", ".csv.gz"),
            reader=f"{_HERE}.depmap:DepMapReader",
            recognise=f"{_HERE}.depmap:recognise",
        ),
        FormatSpec(
            name="xena",
            title="matrix of UCSC Xena (also toil), in a file without an ending",
            suffixes=(),
            reader=f"{_HERE}.delimited:DelimitedReader",
            recognise=f"{_HERE}.xena:recognise",
        ),
        FormatSpec(
            name="archs4",
            title="ARCHS4 (HDF5), with its samples as the profile table",
            suffixes=(".h5",),
            reader=f"{_HERE}.archs4:Archs4Reader",
        ),
        FormatSpec(
            name="mtx",
            title="Matrix Market beside lists of features and barcodes, as of 10x Genomics",
            suffixes=(".mtx", ".mtx.gz"),
            reader=f"{_HERE}.mtx:open_mtx",
        ),
    ]
