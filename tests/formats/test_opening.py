"""Which reader a file gets, and what is wrong with a file that no reader could take."""

from __future__ import annotations

import bz2
import errno
import gzip
import io
import lzma
import os
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from genebench.errors import UserError
from genebench.formats import files
from genebench.formats.files import check_readable
from genebench.formats.opening import open_reader


def test_unknown_format_lists_the_known_ones(write):
    with pytest.raises(UserError, match=r"m\.xyz: unknown format. .*\.gctx \.gct .*\.csv\.gz"):
        open_reader(write("m.xyz", "x"))


def test_missing_file_gets_near_misses(write):
    path = write("matrix.gct", "x")
    with pytest.raises(UserError, match=r"matrx\.gct: no such file\. Did you mean matrix\.gct\?"):
        open_reader(path.with_name("matrx.gct"))
    with pytest.raises(UserError, match=r"no such file\. There is no folder"):
        open_reader(path.parent / "nowhere" / "m.gct")


def test_directory_and_empty_file(write, tmp_path: Path):
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        open_reader(tmp_path / "folder.tsv")
    with pytest.raises(UserError, match="file is empty"):
        open_reader(write("m.tsv", b""))


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "m.tsv")
    # With a writer there is nothing to wait for: without the refusal this fails, not hangs.
    writer = os.open(tmp_path / "m.tsv", os.O_RDWR)
    try:
        os.write(writer, b"id\tA\ng\t1\n")
        with pytest.raises(UserError, match=r"m\.tsv: cannot be read: it is a pipe"):
            check_readable(tmp_path / "m.tsv")
    finally:
        os.close(writer)


LONG = "n" * 300


@pytest.mark.parametrize("name", [f"{LONG}.tsv", f"{LONG}/m.tsv", "loop.tsv", "file.txt/m.tsv"])
def test_paths_that_no_file_can_have_are_one_line(genebench, write, tmp_path, name):
    sound, path = write("file.txt", "id\tA\ng\t1\n"), tmp_path / name
    (tmp_path / "loop.tsv").symlink_to(tmp_path / "loop.tsv")
    for pair in ((path, tmp_path / "out.tsv"), (sound, path)):
        outcome = genebench("data", "convert", *pair)
        assert (outcome.status, outcome.err.count("\n")) == (2, 1)
        assert f"error: {path}: " in outcome.err
    assert (tmp_path / "loop.tsv").is_symlink()


def test_a_link_to_nowhere_is_not_replaced(genebench, write, tmp_path):
    (tmp_path / "out.tsv").symlink_to(tmp_path / "unplugged" / "out.tsv")
    sound = write("file.txt", "id\tA\ng\t1\n")
    outcome = genebench("data", "convert", sound, tmp_path / "out.tsv")
    assert "out.tsv: the file exists already" in outcome.err


def test_near_misses_need_a_folder_that_can_be_listed(write, monkeypatch):
    path = write("matrix.gct", "x")

    def refuse(_self):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(UserError, match=r"matrx\.gct: no such file\. Correct the path"):
        open_reader(path.with_name("matrx.gct"))


def test_file_without_permission(write, monkeypatch):
    path = write("m.tsv", "id\tA\ng\t1\n")

    def refuse(*_args, **_kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # superusers may read everything
    with pytest.raises(UserError, match="cannot be read: Permission denied"):
        open_reader(path)


TSV = b"id\tA\tB\ng1\t1\t2\ng2\t3\t4\n"
GCT = b"#1.2\n2\t2\nid\tDescription\tA\tB\ng1\tna\t1\t2\ng2\tna\t3\t4\n"
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def unpacked(path: Path) -> list[list[float]]:
    return np.vstack(list(open_reader(path).blocks(np.arange(2)))).tolist()


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize(("ending", "text"), [(".tsv", TSV), (".gct", GCT)])
@pytest.mark.parametrize("named", [True, False])
def test_packed_text_is_recognised_by_content(tmp_path, packing, ending, text, named):
    path = tmp_path / f"m{ending}{packing if named else ''}"
    path.write_bytes(PACK[packing](text))
    assert unpacked(path) == [[1, 3], [2, 4]]


@pytest.mark.parametrize("packing", ["", *PACK])
def test_text_that_is_only_named_as_packed_is_read(tmp_path, packing):
    (tmp_path / f"m.tsv{packing}").write_bytes(TSV)
    assert unpacked(tmp_path / f"m.tsv{packing}") == [[1, 3], [2, 4]]


@pytest.mark.parametrize("packing", PACK)
def test_packed_text_can_be_written(genebench, write, tmp_path, packing):
    source = write("m.tsv", TSV)
    assert genebench("data", "convert", source, tmp_path / f"n.csv{packing}").status == 0
    assert not (tmp_path / f"n.csv{packing}").read_bytes().startswith(b"id")
    assert unpacked(tmp_path / f"n.csv{packing}") == [[1, 3], [2, 4]]


@pytest.mark.parametrize("packing", PACK)
@pytest.mark.parametrize("damage", ["cut", "spoilt"])
def test_packed_text_that_is_damaged_is_refused(tmp_path, packing, damage):
    whole = PACK[packing](TSV + np.random.default_rng(0).bytes(2000).hex().encode())
    half = len(whole) // 2
    broken = whole[:half] if damage == "cut" else whole[:half] + bytes(40) + whole[half + 40 :]
    (tmp_path / "m.tsv").write_bytes(broken)
    with pytest.raises(UserError, match=r"m\.tsv: the \w+ file is (cut short|damaged)") as error:
        open_reader(tmp_path / "m.tsv")
    assert "\n" not in str(error.value)


def zipped(data: bytes) -> bytes:
    with zipfile.ZipFile(archive := io.BytesIO(), "w") as file:
        file.writestr("inner", data)
    return archive.getvalue()


ZSTD = b"\x28\xb5\x2f\xfd" + bytes(20)
COMMANDS = {
    ".gz": (gzip.compress, "gunzip -k"),
    ".bz2": (bz2.compress, "bunzip2 -k"),
    ".xz": (lzma.compress, "unxz -k"),
    ".zst": (lambda _: ZSTD, "zstd -d"),
    ".zip": (zipped, "unzip"),
}


@pytest.mark.parametrize("packing", COMMANDS)
@pytest.mark.parametrize("ending", ["gctx", "h5ad", "npy", "parquet"])
@pytest.mark.parametrize("named", [True, False])
def test_packed_binary_files_get_the_command_that_unpacks_them(tmp_path, packing, ending, named):
    pack, command = COMMANDS[packing]
    path = tmp_path / f"m.{ending}{packing if named else ''}"
    path.write_bytes(pack(b"content"))
    words = rf"{path.name}: a file packed with .*{command} m\.{ending}{packing}$"
    with pytest.raises(UserError, match=words) as error:
        open_reader(path)
    assert ("rename it to" in str(error.value)) != named


@pytest.mark.parametrize(("packing", "words"), [(".zip", "unzip"), (".zst", "zstandard.*zstd -d")])
def test_text_that_cannot_be_unpacked_here_gets_the_command(tmp_path, monkeypatch, packing, words):
    monkeypatch.setattr(files, "_ZSTD_MODULES", ("no_such_module",))
    (tmp_path / f"m.tsv{packing}").write_bytes(COMMANDS[packing][0](TSV))
    with pytest.raises(UserError, match=rf"m\.tsv{packing}: a file packed with .*{words} m\.tsv"):
        open_reader(tmp_path / f"m.tsv{packing}")


def test_zstd_is_read_where_a_library_is_installed(tmp_path, monkeypatch):
    library = SimpleNamespace(open=lambda *_: io.BytesIO(TSV))
    monkeypatch.setitem(sys.modules, "a_zstd_library", library)
    monkeypatch.setattr(files, "_ZSTD_MODULES", ("no_such_module", "a_zstd_library"))
    (tmp_path / "m.tsv.zst").write_bytes(ZSTD)
    assert unpacked(tmp_path / "m.tsv.zst") == [[1, 3], [2, 4]]


def test_a_workbook_gets_the_remedy(write):
    with pytest.raises(UserError, match=r"m\.xlsx: .*workbook of a spreadsheet. Save its sheet as"):
        open_reader(write("m.xlsx", b"PK"))


# Formats that plugins add, and content that decides


PLUGIN = """import numpy as np, pandas as pd
from genebench import hookimpl
from genebench.formats.base import Reader
from genebench.specs import FormatSpec
genebench_contract = 1

@hookimpl
def genebench_formats():
    return [FormatSpec(name="{name}", title="t", suffixes=("{suffix}",), reader="{name}:One",
                       recognise="{recognise}")]

def recognise(head):
    return head.startswith(b"!Series")

class One(Reader):
    def __init__(self, path):
        self.source, self.gene_ids = str(path), pd.Index(["g"])
        self.profiles = pd.DataFrame(index=["p"])

    def blocks(self, genes, size=9):
        yield np.ones((1, len(genes)))
"""


@pytest.mark.parametrize("recognise", ["", "looms:recognise"])
def test_a_plugin_may_read_files_that_genebench_only_names(write, plugin_file, recognise):
    plugin_file("looms", PLUGIN.format(name="looms", suffix=".loom", recognise=recognise))
    assert open_reader(write("m.loom", "!Series")).gene_ids.tolist() == ["g"]
    with pytest.raises(UserError, match="object of R"):
        open_reader(write("m.rds", "x"))
    if recognise:
        with pytest.raises(UserError, match="a loom file"):
            open_reader(write("m.loom", "x"))


def test_two_formats_that_recognise_a_file_are_both_named(write, plugin_file):
    plugin_file("mine", PLUGIN.format(name="mine", suffix=".txt", recognise="mine:recognise"))
    with pytest.raises(UserError, match=r"series-matrix \(plugin .*\) and mine \(plugin mine\)"):
        open_reader(write("m.txt", "!Series_title\n"))


def test_folders_name_the_way(write, tmp_path):
    (tmp_path / "a.zarr").mkdir()
    with pytest.raises(UserError, match="a file of several matrices"):
        open_reader(tmp_path / "a.zarr")
    write("GSM1_matrix.mtx", "x")
    with pytest.raises(UserError, match=r"a folder with GSM1_matrix\.mtx\. Name a file in it"):
        open_reader(tmp_path)


@pytest.mark.parametrize("name", ["m.tsv", "m.txt", "m.tsv.gz", "GSE1.gz", "m"])
@pytest.mark.parametrize("packed", [False, True])
def test_content_decides_on_a_series_matrix_of_any_name(write, name, packed):
    content = (
        b'!Series_geo_accession\t"GSE9"\n!series_matrix_table_begin\n"ID_REF"\t"A"\np\t1\n'
        b"!series_matrix_table_end\n"
    )
    reader = open_reader(write(name, gzip.compress(content) if packed else content))
    assert reader.profiles["series"].tolist() == ["GSE9"]
