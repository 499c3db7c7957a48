"""Which columns of a table hold ids, which values, and which neither: the same in every format."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pytest

from genebench.errors import UserError
from genebench.formats.opening import open_reader

BY_GENE = """\
,gene_name,exon_length,s1,s2,mean
0,A,100,1,2,1.5
1,B,200,3,4,3.5
2,C,300,5,6,5.5
"""
BY_PROFILE = """\
,ModelID,lineage,A,B,age
0,ACH-1,lung,1,2,50
1,ACH-2,skin,3,4,60
"""


@pytest.fixture(params=["csv", "tsv", "parquet", "feather"])
def table(request, tmp_path):
    """table(text): write a table, as text or as pandas writes it."""

    def table(text: str):
        path = tmp_path / f"m.{request.param}"
        if request.param in {"csv", "tsv"}:
            path.write_text(text.replace(",", "\t" if request.param == "tsv" else ","))
        else:
            getattr(pd.read_csv(io.StringIO(text)), f"to_{request.param}")(path)
        return path

    return table


def values(reader):
    return np.concatenate(list(reader.read(np.arange(len(reader.gene_ids)))))


def test_row_numbers_are_no_ids_if_text_follows(table):
    reader = open_reader(table(BY_GENE), skip_columns=["exon_length", "mean"])
    assert reader.gene_ids.tolist() == ["A", "B", "C"]
    assert reader.profiles.index.tolist() == ["s1", "s2"]
    assert reader.id_column == "gene_name"
    assert set(reader.skipped) >= {"exon_length", "mean"}
    assert values(reader).tolist() == [[1, 3, 5], [2, 4, 6]]


def test_row_numbers_are_no_profiles_if_text_follows(table):
    reader = open_reader(table(BY_PROFILE), "profiles", skip_columns=["age"])
    assert reader.profiles.index.tolist() == ["ACH-1", "ACH-2"]
    assert reader.profiles["lineage"].tolist() == ["lung", "skin"]
    assert reader.gene_ids[-2:].tolist() == ["A", "B"]
    assert values(reader)[:, -2:].tolist() == [[1, 2], [3, 4]]


def test_a_named_column_of_ids(table):
    text = "probe,symbol,s1,s2\n1_at,A,1,2\n2_at,B,3,4\n"
    assert open_reader(table(text)).gene_ids.tolist() == ["1_at", "2_at"]
    reader = open_reader(table(text), id_column="symbol")
    assert reader.gene_ids.tolist() == ["A", "B"]
    assert reader.profiles.index.tolist() == ["s1", "s2"]
    assert values(reader).tolist() == [[1, 3], [2, 4]]


@pytest.mark.parametrize("option", [{"id_column": "symbl"}, {"skip_columns": ["symbl"]}])
def test_a_column_that_is_not_there(table, option):
    path = table("probe,symbol,s1,s2\n1_at,A,1,2\n2_at,B,3,4\n")
    with pytest.raises(UserError, match=r"m\..*: unknown column 'symbl'. Did you mean symbol\?"):
        open_reader(path, **option)


def test_an_unlisted_column_of_numbers_is_a_profile(table):
    # It cannot be told from one. The description of the dataset names it.
    reader = open_reader(table(BY_GENE), skip_columns=["mean"])
    assert reader.profiles.index[-3:].tolist() == ["exon_length", "s1", "s2"]


def test_numbers_alone_are_ids(write):
    reader = open_reader(write("m.csv", "entrez,s1,s2\n1,2,3\n2,4,5\n"))
    assert reader.gene_ids.tolist() == ["1", "2"]


def test_numbers_that_do_not_count_are_ids(write):
    reader = open_reader(write("m.csv", "entrez,symbol,s1\n1,A,3\n3,B,5\n"))
    assert (reader.id_column, reader.gene_ids.tolist()) == ("entrez", ["1", "3"])


def test_a_layer_is_for_readers_that_take_it(write):
    path = write("m.csv", "id,s1\nA,1\n")
    with pytest.raises(UserError, match="layer does not apply to delimited files"):
        open_reader(path, layer="counts")


@pytest.mark.parametrize("orientation", ["genes", "profiles"])
def test_missing_cells_are_kept_if_asked_for(write, orientation):
    text = "id,x,y\na,1,NA\nb,,4\nc,nan,6\nd,7,null\n"
    path = write("m.csv", text)
    reader = open_reader(path, orientation, keep_missing=True)
    expected = np.array([[1, np.nan], [np.nan, 4], [np.nan, 6], [7, np.nan]])
    np.testing.assert_array_equal(
        values(reader), expected.T if orientation == "genes" else expected
    )
    with pytest.raises(UserError, match="row 'a', column 'y' holds 'NA', not a finite number"):
        values(open_reader(path, orientation))


def test_other_words_are_refused_beside_missing_ones(write):
    reader = open_reader(write("m.csv", "id,x,y\na,1,NA\nb,low,4\n"), keep_missing=True)
    with pytest.raises(UserError, match="row 'b', column 'x' holds 'low', not a finite number"):
        values(reader)


@pytest.mark.parametrize("numbers", [["0", "1", "2"], ["7", "9", "12"]])
def test_the_index_of_a_table_is_no_profile(table, numbers):
    """pandas writes it first, also that of a filtered table."""
    rows = [
        f"{number},{row}" for number, row in zip(numbers, ["A,5,6", "B,7,8", "C,5,5"], strict=True)
    ]
    path = table("\n".join([",symbol,s1,s2", *rows, ""]))
    for options in ({}, {"id_column": "symbol"}):
        reader = open_reader(path, **options)
        assert (reader.id_column, reader.gene_ids.tolist()) == ("symbol", ["A", "B", "C"])
        assert reader.profiles.index.tolist() == ["s1", "s2"]


def test_profiles_between_the_index_and_the_ids_stay(table):
    path = table(",s1,symbol,s2\n0,5.5,A,6\n1,7,B,8\n2,5,C,5\n")
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == ["A", "B", "C"]
    assert reader.profiles.index.tolist() == ["s1", "s2"]
    assert values(reader).tolist() == [[5.5, 7, 5], [6, 8, 5]]


def test_leading_whole_numbers_that_all_differ_are_no_profile(table):
    path = table("gid,symbol,s1,s2\n7157,A,5,6\n12,B,7,8\n99,C,5,5\n")
    reader = open_reader(path, id_column="symbol")
    assert reader.profiles.index.tolist() == ["s1", "s2"]
    assert "gid" in reader.skipped


@pytest.mark.parametrize("header", [",age,tissue,A,B", ",age,A,B,tissue", ",tissue,age,A,B"])
def test_text_describes_profiles_wherever_it_stands(table, header):
    cells = {
        "": ["p1", "p2"],
        "age": [50, 60],
        "tissue": ["lung", "skin"],
        "A": [1, 3],
        "B": [2, 4],
    }
    rows = zip(*(cells[name] for name in header.split(",")), strict=True)
    text = "\n".join([header, *(",".join(map(str, row)) for row in rows), ""])
    reader = open_reader(table(text), "profiles")
    assert reader.profiles["tissue"].tolist() == ["lung", "skin"]
    assert reader.gene_ids.tolist() == ["age", "A", "B"]
    assert values(reader).tolist() == [[50, 1, 2], [60, 3, 4]]


def test_no_text_is_lost_because_its_name_repeats(write):
    path = write("m.csv", "id,A,note,note\np1,1,x,y\np2,2,x,y\n")
    with pytest.raises(UserError, match="1 repeated column"):
        open_reader(path, "profiles")


@pytest.mark.parametrize(
    ("skipped", "problem"),
    [
        (["symbol"], r"skip_columns names 'symbol', the column of the ids\. Remove it there"),
        (["s1", "s2"], r"skip_columns \('s1', 's2'\) leaves no column of values"),
    ],
)
def test_columns_that_cannot_be_skipped(table, skipped, problem):
    path = table("symbol,s1,s2\nA,1,2\nB,3,4\n")
    with pytest.raises(UserError, match=problem):
        open_reader(path, skip_columns=skipped)
