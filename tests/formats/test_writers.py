"""Every format written here reads back: same ids, same bits; on failure nothing is left."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator
from types import SimpleNamespace

import h5py
import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genebench.errors import UserError
from genebench.formats.base import Content
from genebench.formats.delimited import read_profiles
from genebench.formats.opening import open_reader, write_matrix
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry

FORMATS = (
    "gctx gct gct.gz tsv tsv.gz txt csv csv.gz npy npz h5ad parquet feather".split()  # noqa: SIM905
)
ARROW = ("parquet", "feather")
PROFILES = pd.DataFrame(
    {"series": ["GSE1", "NA", ""], "age": [1, 2, 3], "weight": [0.1, 2.0, 1e-7]},
    index=["001", "é", " x,\"y'"],
)
GENES = pd.DataFrame(index=["1-Mar", "NA", "100_at", "z"])


@pytest.fixture(params=FORMATS)
def suffix(request):
    if request.param in ARROW:
        pytest.importorskip("pyarrow")
    return request.param


def content(values=None, genes=GENES, profiles=PROFILES, size=2) -> Content:
    if values is None:
        values = np.random.default_rng(3).normal(8, 2, (len(profiles), len(genes)))

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, len(values), size):
            yield values[start : start + size]

    return Content(genes=genes, profiles=profiles, blocks=blocks)


def everything(reader, size=2):
    return np.concatenate(list(reader.blocks(np.arange(len(reader.gene_ids)), size)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_bit_comes_back(tmp_path, suffix, dtype):
    values = np.random.default_rng(3).normal(8, 2, (3, 4)).astype(dtype)
    values[0] = [0, -1e-30, 3e30, np.float32(0.1)]
    write_matrix(tmp_path / f"m.{suffix}", content(values))

    reader = open_reader(tmp_path / f"m.{suffix}")

    assert reader.gene_ids.tolist() == GENES.index.tolist()
    assert reader.profiles.index.tolist() == PROFILES.index.tolist()
    assert everything(reader).astype(dtype).tobytes() == values.tobytes()
    np.testing.assert_array_equal(everything(reader), values)


def test_the_profile_table_is_kept_in_the_file_or_beside_it(tmp_path, suffix):
    *others, matrix = write_matrix(tmp_path / f"m.{suffix}", content())

    table = open_reader(matrix).profiles
    if tmp_path / "m.profiles.tsv" in others:
        table = table.join(read_profiles(tmp_path / "m.profiles.tsv"))

    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        path.name for path in (*others, matrix)
    )
    assert table.index.tolist() == PROFILES.index.tolist()
    pd.testing.assert_frame_equal(
        table[list(PROFILES)].astype(str), PROFILES.astype(str), check_index_type=False
    )


def test_gene_annotations_do_not_get_in_the_way(tmp_path, suffix):
    genes = GENES.assign(symbol=["A", "", "C", "é"], probes=["1", "2", "3", "4"])
    write_matrix(tmp_path / f"m.{suffix}", content(genes=genes))
    reader = open_reader(tmp_path / f"m.{suffix}")
    assert reader.gene_ids.tolist() == GENES.index.tolist()
    np.testing.assert_array_equal(everything(reader), everything_of(content(genes=genes)))


def everything_of(original: Content):
    return np.concatenate(list(original.blocks()))


@pytest.mark.parametrize("shape", [(1, 2), (2, 1), (70, 600)])
def test_any_shape(tmp_path, suffix, shape):
    profiles = pd.DataFrame(index=[f"p{i}" for i in range(shape[0])])
    genes = pd.DataFrame(index=[f"g{i}" for i in range(shape[1])])
    original = content(genes=genes, profiles=profiles, size=32)
    write_matrix(tmp_path / f"m.{suffix}", original)
    np.testing.assert_array_equal(
        everything(open_reader(tmp_path / f"m.{suffix}"), 33), everything_of(original)
    )


def test_a_failure_leaves_nothing(tmp_path, suffix):
    def broken():
        yield np.zeros((2, 4), np.float32)
        raise UserError("the disk of the source broke")

    with pytest.raises(UserError, match="source broke"):
        write_matrix(tmp_path / f"m.{suffix}", Content(GENES, PROFILES, broken))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["gctx", "h5ad"])
def test_hdf5_is_not_begun_where_its_values_would_not_fit(tmp_path, monkeypatch, ending):
    values = np.random.default_rng(3).normal(8, 2, (3, 4000))
    genes = pd.DataFrame(index=[f"g{i}" for i in range(4000)])
    opened = []
    monkeypatch.setattr(
        shutil, "disk_usage", lambda folder: SimpleNamespace(free=values.nbytes, folder=folder)
    )
    monkeypatch.setattr(h5py, "File", lambda *arguments: opened.append(arguments))
    with pytest.raises(
        UserError, match=rf"m\.{ending}: not enough space .* 0\.1 MB are free\. "
    ) as error:
        write_matrix(tmp_path / f"m.{ending}", content(values, genes=genes))
    assert "\n" not in str(error.value)
    assert opened == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["gctx", "h5ad"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5000), (400, 60)])
def test_no_hdf5_file_is_larger_than_the_space_asked_for(tmp_path, monkeypatch, ending, shape):
    random = np.random.default_rng(3)
    values = random.integers(0, 255, (*shape, 4), dtype=np.uint8).view(np.float32)[..., 0]
    values[~np.isfinite(values)] = 0
    profiles = pd.DataFrame(
        {f"c{i}": [random.bytes(20).hex() for _ in range(shape[0])] for i in range(30)},
        index=[f"p{i}" for i in range(shape[0])],
    )
    genes = pd.DataFrame(index=[f"g{i}" for i in range(shape[1])])
    original = content(values, genes=genes, profiles=profiles)
    path, *_ = reversed(write_matrix(tmp_path / f"m.{ending}", original))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=path.stat().st_size))
    with pytest.raises(UserError, match="not enough space"):
        write_matrix(tmp_path / f"n.{ending}", original)


@pytest.mark.parametrize("bad", [-666, np.nan, np.inf])
def test_no_writer_emits_what_reads_as_missing(tmp_path, suffix, bad):
    values = np.ones((3, 4))
    values[2, 1] = bad
    named = f"profile {PROFILES.index[2]!r}, gene 'NA' is {bad:g}, which"
    with pytest.raises(UserError, match=re.escape(named)) as error:
        write_matrix(tmp_path / f"m.{suffix}", content(values))
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_what_a_run_left_that_was_killed_now_is_removed_by_the_next(tmp_path):
    kill = f"""
import os
from pathlib import Path
import numpy as np, pandas as pd
from genebench.formats.base import Content
from genebench.formats.opening import write_matrix

def blocks():
    yield np.ones((1, 2))
    os._exit(9)

table = pd.DataFrame(index=["a", "b"])
write_matrix(Path({str(tmp_path / "m.npy")!r}), Content(table, table, blocks))
"""
    assert subprocess.run([sys.executable, "-c", kill], check=False).returncode == 9
    assert [path.name[:7] for path in tmp_path.iterdir()] == [".m.npy."]
    write_matrix(tmp_path / "m.npy", content(profiles=PROFILES[[]]))
    assert {path.name for path in tmp_path.iterdir()} == {
        "m.npy", "m.genes.txt", "m.profiles.txt",
    }  # fmt: skip


def test_leftovers_of_a_killed_process_are_removed_and_nothing_else(tmp_path):
    left, young, another = (
        tmp_path / f".{name}.tmp" for name in ("m.npz.abc", "m.npz.def", "n.npz.abc")
    )
    swap = tmp_path / ".m.npz.swp"
    for path in (left, young, another):
        path.mkdir()
    swap.write_text("an editor's")
    for path in (left, another, swap):
        os.utime(path, (0, 0))
    write_matrix(tmp_path / "m.npz", content(profiles=PROFILES[[]]))
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"m.npz", young.name, another.name, swap.name}


def test_no_file_is_overwritten(tmp_path, suffix):
    path = tmp_path / f"m.{suffix}"
    path.write_text("mine")
    with pytest.raises(UserError, match="the file exists already"):
        write_matrix(path, content())
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_beside_it_is_not_overwritten_either(tmp_path):
    (tmp_path / "m.profiles.tsv").write_text("mine")
    with pytest.raises(UserError, match=r"m\.profiles\.tsv: the file exists already"):
        write_matrix(tmp_path / "m.tsv", content())
    assert [path.name for path in tmp_path.iterdir()] == ["m.profiles.tsv"]


@pytest.mark.parametrize("ending", ["gct", "tsv", "csv", "npy"])
@pytest.mark.parametrize("bad", ["a\nb", "a\r", "a\0b"])
def test_ids_that_cannot_be_held_are_refused(tmp_path, ending, bad):
    genes = pd.DataFrame(index=["g1", bad])
    with pytest.raises(UserError, match=rf"m\.{ending}") as error:
        write_matrix(tmp_path / f"m.{ending}", content(genes=genes))
    assert str(tmp_path / ".") not in str(error.value).replace(str(tmp_path / "m."), "")
    assert list(tmp_path.iterdir()) == []


def test_tabs_in_ids_need_quotes_which_gct_lacks(tmp_path):
    genes = pd.DataFrame(index=["g\t1", "g2"])
    write_matrix(tmp_path / "m.tsv", content(genes=genes))
    assert open_reader(tmp_path / "m.tsv").gene_ids.tolist() == ["g\t1", "g2"]
    with pytest.raises(UserError, match=r"m\.gct: 'g\\t1' holds a character"):
        write_matrix(tmp_path / "m.gct", content(genes=genes))


def test_a_profile_that_would_be_taken_for_an_annotation_is_refused(tmp_path):
    profiles = pd.DataFrame(index=["symbol", "b"])
    with pytest.raises(UserError, match=r"profile ids would not read back .*\(symbol\)"):
        write_matrix(tmp_path / "m.tsv", content(profiles=profiles))


@pytest.mark.parametrize("name", ["m.gctx", "m.h5ad"])
def test_a_column_whose_name_would_be_a_path_goes_beside(tmp_path, name):
    table = pd.DataFrame({"/0/DATA": ["a", "b", "c"], "x/y": [1, 2, 3]}, index=list("pqr"))
    beside, matrix = write_matrix(tmp_path / name, content(profiles=table))
    assert open_reader(matrix).profiles.columns.empty
    assert read_profiles(beside).columns.tolist() == ["/0/DATA", "x/y"]


def test_unknown_ends_and_missing_folders(tmp_path):
    with pytest.raises(UserError, match=r"unknown format\. End its name in one of"):
        write_matrix(tmp_path / "m.xyz", content())
    with pytest.raises(UserError, match="there is no folder"):
        write_matrix(tmp_path / "no" / "m.tsv", content())


def test_gctx_is_plain_hdf5_as_others_expect_it(tmp_path):
    values = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    write_matrix(tmp_path / "m.gctx", content(values, genes=GENES.assign(symbol=list("ABCD"))))
    with h5py.File(tmp_path / "m.gctx") as file:
        assert file.attrs["version"] == "GCTX1.0"
        matrix = file["0/DATA/0/matrix"]
        assert (matrix.dtype, matrix.compression, matrix.chunks) == ("f4", "gzip", (3, 4))
        np.testing.assert_array_equal(matrix[:], values)
        assert file["0/META/ROW/id"][0] == b"1-Mar"
        assert file["0/META/ROW/symbol"][:].tolist() == [b"A", b"B", b"C", b"D"]
        assert file["0/META/COL/id"][1].decode() == "é"
        assert file["0/META/COL/age"][:].tolist() == [1, 2, 3]


def test_gctx_opens_in_cmappy(tmp_path):
    parse = pytest.importorskip("cmapPy.pandasGEXpress.parse")
    values = np.random.default_rng(0).random((3, 4)).astype(np.float32)
    profiles = PROFILES.set_axis(list("pqr"))  # it reads no ids but those in ASCII
    write_matrix(tmp_path / "m.gctx", content(values, profiles=profiles))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = parse.parse(str(tmp_path / "m.gctx"))
    assert theirs.data_df.index.tolist() == GENES.index.tolist()
    assert theirs.data_df.columns.tolist() == list("pqr")
    np.testing.assert_array_equal(theirs.data_df.to_numpy().T, values)


def test_gct_says_which_version_it_is(tmp_path):
    plain = content(np.ones((3, 4), np.float32), profiles=PROFILES[[]])
    write_matrix(tmp_path / "a.gct", plain)
    lines = (tmp_path / "a.gct").read_text().splitlines()
    assert lines[:2] == ["#1.2", "4\t3"]
    assert lines[3] == "1-Mar\tna\t1.0\t1.0\t1.0"

    write_matrix(tmp_path / "b.gct", content(genes=GENES.assign(symbol=list("ABCD"))))
    lines = (tmp_path / "b.gct").read_text().splitlines()
    assert lines[:2] == ["#1.3", "4\t3\t1\t3"]
    assert lines[3] == "series\tna\tGSE1\tNA\t"
    assert lines[6].startswith("1-Mar\tA\t")


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        write_matrix(tmp_path / f"{name}.tsv.gz", content(profiles=PROFILES[[]]))
    assert (tmp_path / "a.tsv.gz").read_bytes() == (tmp_path / "b.tsv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.tsv.gz").read_bytes()).startswith(b"id\t001\t")


ids = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), ending=st.sampled_from(["gctx", "gct", "tsv", "csv.gz", "npz", "h5ad"]))
def test_any_ids_come_back_or_are_refused_in_one_line(tmp_path_factory, data, ending):
    genes = data.draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    profiles = data.draw(st.lists(ids, min_size=1, max_size=3, unique=True))
    given_ = content(genes=pd.DataFrame(index=genes), profiles=pd.DataFrame(index=profiles))
    path = tmp_path_factory.mktemp("any") / f"m.{ending}"
    try:
        write_matrix(path, given_)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
        assert list(path.parent.iterdir()) == []
        return
    reader = open_reader(path)
    assert reader.gene_ids.tolist() == genes
    assert reader.profiles.index.tolist() == profiles
    np.testing.assert_array_equal(everything(reader), everything_of(given_))


PLUGIN = """
    import numpy as np, pandas as pd
    import genebench
    from genebench.formats.base import Reader
    from genebench.specs import FormatSpec

    genebench_contract = 1

    @genebench.hookimpl
    def genebench_formats():
        return [FormatSpec(name="lines", title="one profile", suffixes=(".lines",),
                           reader="lines_format:Lines", extra={extra!r})]

    class Lines(Reader):
        def __init__(self, path):
            {statement}
            self.source = str(path)
            self.values = np.array(path.read_text().split(), float)
            self.gene_ids = pd.Index([f"g{{i}}" for i in range(len(self.values))])
            self.profiles = pd.DataFrame(index=["only"])

        def blocks(self, genes, size=9):
            yield self.values[None, genes]
"""


@pytest.fixture
def plugin(install) -> Iterator:
    def fresh():
        installed.cache_clear()
        registry.cache_clear()

    def with_plugin(statement="pass", extra=""):
        install("lines_format", PLUGIN.format(statement=statement, extra=extra))
        fresh()

    yield with_plugin
    fresh()


def test_a_plugin_can_add_a_format(plugin, tmp_path):
    plugin()
    (tmp_path / "m.lines").write_text("1 2 3")
    assert everything(open_reader(tmp_path / "m.lines")).tolist() == [[1, 2, 3]]
    with pytest.raises(UserError, match="lines files can be read, not written"):
        write_matrix(tmp_path / "n.lines", content())


def test_a_library_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.delitem(__import__("sys").modules, "genebench.formats.columnar", raising=False)
    (tmp_path / "m.parquet").write_text("PAR1")
    with pytest.raises(
        UserError, match=r"pyarrow, which is .*: pip install 'genebench-suite\[arrow\]'"
    ):
        open_reader(tmp_path / "m.parquet")
    with pytest.raises(UserError, match=r"pip install 'genebench-suite\[arrow\]'"):
        write_matrix(tmp_path / "n.feather", content())


@pytest.mark.parametrize(
    "name", ["x.h5ad.gz", "x.gctx.gz", "x.npz.xz", "x.tsv.zst", "x.tsv.zip", "x.tsv.gz.gz"]
)
def test_packings_that_no_writer_makes_are_refused(tmp_path, name):
    with pytest.raises(UserError, match="cannot be written packed in this way"):
        write_matrix(tmp_path / name, content())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ids", [["", "a", "b", "c"], ["a", "", "b", ""]])
def test_blank_ids_of_genes_stay_in_lists(tmp_path, ids):
    path = tmp_path / "m.npy"
    write_matrix(path, content(genes=pd.DataFrame(index=ids)))
    assert open_reader(path).gene_ids.tolist() == ids
    with (tmp_path / "m.profiles.txt").open("a") as file:
        file.write("\n\n")
    assert len(open_reader(path).profiles) == len(PROFILES)
