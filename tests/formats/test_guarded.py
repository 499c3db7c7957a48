"""Formats of plugins: whatever their code does is one line that names plugin and file."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from genebench.errors import UserError
from genebench.formats.opening import open_reader
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry

PLUGIN = """
import numpy as np, pandas as pd
import genebench
from genebench.formats.base import Reader
from genebench.specs import FormatSpec

genebench_contract = 1

@genebench.hookimpl
def genebench_formats():
    return [FormatSpec(name="lines", title="lines", suffixes=(".lines",),
                       reader="lines_format:Lines", writer="lines_format:write")]

class Lines(Reader):
    def __init__(self, path):
        self.source = str(path)
        self.values = np.array([line.split() for line in path.read_text().splitlines()], float)
        self.gene_ids = pd.Index([f"g{{i}}" for i in range(self.values.shape[1])])
        self.profiles = pd.DataFrame(index=[f"p{{i}}" for i in range(len(self.values))])
        {init}

    def blocks(self, genes, size=9):
        {blocks}
        for start in range(0, len(self.values), size):
            yield self.values[start : start + size, genes]

    {more}

def write(path, content):
    {write}
    with open(path, "w") as file:
        for block in content.blocks():
            for row in block:
                print(*row, file=file)
"""


@pytest.fixture
def lines(install, tmp_path) -> Iterator[Callable[..., Path]]:
    """lines(part=statement): install the format with a fault, and return a file of it."""

    def fresh() -> None:
        sys.modules.pop("lines_format", None)
        installed.cache_clear()
        registry.cache_clear()

    def lines(**faults: str) -> Path:
        parts = {"init": "pass", "blocks": "pass", "write": "pass", "more": ""} | faults
        install("lines_format", PLUGIN.format(**parts))
        fresh()
        path = tmp_path / "m.lines"
        path.write_text("1 2 3\n4 5 6\n")
        return path

    yield lines
    fresh()


def everything(reader) -> np.ndarray:
    return np.vstack(list(reader.read(np.arange(len(reader.gene_ids)))))


def test_a_sound_reader_is_read_as_it_is(lines):
    reader = open_reader(lines())
    assert reader.gene_ids.tolist() == ["g0", "g1", "g2"]
    assert everything(reader).tolist() == [[1, 2, 3], [4, 5, 6]]
    with reader.pieces(np.array([2, 0])) as pieces:
        assert [piece.fetch().pick().tolist() for piece in pieces] == [[[3, 1], [6, 4]]]


FAULTS = {
    "it raises when it is opened": ({"init": "1 / 0"}, "failed: ZeroDivisionError"),
    "it exits": ({"init": "raise SystemExit(0)"}, "failed: SystemExit: 0"),
    "its error has many lines": ({"init": "raise OSError('a\\nb')"}, "failed: OSError: a b"),
    "it is no reader": ({"more": "__new__ = lambda cls, path: 5"}, "is a int, not a genebench"),
    "it has no ids": ({"init": "del self.gene_ids"}, "failed: AttributeError: .*gene_ids"),
    "it has no table": ({"init": "self.profiles = 5"}, "has no profiles: a table with"),
    "columns repeat": (
        {"init": "self.profiles = pd.DataFrame([[1, 1], [2, 2]], columns=['a', 'a'])"},
        "has no profiles: a table with columns of different names",
    ),
    "it raises while it is read": ({"blocks": "1 / 0"}, "failed: ZeroDivisionError"),
    "it gives nothing": ({"blocks": "return"}, "returned 0 of 2 profiles"),
    "it gives lists": ({"blocks": "yield [[1.0]]"}, "gave a block of list, not an array"),
    "it gives texts": ({"blocks": "yield np.array([['a']])"}, "gave a block of <U1, not an array"),
    "it gives too much": ({"blocks": "yield np.ones((3, 3))"}, "gave a block of shape (3, 3)"),
    "it gives too few genes": ({"blocks": "yield np.ones((2, 2))"}, "gave a block of shape (2, 2)"),
    "it gives no end of nothing": ({"blocks": "yield np.ones((0, 3))"}, "block of shape (0, 3)"),
    "it lies about its place": (
        {"more": "def flat(self): return 5"},
        "has a flat matrix that is no (2, 3) of float32 or float64",
    ),
    "its own check fails": ({"more": "def is_sound(self, values): 1 / 0"}, "ZeroDivisionError"),
}  # fmt: skip


@pytest.mark.parametrize("case", FAULTS)
def test_a_fault_of_a_reader_is_one_line(genebench, lines, tmp_path, case):
    faults, words = FAULTS[case]
    path = lines(**faults)
    if "flat" in words:
        with pytest.raises(UserError) as error, open_reader(path).pieces(np.arange(3)):
            pass
        message = str(error.value)
    else:
        outcome = genebench("data", "convert", path, tmp_path / "out.tsv")
        assert (outcome.status, outcome.out) == (2, "")
        message = outcome.err
    assert message.strip().count("\n") == 0
    assert f"{path}: the reader of plugin lines_format" in message
    for word in words.split(".*"):
        assert word in message
    assert "Correct or uninstall the plugin." in message
    assert not (tmp_path / "out.tsv").exists()


@pytest.mark.parametrize("value", ["np.nan", "np.inf"])
def test_values_that_a_reader_leaves_unchecked_are_checked(genebench, lines, tmp_path, value):
    path = lines(init=f"self.values[1, 2] = {value}")
    outcome = genebench("data", "convert", path, tmp_path / "out.tsv")
    assert outcome.status == 2
    assert f"{path}: profile 'p1', gene 'g2' is {value.removeprefix('np.')}" in outcome.err


def test_a_mistake_of_the_user_is_not_blamed_on_the_plugin(genebench, lines, tmp_path):
    path = lines(init="raise self.fault('line 1 is odd. Correct it.')")
    outcome = genebench("data", "convert", path, tmp_path / "out.tsv")
    assert outcome.err == f"genebench: error: {path}: line 1 is odd. Correct it.\n"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("1 / 0", "failed: ZeroDivisionError"),
        ("raise SystemExit", "failed: SystemExit"),
        ("return", "wrote no such file"),
    ],
)
def test_a_fault_of_a_writer_is_one_line(genebench, lines, write, statement, words):
    lines(write=statement)
    source = write("in.tsv", "id\tA\ng\t1\n")
    out = source.with_name("out.lines")
    outcome = genebench("data", "convert", source, out)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert f"{out}: the writer of plugin lines_format (lines_format) {words}" in outcome.err
    assert not out.exists()


def test_a_full_disk_is_no_fault_of_the_plugin(genebench, lines, write, tmp_path):
    lines(write="raise OSError(28, 'No space left on device')")
    source = write("in.tsv", "id\tA\ng\t1\n")
    outcome = genebench("data", "convert", source, tmp_path / "out.lines")
    assert "no space left to write" in outcome.err
    assert "plugin" not in outcome.err
