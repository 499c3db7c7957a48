"""What bad input gets: one line that names the fault, exit status 2, and a store as before.

A corpus of files that people really have, each prepared by the whole command; and files damaged
at random, which must be prepared or refused, nothing else.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from genebench.data.store import DataStore
from genebench.data.verification import changed_files
from genebench.datasets.export import convert
from genebench.datasets.manifest import read_manifest
from genebench.errors import UserError
from genebench.formats.opening import open_reader
from genebench.preprocessing.recipe import prepare

Files = Mapping[str, str | bytes]

SYMBOLS = ["MARCH1", "SEPT2", "DEC1", "TP53", "MYC", "EGFR"]
ENSEMBL = [f"ENSG0000000000{i}" for i in range(6)]
PROBES = [f"10{i}_at" for i in range(6)]
ARRAYS = [f"p{i}" for i in range(12)]
MANIFEST = """
name = "bad"
recipe = "dgex"
duplicates = "keep"  # six probes are too few to tell duplicates by

[genes]
landmarks = "lm.txt"
targets = "tg.txt"

[platforms.geo]
matrix = "geo.tsv"
ids = "probe"
profiles = "geo.csv"
group = "series"

[platforms.gtex]
matrix = "gtex.tsv"
ids = "symbol"
"""


def table(ids: list[str], profiles: list[str], values: np.ndarray, separator: str = "\t") -> str:
    rows = [
        ["id", *profiles],
        *([i, *map(repr, v)] for i, v in zip(ids, values.tolist(), strict=True)),
    ]
    return "".join(f"{separator.join(row)}\n" for row in rows)


def gct(ids: list[str], profiles: list[str], values: np.ndarray) -> str:
    head, *rows = (line.split("\t") for line in table(ids, profiles, values).splitlines())
    lines = [[head[0], "Description", *head[1:]], *([row[0], "na", *row[1:]] for row in rows)]
    body = "".join("\t".join(line) + "\n" for line in lines)
    return f"#1.2\n{len(ids)}\t{len(profiles)}\n{body}"


def gene_map(rows: slice) -> str:
    columns = (SYMBOLS[rows], ENSEMBL[rows], PROBES[rows])
    return "".join("\t".join(row) + "\n" for row in zip(*columns, strict=True))


LOG2 = np.random.default_rng(3).normal(np.arange(4.0, 10)[:, None], 0.6, (6, 12)).round(2)
RNA = np.random.default_rng(4).gamma(2, 3, (6, 4)).round(2)
GEO, GTEX = table(PROBES, ARRAYS, LOG2), table(SYMBOLS, list("wxyz"), RNA)
FILES: Files = {
    "bad.toml": MANIFEST,
    "lm.txt": gene_map(slice(3)),
    "tg.txt": gene_map(slice(3, None)),
    "geo.tsv": GEO,
    "geo.csv": "".join(f"{p},{s}\n" for p, s in [("id", "series"), *((p, "G1") for p in ARRAYS)]),
    "gtex.tsv": GTEX,
}


def write(folder: Path, files: Files) -> Path:
    """Write a compendium; return its manifest."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / "bad.toml"


def change(name: str, *pairs: tuple[str, str]) -> dict[str, str | bytes]:
    """A file of the compendium with some of its text replaced."""
    text = str(FILES[name])
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new, 1)
    return {name: text}


def matrix(platform: str, name: str, content: str | bytes, *more: tuple[str, str]) -> Files:
    """Another file for a platform, and what else that changes in the manifest."""
    return change("bad.toml", (f"{platform}.tsv", name), *more) | {name: content}


def cell(value: str) -> Files:
    """A cell of the RNA-seq matrix replaced."""
    return change("gtex.tsv", (str(RNA[3, 0]), value))


def renamed(*pairs: tuple[str, str]) -> Files:
    return change("gtex.tsv", *((f"\n{old}\t", f"\n{new}\t") for old, new in pairs))


@dataclass(frozen=True)
class Case:
    """Files that replace sound ones, and words of the one line that they must give."""

    files: Files
    words: tuple[str, ...] = field(default=())


def case(files: Files, *words: str) -> Case:
    return Case(files, words)


ENTREZ = GTEX
for number, symbol in enumerate(SYMBOLS, start=700):
    ENTREZ = ENTREZ.replace(f"\n{symbol}\t", f"\n{number}\t")
ALIASES = "".join(f"{i}\t{gene}\n" for i, gene in enumerate(ENSEMBL[:3] + SYMBOLS[3:], start=700))
WITH_ALIASES = ('targets = "tg.txt"', 'targets = "tg.txt"\naliases = "aliases.tsv"')
AS_ENTREZ = ('"symbol"', '"entrez"')

CORPUS = {
    # Numbers and ids that a spreadsheet, or a language, has changed.
    "an Excel date": case(
        renamed(("MARCH1", "1-Mar")),
        "gtex.tsv: 1 ids are dates, which a spreadsheet such as Excel made of symbols (1-Mar), and",
    ),
    "Excel dates of several kinds": case(
        renamed(("MARCH1", "Mar-01"), ("SEPT2", "2-Sep"), ("DEC1", "2001-12-01")),
        "3 ids are dates, which a spreadsheet such as Excel made of symbols (Mar-01, 2-Sep, 2001",
    ),
    "Excel dates by number": case(
        renamed(("MARCH1", "43160"), ("SEPT2", "43345")),
        "2 ids are dates, which a spreadsheet such as Excel made of symbols (43160, 43345), and",
    ),
    "Excel dates of America": case(
        renamed(("MARCH1", "3/1/2018")),
        "1 ids are dates, which a spreadsheet such as Excel made of symbols (3/1/2018), and",
    ),
    "the same Excel date twice": case(
        renamed(("MARCH1", "1-Mar"), ("TP53", "1-Mar")),
        "1 ids are dates, which a spreadsheet such as Excel made of symbols (1-Mar), and",
    ),
    "a decimal comma": case(cell("3,14"), "holds '3,14'", "decimal comma"),
    "a thousands separator": case(cell("1,234.5"), "'1,234.5'", "without thousands separators"),
    "thousands by an apostrophe": case(cell("1'234.5"), "without thousands separators"),
    "thousands and decimals of Europe": case(cell("1.234,5"), "without thousands separators"),
    "thousands in quotes of a CSV": case(
        matrix("gtex", "x.csv", GTEX.replace("\t", ",").replace(str(RNA[3, 0]), '"1,234.5"')),
        "x.csv: row 'TP53', column 'w' holds '1,234.5'", "without thousands separators",
    ),
    "decimal commas in a CSV": case(
        matrix("gtex", "x.csv", GTEX.replace("\t", ",").replace(str(RNA[3, 0]), "3,14")),
        "row 'TP53' has 6 cells, the header has 5", "its numbers have decimal commas",
    ),
    "semicolons in a CSV": case(
        matrix("gtex", "x.csv", GTEX.replace(".", ",").replace("\t", ";")), "separated by commas",
    ),
    "an error of a spreadsheet": case(cell("#DIV/0!"), "holds '#DIV/0!', not a finite number"),
    # Values that are not there, or no values.
    "nan": case(cell("nan"), "row 'TP53', column 'w' holds 'nan', not a finite number"),
    "infinity": case(cell("-inf"), "holds '-inf', not a finite number"),
    "overflow": case(cell("1e999"), "holds '1e999', not a finite number"),
    "an empty cell": case(cell(""), "holds '', not a finite number"),
    "digits of another script": case(cell("١٢"), "not a finite number"),
    "the code of GCTX in a TSV": case(
        cell("-666"), "row 'TP53', column 'w' holds '-666', the code for a missing value. Fill it",
    ),
    "the code of GCTX in a GCT": case(
        matrix("gtex", "x.gct", gct(SYMBOLS, list("wxyz"), RNA).replace(str(RNA[3, 0]), "-666.0")),
        "x.gct: row 'TP53', column 'w' holds '-666.0', the code for a missing value",
    ),
    "a code of others in RNA-seq": case(
        cell("-9999"), "profile 'w', gene 'ENSG00000000003' is -9999, a code for a missing value",
    ),
    "a code of others in arrays": case(
        change("geo.tsv", (f"\t{LOG2[3, 0]}\t", "\t-9999\t")),
        "gene 'ENSG00000000003' is -9999, which log2 expression cannot be (-30 to 30)",
    ),
    "a short code in arrays": case(
        change("geo.tsv", (f"\t{LOG2[3, 0]}\t", "\t-99\t")), "is -99, which log2 expression cannot",
    ),
    "a short code in RNA-seq": case(
        cell("-99"), "profile 'w', gene 'ENSG00000000003' is -99, a code for a missing value",
    ),
    "a code in one of four probes": case(
        {
            "lm.txt": gene_map(slice(3)).replace("100_at", "100_at,100b_at,100c_at,100d_at"),
            "geo.tsv": table(
                [*PROBES, "100b_at", "100c_at", "100d_at"], ARRAYS,
                np.vstack([LOG2, LOG2[:2], np.full((1, 12), -99)]),
            ),
        },
        "gene '100d_at' is -99, which no log2 level is",
    ),
    "a row cut short": case({"gtex.tsv": GTEX[:-9]}, "'EGFR' has 4 cells, the header has 5"),
    "no value at all": case({"gtex.tsv": "id\tw\tx\ty\tz\n"}, "there is no gene in it"),
    "too few profiles": case(
        {"gtex.tsv": table(SYMBOLS, ["w", "x"], RNA[:, :2])}, "2 profiles, but platform gtex needs",
    ),
    # Levels.
    "counts as arrays": case(
        {"geo.tsv": table(PROBES, ARRAYS, np.rint(2**LOG2))},
        "geo.tsv: these look raw counts", "values reach", 'level = "linear"', 'level = "any"',
    ),
    "linear arrays": case(
        {"geo.tsv": table(PROBES, ARRAYS, 2**LOG2)}, "these look linear, not log2 expression",
    ),
    "z-scores as arrays": case(
        {"geo.tsv": table(PROBES, ARRAYS, (LOG2 - LOG2.mean(1, keepdims=True)) / 0.6)},
        "geo.tsv: these look like z-scores", "interquartile", 'level = "any" in [platforms.geo]',
    ),
    "z-scores as RNA-seq": case(
        {"gtex.tsv": table(SYMBOLS, list("wxyz"), RNA - RNA.mean(1, keepdims=True))},
        "gtex.tsv: these look like z-scores", 'level = "any" in [platforms.gtex]',
    ),
    "log2 declared linear": case(
        change("bad.toml", ('ids = "probe"', 'ids = "probe"\nlevel = "linear"')),
        "declared linear, but these look logarithmic", 'Write level = "log2"',
    ),
    "linear, but negative": case(
        change("bad.toml", ('ids = "probe"', 'ids = "probe"\nlevel = "linear"'))
        | {"geo.tsv": table(PROBES, ARRAYS, 2**LOG2 - 20)},
        "declared linear, but profile 'p1', gene '",
    ),
    "a level that there is not": case(
        change("bad.toml", ('ids = "probe"', 'ids = "probe"\nlevel = "ln"')),
        "platforms.geo.level: must be 'log2', 'linear' or 'any', not 'ln'",
    ),
    # Ids of genes.
    "ids of another kind": case(
        change("bad.toml", ('ids = "symbol"', 'ids = "ensembl"')),
        'As symbol ids 6 would match. Write ids = "symbol"',
    ),
    "half Ensembl ids, half symbols": case(
        renamed(*zip(SYMBOLS[:3], ENSEMBL[:3], strict=True)),
        "ids of more than one kind: 3 genes are there by symbol id, 3 others by ensembl id",
    ),
    "ids that nobody knows": case(
        renamed(*((symbol, f"x{symbol}") for symbol in SYMBOLS)), "No other kind fits. Its ids",
    ),
    "Entrez ids for symbols": case(
        {"gtex.tsv": ENTREZ}, "look like Entrez ids (700, 701, 702, …)", 'Write ids = "entrez"',
    ),
    "row numbers of pandas": case(
        {"gtex.tsv": table([str(i) for i in range(6)], list("wxyz"), RNA)},
        "They number the rows (0, 1, 2, …), as pandas does", "Write the table again with the ids",
    ),
    "Entrez ids without aliases": case(
        change("bad.toml", AS_ENTREZ) | {"gtex.tsv": ENTREZ},
        "platforms.gtex.ids: the gene maps have no Entrez ids. Write aliases",
    ),
    "aliases of no gene": case(
        change("bad.toml", WITH_ALIASES) | {"aliases.tsv": "ENSG00000000001\t700\n"},
        "aliases.tsv: none of its genes is in the maps", "begins with 700",
    ),
    "an alias of two genes": case(
        change("bad.toml", WITH_ALIASES) | {"aliases.tsv": "700\tTP53\n700\tMYC\n"},
        "1 alias of more than one gene: 700. Keep one",
    ),
    "two aliases of a gene": case(
        change("bad.toml", AS_ENTREZ, WITH_ALIASES)
        | {"gtex.tsv": ENTREZ, "aliases.tsv": ALIASES.replace("701\t" + ENSEMBL[1], "701\tTP53")},
        "more than one row, by their aliases: 701, 703",
    ),
    "aliases of three columns": case(
        change("bad.toml", WITH_ALIASES) | {"aliases.tsv": "700\tTP53\tx\n"},
        "genes.aliases: ", "alias 1 has 3 tab-separated columns, not 2. Write alias, Ensembl id or",
    ),
    "a gene twice": case(
        renamed(("MYC", "TP53")), "1 symbol id of the maps with more than one row: TP53. Keep one",
    ),
    "a profile twice": case(change("gtex.tsv", ("\tx", "\tw")), "1 repeated profile id: "),
    "a version apart": case(
        change("bad.toml", ('"symbol"', '"ensembl"'))
        | renamed(("MARCH1", f"{ENSEMBL[3]}.1"), ("SEPT2", f"{ENSEMBL[3]}.2")),
        "2 Ensembl ids differ only in their version",
    ),
    "a transposed matrix": case(
        {"gtex.tsv": table(list("wxyz"), SYMBOLS, RNA.T)},
        'Its columns are genes (6 would match). Write orientation = "profiles"',
    ),
    "a gene map of two columns": case(
        {"tg.txt": "TP53\tENSG3\n"}, "genes.targets: ", "gene 1 has 2 tab-separated columns, not 3",
    ),
    "a gene map with commas": case(
        {"tg.txt": "TP53,ENSG3,103_at\n"}, "gene 1 has 1 tab-separated columns, not 3",
    ),
    "a gene map with a gene twice": case(
        {"tg.txt": gene_map(slice(3, None)) * 2}, "3 repeated gene ids",
    ),
    # Bytes.
    "an empty file": case({"gtex.tsv": ""}, "the file is empty"),
    "only blank lines": case({"gtex.tsv": "\n \n\r\n"}, "no profile column"),
    "Latin-1": case({"gtex.tsv": GTEX.replace("TP53", "Té").encode("latin-1")}, "not UTF-8 text"),
    "UTF-16": case({"gtex.tsv": GTEX.encode("utf-16")}, "not UTF-8 text"),
    "a lone quote": case(renamed(("MYC", '"MYC')), "bad quotes"),
    "binary": case({"gtex.tsv": GTEX.replace("MYC", "M\0C")}, "binary data, not text"),
    "not gzip": case(matrix("gtex", "x.tsv", b"") | {"x.tsv": b"\x1f\x8b\x08"}, "gzip file is cut"),
    "gzip by name only": case(
        change("bad.toml", ("gtex.tsv", "../bad.toml.gz")), "no such file",
    ),
    # Promises.
    "a GCT of absurd shape": case(
        matrix("gtex", "x.gct", f"#1.2\n{10**12}\t{10**12}\nid\td\tw\nTP53\tna\t1\n"),
        "the header states 1000000000000 profiles (columns), but names 1",
    ),
    "a GCT with too many genes": case(
        matrix("gtex", "x.gct", gct(SYMBOLS, list("wxyz"), RNA).replace("6\t4", f"{10**12}\t4")),
        "the header states 1000000000000 genes (rows), the body has 6",
    ),
    "a GCT with a count beyond numbers": case(
        matrix("gtex", "x.gct", f"#1.2\n{'9' * 5000}\t4\n"), "the second line is", "not 2 counts",
    ),
    "a GCT of no version": case(matrix("gtex", "x.gct", "#1.1\n"), "not a GCT file. It begins"),
    # Names that would become paths.
    "a dataset above the store": case(
        change("bad.toml", ('"bad"', '"../bad"')), "dataset name '../bad' is malformed",
    ),
    "an absolute dataset": case(
        change("bad.toml", ('"bad"', '"/tmp/bad"')), "dataset name '/tmp/bad' is malformed",
    ),
    "a platform above its dataset": case(
        change("bad.toml", ("platforms.gtex", 'platforms."../gtex"')), "platform name '../gtex'",
    ),
    "a platform called as a folder of the store": case(
        change("bad.toml", ("platforms.gtex", 'platforms."."')), "platform name '.' is malformed",
    ),
    "a path with a NUL": case(
        change("bad.toml", ("gtex.tsv", "gtex\\u0000.tsv")), "platforms.gtex.matrix: ", "null byte",
    ),
    "a path too long": case(
        change("bad.toml", ("gtex.tsv", "x" * 500)), "cannot be read: File name too long",
    ),
    "a folder for a file": case(change("bad.toml", ("gtex.tsv", ".")), "cannot be read: Is a dir"),
    # The manifest.
    "no TOML": case({"bad.toml": "name: bad\n"}, "bad.toml: not TOML: "),
    "no UTF-8": case({"bad.toml": MANIFEST.encode("utf-16")}, "bad.toml: not TOML: "),
    "an unknown key": case(change("bad.toml", ("ids", "id")), "unknown key 'id'. Did you mean"),
    "a platform that is text": case(
        {"bad.toml": MANIFEST.partition("[platforms")[0] + '[platforms]\ngeo = "geo.tsv"\n'},
        "platforms.geo: must be a table",
    ),
    "no platform": case({"bad.toml": MANIFEST.partition("[platforms")[0]}, "platforms: this key"),
    "an unknown format": case(matrix("gtex", "x.xyz", b"PK"), "unknown format. End its name in"),
    "a workbook": case(matrix("gtex", "x.xlsx", b"PK"), "a workbook of a spreadsheet. Save its"),
    # The table of profiles.
    "a profile that the table lacks": case(
        change("geo.csv", ("p3,G1\n", "")), "1 of the 12 profiles", "are missing: 'p3'. Add a row",
    ),
    "profiles with another spelling": case(
        change("geo.csv", ("p3,G1", "P.3,G1")), "1 of the 12 profiles", "are missing: 'p3'. ",
        "The table has 'P.3' where the matrix has 'p3'. Write the ids in the same way in both",
    ),
    "profiles with other names": case(
        change("geo.csv", ("p3,G1", "q3,G1")), "'p3'. The table has others: 'q3'. Add a row",
    ),
    "a profile table that only has row numbers": case(
        {"geo.csv": "id,series\n" + "".join(f"{row},G1\n" for row in range(12))},
        "Its first column has whole numbers (0, 1, 2, …), and no column has ids of the matrix",
    ),
    "a ragged table": case(change("geo.csv", ("p3,G1", "p3,G1,x")), "row 'p3' has 3 cells"),
    "a table with a profile twice": case(change("geo.csv", ("p3", "p4")), "1 repeated profile id"),
}  # fmt: skip


def turned(folder: Path, name: str) -> Files:
    """The RNA-seq of the corpus with genes for profiles, in the format that ``name`` says."""
    write(folder, {"turned.tsv": table(list("wxyz"), SYMBOLS, RNA.T)})
    *others, path = convert(open_reader(folder / "turned.tsv"), folder / name)
    paths = [path, *others, *folder.glob(f"{path.stem}.*.txt")]
    return change("bad.toml", ("gtex.tsv", name)) | {path.name: path.read_bytes() for path in paths}


@pytest.mark.parametrize("ending", ["gct", "gctx", "h5ad", "npy", "npz"])
def test_the_advice_for_a_transposed_file_of_fixed_orientation_works(
    prepare_files, genebench, tmp_path, ending
):
    files, folder = turned(tmp_path, f"x.{ending}"), tmp_path / "given"
    refused = prepare_files(files)
    assert refused.status == 2
    for words in ("Its columns are genes (6 would match)", "(genebench data convert)", "TSV"):
        assert words in refused.err
    changed = change("bad.toml", ("gtex.tsv", f"x.{ending}"), TURNED)
    assert "genebench data convert" in prepare_files(files | changed).err
    assert genebench("data", "convert", folder / f"x.{ending}", folder / "new.tsv").status == 0
    assert prepare_files(change("bad.toml", ("gtex.tsv", "new.tsv"), TURNED)).status == 0


@pytest.mark.parametrize("ending", ["tsv", "csv", "parquet", "feather"])
def test_a_table_transposed_by_mistake_gets_the_advice_to_undo_it(prepare_files, tmp_path, ending):
    if ending in {"parquet", "feather"}:
        pytest.importorskip("pyarrow")
    write(tmp_path, {"rna.tsv": GTEX})
    path = convert(open_reader(tmp_path / "rna.tsv"), tmp_path / f"x.{ending}")[-1]
    manifest = change("bad.toml", ("gtex.tsv", path.name), TURNED)
    outcome = prepare_files(manifest | {path.name: path.read_bytes()})
    assert 'Its columns are genes (6 would match). Write orientation = "genes"' in outcome.err


def contents(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*"))


@pytest.fixture
def prepare_files(genebench, tmp_path, monkeypatch) -> Callable[[Files], object]:
    """prepare_files(files): the command, on a sound compendium with these files replaced."""
    home, folder = tmp_path / "home", tmp_path / "given"
    home.mkdir()
    folder.mkdir()
    monkeypatch.setenv("GENEBENCH_HOME", str(home))
    return lambda files: genebench("data", "prepare", "-q", write(folder, {**FILES, **files}))


@pytest.mark.parametrize("name", CORPUS)
def test_bad_input_gets_one_line_and_leaves_nothing(prepare_files, tmp_path, name):
    outcome = prepare_files(CORPUS[name].files)
    assert outcome.status == 2, outcome
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1, outcome.err
    assert len(outcome.err) < 1200
    assert "Traceback" not in outcome.err
    for words in CORPUS[name].words:
        assert words in outcome.err
    assert [path for path in contents(tmp_path / "home") if path.name != "datasets"] == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "home"]


def test_bad_input_leaves_a_dataset_that_is_there_as_it_is(prepare_files, tmp_path):
    assert prepare_files({}).status == 0
    before = contents(tmp_path / "home")
    assert prepare_files(cell("nan")).status == 2
    assert contents(tmp_path / "home") == before
    store = DataStore(tmp_path / "home")
    assert changed_files(store.open("bad")) == []


TURNED = ('ids = "symbol"', 'ids = "symbol"\norientation = "profiles"')
SAME = {
    "Windows line ends": {name: str(text).replace("\n", "\r\n") for name, text in FILES.items()},
    "a byte order mark": {f: f"\ufeff{text}" for f, text in FILES.items() if "toml" not in f},
    "blank lines": {"gtex.tsv": GTEX.replace("\n", "\n\n")},
    "CSV": matrix("gtex", "x.csv", GTEX.replace("\t", ",")),
    "gzip": matrix("gtex", "x.tsv.gz", GTEX),
    "GCT": matrix("gtex", "x.gct", gct(SYMBOLS, list("wxyz"), RNA)),
    "turned, and told so": change("bad.toml", TURNED)
    | {"gtex.tsv": table(list("wxyz"), SYMBOLS, RNA.T)},
    "Entrez ids": change("bad.toml", AS_ENTREZ, WITH_ALIASES)
    | {"gtex.tsv": ENTREZ, "aliases.tsv": ALIASES + "9\tUNKNOWN\n"},
    "outdated symbols": change("bad.toml", WITH_ALIASES)
    | renamed(("TP53", "P53"), ("MARCH1", "1-Mar"))
    | {"aliases.tsv": f"P53\tTP53\nP53\t{ENSEMBL[3]}\n1-Mar\tMARCH1\nMYC\tTP53\n"},
    "half Ensembl ids, told so": change("bad.toml", WITH_ALIASES)
    | renamed(("TP53", ENSEMBL[3]))
    | {"aliases.tsv": f"{ENSEMBL[3]}\t{ENSEMBL[3]}\n"},
    "aliases with empty cells": change("bad.toml", AS_ENTREZ, WITH_ALIASES)
    | {"gtex.tsv": ENTREZ, "aliases.tsv": f"{ALIASES}\tTP53\n\tMYC\n9\t\n \t \n"},
    "repeated symbols that no map names": {
        "gtex.tsv": GTEX + "Y_RNA\t1\t2\t3\t4\nY_RNA\t5\t6\t7\t8\n",
    },
    "rows without a symbol": {"gtex.tsv": GTEX + "\t1\t2\t3\t4\n\t5\t6\t7\t8\n"},
    "versions of genes that no map names": change("bad.toml", ('"symbol"', '"ensembl"'))
    | {
        "gtex.tsv": table([*ENSEMBL, "ENSG9.1", "ENSG9.2"], list("wxyz"), np.vstack([RNA, RNA[:2]]))
    },
    "repeated genes in columns": change("bad.toml", TURNED)
    | {
        "gtex.tsv": table(
            list("wxyz"), [*SYMBOLS, "Y_RNA", "Y_RNA", ""], np.hstack([RNA.T, RNA.T[:, :3]])
        )
    },
    "an Excel date that no gene needs": {"gtex.tsv": GTEX + "1-Mar\t1\t2\t3\t4\n"},
    "any level of what is right": change(
        "bad.toml", ('"probe"', '"probe"\nlevel = "any"'), ('"symbol"', '"symbol"\nlevel = "any"')
    ),
    "RNA-seq on another scale": {"gtex.tsv": table(SYMBOLS, list("wxyz"), np.log2(RNA + 1))},
    "RNA-seq declared linear": change("bad.toml", ('"symbol"', '"symbol"\nlevel = "linear"')),
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
def test_harmless_oddities_give_the_same_dataset(prepare_files, tmp_path, name):
    digests = []
    for files in ({}, SAME[name]):
        outcome = prepare_files(files)
        assert (outcome.status, outcome.err) == (0, "")
        digests.append(DataStore(tmp_path / "home").open("bad").digest)
    assert digests[0] == digests[1]


def test_rows_that_no_map_names_are_counted(prepare_files, genebench, tmp_path):
    more = "Y_RNA\t1\t2\t3\t4\n" * 2 + "7SK\t1\t2\t3\t4\n" * 3 + "\t1\t2\t3\t4\n"
    assert prepare_files({"gtex.tsv": GTEX + more}).status == 0
    shown = genebench("data", "info", "bad").out
    assert "gtex: 5 rows left out whose id repeats and is in no map: Y_RNA, 7SK\n" in shown
    assert "gtex: 1 row left out without an id\n" in shown
    assert not any("left out" in line for line in shown.splitlines() if line.startswith("geo: "))
    shown = genebench("data", "prepare", "--force", tmp_path / "given" / "bad.toml").out
    assert "gtex: 5 rows left out" in shown


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_a_gene_that_is_stored_as_text_is_refused_and_not_reported_as_missing(
    prepare_files, tmp_path, ending
):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(RNA.T, columns=SYMBOLS, index=list("wxyz"))
    frame = frame.assign(TP53=frame["TP53"].astype(str), tissue="brain")
    path = tmp_path / f"x.{ending}"
    frame.to_parquet(path) if ending == "parquet" else frame.to_feather(path)
    files = change("bad.toml", ("gtex.tsv", path.name), TURNED) | {path.name: path.read_bytes()}
    outcome = prepare_files(files)
    path.unlink()
    assert outcome.status == 2
    words = (
        f"{path.name}: column 'TP53' is a gene of the maps, but holds no numbers. This is so of 1"
    )
    assert words in outcome.err


def test_linear_arrays_become_log2_with_level_linear(prepare_files, tmp_path):
    changed = change("bad.toml", ('ids = "probe"', 'ids = "probe"\nlevel = "linear"'))
    assert prepare_files({}).status == 0
    expected = np.array(DataStore(tmp_path / "home").open("bad").expression("geo"))
    assert prepare_files(changed | {"geo.tsv": table(PROBES, ARRAYS, 2**LOG2 - 1)}).status == 0
    dataset = DataStore(tmp_path / "home").open("bad")
    np.testing.assert_allclose(dataset.expression("geo"), expected, rtol=1e-6)
    assert dataset.info["platforms"]["geo"]["level"] == "linear"


def test_ids_never_become_paths(prepare_files, tmp_path):
    ids = ["../x", "/etc/x", "C:\\x", "con", ".", "a/../../b"]
    files = {
        "lm.txt": "".join(f"{i}\t{i}\t{i}\n" for i in ids[:3]),
        "tg.txt": "".join(f"{i}\t{i}\t{i}\n" for i in ids[3:]),
        "geo.tsv": table(ids, [f"../{p}" for p in ARRAYS], LOG2),
        "geo.csv": str(FILES["geo.csv"]).replace("\np", "\n../p"),
        "gtex.tsv": table(ids, ["..", "/", "~", "$HOME"], RNA),
    }
    assert prepare_files(files).status == 0
    names = {path.name for path in contents(tmp_path) if "home" in path.parts}
    dataset = DataStore(tmp_path / "home").open("bad")
    assert dataset.target_genes.index.tolist() == ids[3:]
    assert dataset.profile_table("gtex").index.tolist() == ["..", "/", "~", "$HOME"]
    # The quantiles of the split by groups, whose name ends in a hash of its training profiles.
    names = {name for name in names if not name.startswith("reference.group-")}
    assert names <= {
        "home", "datasets", "bad", "current", dataset.digest, "geo", "gtex", "SHA256SUMS",
        "dataset.json", "landmark_genes.tsv", "target_genes.tsv", "profiles.tsv",
        *(f"{stem}{end}.npy" for stem in ("reference", "mean", "std") for end in ("", ".train")),
        "expression.npy", "cache", ".lock", ".bad.lock",
    }  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["given", "home"]


@pytest.mark.parametrize("filling", ["x", "x\t0\n"])
def test_a_gzip_bomb_is_refused_in_bounded_memory(prepare_files, tmp_path, filling):
    bomb = gzip.compress(b"id\tw\tx\ty\n" + filling.encode() * ((80 << 20) // len(filling)))
    assert len(bomb) < 1 << 20
    files = matrix("gtex", "x.tsv", b"", ("x.tsv", "bomb.tsv.gz"))
    (tmp_path / "given" / "bomb.tsv.gz").write_bytes(bomb)
    tracemalloc.start()
    try:
        outcome = prepare_files(files)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert outcome.status == 2
    assert "bomb.tsv.gz: " in outcome.err
    assert peak < 512 << 20


NASTY = [
    *(b"\t", b"\n", b"\r", b",", b'"', b"'", b" ", b"#", b";", b"=", b"[", b"]", b"\\", b"."),
    *(b"\0", b"\xff", b"\xc3", b"\xef\xbb\xbf", "é".encode(), "\u0661".encode(), b"\x0b", b"\x85"),
    *(b"nan", b"-inf", b"1e999", b"-1", b"1,5", b"1_0", b"0x1", b"1e", b"NA", b"99999999999999999"),
    *(b"#1.2\n", b"#1.3\n", b'""', b'"""', b"1-Mar", b"../", b"true", b"{}", b"[]", b"1979-05-27"),
]
GCT_1_3 = f"#1.3\n6\t4\t1\t2\n{gct(SYMBOLS, list('wxyz'), RNA).split(chr(10), 2)[2]}".replace(
    "\nMARCH1", "\nage\t\t1\t2\t3\t4\nsex\tna\tm\tf\tm\tf\nMARCH1"
)
TEXTS = {
    "gtex.tsv": {"gtex.tsv": GTEX},
    "x.csv": matrix("gtex", "x.csv", GTEX.replace("\t", ",")),
    "x.gct": matrix("gtex", "x.gct", gct(SYMBOLS, list("wxyz"), RNA)),
    "y.gct": matrix("gtex", "y.gct", GCT_1_3),
    "turned.tsv": matrix("gtex", "turned.tsv", table(list("wxyz"), SYMBOLS, RNA.T), TURNED),
    "tg.txt": {},
    "geo.csv": {},
    "aliases.tsv": change("bad.toml", AS_ENTREZ, WITH_ALIASES)
    | {"gtex.tsv": ENTREZ, "aliases.tsv": ALIASES},
    "bad.toml": {},
}  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """A file with some pieces cut out, doubled, moved or replaced by nasty ones."""
    data = sound
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + draw(st.sampled_from([1, 8, 80])))))
        piece = draw(
            st.one_of(st.sampled_from(NASTY), st.binary(max_size=4), st.just(data[start:stop] * 2))
        )
        data = data[:start] + piece + data[stop:]
    return data


@pytest.mark.parametrize("name", TEXTS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_damaged_text_is_prepared_or_refused(name, data):
    files = {**FILES, **TEXTS[name]}
    sound = str(files[name]).encode()
    files[name] = data.draw(damaged(sound))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        manifest = write(folder, files)
        store = DataStore(folder / "home")
        try:
            dataset = prepare(read_manifest(manifest), store=store)
        except UserError:
            assert contents(store.root) == []
        else:
            assert changed_files(dataset) == []
            assert store.names() == [dataset.name]
            json.dumps(dataset.info, allow_nan=False)
