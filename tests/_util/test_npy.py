"""Rows of matrices: written, hashed, and drafted in the place of final rows."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from genebench._util.npy import Drafts, Hashed, NpyWriter, read_rows

ROWS = np.random.default_rng(0).normal(size=(11, 5)).astype(np.float32)


@pytest.mark.parametrize("dtype", [np.uint16, np.uint32])
@pytest.mark.parametrize(
    ("lengths", "size", "blocks"),
    [([11], 4, [11]), ([4, 4, 3], 4, [4, 4, 3]), ([2, 1, 5, 3], 3, [3, 5, 3]), ([4, 7], 99, [11])],
)
def test_drafts_are_read_while_final_rows_replace_them(tmp_path, dtype, lengths, size, blocks):
    path = tmp_path / "m.npy"
    ranks = np.arange(55).reshape(ROWS.shape).astype(dtype)
    drafts = Drafts(path, ROWS.shape, np.float32)
    drafts.write(iter(np.split(ranks, np.cumsum(lengths)[:-1])))

    with path.open("r+b") as file, Hashed(file) as stream:
        writer = NpyWriter(stream, ROWS.shape, np.float32)
        rows = np.split(ROWS, np.cumsum(blocks)[:-1])
        for draft, block in zip(drafts.read(size), rows, strict=True):
            writer.append(block)
            np.testing.assert_array_equal(draft, ranks[: len(draft)])
            ranks = ranks[len(draft) :]
        writer.close()

    np.testing.assert_array_equal(np.load(path), ROWS)
    np.testing.assert_array_equal(np.concatenate(list(read_rows(path, 4))), ROWS)
    assert stream.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_drafts_larger_than_the_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="drafts of float64 are larger"):
        Drafts(tmp_path / "m.npy", (2, 3), np.float32).write([np.zeros((2, 3))])


def test_fewer_rows_than_declared_are_refused(tmp_path):
    with (tmp_path / "m.npy").open("wb") as file:
        writer = NpyWriter(file, ROWS.shape, np.float32)
        writer.append(ROWS[:3])
        with pytest.raises(ValueError, match="3 rows written, 11 declared"):
            writer.close()


def test_fewer_drafts_than_declared_are_refused_and_a_file_cut_short_is_noticed(tmp_path):
    drafts = Drafts(tmp_path / "m.npy", ROWS.shape, np.float32)
    with pytest.raises(ValueError, match="3 rows written, 11 declared"):
        drafts.write([ROWS[:3]])
    drafts = Drafts(tmp_path / "m.npy", ROWS.shape, np.float32)
    drafts.write([ROWS])
    with (tmp_path / "m.npy").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(OSError, match="cut short"):
        list(drafts.read(4))
