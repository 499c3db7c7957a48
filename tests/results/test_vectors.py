"""Vectors are read from .npz files as numpy reads them."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from genebench.results.untrusted import open_zip, read_arrays
from genebench.results.vectors import write_npz

VECTORS = {
    "gene-metric.mae": np.linspace(0, 1, 7),
    "gene.twin": np.array([True, False, True]),
    "gene.id": np.array(["ENSG1", "é", ""]),
    "of nothing": np.zeros(0),
    "gene-model.lambda": np.linspace(0, 1, 7).astype(np.float32),
    "gene-model.count": np.arange(7),
}


def read_npz(path, names=None, *, most=1 << 20):
    with path.open("rb") as stream, open_zip(stream) as archive:
        return read_arrays(archive, most, names)


def numpys(path):
    np.savez_compressed(path, **VECTORS)


def ours(path):
    with path.open("wb") as stream:
        write_npz(stream, VECTORS)


@pytest.fixture(params=[numpys, ours])
def path(tmp_path, request):
    path = tmp_path / "vectors.npz"
    request.param(path)
    return path


@pytest.mark.parametrize("name", VECTORS)
def test_an_array_is_the_one_that_numpy_reads(path, name):
    array = read_npz(path, {name})[name]
    with np.load(path) as arrays:
        np.testing.assert_array_equal(array, arrays[name], strict=True)
    assert array.flags.writeable


def test_all_are_read_unless_some_are_named(path):
    assert list(read_npz(path)) == list(VECTORS)
    assert list(read_npz(path, ["gene.id", "unknown"])) == ["gene.id"]


def test_what_hardly_shrinks_is_not_packed_and_the_rest_is(tmp_path):
    noise = np.random.default_rng(0).normal(size=5000)
    ids = np.array([f"ENSG{number:011d}" for number in range(5000)])
    with (tmp_path / "vectors.npz").open("wb") as stream:
        write_npz(stream, {"noise": noise, "ids": ids})
    with zipfile.ZipFile(tmp_path / "vectors.npz") as archive:
        how = {entry.filename: entry.compress_type for entry in archive.infolist()}
    assert how == {"noise.npy": zipfile.ZIP_STORED, "ids.npy": zipfile.ZIP_DEFLATED}


def test_equal_arrays_are_equal_bytes_on_every_day(tmp_path, monkeypatch):
    ours(tmp_path / "today.npz")
    monkeypatch.setattr("time.time", lambda: 2e9)
    ours(tmp_path / "later.npz")
    assert (tmp_path / "today.npz").read_bytes() == (tmp_path / "later.npz").read_bytes()


def test_objects_are_never_pickled(tmp_path):
    with (tmp_path / "objects.npz").open("wb") as stream, pytest.raises(ValueError, match="pickle"):
        write_npz(stream, {"harm": np.array([print], dtype=object)})


def test_a_digit_that_was_changed_is_found(tmp_path):
    path = tmp_path / "vectors.npz"
    noise = np.random.default_rng(0).normal(size=5000)
    with path.open("wb") as stream:
        write_npz(stream, {"noise": noise})
    content = bytearray(path.read_bytes())
    content[content.index(noise[2500].tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(zipfile.BadZipFile, match="CRC"):
        read_npz(path)


def test_too_much_is_refused_before_it_is_unpacked(path):
    with pytest.raises(ValueError, match="bytes of vectors"):
        read_npz(path, most=100)


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "objects.npz", harm=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="not one of numbers"):
        read_npz(tmp_path / "objects.npz")


def test_a_vector_shorter_than_its_header_says_is_an_error(path, tmp_path):
    with zipfile.ZipFile(path) as archive:
        content = archive.read("gene-metric.mae.npy")
    short = tmp_path / "short.npz"
    with zipfile.ZipFile(short, "w") as archive:
        archive.writestr("gene-metric.mae.npy", content[:-1])
    with pytest.raises(ValueError, match="has not as many bytes as its header says"):
        read_npz(short)
