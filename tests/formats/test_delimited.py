"""TSV and CSV matrices and profile tables, against pandas and the csv module."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genebench.datasets.export import convert
from genebench.errors import UserError
from genebench.formats.delimited import ANNOTATIONS, read_profiles
from genebench.formats.opening import open_reader

TSV = "id\tA\tB\ng1\t1\t2\ng2\t3\t4\n"


def read(path: Path, genes=None, size=2) -> np.ndarray:
    reader = open_reader(path)
    genes = np.arange(len(reader.gene_ids)) if genes is None else np.array(genes)
    return np.vstack(list(reader.blocks(genes, size)))


@pytest.mark.parametrize("name", ["m.tsv", "m.txt", "m.csv", "m.tsv.gz", "m.txt.gz", "M.CSV.gz"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_every_name_and_line_end(write, name, line_end):
    text = TSV.replace("\n", line_end)
    path = write(name, text.replace("\t", ",") if "csv" in name.lower() else text)
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == ["g1", "g2"]
    assert reader.profiles.index.tolist() == ["A", "B"]
    assert read(path, [1, 0, 1], size=1).tolist() == [[3, 1, 3], [4, 2, 4]]


def test_leading_annotations_are_skipped(write):
    header = "TargetID\tGene_Symbol\tChr\tCoord\tA\tlength\n"
    path = write("m.txt", header + "g1\tTP53\tX\t1\t1.5\t7\ng2\t\t2\t5\t2.5\t8\n")
    assert open_reader(path).profiles.index.tolist() == ["A", "length"]
    assert read(path).tolist() == [[1.5, 2.5], [7, 8]]


def test_ids_are_text_as_they_are(write):
    ids = ["NA", "1-Mar", "001", "1e5", "TRUE", "nan", "x y"]
    path = write("m.csv", "id,001,NA\n" + "".join(f"{gene},1,2\n" for gene in ids))
    assert open_reader(path).gene_ids.tolist() == ids
    assert open_reader(path).profiles.index.tolist() == ["001", "NA"]


def test_quoted_cells(write):
    path = write("m.csv", '"","A, first","B ""2"""\n"g,1","1",2\ng2,3,"4"\n')
    assert open_reader(path).gene_ids.tolist() == ["g,1", "g2"]
    assert open_reader(path).profiles.index.tolist() == ["A, first", 'B "2"']
    assert read(path).tolist() == [[1, 3], [2, 4]]


def test_no_gene_requested(write):
    assert read(write("m.tsv", TSV), np.array([], dtype=int)).shape == (2, 0)


BAD = {
    "m.tsv": {
        "commas": (TSV.replace("\t", ","), "no profile column. .* separated by tabs"),
        "only annotations": ("id\tsymbol\ng1\tx\n", "no profile column"),
        "blank": ("\n\n", "no profile column"),
        "no gene": ("id\tA\n", "no gene in it"),
        "ragged": (TSV + "g3\t1\n", "row 'g3' has 2 cells, the header has 3"),
        "header lacks the corner": (TSV.removeprefix("id\t"), "row 'g1' has 3 .* lacks a name"),
        "duplicate profiles": (TSV.replace("B", "A"), "1 repeated profile ids?: A"),
        "nameless profile": (TSV.replace("B", ""), "profile number 2 has an empty id"),
        "word": (TSV.replace("4", "x"), "row 'g2', column 'B' holds 'x'"),
        "empty": (TSV.replace("4", ""), "row 'g2', column 'B' holds ''"),
        "binary": (bytes(range(1, 256)), "not UTF-8"),
        "zero bytes": (TSV.encode("utf-16-le"), "binary data"),
    },
    "m.csv": {
        "open quote": ('id,A\n"g1,1\n', "bad quotes: .*'\"g1,1'"),
        "tabs": (TSV, "no profile column. .* separated by commas"),
    },
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name in BAD for case in BAD[name]])
def test_bad_file(write, name, case):
    content, words = BAD[name][case]
    with pytest.raises(UserError, match=rf"{name}: .*{words}") as error:
        read(write(name, content))
    assert "\n" not in str(error.value)


ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
# The code for a missing value is refused in every format.
floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda value: abs(value + 666) > 1e-3
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), name=st.sampled_from(["m.csv", "m.tsv"]))
def test_any_ids_and_any_floats_come_back(write, data, name):
    genes = data.draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    profiles = data.draw(st.lists(ids, min_size=1, max_size=4, unique=True))
    profiles = [profile for profile in profiles if profile.lower() not in ANNOTATIONS] or ["A"]
    row = st.lists(floats, min_size=len(profiles), max_size=len(profiles))
    values = np.array([data.draw(row) for _ in genes])
    text = io.StringIO()
    writer = csv.writer(text, delimiter="," if name == "m.csv" else "\t")
    writer.writerow(["id", *profiles])
    writer.writerows([gene, *row] for gene, row in zip(genes, values.tolist(), strict=True))

    path = write(name, text.getvalue())

    reader = open_reader(path)
    assert reader.gene_ids.tolist() == genes
    assert reader.profiles.index.tolist() == profiles
    assert read(path).tobytes() == np.ascontiguousarray(values.T).tobytes()


def test_many_decimals_are_rounded_correctly(write):
    cells = [f"{value:.25f}" for value in np.random.default_rng(0).random(2000)]
    path = write("m.tsv", "id\tA\n" + "".join(f"g{i}\t{cell}\n" for i, cell in enumerate(cells)))
    assert read(path)[0].tolist() == [float(cell) for cell in cells]


@pytest.mark.realdata
def test_real_file(realdata: Path):
    path = realdata / "lcl_pickrell_n69x17310.txt.gz"
    reader = open_reader(path)
    theirs = pd.read_csv(path, sep="\t", na_filter=False, index_col=0)
    assert reader.gene_ids.tolist() == theirs.index.tolist()
    assert reader.profiles.index.tolist() == theirs.columns[3:].tolist()
    values = np.vstack(list(reader.blocks(np.arange(17310), 50)))
    np.testing.assert_array_equal(values, theirs.iloc[:, 3:].to_numpy(dtype=float).T)


def test_profile_table_is_all_text(write):
    table = read_profiles(write("p.csv", "sample,age,note\n001,7,NA\nNA,,x\n"))
    assert table.index.tolist() == ["001", "NA"]
    assert table.to_dict("list") == {"age": ["7", ""], "note": ["NA", "x"]}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id\ta\nx\t1\nx\t2\n", "1 repeated profile ids?: x"),
        ("id\ta\ta\nx\t1\t2\n", "1 repeated column ids?: a"),
        ("id\ta\nx\n", "row 'x' has 1 cells, the header has 2. .* separated by tabs"),
        ("id\ta\n", "no profile in it"),
        ("\n", "no profile in it"),
    ],
)
def test_bad_profile_table(write, content, words):
    with pytest.raises(UserError, match=rf"p\.tsv: .*{words}"):
        read_profiles(write("p.tsv", content))


@pytest.mark.parametrize(
    ("cell", "remedy"),
    [
        ("NA", 'In a manifest with recipe = "dgex", missing_values = "drop-gene" or'),
        ("x1", "leave it out of the file, or name it in skip_columns of a manifest."),
    ],
)
def test_a_remedy_by_a_key_names_the_manifest_that_has_it(tmp_path, cell, remedy):
    path = tmp_path / "m.tsv"
    path.write_text(f"id\tp1\tp2\na\t1\t2\nb\t{cell}\t3\n")
    reader = open_reader(path)
    with pytest.raises(UserError) as error:
        convert(reader, tmp_path / "out.csv")
    assert remedy in str(error.value)
