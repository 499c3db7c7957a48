"""AnnData files: dense and sparse, as anndata writes them; bad ones get one line."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from genebench.errors import UserError
from genebench.formats.base import Content
from genebench.formats.opening import open_reader, write_matrix

MATRIX = np.array([[0, 1, 0, 2, 0], [0, 0, 0, 0, 0], [3, 0, 4, 0, 5]], dtype=np.float32)
GENES = ["NA", "001", "c", "d", "é"]
PROFILES = ["p", "q", "r"]


def texts(values):
    return np.array(values, dtype=h5py.string_dtype())


def table(group, index, **columns):
    group.attrs.update({"encoding-type": "dataframe", "_index": "names"})
    group["names"] = texts(index)
    for name, column in columns.items():
        group[name] = column


def sparse_x(file, matrix, kind="csr", **changes):
    packed = getattr(sparse, f"{kind}_matrix")(matrix)
    group = file.create_group("X")
    group.attrs.update({"encoding-type": f"{kind}_matrix", "shape": packed.shape})
    for name in ("data", "indices", "indptr"):
        group[name] = changes.get(name, getattr(packed, name))


@pytest.fixture
def make(tmp_path):
    """make(change): an AnnData file, dense, after change(file)."""

    def make(change=lambda file: None, x=MATRIX):
        path = tmp_path / "m.h5ad"
        with h5py.File(path, "w") as file:
            table(file.create_group("obs"), PROFILES)
            table(file.create_group("var"), GENES)
            if x is not None:
                file["X"] = x
            change(file)
        return path

    return make


def read(path, size=2, genes=(4, 0, 0, 3)):
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == GENES
    assert reader.profiles.index.tolist() == PROFILES
    blocks = list(reader.blocks(np.array(genes), size))
    assert all(0 < len(block) <= size for block in blocks)
    return np.concatenate(blocks)


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_blocks_are_the_matrix(make, kind, size):
    path = make() if kind == "dense" else make(lambda file: sparse_x(file, MATRIX, kind), x=None)
    values = read(path, size)
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, MATRIX[:, [4, 0, 0, 3]])

    reader, genes = open_reader(path), np.array([4, 0, 0, 3])
    assert (reader.flat() is not None) == (kind == "dense")
    with reader.pieces(genes, size) as pieces:
        actual = np.concatenate([piece.fetch().pick() for piece in pieces])
    np.testing.assert_array_equal(actual, values)


@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_counts_are_numbers_and_a_bad_value_is_named(make, kind):
    matrix = MATRIX.astype("f8")
    matrix[2, 4] = np.nan
    path = make(x=matrix) if kind == "dense" else make(lambda f: sparse_x(f, matrix, kind), x=None)
    assert read(path, genes=[0, 1]).dtype == np.float64
    with pytest.raises(UserError, match="profile 'r', gene 'é' is nan: missing"):
        read(path)


def test_columns_of_obs_describe_profiles(make):
    def change(file):
        obs = file["obs"]
        obs.attrs["column-order"] = texts(["tissue", "age", "batch"])
        obs["age"] = np.array([1.5, 2, 3])
        obs["tissue"] = texts(["a", "b", "c"])
        obs["matrix"] = np.zeros((3, 2))
        obs["short"] = np.zeros(2)
        batch = obs.create_group("batch")
        batch.attrs["encoding-type"] = "categorical"
        batch["codes"] = np.array([1, -1, 0], "i1")
        batch["categories"] = texts(["x", "y"])
        flag = obs.create_group("flag")
        flag.attrs["encoding-type"] = "nullable-integer"
        flag["values"] = np.array([1, 2, 3])
        flag["mask"] = np.array([False, True, False])
        old = obs.create_dataset("old", data=np.array([0, 0, 1], "i1"))
        obs["__categories/old"] = texts(["one", "two"])
        old.attrs["categories"] = obs["__categories/old"].ref

    profiles = open_reader(make(change)).profiles

    assert list(profiles)[:3] == ["tissue", "age", "batch"]
    assert sorted(profiles) == ["age", "batch", "flag", "old", "tissue"]
    assert profiles["batch"].fillna("-").tolist() == ["y", "-", "x"]
    assert profiles["flag"].isna().tolist() == [False, True, False]
    assert profiles["old"].tolist() == ["one", "one", "two"]


def replace(name, value):
    def change(file):
        del file[name]
        if value is not None:
            file[name] = value

    return change


def set_index(file):
    file["var"].attrs["_index"] = 3


def category(file):
    file["obs/b/codes"], file["obs/b/categories"] = np.array([0, 1, 2]), texts(["x"])
    file["obs/b"].attrs["encoding-type"] = "categorical"


def csr(**changes):
    def change(file):
        del file["X"]
        sparse_x(file, MATRIX, **changes)

    return change


def elsewhere(file):
    del file["X"]
    with h5py.File(f"{file.filename}.other", "w") as other:
        other["X"] = MATRIX
    file["X"] = h5py.ExternalLink(f"{file.filename}.other", "/X")


def hollow(file):
    del file["X"]
    file.create_dataset("X", (10**6, 10**6), "f4", chunks=(100, 100))


BAD = {
    "no obs": (replace("obs", None), "no group /obs"),
    "no var": (replace("var", None), "no group /var"),
    "old": (replace("obs", np.zeros(3, [("index", "S3")])), "before anndata 0.7"),
    "no index": (replace("var/names", None), "no dataset /var/names"),
    "index is no name": (set_index, "/var has no index"),
    "no X": (replace("X", None), "not an AnnData file: it has no dataset /X"),
    "text": (replace("X", MATRIX.astype("S")), "X holds .*, not numbers"),
    "transposed": (replace("X", MATRIX.T), r"shape \(5, 3\), .* 3 profiles \(obs\) × 5 genes"),
    "duplicates": (replace("obs/names", texts(list("aba"))), "1 repeated profile id: a"),
    "not UTF-8": (replace("obs/names", np.array([b"\xff", b"b", b"c"])), "not UTF-8"),
    "category": (category, "names a category that does not exist"),
    "elsewhere": (elsewhere, "stored in another file"),
    "hollow": (hollow, "claims shape"),
    "sparse, text": (csr(data=texts(["a"] * 5)), "X holds object, not numbers"),
    "sparse, bounds": (csr(indptr=np.array([0, 2, 2])), "indptr does not fit its shape"),
    "sparse, not whole": (csr(indices=np.zeros(5)), "indices are not whole numbers"),
    "sparse, back": (csr(indptr=np.array([0, 4, 2, 5])), "indptr does not fit its data"),
    "sparse, too far": (csr(indptr=np.array([0, 2, 2, 9])), "indptr does not fit its data"),
    "sparse, short": (csr(data=np.zeros(4)), "indptr does not fit its data"),
    "sparse, beyond": (csr(indices=np.array([1, 3, 0, 2, 5])), "index is beyond its shape"),
    "sparse, negative": (csr(indices=np.array([1, 3, 0, 2, -1])), "index is beyond its shape"),
    "by columns, beyond": (
        csr(kind="csc", indices=np.array([2, 0, 2, 0, 3])), "index is beyond its shape"
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_file(make, case):
    change, words = BAD[case]
    with pytest.raises(UserError, match=rf"m\.h5ad: .*{words}") as error:
        read(make(change))
    assert "\n" not in str(error.value)


def test_not_hdf5(tmp_path):
    (tmp_path / "m.h5ad").write_text("text")
    with pytest.raises(UserError, match="not an AnnData file: HDF5 cannot read it"):
        open_reader(tmp_path / "m.h5ad")


@pytest.mark.parametrize("kind", ["dense", "csr", "csc"])
def test_what_anndata_writes_is_read(tmp_path, kind):
    anndata = pytest.importorskip("anndata")
    x = MATRIX if kind == "dense" else getattr(sparse, f"{kind}_matrix")(MATRIX)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # anndata before 0.13 writes no text as pandas 3 has it, only as pandas 2 had.
        with pd.option_context("future.infer_string", False):
            obs = pd.DataFrame(
                {"tissue": pd.Categorical(["a", "b", "a"]), "age": [1.0, 2.0, 3.0]},
                index=pd.Index(PROFILES, dtype=object),
            )
            theirs = anndata.AnnData(x, obs, pd.DataFrame(index=pd.Index(GENES, dtype=object)))
            theirs.layers["counts"] = x
            theirs.write_h5ad(tmp_path / "m.h5ad")
    np.testing.assert_array_equal(read(tmp_path / "m.h5ad"), MATRIX[:, [4, 0, 0, 3]])
    profiles = open_reader(tmp_path / "m.h5ad").profiles
    assert profiles.to_dict("list") == {"tissue": ["a", "b", "a"], "age": [1, 2, 3]}


def test_anndata_reads_what_is_written(tmp_path):
    anndata = pytest.importorskip("anndata")
    profiles = pd.DataFrame({"series": ["x", "", "y"], "age": [1, 2, 3]}, index=PROFILES)
    genes = pd.DataFrame({"symbol": list("ABCDE")}, index=GENES)
    write_matrix(tmp_path / "m.h5ad", Content(genes, profiles, lambda: iter([MATRIX])))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = anndata.read_h5ad(tmp_path / "m.h5ad")
    np.testing.assert_array_equal(theirs.X, MATRIX)
    assert theirs.obs_names.tolist() == PROFILES
    assert theirs.obs.astype(str).to_dict("list") == {"series": ["x", "", "y"], "age": list("123")}
    assert theirs.var["symbol"].tolist() == list("ABCDE")


def layered(file):
    """Add a layer, a matrix set aside with one more gene, and a layer that is not its own."""
    file["layers/counts"] = MATRIX + 10
    table(file.create_group("raw/var"), [*GENES, "more"])
    file["raw/X"] = np.hstack([MATRIX, np.full((3, 1), 9.0, np.float32)])


@pytest.mark.parametrize("layer", ["counts", "layers/counts"])
def test_a_layer_is_read_in_place_of_x(make, layer):
    reader = open_reader(make(layered), layer=layer)
    np.testing.assert_array_equal(np.vstack(list(reader.blocks(np.arange(5)))), MATRIX + 10)


def test_raw_has_genes_of_its_own(make):
    reader = open_reader(make(layered), layer="raw")
    assert reader.gene_ids.tolist() == [*GENES, "more"]
    assert np.vstack(list(reader.blocks(np.array([5, 1]))))[:, 0].tolist() == [9, 9, 9]


def without_x(file):
    layered(file)
    del file["X"]


def two_raw(file):
    layered(file)
    file["layers/raw"] = MATRIX


LAYERS = {
    "unknown": (layered, "count", r"unknown layer 'count'\. Did you mean counts\?"),
    "none": (lambda _: None, "counts", r"unknown layer 'counts'\. Known: X"),
    "no X": (without_x, None, r'it has no X\. .*: layer = "counts" or layer = "raw"'),
    "two": (two_raw, "raw", r"layer 'raw' may be layers/raw or raw/X\. Write one"),
}


@pytest.mark.parametrize("case", LAYERS)
def test_a_layer_that_is_not_there_is_refused(make, case):
    change, layer, words = LAYERS[case]
    with pytest.raises(UserError, match=rf"m\.h5ad: {words}") as error:
        open_reader(make(change), **({"layer": layer} if layer else {}))
    assert "\n" not in str(error.value)


def test_formats_without_layers_refuse_to_choose_one(write):
    with pytest.raises(UserError, match="layer does not apply to delimited"):
        open_reader(write("m.tsv", "id\tA\ng\t1\n"), layer="counts")


def test_columns_that_cannot_be_read_are_skipped_with_a_note(make):
    def change(file):
        file["obs/age"] = np.array([1, 2, 3])
        file["obs"].create_group("odd").attrs["encoding-type"] = "awkward-array"
        file["obs/pairs"] = np.zeros((3, 2))

    reader = open_reader(make(change))
    assert list(reader.profiles) == ["age"]
    assert reader.notes == (
        "2 columns about profiles skipped, of a kind that is not read: odd, pairs",
    )


@pytest.mark.parametrize("kind", ["csr", "csc"])
def test_sparse_matrices_are_read_a_few_rows_or_columns_at_a_time(make, monkeypatch, kind):
    monkeypatch.setattr("genebench.formats.h5ad.SLAB_PROFILES", 2)
    monkeypatch.setattr("genebench.formats.h5ad._SPARSE_BYTES", 3 * 8 * 2)
    path = make(lambda file: sparse_x(file, MATRIX, kind), x=None)
    np.testing.assert_array_equal(read(path, 3), MATRIX[:, [4, 0, 0, 3]])


@pytest.mark.parametrize("with_missing", [False, True])
def test_nullable_text_of_todays_anndata_is_read(tmp_path, with_missing):
    anndata = pytest.importorskip("anndata")
    tissue = ["a", None if with_missing else "b", "a"]
    # This version of anndata writes text of numpy, not of Arrow.
    text = pd.StringDtype("python")
    stage = pd.Categorical(["x", "y", "x"], categories=pd.Index(["x", "y"], dtype=text))
    obs = pd.DataFrame(
        {"tissue": pd.array(tissue, text), "stage": stage}, index=pd.Index(PROFILES, dtype=text)
    )
    var = pd.DataFrame(index=pd.Index(GENES, dtype=text))
    with warnings.catch_warnings(), anndata.settings.override(allow_write_nullable_strings=True):
        warnings.simplefilter("ignore")
        anndata.AnnData(MATRIX, obs, var).write_h5ad(tmp_path / "m.h5ad")
    with h5py.File(tmp_path / "m.h5ad") as file:
        assert isinstance(file["obs/_index"], h5py.Group)  # or this test shows nothing
    np.testing.assert_array_equal(read(tmp_path / "m.h5ad"), MATRIX[:, [4, 0, 0, 3]])
    reader = open_reader(tmp_path / "m.h5ad")
    assert reader.notes == ()
    assert reader.profiles["tissue"].fillna("-").tolist() == [i or "-" for i in tissue]
    assert reader.profiles["stage"].tolist() == ["x", "y", "x"]


def test_a_missing_id_of_a_profile_is_refused(make):
    def change(file):
        del file["obs/names"]
        group = file["obs"].create_group("names")
        group.attrs["encoding-type"] = "nullable-string-array"
        group["values"], group["mask"] = texts(PROFILES), np.array([False, True, False])

    with pytest.raises(UserError, match=r"m\.h5ad: profile number 2 has an empty id"):
        open_reader(make(change))
