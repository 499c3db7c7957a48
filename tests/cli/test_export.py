"""``genebench data export`` and ``genebench data convert``."""

from __future__ import annotations

import numpy as np
import pytest

from genebench.formats.opening import open_reader
from genebench.protocols import GEO, GEO_SERIES, GEO_SERIES_STRICT, GEO_STRICT, GTEX_STRICT

TSV = "id\tA\tB\ng1\t1\t2\ng2\t3\t4\ng3\t5\t6\n"


def test_export_says_what_it_wrote(genebench, tiny, tmp_path):
    done = genebench("data", "export", tiny.name, "geo/test", tmp_path / "out.tsv")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"wrote {tmp_path / 'out.tsv'}",
        f"  and {tmp_path / 'out.profiles.tsv'}",
    ]
    assert (tmp_path / "out.tsv").read_text().startswith("id\tsymbol\t")


def test_export_can_be_quiet(genebench, tiny, tmp_path):
    done = genebench(
        "data", "export", tiny.name, "gtex", tmp_path / "out.npz",
        "--genes", "targets", "--values", "standardised", "-q",
    )  # fmt: skip
    assert (done.status, done.out, done.err) == (0, "", "")


@pytest.mark.parametrize("role", ["train", "validation", "test"])
@pytest.mark.parametrize(
    "spec",
    [GEO, GEO_SERIES, GEO_STRICT, GTEX_STRICT, GEO_SERIES_STRICT],
    ids=lambda spec: spec.name,
)
def test_export_writes_parts_of_protocols_in_their_split_and_units(
    genebench, tiny, tmp_path, spec, role
):
    command = ("data", "export", tiny.name, role)
    for values in ("standardised", "expression"):
        done = genebench(
            *command, tmp_path / f"{values}.npz",
            "--protocol", spec.name, "--genes", "targets", "--values", values,
        )  # fmt: skip
        assert (done.status, done.err) == (0, "")
    expected = tiny.profiles(getattr(spec, role))
    reader = open_reader(tmp_path / "standardised.npz")
    assert reader.profiles.index.tolist() == expected.profiles.index.tolist()
    np.testing.assert_array_equal(everything(reader), expected.targets)
    levels = np.vstack(list(expected.expression_blocks()))[:, len(tiny.landmark_genes) :]
    written = everything(open_reader(tmp_path / "expression.npz"))
    np.testing.assert_array_equal(written, levels.astype(np.float32))


def everything(reader) -> np.ndarray:
    return np.vstack(list(reader.blocks(np.arange(len(reader.gene_ids)))))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing", "geo", "out.tsv"), "unknown dataset 'nothing'"),
        (("{tiny}", "gex", "out.tsv"), "unknown platform of dataset"),
        (("{tiny}", "geo/", "out.tsv"), "unknown split ''"),
        (("{tiny}", "geo/tset", "out.tsv"), "Did you mean test"),
        (("{tiny}", "../x", "out.tsv"), "unknown split 'x'|malformed"),
        (("{tiny}", "GEO", "out.tsv"), "platform name 'GEO' is malformed"),
        (("{tiny}", "geo", "out.xyz"), "unknown format"),
        (("{tiny}", "geo", "no/out.tsv"), "there is no folder"),
        (("{tiny}", "geo", "out.tsv", "--values", "raw"), "--values"),
        (("{tiny}", "tset", "out.tsv", "--protocol", "geo-series"), "Did you mean test"),
        (("{tiny}", "geo/test", "out.tsv", "--protocol", "geo"), "part of protocol geo 'geo/test'"),
        (("{tiny}", "test", "out.tsv", "--protocol", "series"), "unknown protocol 'series'"),
    ],
)
def test_mistakes_are_one_line(genebench, tiny, tmp_path, arguments, words):
    dataset, part, file, *more = arguments
    done = genebench("data", "export", dataset.format(tiny=tiny.name), part, tmp_path / file, *more)
    assert (done.status, done.out) == (2, "")
    assert len(done.err.splitlines()) == 1
    assert any(word in done.err for word in words.split("|"))
    assert list(tmp_path.iterdir()) == []


def test_convert_and_back(genebench, tmp_path):
    (tmp_path / "a.tsv").write_text(TSV)
    assert genebench("data", "convert", tmp_path / "a.tsv", tmp_path / "b.h5ad").status == 0
    done = genebench("data", "convert", tmp_path / "b.h5ad", tmp_path / "c.tsv")
    assert done.out == f"wrote {tmp_path / 'c.tsv'}\n"
    assert (
        tmp_path / "c.tsv"
    ).read_text() == "id\tA\tB\ng1\t1.0\t2.0\ng2\t3.0\t4.0\ng3\t5.0\t6.0\n"


def test_convert_a_table_with_profiles_in_rows(genebench, tmp_path):
    (tmp_path / "a.csv").write_text("sample,g1,g2,g3\nA,1,3,5\nB,2,4,6\n")
    done = genebench(
        "data", "convert", tmp_path / "a.csv", tmp_path / "b.gct", "--orientation", "profiles"
    )
    assert done.status == 0
    assert (tmp_path / "b.gct").read_text().splitlines()[2:4] == [
        "Name\tDescription\tA\tB",
        "g1\tna\t1.0\t2.0",
    ]


def test_convert_names_the_fault_and_leaves_nothing(genebench, tmp_path):
    (tmp_path / "a.tsv").write_text(TSV.replace("4", "x"))
    done = genebench("data", "convert", tmp_path / "a.tsv", tmp_path / "b.gctx")
    assert (done.status, done.out) == (2, "")
    assert "row 'g2', column 'B' holds 'x'" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["a.tsv"]
