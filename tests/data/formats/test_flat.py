"""Parts of a matrix, fetched by several threads: the same values as its blocks, file by file."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from genebench.data.formats.opening import open_reader
from genebench.errors import UserError

GENES = np.array([4, 0, 9, 4])


@pytest.fixture
def matrix():
    return np.random.default_rng(0).normal(8, 3, (23, 10))


@pytest.fixture
def npy(tmp_path: Path):
    """npy(array): an .npy file of profiles × genes, or the other way round, with its ids."""

    def npy(array, genes_first=False):
        path = tmp_path / "m.npy"
        np.save(path, array)
        profiles, genes = array.T.shape if genes_first else array.shape
        for axis, n in (("profiles", profiles), ("genes", genes)):
            (tmp_path / f"m.{axis}.txt").write_text("".join(f"{axis}{i}\n" for i in range(n)))
        return path

    return npy


@pytest.fixture
def gctx(write_gctx, gctx_datasets):
    """gctx(array, **options): a GCTX file that holds it."""
    return lambda array, **options: write_gctx(gctx_datasets(array), **options)


def fetched(reader, genes, size):
    """All parts, most of them fetched while another thread fetches one."""
    with reader.parts(genes, size) as parts, ThreadPoolExecutor(4) as pool:
        picked = pool.map(lambda part: part().pick().copy(), parts)
        return np.concatenate(list(picked))


@pytest.mark.parametrize("stored", ["<f4", "<f8", ">f4", "<i2"])
@pytest.mark.parametrize("chunks", [None, (5, 3)])
@pytest.mark.parametrize("genes", [GENES, np.arange(10)])
def test_parts_of_a_gctx_are_its_blocks(gctx, matrix, stored, chunks, genes):
    reader = open_reader(gctx(matrix.astype(stored), chunks=chunks))
    assert (reader.flat() is not None) == (stored in {"<f4", "<f8"} and not chunks)
    for size in (1, 5, 100):
        found = fetched(reader, genes, size)
        expected = np.concatenate(list(reader.read(genes, size)))
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == expected.dtype


def test_a_matrix_behind_a_user_block_is_found(gctx_datasets, matrix, tmp_path: Path):
    with h5py.File(tmp_path / "m.gctx", "w", userblock_size=1024) as file:
        for name, values in gctx_datasets(matrix).items():
            file[name] = values
    reader = open_reader(tmp_path / "m.gctx")
    assert reader.flat() is not None
    np.testing.assert_array_equal(fetched(reader, GENES, 4), matrix[:, GENES])


def test_a_matrix_of_which_nothing_was_written_is_left_to_hdf5(gctx, matrix):
    path = gctx(matrix)
    with h5py.File(path, "r+") as file:
        del file["0/DATA/0/matrix"]
        file.create_dataset("0/DATA/0/matrix", matrix.shape, "f4")
        assert file["0/DATA/0/matrix"].id.get_offset() is None
    with pytest.raises(UserError, match="holds only 0 bytes"):
        open_reader(path)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stored", ["<f4", ">f8", "<i4"])
@pytest.mark.parametrize("genes_first", [False, True])
def test_parts_of_an_npy_are_its_blocks(npy, matrix, order, stored, genes_first):
    given = (matrix.T if genes_first else matrix).astype(stored).copy(order)
    reader = open_reader(npy(given, genes_first))
    profiles_lie_in_rows = (order == "C") != genes_first
    assert (reader.flat() is not None) == (profiles_lie_in_rows and stored == "<f4")
    np.testing.assert_array_equal(fetched(reader, GENES, 6), matrix.astype(stored)[:, GENES])


@pytest.mark.parametrize("value", [np.nan, np.inf, -666.0])
def test_a_missing_value_is_an_error_only_where_it_is_asked_for(gctx, matrix, value):
    matrix[17, 3] = value
    reader = open_reader(gctx(matrix))
    np.testing.assert_array_equal(fetched(reader, GENES, 6), matrix[:, GENES])
    with pytest.raises(UserError) as by_parts:
        fetched(reader, np.array([4, 3]), 6)
    with pytest.raises(UserError, match="profile 'profile17', gene 'gene3' is ") as by_blocks:
        list(reader.read(np.array([4, 3]), 6))
    assert str(by_parts.value) == str(by_blocks.value)


def test_low_values_are_missing_only_where_the_format_says_so(npy, matrix):
    matrix[17, 4] = -666
    np.testing.assert_array_equal(fetched(open_reader(npy(matrix)), GENES, 6), matrix[:, GENES])


def test_a_part_can_be_fetched_again(gctx, matrix):
    reader = open_reader(gctx(matrix))
    with reader.parts(GENES, 10) as parts:
        first, second, _ = parts
        values = first().pick().copy()
        second()
        np.testing.assert_array_equal(first().pick(), values)


def test_a_file_that_was_cut_short_since_it_was_opened_is_at_fault(gctx, matrix):
    path = gctx(matrix)
    reader = open_reader(path)
    flat = reader.flat()
    with reader.parts(GENES, 10) as parts:
        with path.open("r+b") as file:
            file.truncate(flat.offset + 12 * matrix.strides[0] + 3)
        first, second, _ = parts
        np.testing.assert_array_equal(first().pick(), matrix[:10, GENES])
        with pytest.raises(UserError, match=r"m\.gctx: it ends within its matrix; is it cut short"):
            second()
