"""GCTX: read back what h5py wrote; every bad file gets one line that names the fault."""

from __future__ import annotations

import gc
import tracemalloc
from pathlib import Path

import h5py
import numpy as np
import pytest

from genebench.errors import UserError
from genebench.formats.opening import open_reader

MATRIX = np.arange(35, dtype=np.float32).reshape(7, 5)


def column(values):
    return np.array(values, dtype=h5py.string_dtype())


@pytest.mark.parametrize("chunks", [None, (3, 2), (1, 5), (7, 1)])
@pytest.mark.parametrize("size", [1, 2, 4, 1000])
def test_blocks_are_the_matrix_whatever_the_chunks(write_gctx, gctx_datasets, chunks, size):
    options = {"chunks": chunks, "compression": "gzip"} if chunks else {}
    reader = open_reader(write_gctx(gctx_datasets(MATRIX), **options))
    genes = np.array([4, 0, 0, 2])

    blocks = list(reader.blocks(genes, size))

    assert all(0 < len(block) <= size for block in blocks)
    np.testing.assert_array_equal(np.vstack(blocks), MATRIX[:, genes])


@pytest.mark.parametrize("chunks", [None, (70, 2), (5, 5), (300, 5)])
def test_blocks_beyond_a_slab_are_the_matrix_too(write_gctx, gctx_datasets, chunks):
    matrix = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    reader = open_reader(write_gctx(gctx_datasets(matrix), chunks=chunks))
    for genes, size in ((np.array([3, 1]), 16), (np.arange(5), 64), (np.array([2]), 130)):
        blocks = list(reader.blocks(genes, size))
        assert all(0 < len(block) <= size for block in blocks)
        np.testing.assert_array_equal(np.vstack(blocks), matrix[:, genes])


@pytest.mark.parametrize("chunks", [(300, 1), (300, 2), (280, 3), (160, 2)])
@pytest.mark.parametrize("in_memory", [0, 1 << 20])
def test_chunks_of_too_many_profiles_are_read_gene_by_gene(
    write_gctx, gctx_datasets, monkeypatch, chunks, in_memory
):
    matrix = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    reader = open_reader(write_gctx(gctx_datasets(matrix), chunks=chunks, compression="gzip"))
    monkeypatch.setattr("genebench.formats.hdf5.BAND_BYTES", 149 * 5 * 4)
    monkeypatch.setattr("genebench.formats.base.IN_MEMORY_BYTES", in_memory)
    monkeypatch.setattr(reader, "_by_profile", None)
    for genes, size in ((np.array([3, 1, 3]), 16), (np.arange(5), 64), (np.array([2]), 1024)):
        blocks = list(reader.blocks(genes, size))
        assert all(0 < len(block) <= size for block in blocks)
        np.testing.assert_array_equal(np.vstack(blocks), matrix[:, genes])
    matrix[211, 3] = -666
    reader = open_reader(write_gctx(gctx_datasets(matrix), chunks=chunks))
    assert sum(map(len, reader.blocks(np.array([0, 4]), 16))) == 300
    with pytest.raises(UserError, match=r"profile 'profile211', gene 'gene3' is -666: missing"):
        list(reader.blocks(np.array([3, 1]), 16))


@pytest.mark.parametrize("chunks", [(200, 5), (150, 3), (300, 5)])
def test_wide_chunks_are_read_by_profile_where_that_takes_less(
    write_gctx, gctx_datasets, monkeypatch, chunks
):
    """A column of such chunks is more than a row of them."""
    matrix = np.random.default_rng(0).normal(size=(300, 5)).astype(np.float32)
    reader = open_reader(write_gctx(gctx_datasets(matrix), chunks=chunks, compression="gzip"))
    monkeypatch.setattr("genebench.formats.hdf5.BAND_BYTES", 149 * 5 * 4)
    monkeypatch.setattr(reader, "gene_blocks", None)
    np.testing.assert_array_equal(np.vstack(list(reader.blocks(np.arange(5), 16))), matrix)


def test_memory_does_not_grow_with_the_profiles_that_chunks_span(
    write_gctx, gctx_datasets, monkeypatch
):
    """A band of all genes would be 20 MB, all that is asked for 10 MB."""
    monkeypatch.setattr("genebench.formats.hdf5.BAND_BYTES", 1 << 20)
    monkeypatch.setattr("genebench.formats.base.IN_MEMORY_BYTES", 1 << 20)
    matrix = np.zeros((5000, 1000), np.float32)
    reader = open_reader(write_gctx(gctx_datasets(matrix), chunks=(5000, 10), compression="gzip"))
    tracemalloc.start()
    try:
        rows = sum(map(len, reader.blocks(np.arange(0, 1000, 2), 64)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (rows, peak < 2 << 20) == (5000, True), peak


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, -666])
def test_a_missing_value_deep_in_the_file_is_found_among_values_of_any_size(
    write_gctx, gctx_datasets, bad
):
    matrix = np.full((300, 5), -700, np.float32)
    matrix[:, 0] = 3e38
    reader = open_reader(write_gctx(gctx_datasets(matrix)))
    assert sum(map(len, reader.blocks(np.arange(5)))) == 300
    matrix[211, 3] = bad
    reader = open_reader(write_gctx(gctx_datasets(matrix)))
    with pytest.raises(UserError, match=r"profile 'profile211', gene 'gene3' is .*: missing"):
        list(reader.blocks(np.arange(5), 16))


@pytest.mark.parametrize(
    ("stored", "read"),
    [("f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("f2", "f4"), ("i2", "f4"), ("i4", "f8")],
)
def test_values_keep_the_precision_of_the_file(write_gctx, gctx_datasets, stored, read):
    reader = open_reader(write_gctx(gctx_datasets(MATRIX.astype(stored))))
    (block,) = reader.blocks(np.arange(5))
    assert block.dtype == np.dtype(read)
    np.testing.assert_array_equal(block, MATRIX)


def test_ids_and_profile_columns(write_gctx, gctx_datasets):
    datasets = gctx_datasets(MATRIX, genes=["NA", "1-Mar", "001", "é", " x"])
    series = [f"GSE{i}" for i in range(7)]
    datasets |= {
        "0/META/COL/series": column(series),
        "0/META/COL/fixed": np.array(series, dtype="S"),
        "0/META/COL/age": np.arange(7),
        "0/META/COL/other": np.arange(3),
        "0/META/ROW/symbol": column(["a"] * 5),
    }
    reader = open_reader(write_gctx(datasets))
    assert reader.gene_ids.tolist() == ["NA", "1-Mar", "001", "é", " x"]
    assert sorted(reader.profiles) == ["age", "fixed", "series"]
    assert reader.profiles["series"].tolist() == reader.profiles["fixed"].tolist() == series
    assert reader.profiles["age"].tolist() == list(range(7))


def test_whole_numbers_may_be_ids(write_gctx, gctx_datasets):
    datasets = gctx_datasets(MATRIX) | {"0/META/ROW/id": np.arange(100, 105)}
    assert open_reader(write_gctx(datasets)).gene_ids[0] == "100"


@pytest.mark.parametrize("value", [-666, np.nan, np.inf])
def test_a_missing_value_is_an_error_only_if_its_gene_is_requested(
    write_gctx, gctx_datasets, value
):
    matrix = MATRIX.copy()
    matrix[5, 3] = value
    reader = open_reader(write_gctx(gctx_datasets(matrix)))
    assert len(list(reader.blocks(np.array([0, 4]), 2))) == 4
    with pytest.raises(UserError, match=r"profile 'profile5', gene 'gene3' is .* missing"):
        list(reader.blocks(np.array([1, 3]), 2))


def test_the_file_is_closed_after_an_early_exit(write_gctx, gctx_datasets):
    path = write_gctx(gctx_datasets(MATRIX))
    blocks = open_reader(path).blocks(np.arange(5), 2)
    next(blocks)
    blocks.close()
    gc.collect()
    h5py.File(path, "r+").close()  # fails while a reader holds the file


BAD = {
    "no matrix": ({"0/DATA/0/matrix": None}, "no dataset /0/DATA/0/matrix"),
    "no gene ids": ({"0/META/ROW/id": None}, "no dataset /0/META/ROW/id"),
    "no profile ids": ({"0/META/COL/id": None}, "no dataset /0/META/COL/id"),
    "lengths": ({"0/META/ROW/id": ["a", "b"]}, r"shape \(7, 5\), .* 7 profiles .* 2 genes"),
    "transposed": ({"0/DATA/0/matrix": MATRIX.T}, r"shape \(5, 7\).*Transpose it"),
    "3-D": ({"0/DATA/0/matrix": MATRIX[None]}, r"shape \(1, 7, 5\), .* 7 profiles .* 5 genes"),
    "not numeric": ({"0/DATA/0/matrix": MATRIX.astype("S2")}, "matrix holds .*, not numbers"),
    "complex": ({"0/DATA/0/matrix": MATRIX.astype("c8")}, "matrix holds .*, not numbers"),
    "duplicate profiles": ({"0/META/COL/id": list("aabcdef")}, "1 repeated profile ids?: a"),
    "not UTF-8": ({"0/META/ROW/id": np.array([b"\xff", *b"bcde"], "S")}, "not UTF-8"),
    "ids 2-D": ({"0/META/ROW/id": np.array([list("abcde")], "S")}, "2 dimensions, not 1"),
    "ids are numbers": ({"0/META/ROW/id": np.arange(5.0)}, "float64, not text"),
    "no profiles": ({"0/META/COL/id": np.array([], "S1")}, "no profile in it"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file(write_gctx, gctx_datasets, case):
    changes, words = BAD[case]
    datasets = {k: v for k, v in (gctx_datasets(MATRIX) | changes).items() if v is not None}
    with pytest.raises(UserError, match=rf"m\.gctx: .*{words}"):
        open_reader(write_gctx(datasets))


def test_not_hdf5_or_cut_short(write, write_gctx, gctx_datasets):
    whole = write_gctx(gctx_datasets(MATRIX)).read_bytes()
    for length in (4, *range(100, len(whole), 500), len(whole) - 1):
        with pytest.raises(UserError, match="not a GCTX file: HDF5 cannot read it"):
            open_reader(write("cut.gctx", whole[:length]))
    with pytest.raises(UserError, match="not a GCTX file: HDF5 cannot read it"):
        open_reader(write("junk.gctx", b"#1.2"))


def test_a_damaged_chunk_is_named_when_it_is_read(write_gctx, gctx_datasets):
    path = write_gctx(gctx_datasets(MATRIX), chunks=(2, 5), compression="gzip")
    with h5py.File(path) as file:
        place = file["0/DATA/0/matrix"].id.get_chunk_info(2).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    blocks = open_reader(path).blocks(np.arange(5), 2)
    assert len([next(blocks), next(blocks)]) == 2
    with pytest.raises(UserError, match=r"m\.gctx: .* damaged or cut short"):
        next(blocks)


def test_absurd_claims_are_refused_before_memory_is_asked_for(tmp_path: Path):
    path = tmp_path / "huge.gctx"
    with h5py.File(path, "w") as file:
        for axis in ("ROW", "COL"):
            file.create_dataset(f"0/META/{axis}/id", (10**12,), "S10", chunks=(1000,))
        file.create_dataset("0/DATA/0/matrix", (10**12, 10**12), "f4", chunks=(10, 10))
    with pytest.raises(UserError, match=r"claims shape \(1000000000000,\)"):
        open_reader(path)


def test_values_in_another_file_are_refused(write_gctx, gctx_datasets, tmp_path: Path):
    other = write_gctx(gctx_datasets(MATRIX), name="other.gctx")
    path = write_gctx(gctx_datasets(MATRIX))
    with h5py.File(path, "r+") as file:
        del file["0/DATA/0/matrix"]
        file["0/DATA/0/matrix"] = h5py.ExternalLink(str(other), "0/DATA/0/matrix")
    with pytest.raises(UserError, match="stored in another file"):
        open_reader(path)


@pytest.mark.realdata
def test_real_file(realdata: Path):
    path = realdata / "u133_n592x22215.gctx"
    reader = open_reader(path)
    genes = np.array([22214, 0, 777, 12345])
    values = np.vstack(list(reader.blocks(genes, 100)))
    with h5py.File(path) as file:
        np.testing.assert_array_equal(values, file["0/DATA/0/matrix"][:][:, genes])
        assert reader.gene_ids[777] == file["0/META/ROW/id"][777].decode()
    assert reader.profiles.shape == (592, 1)
    assert reader.profiles["series"].nunique() == 22
