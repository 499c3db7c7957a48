"""Parquet and feather: genes × profiles, or profiles × genes when told."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from genebench.errors import UserError
from genebench.formats.opening import open_reader

pa = pytest.importorskip("pyarrow")
from pyarrow import feather, ipc, parquet  # noqa: E402

VALUES = np.arange(15, dtype=np.float32).reshape(5, 3)
GENES = ["NA", "001", "c", "d", "é"]
TABLE = pd.DataFrame(VALUES, columns=["p", "q.1", "r"])


@pytest.fixture(params=["parquet", "feather"])
def save(request, tmp_path):
    """save(table): a file of that format, as pandas writes it."""

    def save(table):
        path = tmp_path / f"m.{request.param}"
        if request.param == "parquet":
            table.to_parquet(path, row_group_size=2)
        else:
            feather.write_feather(pa.Table.from_pandas(table), path, chunksize=2)
        return path

    return save


def read(reader, genes, size=2):
    blocks = list(reader.blocks(np.array(genes, dtype=np.intp), size))
    assert all(0 < len(block) <= size for block in blocks)
    return np.concatenate(blocks)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_ids_are_the_first_text_or_the_index_of_pandas(save, size):
    described = TABLE.assign(gene_name="x").set_axis(GENES)
    tables = [
        TABLE.set_axis(GENES),
        TABLE.set_axis(pd.Index(GENES, name="gene")),
        TABLE.assign(id=GENES, symbol="x")[["id", "symbol", "p", "q.1", "r"]],
        TABLE.assign(length=7, id=GENES)[["length", "id", "p", "q.1", "r"]],
        described[["gene_name", "p", "q.1", "r"]],
    ]
    for table in tables:
        reader = open_reader(save(table))
        assert reader.gene_ids.tolist() == GENES
        assert reader.profiles.index.tolist() == ["p", "q.1", "r"]
        values = read(reader, [4, 0, 0, 2], size)
        assert values.dtype == np.float32
        np.testing.assert_array_equal(values, VALUES.T[:, [4, 0, 0, 2]])
        assert read(reader, []).shape == (3, 0)


@pytest.mark.parametrize("size", [1, 2, 100])
def test_profiles_in_rows_with_orientation_profiles(save, size):
    table = pd.DataFrame(VALUES.T, columns=GENES).assign(id=["p", "q", "r"], tissue=list("abc"))
    reader = open_reader(save(table), "profiles")
    assert reader.gene_ids.tolist() == GENES
    assert reader.profiles["tissue"].to_dict() == {"p": "a", "q": "b", "r": "c"}
    np.testing.assert_array_equal(read(reader, [4, 0, 0, 2], size), VALUES.T[:, [4, 0, 0, 2]])


@pytest.mark.parametrize("kind", ["i2", "i8", "f8"])
def test_numbers_of_any_kind(save, kind):
    reader = open_reader(save(TABLE.astype(kind).assign(id=GENES)))
    values = read(reader, range(5))
    assert values.dtype == (np.float32 if kind == "i2" else np.float64)
    np.testing.assert_array_equal(values, VALUES.T)


@pytest.mark.parametrize("orientation", ["genes", "profiles"])
@pytest.mark.parametrize("value", [np.nan, np.inf, None])
def test_a_bad_value_is_an_error_only_if_its_gene_is_requested(save, orientation, value):
    table = TABLE.astype(float).astype({"q.1": "Float64"} if value is None else {}).assign(id=GENES)
    table.loc[3, "q.1"] = value
    reader = open_reader(save(table), orientation)
    words = "profile 'd', gene 'q.1'" if orientation == "profiles" else "profile 'q.1', gene 'd'"
    assert read(reader, [0, 2]).shape[1] == 2
    with pytest.raises(UserError, match=rf"{words} is .*missing"):
        read(reader, range(len(reader.gene_ids)))


BAD = {
    "no text": (TABLE, "no column of text, so no ids"),
    "no numbers": (pd.DataFrame({"id": GENES, "x": GENES}), "column 'x' is of type .*string, not"),
    "no rows": (TABLE.assign(id=GENES)[:0].astype({"id": str}), "no gene in it|no column of text"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_table(save, case):
    table, words = BAD[case]
    with pytest.raises(UserError, match=rf"m\.\w+: .*{words}") as error:
        open_reader(save(table))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("keep", [3, 0.5, 0.95])
def test_cut_short(save, keep):
    path = save(TABLE.assign(id=GENES))
    data = path.read_bytes()
    path.write_bytes(data[: int(keep if keep > 1 else keep * len(data))])
    with pytest.raises(UserError, match=r"not a sound (parquet|feather) file") as error:
        open_reader(path)
    assert "\n" not in str(error.value)


def test_a_table_that_unpacks_to_absurdly_much_is_refused(tmp_path):
    path = tmp_path / "m.parquet"
    rows = 20_000_000
    column = pa.chunked_array([pa.array(np.zeros(rows // 20, np.float32))] * 20)
    table = pa.table({"id": pa.array(["g"]).take(pa.array(np.zeros(rows, "i4"))), "p": column})
    parquet.write_table(table, path)
    with pytest.raises(UserError, match=r"claims 160,000,000 bytes of values but holds only"):
        open_reader(path)


def refused(path, pattern):
    """Read all of a file, which ends in one line that names it."""
    with pytest.raises(UserError, match=rf"{path.name}: {pattern}") as error:
        read(open_reader(path), range(5))
    assert "\n" not in str(error.value)


def spoil(path, old, new):
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


def test_names_and_ids_that_are_no_text_are_refused(save):
    table = TABLE.assign(id=[f"gene-number-{n}" for n in range(5)])
    path = save(table)
    spoil(path, b"q.1", b"q.\xff")
    refused(path, "not a sound")
    if path.suffix == ".feather":
        feather.write_feather(pa.Table.from_pandas(table), path, compression="uncompressed")
    else:
        table.to_parquet(path, compression=None)
    spoil(path, b"gene-number-3", b"gene-number-\xff")
    refused(path, "the file cannot be read")


def test_places_of_texts_that_are_wrong_are_refused(tmp_path):
    ids = pa.array(["aaaaaaa", "bbbbbbb", "c"])
    path = tmp_path / "m.feather"
    feather.write_feather(pa.table({"id": ids, "p": [1.0, 2.0, 3.0]}), path, "uncompressed")
    places = np.array([0, 7, 14, 15], np.int32)
    spoil(path, places.tobytes(), np.array([0, 7, -1, 15], np.int32).tobytes())
    refused(path, "the file cannot be read")


@pytest.mark.parametrize("metadata", [b"{", b"[]", b"5", b'{"index_columns": 5}', b"\xff", b"{}"])
def test_notes_of_pandas_that_are_unsound_are_ignored(tmp_path, metadata):
    table = pa.table({"id": GENES, **TABLE}).replace_schema_metadata({b"pandas": metadata})
    feather.write_feather(table, tmp_path / "m.feather")
    assert open_reader(tmp_path / "m.feather").gene_ids.tolist() == GENES


LOST = {
    "text": (pa.array(list("12345")), "string"),
    "large text": (pa.array(list("12345"), pa.large_string()), "large_string"),
    "view of text": (pa.array(list("12345"), pa.string_view()), "string_view"),
    "categories": (pa.array(list("12345")).dictionary_encode(), "dictionary<.*"),
    "nothing": (pa.nulls(5), "null"),
    "truth": (pa.array([True] * 5), "bool"),
    "dates": (pa.array([dt.date(2018, 3, 1)] * 5), "date32.*"),
    "bytes": (pa.array([b"1"] * 5), "binary"),
    "lists": (pa.array([[1.0]] * 5), "list<.*"),
}


@pytest.fixture(params=["parquet", "feather"])
def save_arrow(request, tmp_path):
    """save_arrow(columns): a file of that format with columns of any type of Arrow."""

    def save_arrow(columns):
        path = tmp_path / f"m.{request.param}"
        write = parquet.write_table if request.param == "parquet" else feather.write_feather
        try:
            write(pa.table(columns), path)
        except pa.ArrowNotImplementedError as error:  # views of text in Parquet before pyarrow 21
            pytest.skip(f"pyarrow {pa.__version__}: {error}")
        return path

    return save_arrow


@pytest.mark.parametrize("kind", LOST)
def test_a_profile_of_another_type_is_refused_with_column_and_type(save_arrow, kind):
    column, type_ = LOST[kind]
    path = save_arrow({"id": GENES, "p": VALUES[:, 0], "q": column, "r": VALUES[:, 2]})
    with pytest.raises(UserError, match=rf"m\.\w+: column 'q' .*type \(?{type_}") as error:
        open_reader(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("kind", ["bytes", "lists"])
def test_a_gene_of_another_type_is_kept_as_text_where_profiles_are_rows(save_arrow, kind):
    path = save_arrow({"id": GENES, "TP53": VALUES[:, 0], "MYC": LOST[kind][0]})
    reader = open_reader(path, "profiles")
    assert reader.gene_ids.tolist() == ["TP53"]
    assert reader.profiles["MYC"].tolist() == [str(x) for x in LOST[kind][0].to_pylist()]


def test_an_empty_column_is_a_gene_without_values_where_profiles_are_rows(save_arrow):
    path = save_arrow({"id": GENES, "TP53": VALUES[:, 0], "MYC": LOST["nothing"][0]})
    reader = open_reader(path, "profiles")
    assert reader.gene_ids.tolist() == ["TP53", "MYC"]
    assert read(reader, [0])[:, 0].tolist() == VALUES[:, 0].tolist()
    with pytest.raises(UserError, match="gene 'MYC' is nan"):
        read(reader, [1])
    kept = open_reader(path, "profiles", keep_missing=True)
    assert np.isnan(read(kept, [1])).all()


def test_names_of_genes_may_repeat_where_profiles_are_rows(save_named):
    columns = [GENES, VALUES[:, 0], VALUES[:, 1], VALUES[:, 2]]
    path = save_named(columns, ["id", "Y_RNA", "TP53", "Y_RNA"])
    reader = open_reader(path, "profiles")
    assert reader.gene_ids.tolist() == ["Y_RNA", "TP53", "Y_RNA"]
    np.testing.assert_array_equal(read(reader, [2, 0, 1]), VALUES[:, [2, 0, 1]])


def test_names_of_profiles_may_not_repeat(save_named):
    path = save_named([GENES, VALUES[:, 0], VALUES[:, 1]], ["id", "p", "p"])
    with pytest.raises(UserError, match="1 repeated profile id: p"):
        open_reader(path)


@pytest.fixture(params=["parquet", "feather"])
def save_named(request, tmp_path):
    """save_named(columns, names): a file of that format, whose names of columns may repeat."""

    def save_named(columns, names):
        path = tmp_path / f"m.{request.param}"
        write = parquet.write_table if request.param == "parquet" else _write_ipc
        write(pa.Table.from_arrays([pa.array(column) for column in columns], names), path)
        return path

    return save_named


def _write_ipc(table, path):
    # write_feather refuses names that repeat.
    with ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize("kind", ["text", "view of text", "categories", "truth", "dates"])
def test_what_describes_profiles_goes_to_their_table(save_arrow, kind):
    path = save_arrow({"id": GENES, "TP53": VALUES[:, 0], "tissue": LOST[kind][0]})
    reader = open_reader(path, "profiles")
    assert reader.gene_ids.tolist() == ["TP53"]
    assert reader.profiles["tissue"].tolist() == LOST[kind][0].to_pylist()


def test_decimals_are_read_and_rounded_correctly(save_arrow):
    cells = [Decimal(cell) for cell in ("0.1", "8.32667268468867399", "1", "-2.5", "3e-9")]
    reader = open_reader(save_arrow({"id": GENES, "p": cells, "q": VALUES[:, 0]}))
    assert reader.profiles.index.tolist() == ["p", "q"]
    assert read(reader, range(5))[0].tolist() == [float(cell) for cell in cells]


def test_categories_of_numbers_are_read(save_arrow):
    column = pa.array([1.5, 2.5, 1.5, None, 2.5]).dictionary_encode()
    reader = open_reader(save_arrow({"id": GENES, "p": column, "q": VALUES[:, 0]}))
    assert read(reader, [0, 1, 2, 4])[0].tolist() == [1.5, 2.5, 1.5, 2.5]


@pytest.mark.parametrize("name", ["entrez_id", "id", "Gene", "rid"])
@pytest.mark.parametrize("type_", [pa.int64(), pa.int32(), pa.string_view()])
def test_ids_may_be_whole_numbers_or_views_of_text(save_arrow, name, type_):
    numbers = [7157, 4609, 1956, 1, 2]
    ids = pa.array(numbers if pa.types.is_integer(type_) else [*map(str, numbers)], type_)
    reader = open_reader(save_arrow({name: ids, "p": VALUES[:, 0]}))
    assert reader.gene_ids.tolist() == ["7157", "4609", "1956", "1", "2"]
    assert reader.profiles.index.tolist() == ["p"]


def test_ids_and_columns_to_skip_can_be_named(save):
    path = save(TABLE.assign(note="x", id=GENES))
    reader = open_reader(path, id_column="id", skip_columns=["note", "q.1"])
    assert (reader.gene_ids.tolist(), reader.profiles.index.tolist()) == (GENES, ["p", "r"])
    with pytest.raises(UserError, match=r"unknown column 'nte'. Did you mean note"):
        open_reader(path, skip_columns=["nte"])


def test_names_with_dots_are_no_parts_of_others(save):
    reader = open_reader(save(pd.DataFrame(VALUES, columns=["q", "q.1", "q.1.x"]).assign(id=GENES)))
    np.testing.assert_array_equal(read(reader, range(5)), VALUES.T)


@pytest.mark.parametrize("orientation", ["genes", "profiles"])
@pytest.mark.parametrize("at_once", [1, 40, 1 << 20])
def test_columns_are_read_a_few_at_a_time(save, monkeypatch, orientation, at_once):
    monkeypatch.setattr("genebench.formats.columnar._READ_BYTES", at_once)
    values = np.random.default_rng(0).normal(size=(23, 17))
    table = pd.DataFrame(values, columns=[f"c{i}" for i in range(17)])
    reader = open_reader(save(table.assign(id=[f"r{i}" for i in range(23)])), orientation)
    expected = values if orientation == "profiles" else values.T
    np.testing.assert_array_equal(read(reader, range(expected.shape[1]), 5), expected)


def test_a_file_that_changes_after_it_was_opened_is_refused(save):
    path = save(TABLE.assign(id=GENES))
    reader = open_reader(path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(UserError, match="has changed since it was opened"):
        read(reader, [0])
