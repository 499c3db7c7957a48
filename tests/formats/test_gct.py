"""GCT 1.2 and 1.3, against pandas and against files with every fault we could think of."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genebench.errors import UserError
from genebench.formats.opening import open_reader

GCT = '#1.2\n2\t3\nName\tDescription\tA\tB\tC\ng1\tfirst\t1\t2.5\t-3\ng2\t"x\t4e1\t5\t6\n'
GCT3 = (
    "#1.3\n2\t3\t1\t2\nid\tsymbol\tA\tB\tC\ntissue\tna\tlung\t\tskin\ndonor\tna\td1\td1\td2\n"
    "g1\tS1\t1\t2\t3\ng2\tS2\t4\t5\t6\n"
)


def read(path: Path, genes=None, size=2) -> np.ndarray:
    reader = open_reader(path)
    genes = np.arange(len(reader.gene_ids)) if genes is None else np.array(genes)
    return np.vstack(list(reader.blocks(genes, size)))


@pytest.mark.parametrize("name", ["m.gct", "m.gct.gz", "M.GCT"])
def test_version_1_2(write, name):
    path = write(name, GCT)
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == ["g1", "g2"]
    assert reader.profiles.index.tolist() == ["A", "B", "C"]
    assert reader.profiles.columns.empty
    assert read(path).tolist() == [[1, 40], [2.5, 5], [-3, 6]]
    assert read(path, [1, 0, 1]).tolist() == [[40, 1, 40], [5, 2.5, 5], [6, -3, 6]]


def test_version_1_3_has_profile_columns(write):
    path = write("m.gct", GCT3)
    profiles = open_reader(path).profiles
    assert profiles["tissue"].tolist() == ["lung", "", "skin"]
    assert profiles["donor"].tolist() == ["d1", "d1", "d2"]
    assert read(path).tolist() == [[1, 4], [2, 5], [3, 6]]


def test_windows_line_ends_blank_lines_and_byte_order_mark(write):
    content = b"\xef\xbb\xbf" + GCT.replace("\n", "\r\n").encode() + b"\r\n\r\n"
    assert read(write("m.gct", content)).shape == (3, 2)


def test_cells_of_other_genes_are_not_read(write):
    path = write("m.gct", GCT.replace("4e1", "NA"))
    assert read(path, [0]).tolist() == [[1], [2.5], [-3]]


BAD = {
    "not gct": ("Name\tA\ng1\t1\n", "not a GCT file. It begins with 'Name"),
    "counts": (GCT.replace("2\t3\n", "2\tx\n"), "second line is '2.*not 2 counts"),
    "counts of 1.3": (GCT.replace("1.2", "1.3"), "not 4 counts"),
    "more genes": (GCT.replace("2\t3\n", "9\t3\n"), "states 9 genes .* has 2"),
    "fewer genes": (GCT.replace("2\t3\n", "1\t3\n"), "states 1 genes .* has 2"),
    "absurd genes": (GCT.replace("2\t3\n", f"{10**30}\t3\n"), "states 10000.* genes .* has 2"),
    "more profiles": (GCT.replace("2\t3\n", "2\t4\n"), "states 4 profiles .* names 3"),
    "fewer profiles": (GCT.replace("2\t3\n", "2\t2\n"), "states 2 profiles .* names 3"),
    "absurd metadata": (GCT3.replace("1\t2\n", f"1\t{10**15}\n", 1), "states 2 genes.* has 0"),
    "ragged metadata": (GCT3.replace("\td1\td2", "\td1"), "metadata 'donor' has 4 .* 5"),
    "short row": (GCT.replace("\t6\n", "\n"), "row 'g2' has 4 cells, the header has 5"),
    "long row": (GCT.replace("\t6\n", "\t6\t7\n"), "row 'g2' has 6 cells, the header has 5"),
    "cut short": (GCT[:-4], "row 'g2' has 4 cells, .* cut short"),
    "duplicate profiles": (GCT.replace("\tB\t", "\tA\t"), "1 repeated profile ids?: A"),
    "no profile": ("#1.2\n1\t0\nName\tDescription\ng1\tx\n", "no profile in it"),
    "no gene": ("#1.2\n0\t1\nName\tDescription\tA\n", "no gene in it"),
    "header only": ("#1.2\n", "second line is ''"),
    "UTF-16": (GCT.encode("utf-16"), "not UTF-8"),
    "binary": (b"#1.2\n\0\0\0\1", "binary data"),
    "word": (GCT.replace("2.5", "high"), "row 'g1', column 'B' holds 'high'"),
    "no value": (GCT.replace("2.5", ""), "row 'g1', column 'B' holds ''"),
    "NA": (GCT.replace("\t6\n", "\tNA\n"), "row 'g2', column 'C' holds 'NA'"),
    "nan": (GCT.replace("\t6\n", "\tnan\n"), "row 'g2', column 'C' holds 'nan'"),
    "inf": (GCT.replace("4e1", "-Inf"), "row 'g2', column 'A' holds '-Inf'"),
    "overflow": (GCT.replace("4e1", "4e999"), "row 'g2', column 'A' holds '4e999'"),
    "true": (GCT.replace("4e1", "True"), "row 'g2', column 'A' holds 'True'"),
    "underscore": (GCT.replace("4e1", "4_0"), "row 'g2', column 'A' holds '4_0'"),
    "decimal comma": (GCT.replace("2.5", "2,5"), "row 'g1', column 'B' holds '2,5'"),
    "other digits": (GCT.replace("4e1", "\u0664"), "row 'g2', column 'A' holds '\u0664'"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file(write, case):
    content, words = BAD[case]
    with pytest.raises(UserError, match=rf"m\.gct: .*{words}") as error:
        read(write("m.gct", content))
    assert "\n" not in str(error.value)


def test_bad_gzip(write):
    whole = gzip.compress(GCT.encode() * 100)
    faults = {
        "cut short": whole[:-20],
        "damaged": whole[:15] + b"\xff\xff\xff\xff" + whole[19:],
    }
    for words, content in faults.items():
        with pytest.raises(UserError, match=rf"m\.gct\.gz: .*({words})"):
            open_reader(write("m.gct.gz", content))


ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
# The code for a missing value is refused in every format.
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: abs(value + 666) > 1e-3
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_any_ids_and_any_floats_come_back(write, data):
    genes = data.draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    profiles = data.draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    row = st.lists(floats, min_size=len(profiles), max_size=len(profiles))
    values = np.array([data.draw(row) for _ in genes])
    lines = [
        "#1.2",
        f"{len(genes)}\t{len(profiles)}",
        "\t".join(["Name", "Description", *profiles]),
    ]
    for gene, numbers in zip(genes, values.tolist(), strict=True):
        lines.append("\t".join([gene, '"', *map(repr, numbers)]))

    path = write("m.gct", "\n".join(lines))

    reader = open_reader(path)
    assert reader.gene_ids.tolist() == genes
    assert reader.profiles.index.tolist() == profiles
    assert read(path).tobytes() == np.ascontiguousarray(values.T).tobytes()


@pytest.mark.realdata
def test_real_file(realdata: Path):
    path = realdata / "gtex_rnaseqdb_n280x18679.gct.gz"
    reader = open_reader(path)
    theirs = pd.read_csv(path, sep="\t", skiprows=2, nrows=500, na_filter=False, index_col=0)
    genes = np.array([499, 0, 17])
    assert len(reader.gene_ids) == 18679
    assert reader.gene_ids[:500].tolist() == theirs.index.tolist()
    assert reader.profiles.index.tolist() == theirs.columns[1:].tolist()
    expected = theirs.iloc[genes, 1:].to_numpy(dtype=float).T
    np.testing.assert_array_equal(np.vstack(list(reader.blocks(genes, 100))), expected)
