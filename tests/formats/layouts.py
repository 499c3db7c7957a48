"""Small files in the layout documented for public ones: each holds the same values and ids."""

from __future__ import annotations

import gzip
from pathlib import Path

import h5py
import numpy as np


def numbers(values: np.ndarray) -> str:
    """Return a row of numbers, separated by tabs."""
    return "\t".join(f"{value:.6g}" for value in values)


def series_matrix(path: Path, genes, profiles, values) -> Path:
    """Write a series matrix of GEO. ``values`` are profiles × genes, as below."""
    quoted = "\t".join(f'"{name}"' for name in profiles)
    odd = ["tissue: lung" if number % 2 else "tissue: liver" for number in range(len(profiles))]
    lines = [
        '!Series_title\t"A study of genes',
        'in two lines"',
        '!Series_geo_accession\t"GSE1000"',
        '!Series_sample_id\t"GSM1 GSM2 "',
        "",
        f"!Sample_title\t{quoted}",
        f"!Sample_geo_accession\t{quoted}",
        "!Sample_characteristics_ch1\t" + "\t".join(f'"{cell}"' for cell in odd),
        "!Sample_description\t" + "\t".join('"one\ntwo"' for _ in profiles),
        "!Sample_data_row_count\t" + "\t".join(f'"{len(genes)}"' for _ in profiles),
        "!series_matrix_table_begin",
        f'"ID_REF"\t{quoted}',
        *(f'"{gene}"\t{numbers(row)}' for gene, row in zip(genes, values.T, strict=True)),
        "!series_matrix_table_end",
        "",
    ]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def recount3(path: Path, genes, profiles, values) -> Path:
    """Write sums over genes as recount3 serves them for one study."""
    rows = [f"{gene}\t{numbers(row)}" for gene, row in zip(genes, values.T, strict=True)]
    text = "\n".join(
        [
            "##annotation=G026",
            "##date.generated=2020-08-20 10:11:12.1314",
            "\t".join(["gene_id", *profiles]),
            *rows,
        ]
    )
    path.write_bytes(gzip.compress(f"{text}\n".encode()))
    return path


def feature_counts(path: Path, genes, profiles, values) -> Path:
    """Write the table of featureCounts, with the positions of exons."""
    columns = ["Geneid", "Chr", "Start", "End", "Strand", "Length", *profiles]
    rows = [
        f"{gene}\tchr1;chr1\t11;31\t20;40\t+;+\t20\t{numbers(row)}"
        for gene, row in zip(genes, values.T, strict=True)
    ]
    command = '# Program:featureCounts v2.0.3; Command:"featureCounts" "-a" "g.gtf" "a b.bam" '
    path.write_text("\n".join([command, "\t".join(columns), *rows, ""]), "utf-8")
    return path


def gtex_tissue(path: Path, genes, profiles, values) -> Path:
    """Write GCT 1.2 with row numbers, as GTEx v8 serves it for one tissue."""
    rows = [
        f"{number}\t{gene}\tSYM{number}\t{numbers(row)}"
        for number, (gene, row) in enumerate(zip(genes, values.T, strict=True))
    ]
    head = ["#1.2", f"{len(genes)}\t{len(profiles)}"]
    text = "\n".join([*head, "\t".join(["id", "Name", "Description", *profiles]), *rows, ""])
    path.write_bytes(gzip.compress(text.encode()))
    return path


def mage_tab(path: Path, genes, profiles, values) -> Path:
    """Write a data matrix like that of E-MTAB-62: tabs and quotes, in a file named .csv."""
    rows = [f'"{gene}"\t{numbers(row)}' for gene, row in zip(genes, values.T, strict=True)]
    first = "\t".join(['"Hybridization REF"', *(f'"{name}"' for name in profiles)])
    second = "\t".join(['"CompositeElement REF"', *('"RMA"' for _ in profiles)])
    path.write_text("\n".join([first, second, *rows, ""]), "utf-8")
    return path


def depmap(path: Path, genes, profiles, values) -> Path:
    """Write a release of DepMap of 2025: genes are symbols, their Entrez ids count from 1000."""
    names = [f"{gene} ({1000 + number})" for number, gene in enumerate(genes)]
    about = ["SequencingID", "ModelID", "IsDefaultEntryForModel", "ModelConditionID"]
    lines = [",".join(["", *about, "IsDefaultEntryForMC", *names])]
    for number, (profile, row) in enumerate(zip(profiles, values, strict=True)):
        told = [str(number), f"CDS-{number:06d}", profile, "Yes", f"MC-{number}", "Yes"]
        lines.append(",".join([*told, *(f"{value:.6g}" for value in row)]))
    path.write_text("\n".join([*lines, ""]), "utf-8")
    return path


def xena(path: Path, genes, profiles, values) -> Path:
    """Write a matrix of the toil hub. Its name has no ending but .gz."""
    rows = [f"{gene}\t{numbers(row)}" for gene, row in zip(genes, values.T, strict=True)]
    text = "\n".join(["\t".join(["sample", *profiles]), *rows, ""])
    path.write_bytes(gzip.compress(text.encode()))
    return path


def archs4(path: Path, genes, profiles, values, *, version: int = 2) -> Path:
    """Write an ARCHS4 file of version 2 (genes × samples) or 1 (samples × genes)."""
    texts = h5py.string_dtype()
    counts = np.round(values).astype(np.uint32)
    with h5py.File(path, "w") as file:
        if version == 1:
            file.create_dataset("data/expression", data=counts, chunks=(2, 3), compression="gzip")
            file.create_dataset("meta/genes", data=list(genes), dtype=texts)
            file.create_dataset("meta/Sample_geo_accession", data=list(profiles), dtype=texts)
            series = [f"GSE{number // 4}" for number in range(len(profiles))]
            file.create_dataset("meta/Sample_series_id", data=series, dtype=texts)
            return path
        chunks = (min(3, len(genes)), min(2, len(profiles)))
        file.create_dataset("data/expression", data=counts.T, chunks=chunks, compression="gzip")
        file.create_dataset("meta/genes/ensembl_gene", data=list(genes), dtype=texts)
        symbols = [f"SYM{number}" for number in range(len(genes))]
        symbols[1] = symbols[0]
        file.create_dataset("meta/genes/symbol", data=symbols, dtype=texts)
        samples = {
            "geo_accession": list(profiles),
            "series_id": [f"GSE{number // 4}" for number in range(len(profiles))],
            "title": [f"sample {number}" for number in range(len(profiles))],
            "contact_name": ["A,,Person"] * len(profiles),
        }
        for name, column in samples.items():
            file.create_dataset(f"meta/samples/{name}", data=column, dtype=texts)
        file["meta/samples/singlecellprobability"] = np.linspace(0, 1, len(profiles))
    return path


def mtx(folder: Path, genes, profiles, values, *, by_gene: bool = False) -> Path:
    """Write a folder as Cell Ranger 3 does. Entries are sorted by barcode, or by gene."""
    folder.mkdir()
    rows, columns = np.nonzero(np.round(values).T)
    order = np.lexsort((columns, rows) if by_gene else (rows, columns))
    entries = [
        f"{rows[place] + 1} {columns[place] + 1} {round(values[columns[place], rows[place]])}"
        for place in order
    ]
    text = [
        "%%MatrixMarket matrix coordinate integer general",
        '%metadata_json: {"software_version": "cellranger-7.1.0", "format_version": 2}',
        f"{len(genes)} {len(profiles)} {len(entries)}",
        *entries,
        "",
    ]
    features = [f"{gene}\tSYM{n}\tGene Expression" for n, gene in enumerate(genes)]
    for name, lines in (
        ("matrix.mtx.gz", text),
        ("features.tsv.gz", [*features, ""]),
        ("barcodes.tsv.gz", [*profiles, ""]),
    ):
        (folder / name).write_bytes(gzip.compress("\n".join(lines).encode()))
    return folder


LAYOUTS = {
    "GSE1000_series_matrix.txt.gz": series_matrix,
    "sra.gene_sums.SRP009615.G026.gz": recount3,
    "counts.txt": feature_counts,
    "gene_tpm_2017-06-05_v8_lung.gct.gz": gtex_tissue,
    "hgu133a_rma_okFiles_080619_MAGETAB.csv": mage_tab,
    "OmicsExpressionTPMLogp1.csv": depmap,
    "TcgaTargetGtex_rsem_gene_tpm.gz": xena,
    "human_gene_v2.5.h5": archs4,
    "filtered_feature_bc_matrix": mtx,
}
"""Public name of a file (or folder) → the function that writes it."""
