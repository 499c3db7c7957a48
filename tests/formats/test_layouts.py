"""Published layouts: each is recognised in its documented form, and gives ids and values."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from genebench.errors import UserError
from genebench.formats.mage_tab import read_sdrf
from genebench.formats.opening import format_of, open_reader
from tests.formats import layouts

GENES = [f"ENSG{number:011d}" for number in range(7)]
PROFILES = [f"GSM{number}" for number in range(5)]
NAMES = [
    "series-matrix",
    "counts",
    "counts",
    "gtex-tissue",
    "mage-tab",
    "depmap",
    "xena",
    "archs4",
    "mtx",
]
VALUES = np.random.default_rng(0).integers(0, 900, (5, 7)).astype(float)


def written(tmp_path: Path, name: str, **options) -> Path:
    return layouts.LAYOUTS[name](tmp_path / name, GENES, PROFILES, VALUES, **options)


def read(reader, genes=range(7), size=2) -> np.ndarray:
    return np.vstack(list(reader.read(np.array(genes, np.intp), size)))


@pytest.mark.parametrize("name", layouts.LAYOUTS)
def test_each_layout_gives_ids_and_values(tmp_path, name):
    reader = open_reader(written(tmp_path, name)).with_ids("ensembl")
    if name.startswith("Omics"):
        reader = reader.with_ids("symbol")  # the writer puts the ids in place of symbols
    assert reader.gene_ids.tolist() == GENES
    assert reader.profiles.index.tolist() == PROFILES
    assert read(reader).tolist() == VALUES.tolist()
    assert read(reader, [5, 0, 5], size=99).tolist() == VALUES[:, [5, 0, 5]].tolist()


@pytest.mark.parametrize(
    ("name", "expected"),
    list(zip(layouts.LAYOUTS, NAMES, strict=True)),
)
def test_content_decides_on_the_format(tmp_path, name, expected):
    path = written(tmp_path, name)
    assert format_of(path / "matrix.mtx.gz" if path.is_dir() else path).name == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("m.tsv", "id\tA\tB\ng\t1\t2\n", "delimited"),
        ("m.tsv", "#gene\tA\tB\ng\t1\t2\n", "delimited"),
        ("m.tsv.gz", "sample\tA\tB\ng\t1\t2\n", "delimited"),
        ("m.csv", "id,sample (1),sample (2),sample (3)\ng,1,2,3\n", "delimited"),
        ("m.csv", ",A (x),B,C\ng,1,2,3\n", "delimited"),
        ("m.csv", "id,HeLa (1),K562 (2),MCF7 (3)\ng,1,2,3\n", "delimited"),
        ("m.csv", ",HeLa (1),K562 (1),MCF7 (1)\ng,1,2,3\n", "delimited"),
        ("m.tsv", "# gene\tA\tB\ng\t1\t2\n", "delimited"),
        ("m.tsv", "##gene\tA\ng\tNA\n", "delimited"),
        ("m.tsv", "# gene" + "\tA" * 50_000 + "\ng" + "\t1" * 50_000 + "\n", "delimited"),
        ("m.tsv", "# of a run\ngene\tA\ng\t1\n", "counts"),
        ("m.tsv", "##key\tvalue\ngene\tA\ng\t1\n", "counts"),
        ("m.gct", "#1.3\n1\t1\t2\t0\nid\tName\tDescription\tA\ng\tG\tD\t1\n", "gct"),
    ],
)
def test_files_of_no_layout_keep_the_format_of_their_name(write, name, content, expected):
    assert format_of(write(name, content)).name == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("GSM1.CEL.gz", b"x", "Affymetrix CEL file.*justRMA"),
        ("GSE1_family.soft.gz", b"x", "SOFT file of GEO.*series matrix"),
        ("family.txt", b"^DATABASE = GeoMiame\n", "SOFT file of GEO.*series matrix"),
        ("eset.rds", b"x", "object of R.*write.table"),
        ("atlas.loom", b"x", "loom file.*h5ad"),
        ("quant.sf", b"x", "one sample.*tximport"),
        ("reads.fastq.gz", b"x", "file of reads.*featureCounts"),
    ],
)
def test_known_kinds_that_are_not_read_are_named_with_the_way(genebench, write, name, content,
                                                              message):  # fmt: skip
    path = write(name, content)
    with pytest.raises(UserError, match=message):
        open_reader(path)
    outcome = genebench("data", "convert", path, path.with_name("out.tsv"))
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert not path.with_name("out.tsv").exists()


# Series matrices


def test_samples_of_a_series_become_the_profile_table(tmp_path):
    table = open_reader(written(tmp_path, "GSE1000_series_matrix.txt.gz")).profiles
    assert table["series"].tolist() == ["GSE1000"] * 5
    assert table["tissue"].tolist() == ["liver", "lung", "liver", "lung", "liver"]
    assert table["title"].tolist() == PROFILES
    assert table["description"].tolist() == ["one two"] * 5


SERIES = """!Series_geo_accession\t"GSE9"
!Sample_geo_accession\t"A"\t"B"\t"C"
!Sample_series_id\t"GSE9"\t"GSE9"\t"GSE9"
!Sample_series_id\t"GSE7"\t"GSE7"\t"GSE8"
!Sample_characteristics_ch1\t"age: 3"\t"sex: m"\t"old"
!Sample_characteristics_ch1\t"sex: f"\t"age: 4"\t""
!series_matrix_table_begin
"ID_REF"\t"A"\t"B"\t"C"
"1007_s_at"\t1.5\t2\t3
"117_at"\t1\tnull\t3
!series_matrix_table_end
"""


def test_a_super_series_and_characteristics_in_any_line(write):
    reader = open_reader(write("GSE9_series_matrix.txt", SERIES))
    table = reader.profiles
    assert table["series"].tolist() == ["GSE7", "GSE7", "GSE8"]
    assert table["age"].tolist() == ["3", "4", ""]
    assert table["sex"].tolist() == ["f", "m", ""]
    assert table["characteristics_ch1"].tolist() == ["", "", "old"]
    # A missing value is an error only where it is used.
    assert read(reader, [0]).tolist() == [[1.5], [2], [3]]
    with pytest.raises(UserError, match="row '117_at', column 'B' holds 'null'"):
        read(reader, [0, 1])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("!series_matrix_table_end\n", "", "no line !series_matrix_table_end.*cut short"),
        (SERIES[SERIES.index("!series_matrix_table_begin") :], "", "no line !series_matrix_tab"),
        ('\t"C"\n!Sample_series', "\n!Sample_series", "2 cells, the table has 3 samples"),
        ('"117_at"\t1\tnull\t3', '"117_at"\t1', "row '117_at' has 2 cells"),
        ('"1007_s_at"\t1.5\t2\t3\n"117_at"\t1\tnull\t3\n', "", "no row, as that of any RNA-seq"),
    ],
)
def test_a_damaged_series_matrix_is_refused(write, old, new, message):
    assert old in SERIES
    with pytest.raises(UserError, match=message):
        open_reader(write("GSE9_series_matrix.txt.gz", SERIES.replace(old, new)))


def test_an_empty_table_names_the_files_with_the_values(write):
    rows = SERIES[SERIES.index('"1007') : SERIES.index("!series_matrix_table_end")]
    about = '!Series_supplementary_file\t"ftp://ftp.ncbi.nlm.nih.gov/GSE9_counts.txt.gz"\n'
    with pytest.raises(UserError, match=r"Its values are in other files: ftp.*GSE9_counts"):
        open_reader(write("GSE9_series_matrix.txt", about + SERIES.replace(rows, "")))


def test_a_characteristic_named_series_leaves_the_group_as_it_is(write):
    table = open_reader(write("m.txt", SERIES.replace("sex: ", "series: "))).profiles
    assert table["series"].tolist() == ["GSE7", "GSE7", "GSE8"]
    assert table["series.2"].tolist() == ["f", "m", ""]


def test_lines_about_samples_follow_their_accessions(write):
    accessions = '!Sample_geo_accession\t"A"\t"B"\t"C"'
    path = write("m.txt", SERIES.replace(accessions, accessions.replace('"A"\t"B"', '"B"\t"A"')))
    assert open_reader(path).profiles["age"].to_dict() == {"A": "4", "B": "3", "C": ""}
    other = write("other.txt", SERIES.replace(accessions, accessions.replace('"B"', '"X"')))
    with pytest.raises(UserError, match=r"not those of the table: X and B\."):
        open_reader(other)


def test_a_super_series_without_the_series_of_samples_has_no_group(write):
    parts = '!Series_relation\t"SuperSeries of: GSE7"\n!Series_relation\t"BioProject: 1"\n'
    lines = [line for line in SERIES.splitlines(True) if "_series_id" not in line]
    reader = open_reader(write("m.txt", "".join([lines[0], parts, *lines[1:]])))
    assert "series" not in reader.profiles
    assert reader.notes[0].startswith("no column series, as this super-series (GSE7) does not")
    # A series of its own, or one that states those of its samples, has a group.
    own = open_reader(write("own.txt", "".join(lines))).profiles
    assert own["series"].tolist() == ["GSE9"] * 3
    stated = open_reader(write("stated.txt", parts + SERIES)).profiles
    assert stated["series"].tolist() == ["GSE7", "GSE7", "GSE8"]


def test_only_lines_about_samples_may_be_latin_1(tmp_path):
    path = tmp_path / "m.txt"
    path.write_bytes(SERIES.replace('"old"', '"Köln"').encode("latin-1"))
    assert open_reader(path).profiles["characteristics_ch1"].tolist() == ["", "", "Köln"]
    path.write_bytes(SERIES.replace('"old"', '"Köln"').encode())
    assert open_reader(path).profiles["characteristics_ch1"].tolist() == ["", "", "Köln"]
    path.write_bytes(SERIES.replace("117_at", "117_ät").encode("latin-1"))
    with pytest.raises(UserError, match="not UTF-8 text"):
        open_reader(path)


# Remarks


def test_numbers_as_profiles_show_that_the_header_is_a_remark(write):
    with pytest.raises(UserError, match=r"of its profiles are numbers: 1, 2\. The header may"):
        open_reader(write("m.tsv", "# A\tB\ng\t1\t2\nh\t3\t4\n"))


# MAGE-TAB


def test_quantities_under_names_of_their_own_are_refused(write):
    text = "Scan REF\tA\tA p\nReporter REF\tvalue\tp_value\np\t1\t2\n"
    with pytest.raises(UserError, match="hold 2 quantities: value, p_value"):
        open_reader(write("m.txt", text))


def test_an_sdrf_is_judged_by_the_rows_of_the_matrix(tmp_path):
    path = tmp_path / "study.sdrf.txt"
    ids = pd.Index(["A", "B"])
    rows = ["Source\tScan\tSex", "A\tA\tm\u00e4", "B\tB\tf", "C\tC", "C\tC\tf"]
    path.write_bytes("\n".join(rows).encode("latin-1"))
    assert read_sdrf(path, ids)["Sex"].to_dict() == {"A": "mä", "B": "f"}
    # The first column holds all ids, but repeats.
    path.write_text("Source\tScan\tSex\nA\tA\tm\nB\tB\tf\nA\tz\tm\n", "utf-8")
    assert read_sdrf(path, ids)["Source"].to_dict() == {"A": "A", "B": "B"}
    path.write_text("Source\tSex\nA\tm\nB\tf\nA\tm\n", "utf-8")
    with pytest.raises(
        UserError, match=r"have several rows: A\. Keep one row of each, or remove profiles"
    ):
        read_sdrf(path, ids)
    path.write_text("Source\tSex\nA\tm\nB\n", "utf-8")
    with pytest.raises(UserError, match=r"row 'B' has 1 cells.*or remove profiles from"):
        read_sdrf(path, ids)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            "CompositeElement REF\tSignal\tPvalue\tSignal\tPvalue",
            "its columns hold 2 quantities: Signal, Pvalue",
        ),
        ("1007_s_at\t1\t2\t3\t4", "second header row begins with '1007_s_at'"),
        ("Reporter REF\tSignal", "has 2 cells, the first one has 5"),
    ],
)
def test_two_header_rows_must_agree(write, second, message):
    text = f"Scan REF\tA\tA\tB\tB\n{second}\np\t1\t2\t3\t4\n"
    with pytest.raises(UserError, match=message):
        open_reader(write("m.txt", text))


def test_a_matrix_with_commas(write):
    text = 'Assay REF,"A","B"\nReporter REF,v,v\n"p,1",1,2\n'
    reader = open_reader(write("m.csv", text))
    assert reader.gene_ids.tolist() == ["p,1"]
    assert read(reader, [0]).tolist() == [[1], [2]]


# DepMap


def test_columns_before_the_genes_become_the_profile_table(tmp_path):
    path = written(tmp_path, "OmicsExpressionTPMLogp1.csv")
    reader = open_reader(path)
    assert reader.gene_ids[0] == f"{GENES[0]} (1000)"
    assert reader.profiles["SequencingID"].tolist()[:2] == ["CDS-000000", "CDS-000001"]
    assert reader.profiles["IsDefaultEntryForModel"].tolist() == ["Yes"] * 5
    assert reader.with_ids("entrez").gene_ids.tolist() == [str(1000 + n) for n in range(7)]
    # Both orientations mean the same here.
    assert read(open_reader(path, "profiles")).tolist() == VALUES.tolist()


def test_profiles_are_named_by_a_unique_column(write):
    genes = "A (1),B (2),C (3)"
    old = open_reader(write("old.csv", f",{genes}\nACH-1,1,2,3\nACH-2,4,5,6\n"))
    assert old.profiles.index.tolist() == ["ACH-1", "ACH-2"]
    rows = "0,S1,ACH-1,1,2,3\n1,S2,ACH-1,4,5,6\n"
    repeated = open_reader(write("new.csv", f",SequencingID,ModelID,{genes}\n{rows}"))
    assert repeated.profiles.index.tolist() == ["S1", "S2"]
    assert repeated.profiles["ModelID"].tolist() == ["ACH-1", "ACH-1"]
    with pytest.raises(UserError, match="no column before the genes names each profile once"):
        open_reader(write("bad.csv", f",ModelID,{genes}\n0,ACH-1,1,2,3\n1,ACH-1,4,5,6\n"))
    with pytest.raises(UserError, match="columns after the first gene are no genes: mean"):
        open_reader(write("mean.csv", f",{genes},mean\nACH-1,1,2,3,2\n"))
    with pytest.raises(UserError, match="row 'ACH-1' has 3 cells, the header has 4"):
        open_reader(write("cut.csv", f",{genes}\nACH-1,1,2\n"))


def test_a_repeated_symbol_stays_as_in_the_header(write):
    reader = open_reader(write("m.csv", ",A (1),B (2),C (3),A (4)\nx,1,2,3,4\n"))
    assert reader.with_ids("symbol").gene_ids.tolist() == ["A (1)", "B", "C", "A (4)"]


def test_a_matrix_as_r_writes_it_with_other_columns_about_profiles(write):
    text = '"","lineage","A (1)","B (2)","C (3)"\n"ACH-1","lung","1","2","3"\n'
    reader = open_reader(write("m.csv", text))
    assert reader.profiles["lineage"].to_dict() == {"ACH-1": "lung"}
    assert read(reader, range(3)).tolist() == [[1, 2, 3]]
    named = open_reader(write("n.csv", "cell_line,A (1),B (2),C (3)\nHeLa,1,2,3\n"))
    assert named.profiles.index.tolist() == ["HeLa"]


def test_spike_ins_written_like_genes_are_left_out_and_counted(write):
    text = ",A (1),ERCC-00002 (ERCC-00002),B (2),C (3)\nx,1,9,2,3\ny,4,9,5,6\n"
    reader = open_reader(write("m.csv", text))
    (note,) = reader.notes
    assert note == "1 column left out, written like a gene but none: ERCC-00002 (ERCC-00002)"
    assert reader.with_ids("symbol").gene_ids.tolist() == ["A", "B", "C"]
    assert read(reader, range(3)).tolist() == [[1, 2, 3], [4, 5, 6]]


# ARCHS4


def test_a_list_of_samples_of_another_length_is_refused(tmp_path):
    path = written(tmp_path, "human_gene_v2.5.h5")
    with h5py.File(path, "a") as file:
        del file["meta/samples/title"]
        file["meta/samples/title"] = np.array([b"one", b"two"])
    with pytest.raises(UserError, match="list of samples title has 2 entries, geo_accession has 5"):
        open_reader(path)


def test_genes_whose_both_ids_repeat_get_the_number_of_their_row(tmp_path):
    path = written(tmp_path, "human_gene_v2.5.h5")
    with h5py.File(path, "a") as file:
        file["meta/genes/ensembl_gene"][:2] = b"ENSG"
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == ["SYM0#0", "SYM0#1", *GENES[2:]]


@pytest.mark.parametrize("version", [1, 2])
def test_samples_of_archs4(tmp_path, version):
    reader = open_reader(written(tmp_path, "human_gene_v2.5.h5", version=version))
    assert reader.profiles["series"].tolist() == ["GSE0"] * 4 + ["GSE1"]
    assert "contact_name" not in reader.profiles
    assert read(reader).tolist() == VALUES.tolist()


def test_a_repeated_symbol_is_replaced_by_its_ensembl_id(tmp_path):
    reader = open_reader(written(tmp_path, "human_gene_v2.5.h5")).with_ids("symbol")
    assert reader.gene_ids.tolist() == [*GENES[:2], *(f"SYM{n}" for n in range(2, 7))]


def test_a_band_of_chunks_beyond_memory_is_read_by_gene(tmp_path, monkeypatch):
    path = written(tmp_path, "human_gene_v2.5.h5")
    monkeypatch.setattr("genebench.formats.archs4.IN_MEMORY_BYTES", 1)
    assert read(open_reader(path), [5, 0, 5], size=2).tolist() == VALUES[:, [5, 0, 5]].tolist()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("matrix/barcodes", "10x matrix in HDF5"),
        ("row_attrs/Gene", "a loom file"),
        ("0/DATA/0/matrix", r"a GCTX or AnnData file\. Let its name end"),
        ("nothing", "not an ARCHS4 file: it has no dataset /data/expression"),
        ("meta/genes/length", "neither Ensembl ids nor symbols"),
    ],
)
def test_other_files_in_hdf5_are_told_apart(write_gctx, name, message):
    datasets = {name: [b"x"]} | ({"data/expression": [[1]]} if "meta" in name else {})
    with pytest.raises(UserError, match=message):
        open_reader(write_gctx(datasets, "file.h5"))


# Matrix Market


def test_both_orders_of_entries_and_symbols(tmp_path, monkeypatch):
    monkeypatch.setattr("genebench.formats.mtx._ENTRIES_AT_ONCE", 3)
    monkeypatch.setattr("genebench.formats.mtx._CELLS_AT_ONCE", 11)
    values = VALUES * (VALUES > 300)
    values[2] = values[:, 3] = values[4] = values[:, 6] = 0  # barcodes and genes without entries
    for by_gene in (False, True):
        folder = layouts.mtx(tmp_path / f"{by_gene}", GENES, PROFILES, values, by_gene=by_gene)
        for size in (1, 2, 99):
            assert read(open_reader(folder), size=size).tolist() == values.tolist()
    assert open_reader(folder).with_ids("symbol").gene_ids[2] == "SYM2"


def test_a_prefix_of_geo_and_old_names(write):
    write("GSM1_genes.tsv", "g1\tA\ng2\tB\n")
    write("GSM1_barcodes.tsv.gz", "c1\nc2\nc3\n")
    path = write("GSM1_matrix.mtx", "%%MatrixMarket matrix coordinate real general\n2 3 2\n"
                 "1 1 0.5\n2 3 4\n")  # fmt: skip
    assert read(open_reader(path), [0, 1]).tolist() == [[0.5, 0], [0, 0], [0, 4]]


MTX = "%%MatrixMarket matrix coordinate integer general\n2 3 2\n1 1 5\n2 3 4\n"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("integer general", "integer symmetric", "not a sparse matrix of numbers"),
        ("2 3 2", "2 4 2", r"the matrix is 2 × 4, the lists beside it name 2 features and 3 bar"),
        ("2 3 2", "2 3 3", "states 3 entries, the body has 2.*cut short"),
        ("2 3 2", "2 3", "the line of sizes is '2 3'"),
        ("2 3 4", "3 3 4", "an entry is beyond the matrix"),
        ("2 3 4", "2 3 x", "an entry cannot be read"),
        ("1 1 5\n2 3 4", "1 2 5\n2 1 4\n1 1 4", "sorted neither by barcode nor by feature"),
    ],
)
def test_a_damaged_matrix_market_file_is_refused(write, old, new, message):
    write("features.tsv", "g1\ng2\n")
    write("barcodes.tsv", "c1\nc2\nc3\n")
    assert old in MTX
    path = write("matrix.mtx", MTX.replace(old, new))
    with pytest.raises(UserError, match=message):
        read(open_reader(path), [0, 1])


def test_only_features_of_genes_are_kept(write):
    write("barcodes.tsv", "c1\nc2\nc3\n")
    features = "P\tCD3\tAntibody Capture\ng1\tA\tGene Expression\ng2\tB\tGene Expression\n"
    write("features.tsv", features)
    text = "%%matrixmarket MATRIX coordinate Integer general\n3 3 4\n1 1 900\n2 1 5\n1 2 8\n3 3 4\n"
    path = write("matrix.mtx", text)
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == ["g1", "g2"]
    assert reader.notes == ("features left out that are no genes: 1 Antibody Capture",)
    assert read(reader, [1, 0]).tolist() == [[0, 5], [0, 0], [4, 0]]
    write("features.tsv", features.replace("Gene Expression", "Peaks"))
    with pytest.raises(UserError, match="none of its features is Gene Expression"):
        open_reader(path)


@pytest.mark.parametrize("by_gene", [False, True])
def test_memory_is_that_of_the_genes_asked_for(tmp_path, monkeypatch, by_gene):
    folder = layouts.mtx(tmp_path / "m", GENES, PROFILES, VALUES, by_gene=by_gene)
    reader = open_reader(folder)
    shapes, zeros = [], np.zeros

    def counting(shape, *args):
        shapes.append(shape)
        return zeros(shape, *args)

    monkeypatch.setattr(np, "zeros", counting)
    assert read(reader, [4], size=2).tolist() == VALUES[:, [4]].tolist()
    tiles = [shape for shape in shapes if isinstance(shape, tuple)]
    assert tiles
    assert max(map(np.prod, tiles)) <= (5 if by_gene else 2)


def test_lists_beside_the_matrix_are_needed(write):
    path = write("matrix.mtx", MTX)
    with pytest.raises(UserError, match=r"no features\.tsv\.gz or .* beside it"):
        open_reader(path)
    with pytest.raises(UserError, match=r"its name must end in matrix\.mtx"):
        open_reader(write("counts.mtx", MTX))


def test_a_recogniser_that_fails_is_one_line_that_names_the_plugin(write, plugin_file):
    plugin_file(
        "sniffer",
        "from genebench import hookimpl\nfrom genebench.specs import FormatSpec\n"
        "genebench_contract = 1\n\n@hookimpl\ndef genebench_formats():\n"
        '    return [FormatSpec(name="odd", title="odd", suffixes=(".tsv",),\n'
        '            reader="sniffer:read", recognise="sniffer:recognise")]\n\n'
        "def recognise(head):\n    raise ValueError(head[:2])\n",
    )
    with pytest.raises(UserError, match=r"the recogniser of plugin sniffer.* failed: ValueError"):
        open_reader(write("m.tsv", "id\tA\ng\t1\n"))


def test_a_reader_of_a_plugin_can_offer_several_kinds_of_ids(write, plugin_file):
    plugin_file(
        "two_kinds",
        "import numpy as np, pandas as pd\nfrom genebench import hookimpl\n"
        "from genebench.formats.base import Reader\nfrom genebench.specs import FormatSpec\n"
        "genebench_contract = 1\n\n@hookimpl\ndef genebench_formats():\n"
        '    return [FormatSpec(name="two", title="two", suffixes=(".two",),\n'
        '            reader="two_kinds:Two")]\n\n'
        "class Two(Reader):\n    def __init__(self, path):\n        self.source = str(path)\n"
        '        self.gene_ids = pd.Index(["g"])\n'
        '        self.profiles = pd.DataFrame(index=["p"])\n'
        "    def blocks(self, genes, size=9):\n        yield np.ones((1, len(genes)))\n"
        "    def with_ids(self, kind):\n"
        "        self.gene_ids = pd.Index([kind]) if kind != 'probe' else 3\n        return self\n",
    )
    path = write("m.two", "x")
    assert open_reader(path).with_ids("entrez").gene_ids.tolist() == ["entrez"]
    with pytest.raises(UserError, match="plugin two_kinds"):
        open_reader(path).with_ids("probe")
