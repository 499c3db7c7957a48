"""Pieces of a matrix, fetched by several threads: the same values as its blocks, file by file."""

from __future__ import annotations

import errno
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pytest

from genebench.errors import UserError
from genebench.formats.flat import FlatRows
from genebench.formats.gctx import GctxReader
from genebench.formats.npy import NpyReader
from genebench.formats.opening import open_reader

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
    """All pieces, most of them fetched while another thread fetches one."""
    with reader.pieces(genes, size) as pieces, ThreadPoolExecutor(4) as pool:
        picked = pool.map(lambda piece: piece.fetch().pick().copy(), pieces)
        return np.concatenate(list(picked))


@pytest.mark.parametrize("stored", ["<f4", "<f8", ">f4", "<i2"])
@pytest.mark.parametrize("chunks", [None, (5, 3)])
@pytest.mark.parametrize("genes", [GENES, np.arange(10)])
def test_pieces_of_a_gctx_are_its_blocks(gctx, matrix, stored, chunks, genes):
    reader = open_reader(gctx(matrix.astype(stored), chunks=chunks))
    assert (reader.flat() is not None) == (stored in {"<f4", "<f8"} and not chunks)
    for size in (1, 5, 100):
        actual = fetched(reader, genes, size)
        expected = np.concatenate(list(reader.read(genes, size)))
        np.testing.assert_array_equal(actual, expected)
        assert actual.dtype == expected.dtype


def test_a_matrix_behind_a_user_block_is_found(gctx_datasets, matrix, tmp_path: Path):
    with h5py.File(tmp_path / "m.gctx", "w", userblock_size=1024) as file:
        for name, values in gctx_datasets(matrix).items():
            file[name] = values
    reader = open_reader(tmp_path / "m.gctx")
    assert reader.flat() is not None
    np.testing.assert_array_equal(fetched(reader, GENES, 4), matrix[:, GENES])


def test_a_compact_matrix_is_read_by_hdf5(gctx, gctx_datasets, matrix):
    path = gctx(matrix)
    with h5py.File(path, "r+") as file:
        del file["0/DATA/0/matrix"]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_layout(h5py.h5d.COMPACT)
        space = h5py.h5s.create_simple(matrix.shape)
        kind = h5py.h5t.IEEE_F64LE
        made = h5py.h5d.create(file["0/DATA/0"].id, b"matrix", kind, space, properties)
        h5py.Dataset(made)[...] = matrix
    reader = open_reader(path)
    assert reader.flat() is None
    np.testing.assert_array_equal(fetched(reader, GENES, 6), matrix[:, GENES])


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("stored", ["<f4", ">f8", "<i4"])
@pytest.mark.parametrize("genes_first", [False, True])
def test_pieces_of_an_npy_are_its_blocks(npy, matrix, order, stored, genes_first):
    stored_matrix = (matrix.T if genes_first else matrix).astype(stored).copy(order)
    reader = open_reader(npy(stored_matrix, genes_first))
    profiles_lie_in_rows = (order == "C") != genes_first
    assert (reader.flat() is not None) == (profiles_lie_in_rows and stored == "<f4")
    np.testing.assert_array_equal(fetched(reader, GENES, 6), matrix.astype(stored)[:, GENES])


@pytest.mark.parametrize("value", [np.nan, np.inf, -666.0])
def test_a_missing_value_is_an_error_only_if_its_gene_is_requested(gctx, matrix, value):
    matrix[17, 3] = value
    reader = open_reader(gctx(matrix))
    np.testing.assert_array_equal(fetched(reader, GENES, 6), matrix[:, GENES])
    with pytest.raises(UserError) as by_pieces:
        fetched(reader, np.array([4, 3]), 6)
    with pytest.raises(UserError, match="profile 'profile17', gene 'gene3' is ") as by_blocks:
        list(reader.read(np.array([4, 3]), 6))
    assert str(by_pieces.value) == str(by_blocks.value)


def test_low_values_are_sound_but_for_the_code_of_missing_ones(npy, matrix):
    matrix[17, 4] = -667
    np.testing.assert_array_equal(fetched(open_reader(npy(matrix)), GENES, 6), matrix[:, GENES])
    matrix[17, 4] = -666
    with pytest.raises(UserError, match=r"profile 'profiles17', gene 'genes4' is -666: missing"):
        fetched(open_reader(npy(matrix)), GENES, 6)


def test_a_piece_can_be_fetched_again(gctx, matrix):
    reader = open_reader(gctx(matrix))
    with reader.pieces(GENES, 10) as pieces:
        first, second, _ = pieces
        values = first.fetch().pick().copy()
        second.fetch()
        np.testing.assert_array_equal(first.fetch().pick(), values)


def test_a_file_cut_short_while_it_is_read_is_an_error(gctx, matrix):
    reader = open_reader(gctx(matrix))
    flat = reader.flat()
    with reader.pieces(GENES, 10) as pieces:
        with flat.path.open("r+b") as file:
            file.truncate(flat.offset + 12 * matrix.strides[0] + 3)
        first, second, _ = pieces
        np.testing.assert_array_equal(first.fetch().pick(), matrix[:10, GENES])
        with pytest.raises(UserError, match=r"m\.gctx: the file ends within its matrix\. Fetch or"):
            second.fetch()


def test_a_replaced_file_is_an_error(gctx, npy, matrix):
    for make in (gctx, npy):
        reader = open_reader(make(matrix))
        path = make(matrix[:9])
        with pytest.raises(
            UserError, match=f"{path.name}: the file has changed since it was opened"
        ):
            fetched(reader, GENES, 4)


def test_a_read_error_of_the_system_is_one_line(gctx, matrix, monkeypatch):
    reader = open_reader(gctx(matrix))

    def fail(*arguments):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("genebench.formats.flat.FlatRows._fill", fail)
    with pytest.raises(UserError, match=r"m\.gctx: the file cannot be read \(Input/output error\)"):
        fetched(reader, GENES, 4)


class LogBlocks:
    """A class that changes the values of a reader in its blocks."""

    def blocks(self, genes, size=1024):
        for block in super().blocks(genes, size):
            yield np.log2(1 + block)


@pytest.mark.parametrize("kind", ["npy", "gctx"])
def test_a_subclass_that_changes_values_is_read_by_its_blocks(npy, gctx, matrix, kind):
    write, base = {"npy": (npy, NpyReader), "gctx": (gctx, GctxReader)}[kind]
    path = write(np.abs(matrix))

    class Direct(base):
        def blocks(self, genes, size=1024):
            for block in super().blocks(genes, size):
                yield np.log2(1 + block)

    class ByMixin(LogBlocks, base):
        pass

    class Derived(ByMixin):
        pass

    class Flat(base):
        """A stranger's reader that is read flat, unlike those derived from it."""

        def flat(self):
            return super().flat()

    class FromFlat(LogBlocks, Flat):
        pass

    for reader in (Direct(path), ByMixin(path), Derived(path), FromFlat(path)):
        assert reader.flat() is not None, "inherited, and not meant for this class"
        expected = np.log2(1 + np.abs(matrix))[:, GENES]
        np.testing.assert_array_equal(fetched(reader, GENES, 4), expected)


def test_a_subclass_that_leaves_values_alone_may_say_so_and_is_read_flat(npy, matrix, monkeypatch):
    class Renamed(NpyReader):
        def flat(self):
            return super().flat()

    class Forgetful(NpyReader):
        pass

    reads, read = [], FlatRows.read
    monkeypatch.setattr(FlatRows, "read", lambda *args: reads.append(args) or read(*args))
    path = npy(matrix)
    for reader, n_flat_reads in ((Renamed(path), 6), (Forgetful(path), 0), (NpyReader(path), 6)):
        reads.clear()
        np.testing.assert_array_equal(fetched(reader, GENES, 4), matrix[:, GENES])
        assert len(reads) == n_flat_reads


def test_unread_blocks_leave_no_file_open(gctx, matrix):
    reader = open_reader(gctx(matrix, chunks=(5, 3)))
    with reader.pieces(GENES, 5) as pieces:
        next(pieces)
    with h5py.File(reader.source, "r+") as file:  # HDF5 refuses where it is open to be read
        assert file


def bfloat16():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    return kind


def float_of_24_bits():
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(23, 15, 8, 0, 15)
    kind.set_precision(24)
    return kind


@pytest.mark.parametrize("kind", [bfloat16, float_of_24_bits])
def test_floats_of_other_precision_are_read_by_hdf5(gctx, matrix, kind):
    path = gctx(matrix)
    with h5py.File(path, "r+") as file:
        del file["0/DATA/0/matrix"]
        space = h5py.h5s.create_simple(matrix.shape)
        made = h5py.h5d.create(file["0/DATA/0"].id, b"matrix", kind(), space)
        h5py.Dataset(made)[...] = matrix
        assert h5py.Dataset(made).dtype == np.float32, "what h5py makes of it"
    reader = open_reader(path)
    np.testing.assert_allclose(fetched(reader, GENES, 6), matrix[:, GENES], rtol=0.01)
    np.testing.assert_array_equal(
        fetched(reader, GENES, 6), np.concatenate(list(reader.read(GENES)))
    )


@pytest.mark.parametrize("chunks", [None, (5, 3)])
def test_a_gctx_replaced_by_other_profiles_is_an_error(gctx, matrix, chunks):
    reader = open_reader(gctx(matrix, chunks=chunks))
    other = gctx(matrix[::-1], chunks=chunks)
    with pytest.raises(UserError, match=f"{other.name}: the file has changed since it was opened"):
        fetched(reader, GENES, 4)
    with pytest.raises(UserError, match=f"{other.name}: the file has changed since it was opened"):
        list(reader.read(GENES))


def test_a_deleted_file_is_one_line(npy, matrix):
    path = npy(matrix)
    reader = open_reader(path)
    path.unlink()
    with pytest.raises(UserError, match=r"m\.npy: the file cannot be read \(No such file"):
        fetched(reader, GENES, 4)


def test_threads_do_not_read_each_others_rows(npy):
    matrix = np.random.default_rng(0).normal(size=(3000, 300))
    reader = open_reader(npy(matrix))
    np.testing.assert_array_equal(fetched(reader, np.arange(300), 1), matrix)
