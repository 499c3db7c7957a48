"""The published prepared arrays: taken bit for bit, or refused in one line."""

from __future__ import annotations

import hashlib
import os
import re
import tracemalloc

import numpy as np
import pytest

import genebench.datasets.published_arrays
from genebench.data.store import DataStore
from genebench.data.verification import changed_files
from genebench.datasets.export import export
from genebench.datasets.manifest import find_prepared, read_manifest
from genebench.datasets.published_arrays import adopt
from genebench.errors import UserError
from genebench.formats.opening import open_reader
from genebench.protocols import GEO_SERIES, GEO_SERIES_STRICT, GEO_STRICT, GTEX_STRICT
from genebench.specs import Part

LANDMARKS, TARGETS, TWINS = 12, 30, 5
SIZES = {"bgedv2_{}_tr": 40, "bgedv2_{}_va": 9, "bgedv2_{}_te": 11, "1000G_{}": 8, "GTEx_{}": 13}
MANIFEST = """
name = "dgex"
recipe = "prepared"
[genes]
landmarks = "lm.txt"
targets = "tg.txt"
"""


def gene_map(first: int, number: int) -> str:
    return "".join(f"S{i}\tENSG{i:03}\t{i}_at\n" for i in range(first, first + number))


def save(folder, name, values):
    np.save(folder / f"{name}_float64.npy", values)


@pytest.fixture
def folder(tmp_path):
    """A manifest, its maps, and sound arrays under their published names; twins as on RNA-seq."""
    (tmp_path / "lm.txt").write_text(gene_map(0, LANDMARKS))
    (tmp_path / "tg.txt").write_text(gene_map(LANDMARKS - TWINS, TARGETS))
    random = np.random.default_rng(2)
    for name, size in SIZES.items():
        x, y = random.standard_normal((size, LANDMARKS)), random.standard_normal((size, TARGETS))
        if not name.startswith("bgedv2"):
            y[:, :TWINS] = x[:, -TWINS:]
        save(tmp_path, name.format("X"), x)
        save(tmp_path, name.format("Y"), y)
    (tmp_path / "dgex.toml").write_text(MANIFEST)
    return tmp_path


@pytest.fixture
def make(folder):
    """make(extra): the dataset, with more lines at the head of the manifest."""

    def make(extra: str = ""):
        (folder / "dgex.toml").write_text(extra + MANIFEST)
        return adopt(read_manifest(folder / "dgex.toml"), store=DataStore(folder / "home"))

    return make


def given(folder, name):
    pair = [np.load(folder / f"{name.format(role)}_float64.npy") for role in "XY"]
    return np.hstack(pair).astype(np.float32)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("slab", [1, 3000, 1 << 20])
def test_values_are_those_of_the_files_bit_for_bit(folder, make, monkeypatch, order, slab):
    monkeypatch.setattr(genebench.datasets.published_arrays, "SLAB_BYTES", slab)
    for path in folder.glob("*.npy"):
        np.save(path, np.asarray(np.load(path), order=order))
    dataset = make()
    for name, part in zip(
        SIZES,
        [
            *(Part(platform="geo", split=split) for split in ("train", "validation", "test")),
            *(Part(platform=platform) for platform in ("1000g", "gtex")),
        ],
        strict=True,
    ):
        for mmap in (False, True):
            profiles = dataset.profiles(part, mmap=mmap)
            found = np.hstack([profiles.landmarks, profiles.targets])
            np.testing.assert_array_equal(found, given(folder, name), err_msg=name)
    assert changed_files(dataset) == []


def test_genes_profiles_and_split_are_named(make):
    dataset = make()
    assert dataset.landmark_genes.index.tolist() == [f"ENSG{i:03}" for i in range(LANDMARKS)]
    assert dataset.landmark_genes["twin"].sum() == TWINS
    geo = dataset.profile_table("geo")
    assert geo["split"].value_counts().to_dict() == {"train": 40, "test": 11, "validation": 9}
    assert geo.loc["bgedv2_va:8", "split"] == "validation"
    assert dataset.profile_table("gtex").index[[0, -1]].tolist() == ["GTEx:0", "GTEx:12"]
    assert dataset.profile_table("1000g").index[3] == "1000G:3"


def test_the_description_says_what_it_was_made_of(folder, make):
    info = make('title = "as published"\npreset = "paper"\n').info
    assert (info["title"], info["preset"], info["values"]) == (
        "as published", "paper", "standardised",
    )  # fmt: skip
    assert info["origin"]["recipe"] == "prepared"
    known = {
        name: sha for part in info["platforms"].values() for name, sha in part["files"].items()
    }
    assert known == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.npy")
    }


def test_the_order_of_bytes_in_files_is_not_part_of_the_digest_but_values_are(folder, make):
    digest = make().digest
    path = folder / "GTEx_Y_float64.npy"
    values = np.load(path)
    np.save(path, np.asfortranarray(values.astype(">f8")))
    assert make().digest == digest
    values[3, 7] += 0.5
    np.save(path, values)
    assert make().digest != digest


@pytest.mark.parametrize("part", [GEO_STRICT.train, GTEX_STRICT.test, GEO_SERIES_STRICT.train])
def test_strict_protocols_are_refused(make, part):
    with pytest.raises(UserError, match=r"dgex: its arrays came .* Leave out protocols .*-strict"):
        make().profiles(part)


def test_a_split_by_series_is_refused(make):
    with pytest.raises(
        UserError, match=r"split group .* cannot split platform geo: .* no column group"
    ):
        make().profiles(GEO_SERIES.train)


def test_they_are_exported_as_standardised_values_only(folder, make):
    dataset, part = make(), Part(platform="geo", split="test")
    with pytest.raises(UserError, match=r"no expression\. Write it with --values standardised\.$"):
        export(dataset, part, folder / "out.gctx")
    export(dataset, part, folder / "out.gctx", values="standardised")
    reader = open_reader(folder / "out.gctx")
    (block,) = reader.blocks(np.arange(len(reader.gene_ids)))
    np.testing.assert_array_equal(block, given(folder, "bgedv2_{}_te"))


def test_rna_seq_may_be_left_out_when_told(folder, make):
    (folder / "GTEx_X_float64.npy").unlink()
    (folder / "1000G_Y_float64.npy").unlink()
    with pytest.raises(
        UserError,
        match=r"2 of the arrays are missing: 1000G_Y_float64.npy, GTEx_X_float64.npy\. "
        r'.* genebench data fetch FILE\. .* write platforms = \["geo"\] in the manifest\.$',
    ):
        make()
    assert make('platforms = ["geo"]\n').platforms == ["geo"]


def test_every_missing_file_is_named(folder, make):
    for name in ("bgedv2_X_tr", "bgedv2_Y_te", "GTEx_Y"):
        (folder / f"{name}_float64.npy").unlink()
    with pytest.raises(UserError, match=r"3 of the arrays .*X_tr.*Y_te.*GTEx_Y") as error:
        make()
    assert "does without" not in str(error.value)


def change(name, work):
    """A case: one array replaced by what a function makes of it."""

    def apply(folder):
        path = folder / f"{name}_float64.npy"
        np.save(path, work(np.load(path)), allow_pickle=True)

    return apply


def put(value):
    def work(values):
        values[3, 7] = value
        return values

    return work


def cut(folder):
    path = folder / "GTEx_Y_float64.npy"
    path.write_bytes(path.read_bytes()[:-8])


def other_map(folder):
    (folder / "lm.txt").write_text(gene_map(0, LANDMARKS - 1))


def other_order(folder):
    (folder / "tg.txt").write_text(gene_map(LANDMARKS - TWINS + 10, TARGETS - 10) + gene_map(7, 10))


def text(folder):
    (folder / "GTEx_Y_float64.npy").write_text("1\t2\n")


def empty(folder):
    (folder / "GTEx_Y_float64.npy").write_bytes(b"")


BAD = {
    "NaN": (
        change("bgedv2_X_va", put(np.nan)),
        "bgedv2_X_va_float64.npy: row 3, column 7 (from 0 on, gene ENSG007) is nan: missing",
    ),
    "infinity": (change("GTEx_Y", put(-np.inf)), "row 3, column 7 (from 0 on, gene ENSG014) is -i"),
    "too much for float32": (change("GTEx_Y", put(1e300)), "is 1e+300: missing, or beyond"),
    "a column less": (
        change("GTEx_Y", lambda y: y[:, 1:]),
        "GTEx_Y_float64.npy: it has shape (13, 29), but the target map names 30 genes. Give the",
    ),
    "transposed": (change("GTEx_Y", lambda y: y.T), "target map names 30 genes. Transpose it."),
    "one profile less": (
        change("bgedv2_Y_tr", lambda y: y[1:]),
        "bgedv2_X_tr_float64.npy: it has 40 profiles, but bgedv2_Y_tr_float64.npy has 39",
    ),
    "no profile": (change("GTEx_Y", lambda y: y[:0]), "GTEx_Y_float64.npy: there is no pr"),
    "a vector": (change("GTEx_Y", lambda y: y[0]), "it has shape (30,), but the target map"),
    "objects": (change("GTEx_Y", lambda y: y.astype(object)), "Python objects, which are never un"),
    "complex numbers": (change("GTEx_Y", lambda y: y + 1j), "complex128, not real numbers"),
    "truncated": (cut, "GTEx_Y_float64.npy: not a sound .npy file of numbers (its size is not"),
    "text": (text, "GTEx_Y_float64.npy: not a sound .npy file of numbers"),
    "empty": (empty, "GTEx_Y_float64.npy: the file is empty"),
    "log2 expression": (
        change("GTEx_X", lambda x: x * 2 + 8),
        "do not look standardised per gene: all values together have mean 8.",
    ),
    "scaled to 0…1": (
        change("bgedv2_Y_te", lambda y: (y - y.min()) / (y.max() - y.min())),
        'not about 0 and 1. Prepare unstandardised expression by recipe = "dgex". If the values',
    ),
    "another map": (other_map, "shape (40, 12), but the landmark map names 11 genes"),
    "maps in another order": (
        other_order,
        "of 5 genes that are both landmark and target, 5 have other values here than in 1000G_Y",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_arrays_get_one_line_and_leave_nothing(folder, make, case):
    spoil, words = BAD[case]
    spoil(folder)
    with pytest.raises(UserError, match=re.escape(words)) as error:
        make()
    assert "\n" not in str(error.value)
    assert DataStore(folder / "home").names() == []
    assert [path for path in (folder / "home").rglob("*") if path.name != "datasets"] == []


@pytest.mark.parametrize("case", ["log2 expression", "scaled to 0…1", "maps in another order"])
def test_what_only_looks_bad_is_taken_when_told(folder, make, case):
    BAD[case][0](folder)
    dataset = make('level = "any"\n')
    np.testing.assert_array_equal(dataset.expression("gtex"), given(folder, "GTEx_{}"))


BAD_MANIFEST = {
    "a platform that there is not": ('platforms = ["geo", "tcga"]', "platforms.1: must be"),
    "no geo": ('platforms = ["gtex"]', "platforms: geo is missing. Add it"),
    "a key of the other recipe": ("duplicates = 'exact'", "unknown key 'duplicates'"),
    "platforms as text": ('platforms = "geo"', 'platforms: must be a list, such as ["geo"'),
    "platforms as tables": (
        'platforms.geo.matrix = "geo.gct"',
        'not a table. [platforms.NAME] goes with recipe = "dgex"',
    ),
    "a file for the folder": (
        'arrays = "dgex.toml"',
        "dgex.toml: a file, not a folder. Name the folder",
    ),
    "a long name": (f'arrays = "{300 * "n"}"', "cannot be read: File name too long"),
    "no such folder": ('arrays = "none"', "none: no such folder. Name the folder of the arrays"),
    "a level of the other recipe": ('level = "log2"', "level: must be 'standardised' or "),
}


@pytest.mark.parametrize("level", ["standardised", "any"])
@pytest.mark.parametrize("value", [1e300, -1e30, np.nan, -np.inf])
def test_a_cell_that_no_array_can_hold_is_refused_and_named(folder, make, level, value):
    path = folder / "bgedv2_Y_va_float64.npy"
    values = np.load(path)
    values[3, 7] = value
    np.save(path, values)
    words = rf"Y_va_float64\.npy: row 3, column 7 \(from 0 on, gene ENSG014\) is {value:g}: missing"
    with pytest.raises(UserError, match=words.replace("+", r"\+")):
        make(f'level = "{level}"\n')


def test_a_cell_far_from_its_gene_is_refused_in_many_profiles(folder, make):
    path = folder / "bgedv2_Y_va_float64.npy"
    values = np.load(path)
    values[3, 7] = -10_001
    np.save(path, values)
    with pytest.raises(UserError, match="is -10001: missing, or beyond ±10000"):
        make()
    make('level = "any"\n')


@pytest.mark.parametrize("case", BAD_MANIFEST)
def test_bad_manifest(make, case):
    extra, words = BAD_MANIFEST[case]
    with pytest.raises(UserError, match=re.escape(words)):
        make(f"{extra}\n")


@pytest.mark.parametrize("order", ["C", "F"])
def test_memory_is_bounded_by_the_slab(folder, make, monkeypatch, order):
    values = np.random.default_rng(0).standard_normal((40_000, TARGETS))
    np.save(folder / "bgedv2_Y_tr_float64.npy", np.asarray(values, order=order))
    np.save(folder / "bgedv2_X_tr_float64.npy", np.asarray(values[:, :LANDMARKS], order=order))
    monkeypatch.setattr(genebench.datasets.published_arrays, "SLAB_BYTES", 1 << 20)
    stored = values.nbytes
    del values
    manifest = read_manifest(folder / "dgex.toml")
    blocks = genebench.datasets.published_arrays._Platform(manifest, "geo")._blocks()
    tracemalloc.start()
    try:
        rows = sum(len(block) for block in blocks)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 40_020
    assert peak < stored / 3


def halve(folder, cut=17):
    """Replace each file of targets by two, as the code of D-GEX reads them."""
    for path in folder.glob("*_Y*.npy"):
        stem, values = path.name.removesuffix("_float64.npy"), np.load(path)
        save(folder, f"{stem}_0-{cut}", values[:, :cut])
        save(folder, f"{stem}_{cut}-{TARGETS}", values[:, cut:])
        path.unlink()


def test_targets_in_halves_are_the_same_dataset(folder, make):
    whole = make()
    halve(folder)
    halves = make('title = "halves"\n')
    assert halves.digest == whole.digest
    # The same files again are noticed, and so is a half that changed.
    found = find_prepared(folder / "dgex.toml", DataStore(folder / "home"))
    assert found is not None
    os.utime(folder / f"GTEx_Y_17-{TARGETS}_float64.npy", (1, 1))
    assert find_prepared(folder / "dgex.toml", DataStore(folder / "home")) is None


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: (f / "GTEx_Y_0-17_float64.npy").unlink(), "The next column is 0. Put the miss"),
        (lambda f: (f / "GTEx_Y_17-30_float64.npy").unlink(), "The next column is 17. Put the mis"),
        (lambda f: save(f, "GTEx_Y_5-30", np.zeros((13, 25))), "are not the 30 columns of GTEx_Y"),
        (lambda f: save(f, "GTEx_Y_17-30", np.zeros((13, 12))), "shape (13, 12), but the target"),
        (lambda f: save(f, "GTEx_Y_17-30", np.zeros((12, 13))), "has 13 profiles, but GTEx_Y_17"),
    ],
)
def test_halves_that_do_not_fit_are_refused(folder, make, spoil, words):
    halve(folder)
    spoil(folder)
    with pytest.raises(UserError, match=re.escape(words)) as error:
        make()
    assert "\n" not in str(error.value)
    assert DataStore(folder / "home").names() == []
