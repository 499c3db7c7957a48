"""Files of gene after gene, turned: the same blocks in memory and by way of a file."""

from __future__ import annotations

import tempfile
import tracemalloc

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from genebench.datasets.export import convert
from genebench.errors import UserError
from genebench.formats import base, text
from genebench.formats.opening import open_reader, write_matrix

GENES = np.array([5, 0, 17, 5, 30])


def write_csc(path, values):
    """Write an AnnData file whose X is sparse by columns."""
    packed = sparse.csc_matrix(values)
    with h5py.File(path, "w") as file:
        for axis, length in zip(("obs", "var"), values.shape, strict=True):
            file[f"{axis}/_index"] = [f"{axis}{i}" for i in range(length)]
        group = file.create_group("X")
        group.attrs.update({"encoding-type": "csc_matrix", "shape": packed.shape})
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(packed, name)


@pytest.fixture
def matrix(tmp_path):
    """matrix(genes, profiles): values, and the path of a GCTX that holds their float32."""

    def matrix(genes, profiles):
        values = np.random.default_rng(1).normal(8, 3, (profiles, genes)).astype(np.float32)
        content = base.Content(
            pd.DataFrame(index=pd.Index([f"g{i}" for i in range(genes)])),
            pd.DataFrame(index=pd.Index([f"p{i}" for i in range(profiles)])),
            lambda: iter([values]),
        )
        write_matrix(tmp_path / "m.gctx", content)
        return values, tmp_path / "m.gctx"

    return matrix


@pytest.mark.parametrize("ending", ["tsv", "csv.gz", "gct", "npz", "csc", "parquet"])
@pytest.mark.parametrize("size", [1, 4, 100])
def test_values_are_the_same_through_a_temporary_file(matrix, tmp_path, monkeypatch, ending, size):
    values, path = matrix(31, 9)
    turned = "genes"
    if ending == "npz":  # what is written has profiles in rows
        path = tmp_path / "m.npz"
        genes, profiles = [f"g{i}" for i in range(31)], [f"p{i}" for i in range(9)]
        np.savez(path, matrix=values.T.copy(), genes=genes, profiles=profiles)
    elif ending == "csc":
        path = tmp_path / "m.h5ad"
        write_csc(path, values)
    elif ending == "parquet":
        pytest.importorskip("pyarrow")
        path, turned = tmp_path / "m.parquet", "profiles"
        table = pd.DataFrame(values, columns=[f"g{i}" for i in range(31)])
        table.assign(id=[f"p{i}" for i in range(9)]).to_parquet(path, row_group_size=4)
    else:
        convert(open_reader(path), tmp_path / f"m2.{ending}")
        path = tmp_path / f"m2.{ending}"
    monkeypatch.setattr(text, "_VALUES_AT_ONCE", 40)
    opened, real = [], tempfile.TemporaryFile
    monkeypatch.setattr(base.tempfile, "TemporaryFile", lambda: opened.append(1) or real())
    for bound in (base.IN_MEMORY_BYTES, 0):
        monkeypatch.setattr(base, "IN_MEMORY_BYTES", bound)
        blocks = list(open_reader(path, turned).blocks(GENES, size))
        assert max(map(len, blocks)) <= size
        np.testing.assert_array_equal(np.vstack(blocks), values[:, GENES])
    assert opened == [1]


def test_memory_is_bounded_with_a_temporary_file(matrix, tmp_path, monkeypatch):
    values, path = matrix(600, 900)
    convert(open_reader(path), tmp_path / "m.tsv")
    monkeypatch.setattr(text, "_VALUES_AT_ONCE", 9000)
    monkeypatch.setattr(base, "IN_MEMORY_BYTES", 0)
    reader, everything = open_reader(tmp_path / "m.tsv"), np.arange(600)
    tracemalloc.start()
    try:
        total = sum(float(block.sum()) for block in reader.blocks(everything, 64))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert total == pytest.approx(float(values.sum(dtype=np.float64)))
    assert peak < values.size * 8 / 2


def test_a_full_disk_is_one_line_with_the_folder(matrix, tmp_path, monkeypatch):
    _, path = matrix(31, 9)
    convert(open_reader(path), tmp_path / "m.tsv")

    class Full:
        def __enter__(self):
            raise OSError(28, "No space left on device")

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(base, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(base.tempfile, "TemporaryFile", Full)
    with pytest.raises(UserError, match=r"no space left to write\. Free some space, or set TMPDIR"):
        list(open_reader(tmp_path / "m.tsv").blocks(GENES))
