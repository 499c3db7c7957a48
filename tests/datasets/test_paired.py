"""Paired assays: each value comes from its assay, sample and gene, or one line says why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import genebench.datasets.paired
from genebench.data.store import DataStore
from genebench.data.verification import changed_files
from genebench.datasets.manifest import find_prepared, read_manifest
from genebench.datasets.paired import pair
from genebench.errors import UserError
from genebench.specs import Part

PROFILES = [f"S{number}" for number in range(12)]
MANIFEST = """
name = "both"
recipe = "paired"
[genes]
landmarks = "lm.txt"
targets = "tg.txt"
[platforms.l1000]
profiles = "samples.csv"
group = "donor"
[platforms.l1000.landmarks]
matrix = "beads.tsv"
ids = "symbol"
[platforms.l1000.targets]
matrix = "rnaseq.tsv"
ids = "ensembl"
"""


def table(ids, profiles, values) -> str:
    rows = ["\t".join([id_, *map(str, row)]) for id_, row in zip(ids, values.T, strict=True)]
    return "\n".join(["\t".join(["id", *profiles]), *rows, ""])


@pytest.fixture
def values() -> np.ndarray:
    """Profiles × (A, B, C) in log2. C is a target only, A a landmark only, B is both."""
    return np.random.default_rng(0).uniform(4, 12, (12, 3)).round(3)


@pytest.fixture
def make(write, tmp_path, values):
    """make(old=new, …): the dataset, after changes of the manifest or of whole files."""
    files = {
        "lm.txt": "A\tENSG1\tp1\nB\tENSG2\tp2\n",
        "tg.txt": "C\tENSG3\tp3\nB\tENSG2\tp2\n",
        "beads.tsv": table(["B", "A"], PROFILES, values[:, [1, 0]] + 0.5),
        "rnaseq.tsv": table(["ENSG2.4", "ENSG3.1"], PROFILES[::-1], values[::-1, 1:]),
        "samples.csv": "id,donor,rna\n" + "".join(f"S{n},d{n // 3},R{n}\n" for n in range(12)),
        "both.toml": MANIFEST,
    }

    def make(changes=(), **written):
        for name, content in files.items():
            write(name, content)
        for name, content in written.items():
            write(name.replace("_", "."), content)
        text = MANIFEST
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return pair(read_manifest(write("both.toml", text)), store=DataStore(tmp_path / "home"))

    return make


@pytest.mark.parametrize("block", [1, 5, 256])
def test_landmarks_are_of_one_assay_and_targets_of_the_other(make, values, monkeypatch, block):
    monkeypatch.setattr(genebench.datasets.paired, "_AT_ONCE", block)
    dataset = make()
    expected = np.column_stack([values[:, 0] + 0.5, values[:, 1] + 0.5, values[:, 2], values[:, 1]])
    stored = np.array(dataset.expression("l1000"))
    assert np.array_equal(stored, expected.astype(np.float32))
    assert dataset.landmark_genes["symbol"].tolist() == ["A", "B"]
    assert dataset.target_genes["symbol"].tolist() == ["C", "B"]
    mean, std = dataset.statistics("l1000")
    assert np.allclose(mean, stored.mean(axis=0, dtype=float))
    assert np.allclose(std, stored.std(axis=0, dtype=float))
    assert dataset.profile_table("l1000")["group"].tolist()[:4] == ["d0", "d0", "d0", "d1"]
    assert changed_files(dataset) == []


def test_blocks_change_no_digest(make, monkeypatch):
    digest = make().digest
    monkeypatch.setattr(genebench.datasets.paired, "_AT_ONCE", 5)
    assert make().digest == digest


def test_landmarks_do_not_depend_on_targets(make, values):
    """No value of a landmark may change with the targets, which are to be inferred."""
    landmarks = np.array(make().expression("l1000"))[:, :2]
    other = table(["ENSG2.4", "ENSG3.1"], PROFILES, values[:, 1:] * 0.5)
    assert np.array_equal(np.array(make(rnaseq_tsv=other).expression("l1000"))[:, :2], landmarks)


def test_training_statistics_are_those_of_the_training_profiles(make):
    dataset = make()
    part = Part(platform="l1000", split="train", by="l1000", statistics="train")
    train = dataset.profiles(part)
    assert len(train) == 9
    assert np.allclose(train.landmarks.mean(axis=0), 0, atol=1e-6)
    assert np.allclose(train.targets.mean(axis=0), 0, atol=1e-6)


def test_the_same_files_are_not_prepared_again(make, tmp_path, write):
    make()
    store = DataStore(tmp_path / "home")
    assert find_prepared(tmp_path / "both.toml", store) is not None
    path = tmp_path / "rnaseq.tsv"
    path.write_text(path.read_text() + "\n")
    assert find_prepared(tmp_path / "both.toml", store) is None


def test_unpaired_profiles_are_dropped_only_if_told(make, values):
    fewer = table(["ENSG2", "ENSG3"], [*PROFILES[:11], "X"], values[:, 1:])
    with pytest.raises(UserError, match=r"share 11 profiles\. 1 are in the first one only \('S11'"):
        make(rnaseq_tsv=fewer)
    dataset = make([("[platforms.l1000]\n", '[platforms.l1000]\nunpaired = "drop"\n')],
                   rnaseq_tsv=fewer)  # fmt: skip
    assert dataset.profile_table("l1000").index.tolist() == PROFILES[:11]
    assert dataset.info["platforms"]["l1000"]["unpaired"] == 2


def test_a_column_can_name_the_profiles_of_the_targets(make, values):
    named = table(["ENSG2", "ENSG3"], [f"R{n}" for n in range(12)], values[:, 1:])
    dataset = make([('"donor"\n', '"donor"\ntarget_profile = "rna"\n')], rnaseq_tsv=named)
    assert np.allclose(np.array(dataset.expression("l1000"))[:, 2], values[:, 2], atol=1e-5)


def test_a_part_of_the_profile_id_can_be_the_group(make):
    dataset = make([('group = "donor"', 'group_pattern = "^S.$|^S1"')])
    groups = dataset.profile_table("l1000")["group"].tolist()
    assert groups == [*PROFILES[:10], "S1", "S1"]


@pytest.mark.parametrize("level", ["log2", "any"])
def test_the_missing_code_in_a_binary_file_is_refused_at_any_level(make, tmp_path, level):
    np.savez(
        tmp_path / "beads.npz",
        matrix=np.array([np.full(12, -666.0), np.linspace(4, 9, 12)]),
        genes=np.array(["B", "A"]),
        profiles=np.array(PROFILES),
    )
    head = "[platforms.l1000]\n"
    with pytest.raises(UserError, match=r"beads\.npz.*-666"):
        make([("beads.tsv", "beads.npz"), (head, f'{head}level = "{level}"\n')])
    assert DataStore(tmp_path / "home").names() == []


TWICE = "id,donor,rna\n" + "".join(f"S{n},d,R{n - n % 2}\n" for n in range(12))
BAD = {
    "landmarks missing": (
        [("[genes]", 'missing_genes = "error"\n[genes]')],
        {"beads_tsv": "id\t" + "\t".join(PROFILES) + "\nA\t" + "\t".join("5" * 12) + "\n"},
        "1 landmarks of the maps are missing (ENSG2)",
    ),
    "another kind of ids": (
        [('ids = "symbol"', 'ids = "ensembl"')],
        {},
        'beads.tsv as ensembl ids. As symbol ids 2 would match. Write ids = "symbol"',
    ),
    "no group": ([('"donor"', '"donr"')], {}, "platforms.l1000.group: unknown column"),
    "no such column": (
        [('"donor"\n', '"donor"\ntarget_profile = "rn"\n')],
        {},
        "platforms.l1000.target_profile: unknown column of the profile table 'rn'",
    ),
    "targets given twice": (
        [('"donor"\n', '"donor"\ntarget_profile = "rna"\nunpaired = "drop"\n')],
        {"samples_csv": TWICE, "rnaseq_tsv": "RNA"},
        "more than one profile has the targets of R0",
    ),
    "few profiles": (
        [("[platforms.l1000]\n", '[platforms.l1000]\nunpaired = "drop"\n')],
        {"rnaseq_tsv": "FEW"},
        "share 3 profiles, but 10 are needed at least",
    ),
    "counts": ([], {"rnaseq_tsv": "COUNTS"}, "these look raw counts (all whole numbers), not log2"),
    "a cell beyond log2": ([], {"rnaseq_tsv": "CODE"}, "is -999, which log2 expression cannot be"),
    "a landmark that was measured in no profile": (
        [("[genes]", 'missing_genes = "drop"\n[genes]')],
        {"beads_tsv": "ALL"},
        "row 'B', column 'S0' holds '-666.0', the code for a missing value",
    ),
    "a name of one assay": (
        [("platforms.l1000", "platforms.geo")],
        {},
        "platforms.geo: this name stands for one assay",
    ),
    "two groups": (
        [('"donor"', '"donor"\ngroup_pattern = "S"')],
        {},
        "platforms.l1000.group_pattern: group is given, too",
    ),
    "a missing value": ([], {"rnaseq_tsv": "NA"}, "holds 'NA', not a finite number"),
    "a key of another recipe": (
        [("[genes]", 'duplicates = "exact"\n[genes]')],
        {},
        "unknown key 'duplicates'",
    ),
    "a key of a matrix": ([('matrix = "beads.tsv"', 'matrx = "b"')], {}, "unknown key 'matrx'"),
    "no platform": ([(MANIFEST[MANIFEST.index("[platforms.l1000]") :], "[platforms]")], {},
                    "there is no [platforms.NAME]"),
    "entrez ids": ([('"ensembl"', '"entrez"')], {}, "the gene maps have no Entrez ids"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_pairs_get_one_line_and_leave_nothing(make, tmp_path: Path, values, case):
    changes, written, words = BAD[case]
    ids = ["ENSG2", "ENSG3"]
    coded, missing = values[:, 1:].copy(), values[:, 1:].astype(object)
    coded[4, 1], missing[4, 1] = -999, "NA"
    contents = {
        "RNA": table(ids, [f"R{n}" for n in range(12)], values[:, 1:]),
        "FEW": table(ids, PROFILES[:3], values[:3, 1:]),
        "COUNTS": table(ids, PROFILES, (values[:, 1:] * 1000).round().astype(int)),
        "CODE": table(ids, PROFILES, coded),
        "NA": table(ids, PROFILES, missing),
        "ALL": table(["B", "A"], PROFILES, np.column_stack([np.full(12, -666), values[:, 0]])),
    }
    with pytest.raises(UserError) as error:
        make(changes, **{name: contents.get(text, text) for name, text in written.items()})
    assert words in str(error.value)
    assert "\n" not in str(error.value)
    assert DataStore(tmp_path / "home").names() == []
    assert not [*(tmp_path / "home").rglob("*.npy")]
