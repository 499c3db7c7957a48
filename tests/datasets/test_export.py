"""Matrices out: prepared datasets in any format, and copies that prepare to the same digest."""

from __future__ import annotations

import h5py
import numpy as np
import pandas as pd
import pytest

from genebench.data.store import DataStore
from genebench.datasets.export import convert, export
from genebench.datasets.manifest import read_manifest
from genebench.errors import UserError
from genebench.formats.base import Reader
from genebench.formats.opening import open_reader
from genebench.preprocessing.genes import read_gene_map
from genebench.preprocessing.recipe import prepare
from genebench.specs import Part

PROBES = ["t3", "a1", "c2", "b1", "unused", "c1", "t1", "c3", "t2"]
MANIFEST = """
name = "made"
recipe = "dgex"
[genes]
landmarks = "lm.txt"
targets = "tg.txt"
[platforms.geo]
matrix = "{geo}"
ids = "probe"
group = "series"
{geo_more}
[platforms.gtex]
matrix = "{gtex}"
ids = "ensembl"
{gtex_more}
"""


def tsv(names, rows, values):
    head = "\t".join(["id", *names])
    return "".join(
        f"{line}\n"
        for line in [
            head,
            *("\t".join([row, *map(repr, v)]) for row, v in zip(rows, values, strict=True)),
        ]
    )


@pytest.fixture
def source(tmp_path):
    """A folder with gene maps, a microarray GCTX (float32, with series) and RNA-seq text."""
    random = np.random.default_rng(5)
    (tmp_path / "lm.txt").write_text("A\tENSG01\ta1\nB\tENSG02\tb1\nT\tENSG03\tt1\n")
    (tmp_path / "tg.txt").write_text("C\tENSG04\tc1,c2,c3\nT\tENSG03\tt2,t3\n")
    values = random.normal(8, 2, (9, 12)).astype(np.float32).astype(float).tolist()
    (tmp_path / "raw.tsv").write_text(tsv([f"p{i}" for i in range(12)], PROBES, values))
    reader = open_reader(tmp_path / "raw.tsv")
    reader.profiles = reader.profiles.assign(series=[f"GSE{i // 4}" for i in range(12)], n=1.5)
    convert(reader, tmp_path / "geo.gctx")
    values = random.gamma(2, 3, (4, 5)).tolist()
    genes = ["ENSG03.4", "ENSG01", "ENSG04.1", "ENSG02"]
    (tmp_path / "gtex.tsv").write_text(tsv(list("vwxyz"), genes, values))
    return tmp_path


def digest(folder, **names):
    beside = {f"{key}_more": "" for key in names}
    for key, name in names.items():
        table = name.partition(".")[0] + ".profiles.tsv"
        if (folder / table).exists():
            beside[f"{key}_more"] = f'profiles = "{table}"'
    path = folder / "made.toml"
    path.write_text(MANIFEST.format(**names, **beside))
    return prepare(read_manifest(path), store=DataStore(folder / "store")).digest


ENDINGS = ["gctx", "gct", "gct.gz", "tsv", "csv.gz", "npy", "npz", "h5ad", "parquet", "feather"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_copy_in_any_format_prepares_to_the_same_digest(source, ending):
    if ending in ("parquet", "feather"):
        pytest.importorskip("pyarrow")
    for name in ("geo.gctx", "gtex.tsv"):
        convert(open_reader(source / name), source / f"{name.partition('.')[0]}2.{ending}")
    original = digest(source, geo="geo.gctx", gtex="gtex.tsv")
    assert digest(source, geo=f"geo2.{ending}", gtex=f"gtex2.{ending}") == original


def transpose(path, to):
    rows = [line.split("\t") for line in path.read_text().splitlines()]
    to.write_text("".join("\t".join(row) + "\n" for row in zip(*rows, strict=True)))


def test_profiles_in_rows_are_detected_and_read_when_told(source):
    transpose(source / "gtex.tsv", source / "turned.tsv")
    with pytest.raises(
        UserError,
        match=r"no gene .* in .*turned\.tsv as ensembl ids\. Its columns are genes \(\d would "
        r'match\)\. Write orientation = "profiles"\.$',
    ):
        digest(source, geo="geo.gctx", gtex="turned.tsv")
    text = (source / "turned.tsv").read_text()
    for ensembl, symbol in (("ENSG03.4", "T"), ("ENSG01", "A"), ("ENSG04.1", "C"), ("ENSG02", "B")):
        text = text.replace(ensembl, symbol)
    (source / "symbols.tsv").write_text(text)
    with pytest.raises(UserError, match=r'orientation = "profiles"\. Also write ids = "symbol"\.$'):
        digest(source, geo="geo.gctx", gtex="symbols.tsv")
    told = 'turned.tsv"\norientation = "profiles'
    assert digest(source, geo="geo.gctx", gtex=told) == digest(
        source, geo="geo.gctx", gtex="gtex.tsv"
    )


def test_orientation_is_for_tables(source):
    convert(open_reader(source / "gtex.tsv"), source / "gtex.gct")
    for name in ("geo.gctx", "gtex.gct"):
        with pytest.raises(UserError, match=rf"{name}: .* This format itself fixes which axis"):
            open_reader(source / name, "profiles")


@pytest.mark.parametrize("size", [1, 2, 100])
def test_a_turned_table_in_blocks(source, size):
    straight = open_reader(source / "gtex.tsv")
    transpose(source / "gtex.tsv", source / "turned.tsv")
    turned = open_reader(source / "turned.tsv", "profiles")
    assert turned.gene_ids.tolist() == straight.gene_ids.tolist()
    assert turned.profiles.index.tolist() == straight.profiles.index.tolist()
    for genes in ([3, 0, 0, 2], []):
        blocks = list(turned.blocks(np.array(genes, dtype=np.intp), size))
        assert all(0 < len(block) <= size for block in blocks)
        expected = np.vstack(list(straight.blocks(np.array(genes, dtype=np.intp))))
        np.testing.assert_array_equal(np.vstack(blocks), expected)


def test_a_bad_cell_of_a_turned_table_matters_only_where_it_is_asked_for(source):
    transpose(source / "gtex.tsv", source / "turned.tsv")
    lines = (source / "turned.tsv").read_text().splitlines()
    cells = lines[4].split("\t")
    lines[4] = "\t".join([*cells[:2], "liver", *cells[3:]])
    (source / "turned.tsv").write_text("\n".join(lines))
    turned = open_reader(source / "turned.tsv", "profiles")
    assert len(list(turned.blocks(np.array([0, 2]), 2))) == 3
    with pytest.raises(UserError, match="row 'y', column 'ENSG01' holds 'liver'"):
        list(turned.blocks(np.array([0, 1]), 2))


@pytest.mark.parametrize("values", ["expression", "standardised"])
@pytest.mark.parametrize("genes", ["landmarks", "targets", "all"])
@pytest.mark.parametrize("part", [Part(platform="geo", split="test"), Part(platform="gtex")])
def test_a_part_of_a_dataset(tiny, tmp_path, part, genes, values):
    export(tiny, part, tmp_path / "out.gctx", genes=genes, values=values)

    reader = open_reader(tmp_path / "out.gctx")
    got = np.vstack(list(reader.blocks(np.arange(len(reader.gene_ids)))))
    profiles = tiny.profiles(part)
    ids = {
        "landmarks": tiny.landmark_genes.index.tolist(),
        "targets": tiny.target_genes.index.tolist(),
    }
    ids["all"] = [f"{role[:-1]}:{id_}" for role in ("landmarks", "targets") for id_ in ids[role]]
    assert reader.gene_ids.tolist() == ids[genes]
    assert reader.profiles.index.tolist() == profiles.profiles.index.tolist()
    assert set(reader.profiles) == set(profiles.profiles)
    whole = np.hstack([profiles.landmarks, profiles.targets])
    columns = {
        "landmarks": slice(0, len(ids["landmarks"])),
        "targets": slice(len(ids["landmarks"]), None),
        "all": slice(None),
    }[genes]
    if values == "standardised":
        np.testing.assert_array_equal(got, whole[:, columns])
    else:
        rows = tiny.profile_table(part.platform).index.get_indexer(profiles.profiles.index)
        np.testing.assert_array_equal(got, tiny.expression(part.platform)[rows][:, columns])


def read_gctx_by_its_layout(path):
    """Genes × profiles, and the tables of both, as the format's description has them; no more."""
    with h5py.File(path, "r") as file:
        root = file["0"]
        tables = []
        for axis in ("ROW", "COL"):
            columns = {name: item[()] for name, item in root["META"][axis].items()}
            table = pd.DataFrame(
                {
                    name: np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
                    for name, values in columns.items()
                }
            )
            tables.append(table.set_index("id"))
        rows, columns = tables
        # HDF5 has the slow axis first: columns of a GCTX (profiles) are rows of the dataset.
        values = root["DATA"]["0"]["matrix"][()].T
        return file.attrs["version"], pd.DataFrame(values, rows.index, columns.index), rows, columns


def test_gctx_opens_in_a_reader_that_is_not_ours(tiny, tmp_path):
    part = Part(platform="geo", split="test")
    export(tiny, part, tmp_path / "out.gctx", genes="targets")
    version, values, genes, profiles = read_gctx_by_its_layout(tmp_path / "out.gctx")
    table = tiny.profile_table("geo").query("split == 'test'")
    assert version == "GCTX1.0"
    assert values.shape == (len(tiny.target_genes), len(table))
    assert values.index.tolist() == tiny.target_genes.index.tolist()
    assert values.columns.tolist() == table.index.tolist()
    assert genes["symbol"].tolist() == tiny.target_genes["symbol"].tolist()
    assert profiles["split"].unique().tolist() == ["test"]
    rows = tiny.profile_table("geo").index.get_indexer(table.index)
    expected = tiny.expression("geo")[rows][:, len(tiny.landmark_genes) :].T
    assert values.to_numpy().dtype == np.float32
    np.testing.assert_array_equal(values.to_numpy(), expected)


def test_unknown_platform(tiny, tmp_path):
    with pytest.raises(UserError, match="unknown platform"):
        export(tiny, Part(platform="gtx"), tmp_path / "out.tsv")
    assert list(tmp_path.iterdir()) == []


class Some(Reader):
    """Some genes and profiles of another reader, for tests that would last with all of them."""

    def __init__(self, whole, genes, step):
        self.source = whole.source
        self.gene_ids = whole.gene_ids[genes]
        self.profiles = whole.profiles.iloc[::step]
        self._whole, self._genes, self._step = whole, genes, step

    def blocks(self, genes, size=1024):
        blocks = list(self._whole.blocks(self._genes[genes]))
        values = np.vstack(blocks)[:: self._step]
        for start in range(0, len(values), size):
            yield values[start : start + size]


REAL = {
    "u133_n592x22215.gctx": ("probes", 4),
    "lcl_pickrell_n69x17310.txt.gz": ("ensembl", 1),
    "gtex_rnaseqdb_n280x18679.gct.gz": ("symbol", 4),
}
"""File → the column of the gene maps whose ids it has; of so many profiles, one is taken."""

MAPS = ("map_lm.txt", "map_tg.txt")


def prepare_copies(realdata, folder, ending, maps):
    """The digest of u133 with its matrices replaced by those in a folder."""
    manifest = (realdata / "u133.toml").read_text("utf-8")
    for name in REAL:
        table = f"{name}.profiles.tsv"
        beside = f'\nprofiles = "{table}"' if (folder / table).exists() else ""
        manifest = manifest.replace(f'"{name}"', f'"{name}.{ending}"{beside}')
    for name in MAPS:
        manifest = manifest.replace(f'"{name}"', f'"{maps / name}"')
    samples = "gtex_rnaseqdb_n280x18679.samples.tsv"
    manifest = manifest.replace(f'"{samples}"', f'"{realdata / samples}"')
    (folder / "u133.toml").write_text(manifest, "utf-8")
    return prepare(read_manifest(folder / "u133.toml"), store=DataStore(folder)).digest


@pytest.fixture(scope="module")
def part_of_real(realdata, tmp_path_factory):
    """A folder with each eighth gene and some profiles of u133 as GCTX, and what they give."""
    folder = tmp_path_factory.mktemp("real")
    for name in MAPS:
        lines = (realdata / name).read_text("utf-8").splitlines(keepends=True)
        (folder / name).write_text("".join(lines[::8]), "utf-8")
    maps = pd.concat(read_gene_map(folder / name).reset_index(names="ensembl") for name in MAPS)
    for name, (column, step) in REAL.items():
        wanted = {id_ for cell in maps[column] for id_ in cell.split(",")}
        reader = open_reader(realdata / name)
        genes = np.flatnonzero(reader.gene_ids.isin(wanted))
        convert(Some(reader, genes, step), folder / f"{name}.gctx")
    return folder, prepare_copies(realdata, folder, "gctx", maps=folder)


@pytest.mark.realdata
@pytest.mark.parametrize("ending", ["gct", "tsv", "npy", "npz", "h5ad", "parquet"])
def test_real_data_in_another_format_have_the_same_digest(realdata, part_of_real, tmp_path, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    folder, digest = part_of_real
    for name in REAL:
        convert(open_reader(folder / f"{name}.gctx"), tmp_path / f"{name}.{ending}")
    assert prepare_copies(realdata, tmp_path, ending, maps=folder) == digest


@pytest.mark.realdata
def test_real_data_copied_whole_have_the_same_digest(realdata, real_home, tmp_path):
    """Every gene and profile, by the fastest format that is not the manifest's own."""
    for name in REAL:
        convert(open_reader(realdata / name), tmp_path / f"{name}.h5ad")
    original = DataStore(real_home).open("u133")
    assert prepare_copies(realdata, tmp_path, "h5ad", maps=realdata) == original.digest
