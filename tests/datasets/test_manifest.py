"""Manifests: what they may say, and one line for each way to get them wrong."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from genebench.datasets.manifest import find_prepared, read_manifest
from genebench.errors import UserError
from genebench.preprocessing.genes import match_maps, read_aliases

MANIFEST = """
name = "tiny"
recipe = "dgex"

[genes]
landmarks = "maps/lm.txt"
targets = "maps/tg.txt"

[platforms.geo]
matrix = "geo.tsv"
ids = "probe"
profiles = "geo.csv"
group = "series"

[platforms.1000g]
matrix = "lcl.gct"
ids = "symbol"
group = "donor"
"""

FILES = {
    "m/maps/lm.txt": "A\tENSG1\tp1\n",
    "m/maps/tg.txt": "B\tENSG2\tp2,p3\n",
    "m/geo.tsv": "id\tx\ty\np1\t1\t2\np2\t3\t4\np3\t5\t6\n",
    "m/geo.csv": "sample,series,age\ny,GSE2,NA\nz,GSE3,1\nx,GSE1,2\n",
    "m/lcl.gct": "#1.3\n2\t1\t0\t1\nid\tX\ndonor\td1\nA\t1\nB\t2\n",
}


@pytest.fixture
def manifest(write):
    """manifest(text, name=content, …): write a manifest and its files."""

    def manifest(text: str = MANIFEST, files: dict[str, str] | None = None):
        for name, content in (FILES | (files or {})).items():
            write(name, content)
        return write("m/tiny.toml", text)

    return manifest


def test_compendium(manifest):
    compendium = read_manifest(manifest())
    assert (compendium.name, compendium.title) == ("tiny", "tiny")
    assert (compendium.preset, compendium.missing_genes) == ("small", "drop")
    assert compendium.split_seed == 0
    assert compendium.origin["kind"] == "measured"
    assert compendium.landmarks.index.tolist() == ["ENSG1"]
    assert compendium.targets["probes"].tolist() == ["p2,p3"]
    assert list(compendium.platforms) == ["geo", "1000g"]
    geo = compendium.platforms["geo"]
    assert (geo.ids, geo.group) == ("probe", "series")
    assert geo.profiles.index.tolist() == geo.reader.profiles.index.tolist() == ["x", "y"]
    assert geo.profiles.to_dict("list") == {"series": ["GSE1", "GSE2"], "age": ["2", "NA"]}
    assert compendium.platforms["1000g"].profiles is None


def test_optional_keys(manifest):
    extra = 'title = "Tiny"\npreset = "paper"\nmissing_genes = "error"\nsplit_seed = 7\n'
    compendium = read_manifest(manifest(extra + MANIFEST))
    assert (compendium.title, compendium.preset) == ("Tiny", "paper")
    assert (compendium.missing_genes, compendium.split_seed) == ("error", 7)


def change(old: str, new: str) -> str:
    assert old in MANIFEST
    return MANIFEST.replace(old, new)


BAD = {
    "not TOML": ("name = tiny", "not TOML: "),
    "empty": ("", "the file is empty"),
    "unknown key": ("titel = 'x'" + MANIFEST, "unknown key 'titel'. Did you mean title"),
    "unknown section key": (
        change('ids = "probe"', 'id = "probe"'),
        "in platforms.geo: unknown key 'id'. Did you mean ids?",
    ),
    "unknown genes key": (change("targets =", "target ="), "in genes: unknown key 'target'. Did"),
    "missing key": (change('recipe = "dgex"', ""), "recipe: this key is missing"),
    "missing section": (change("[genes]", "[platforms.x]"), "unknown key 'landmarks'"),
    "recipe": (change('"dgex"', '"other"'), "recipe: must be 'dgex', 'prepared' or 'paired', "),
    "recipe is a list": (
        change('"dgex"', "['dgex']"),
        "'dgex', 'prepared' or 'paired', not",
    ),
    "recipe is a section": (
        "[[recipe]]\n" + MANIFEST,
        "'dgex', 'prepared' or 'paired', not",
    ),
    "a list of platforms": (
        'platforms = ["geo"]\n' + MANIFEST.partition("[platforms")[0],
        'platforms: must be a table, not "[\'geo\']". A list of platforms goes with recipe = "prep',
    ),
    "ids": (change('"symbol"', '"refseq"'), "platforms.1000g.ids: must be 'probe', "),
    "type": (change('"tiny"', "5"), "name: must be text, not '5'"),
    "seed": (
        "split_seed = -1" + MANIFEST,
        "split_seed: must be greater than or equal to 0",
    ),
    "a large seed": (
        f"split_seed = {2**32}" + MANIFEST,
        "split_seed: must be less than or equal to 4294967295, not '4294967296'",
    ),
    "a huge seed": ("split_seed = 1" + 50 * "0" + MANIFEST, "split_seed is a whole number beyond"),
    "a huge number": ("split_seed = 1" + 5000 * "0" + MANIFEST, "not TOML: "),
    "deep lists": ("x = " + 9999 * "[" + MANIFEST, "tables or keys within each other"),
    "a dotted key": (9999 * "a." + "a = 1" + MANIFEST, "tables or keys within each other"),
    "true is no seed": (
        "split_seed = true" + MANIFEST,
        "split_seed: must be a whole number, not 'True'",
    ),
    "name": (change('"tiny"', '"../tiny"'), "dataset name '../tiny' is malformed"),
    "platform name": (change("platforms.1000g", "platforms.'../x'"), "platform name '../x' is mal"),
    "preset": ("preset = 'smal'" + MANIFEST, "unknown preset 'smal'. Did you mean small?"),
    "no geo": (change("platforms.geo", "platforms.array"), "there is no [platforms.geo]"),
    "matrix": (change("geo.tsv", "geos.tsv"), "platforms.geo.matrix: .*no such file. Did you mean"),
    "map": (change("maps/lm.txt", "maps/x"), "genes.landmarks: .*maps/x: no such file"),
    "table": (change("geo.csv", "no.csv"), "platforms.geo.profiles: .*no.csv: no such file"),
    "group": (
        change('"series"', '"serie"'),
        "platforms.geo.group: unknown column of the profile table 'serie'. Did you mean series?",
    ),
    "a rule": (
        MANIFEST + 'repeated = "median"\n',
        "platforms.1000g.repeated: must be 'error', 'mean', 'max' or 'first', not 'median'",
    ),
    "columns to skip": (
        MANIFEST + 'skip_columns = "x"\n',
        "skip_columns: must be a list, such as [\"x\"], not 'x'",
    ),
    "a column of ids": (
        change('ids = "probe"', 'ids = "probe"\nid_column = "idd"'),
        "platforms.geo.matrix: .*geo.tsv: unknown column 'idd'. Did you mean id",
    ),
    "an option of another format": (
        change('ids = "probe"', 'ids = "probe"\nlayer = "counts"'),
        "platforms.geo.matrix: .*geo.tsv: layer does not apply to delimited files. Remove it",
    ),
    "a pattern": (
        change('ids = "probe"', 'ids = "probe"\nid_pattern = "SYM|entrez"'),
        "platforms.geo.id_pattern: 'SYM|entrez' has 0 parts that are probe ids, not 1",
    ),
    "group of the matrix": (
        change('"donor"', '"tissue"'),
        "platforms.1000g.group: unknown column of the profile table 'tissue'. Known: donor",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_manifest(manifest, case):
    text, words = BAD[case]
    pattern = re.escape(words).replace(r"\.\*", ".*")
    with pytest.raises(UserError, match=rf"tiny\.toml: .*{pattern}|tiny\.toml: {pattern}") as error:
        read_manifest(manifest(text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("m/geo.csv", "s,series\ny,1\n", r"geo\.csv: 1 of the 2 profiles of .*geo\.tsv .*: 'x'"),
        ("m/geo.tsv", "id\nx\n", r"platforms\.geo\.matrix: .*geo\.tsv: no profile column"),
    ],
)
def test_bad_file_of_a_manifest(manifest, name, content, words):
    with pytest.raises(UserError, match=rf"tiny\.toml: .*{words}"):
        read_manifest(manifest(files={name: content}))


def test_columns_that_matrix_and_table_share(manifest):
    text = change('ids = "symbol"', 'ids = "symbol"\nprofiles = "lcl.tsv"')
    with pytest.raises(
        UserError,
        match=r"profiles: .*lcl\.tsv: the matrix has columns of the same name: donor\. Rename",
    ):
        read_manifest(manifest(text, {"m/lcl.tsv": "id\tdonor\nX\td9\n"}))


@pytest.mark.parametrize(
    "name", ["n" * 300, "n" * 300 + "/x", "loop", "file/x"], ids=["long", "in long", "loop", "file"]
)
@pytest.mark.parametrize(
    "key", ["maps/lm.txt", "maps/tg.txt", "geo.tsv", "geo.csv"], ids=lambda key: key[-6:]
)
def test_paths_that_no_file_can_have_are_one_line(manifest, name, key):
    path = manifest(change(key, name + (".tsv" if key == "geo.tsv" else "")))
    (path.parent / "loop").symlink_to(path.parent / "loop")
    (path.parent / "loop.tsv").symlink_to(path.parent / "loop.tsv")
    (path.parent / "file").write_text("x")
    with pytest.raises(UserError, match=r"tiny\.toml: .*cannot be read|tiny\.toml: .*no such file"):
        read_manifest(path)
    assert find_prepared(path) is None


def test_missing_manifest(tmp_path):
    with pytest.raises(UserError, match=r"no\.toml: no such file"):
        read_manifest(tmp_path / "no.toml")


@pytest.mark.realdata
def test_real_manifest(realdata):
    compendium = read_manifest(realdata / "u133.toml")
    sizes = {name: len(p.reader.profiles) for name, p in compendium.platforms.items()}
    assert sizes == {"geo": 592, "1000g": 69, "gtex": 280}
    assert compendium.platforms["gtex"].profiles["donor"].nunique() == 202

    found = {
        name: match_maps(
            compendium.landmarks, compendium.targets, p.reader.gene_ids, p.ids, source=name
        )
        for name, p in compendium.platforms.items()
    }
    landmarks = np.all([pair[0].found for pair in found.values()], axis=0)
    targets = np.all([pair[1].found for pair in found.values()], axis=0)
    assert landmarks.sum() == 877
    lcl, gtex = (set(compendium.platforms[name].reader.gene_ids) for name in ("1000g", "gtex"))
    table = pd.read_csv(
        realdata / "map_tg.txt", sep="\t", header=None, names=["symbol", "gene", "probes"]
    )
    assert targets.sum() == (table["gene"].isin(lcl) & table["symbol"].isin(gtex)).sum()
    with pytest.raises(UserError, match=r'As symbol ids .* would match\. Write ids = "symbol"'):
        match_maps(
            compendium.landmarks,
            compendium.targets,
            compendium.platforms["gtex"].reader.gene_ids,
            "ensembl",
            source="gtex",
        )


PATTERN = MANIFEST.replace('group = "series"\n', 'group_pattern = "^.[a-z]?"\n')


def test_a_group_can_be_a_part_of_the_profile_id(manifest):
    geo = {"m/geo.tsv": "id\txa1\txa2\tyb1\np1\t1\t2\t3\np2\t3\t4\t3\np3\t5\t6\t3\n"}
    text = PATTERN.replace('profiles = "geo.csv"\n', "")
    platform = read_manifest(manifest(text, geo)).platforms["geo"]
    assert platform.profiles[platform.group].tolist() == ["xa", "xa", "yb"]
    with_table = read_manifest(manifest(PATTERN)).platforms["geo"]
    assert with_table.profiles.columns.tolist() == ["series", "age", "group_in_id"]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("^(", "group_pattern: not a regular expression"),
        ("x", "group_pattern: it matches nothing in 1 of the 2 profile ids: y"),
        ('x|y"\ngroup = "series', "group_pattern: group is given, too"),
    ],
)
def test_a_group_pattern_that_does_not_fit(manifest, pattern, words):
    with pytest.raises(UserError, match=re.escape(words)):
        read_manifest(manifest(PATTERN.replace("^.[a-z]?", pattern)))


SDRF = "Source Name\tProtocol REF\tArray\tProtocol REF\nb\tP1\ty\tP2\na\tP1\tx\tP3\n"


def test_samples_of_array_express(manifest):
    text = MANIFEST.replace("geo.csv", "geo.sdrf.txt").replace('"series"', '"Protocol REF.2"')
    table = read_manifest(manifest(text, {"m/geo.sdrf.txt": SDRF})).platforms["geo"].profiles
    assert table.index.tolist() == ["x", "y"]
    assert table["Protocol REF.2"].tolist() == ["P3", "P2"]
    for old, new, words in (
        ("\ty\t", "\tz\t", "no column names the profiles of the matrix (x, y). Its columns are S"),
        ("\tP3\n", "\n", "row 'a' has 3 cells, the header has 4"),
        ("b\t", "a\tP\tx\tQ\nb\t", "profiles of the matrix have several rows: x. Keep one"),
    ):
        with pytest.raises(UserError, match=re.escape(words)):
            read_manifest(manifest(text, {"m/geo.sdrf.txt": SDRF.replace(old, new)}))


def test_a_table_of_genes_of_the_connectivity_map_gives_aliases(write):
    genes = pd.DataFrame({"symbol": ["A", "B"]}, index=["ENSG1", "ENSG2"])
    header = "pr_gene_id\tpr_gene_symbol\tpr_gene_title\tpr_is_lm\n"
    path = write("gene_info.txt.gz", f"{header}11\tA\ta\t1\n12\tB\tb\t0\n13\tC\tc\t0\n")
    assert read_aliases(path, genes).to_dict() == {"11": "ENSG1", "12": "ENSG2"}
    with pytest.raises(UserError, match="gene 1 has fewer columns than the header"):
        read_aliases(write("gene_info.txt", f"{header}11\n"), genes)
