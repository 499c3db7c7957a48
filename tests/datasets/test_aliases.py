"""Alias tables from gene_info of NCBI and from files of HGNC, in their exact layouts."""

from __future__ import annotations

import gzip

import pandas as pd
import pytest

from genebench.datasets.aliases import build_aliases
from genebench.errors import UserError
from genebench.preprocessing.genes import match, read_aliases

GENES = pd.DataFrame(
    {"symbol": ["UBE2C", "RBKS", "MARCH5", "GONE"]},
    index=["ENSG00000175063", "ENSG00000171174", "ENSG00000198060", "ENSG00000000999"],
)

NCBI_HEADER = (
    "#tax_id\tGeneID\tSymbol\tLocusTag\tSynonyms\tdbXrefs\tchromosome\tmap_location\tdescription\t"
    "type_of_gene\tSymbol_from_nomenclature_authority\tFull_name_from_nomenclature_authority\t"
    "Nomenclature_status\tOther_designations\tModification_date\tFeature_type"
)
NCBI_ROWS = [
    ("9606", "11065", "UBE2C", "UBCH10|dJ447F3.2", "ENSG00000175063", "20260301"),
    ("9606", "64080", "RBKS", "RBSK|SHARED", "ENSG00000171174", "20260111"),
    # Its Ensembl id is another than the map's, and MARCH5 is a previous symbol.
    ("9606", "54708", "MARCHF5", "MARCH5|MITOL|SHARED", "ENSG99999999999", "20250707"),
    # UBCH10 is also the present symbol of another gene, so it is no alias of UBE2C.
    ("9606", "7", "UBCH10", "-", "", "20200101"),
    ("10090", "99", "Ube2c", "RBSK", "ENSMUSG00000001403", "20270101"),
]
HGNC_HEADER = (
    "hgnc_id\tsymbol\tname\tlocus_group\tlocus_type\tstatus\tlocation\tlocation_sortable\t"
    "alias_symbol\talias_name\tprev_symbol\tprev_name\tgene_group\tgene_group_id\t"
    "date_approved_reserved\tdate_symbol_changed\tdate_name_changed\tdate_modified\tentrez_id\t"
    "ensembl_gene_id"
)


@pytest.fixture
def gene_info(tmp_path):
    lines = [NCBI_HEADER]
    for species, entrez, symbol, synonyms, ensembl, date in NCBI_ROWS:
        xrefs = "|".join([f"HGNC:HGNC:{entrez}", *([f"Ensembl:{ensembl}"] if ensembl else [])])
        lines.append(
            f'{species}\t{entrez}\t{symbol}\t-\t{synonyms}\t{xrefs}\t1\t1p\t5" end\t'
            f"protein-coding\t{symbol}\tfull name\tO\t-\t{date}\t-"
        )
    path = tmp_path / "Homo_sapiens.gene_info.gz"
    path.write_bytes(gzip.compress("\n".join([*lines, ""]).encode()))
    return path


@pytest.fixture
def hgnc(tmp_path):
    rows = [
        ("UBE2C", "Approved", '"UBCH10|dJ447F3.2"', '""', "2024-05-01", "11065", "ENSG00000175063"),
        ("RBKS", "Approved", "", "RBSK", "2023-01-01", "64080", "ENSG00000171174"),
        ("MARCHF5", "Approved", "MITOL", '"MARCH5|RNF153"', "2022-01-01", "54708", ""),
        ("OLD", "Entry Withdrawn", "", "RNF153", "2026-01-01", "", ""),
    ]
    lines = [HGNC_HEADER]
    for symbol, status, aliases, previous, date, entrez, ensembl in rows:
        lines.append(
            f"HGNC:1\t{symbol}\tname\tprotein-coding gene\tgene with protein product\t{status}"
            f"\t1p\t01p\t{aliases}\t\t{previous}\t\t\t\t1999-01-01\t\t\t{date}\t{entrez}\t{ensembl}"
        )
    path = tmp_path / "hgnc_complete_set.txt"
    path.write_text("\n".join([*lines, ""]))
    return path


def test_gene_info(gene_info):
    table = build_aliases(gene_info, GENES)
    assert dict(table.lines) == {
        "11065": "ENSG00000175063",
        "dJ447F3.2": "ENSG00000175063",
        "64080": "ENSG00000171174",
        "RBSK": "ENSG00000171174",
        "54708": "ENSG00000198060",
        "ENSG99999999999": "ENSG00000198060",
        "MARCHF5": "ENSG00000198060",
        "MITOL": "ENSG00000198060",
    }
    assert (table.by_ensembl, table.by_symbol, table.missing) == (2, 1, ["ENSG00000000999"])
    assert table.ambiguous == ["SHARED", "UBCH10"]


def test_the_header_states_source_licence_and_date(gene_info):
    text = build_aliases(gene_info, GENES).text()
    assert "# source: Homo_sapiens.gene_info.gz, sha256 " in text
    assert "# newest entry: 20260301\n" in text  # of the species
    assert "# licence: NCBI Gene: public domain" in text


def test_previous_symbols_of_hgnc_and_synonyms_if_asked_for(hgnc):
    plain = dict(build_aliases(hgnc, GENES).lines)
    assert plain == {
        "11065": "ENSG00000175063",
        "64080": "ENSG00000171174",
        "RBSK": "ENSG00000171174",
        "54708": "ENSG00000198060",
        "MARCHF5": "ENSG00000198060",
        "RNF153": "ENSG00000198060",
    }
    more = build_aliases(hgnc, GENES, synonyms=True)
    assert set(dict(more.lines)) - set(plain) == {"UBCH10", "dJ447F3.2", "MITOL"}
    assert "# licence: HGNC: CC0 1.0" in more.text()
    assert "# newest entry: 2024-05-01" in more.text()


def test_a_custom_download_of_hgnc(write):
    path = write(
        "custom.txt",
        "HGNC ID\tApproved symbol\tStatus\tPrevious symbols\tAlias symbols\tNCBI Gene ID\t"
        "Ensembl gene ID\nHGNC:1\tRBKS\tApproved\tRBSK, RBK1\t\t64080\tENSG00000171174\n",
    )
    assert [alias for alias, _ in build_aliases(path, GENES).lines] == ["64080", "RBK1", "RBSK"]


@pytest.mark.parametrize("source", ["gene_info", "hgnc"])
def test_the_table_matches_entrez_ids_and_other_symbols(source, request, tmp_path):
    path = tmp_path / "aliases.tsv"
    path.write_text(build_aliases(request.getfixturevalue(source), GENES).text())
    genes = GENES.assign(probes="")
    aliases = read_aliases(path, genes)
    entrez = pd.Index(["54708", "11065", "64080"])
    found = match(genes, entrez, "entrez", source="f", aliases=aliases)
    assert found.positions.tolist() == [1, 2, 0]
    symbols = pd.Index(["MARCHF5", "RBSK", "UBE2C"])
    found = match(genes, symbols, "symbol", source="f", aliases=aliases)
    assert found.positions.tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a\tb\n1\t2\n", "neither gene_info of NCBI nor hgnc_complete_set of HGNC. Its header is"),
        (f"{NCBI_HEADER}\n9606\t1\n", "the line of '9606 1' has 2 cells, the header has 16"),
        (f"{NCBI_HEADER}\n", "none of the 4 genes of the maps is in it"),
    ],
)
def test_other_files(write, text, words):
    with pytest.raises(UserError, match=words):
        build_aliases(write("genes.txt", text), GENES)


def test_names_that_two_genes_of_the_maps_claim_are_left_out(hgnc, tmp_path):
    # The record of RBKS is that of one gene by Ensembl id, and of another by previous symbol.
    genes = pd.DataFrame(
        {"symbol": ["OTHER", "RBSK"]}, index=["ENSG00000171174", "ENSG00000000999"]
    )
    table = build_aliases(hgnc, pd.concat([genes, GENES[:1]]))
    assert "64080" in table.ambiguous
    path = tmp_path / "a.tsv"
    path.write_text(table.text())
    assert set(read_aliases(path, pd.concat([genes, GENES[:1]]))) == {GENES.index[0]}
