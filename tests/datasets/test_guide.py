"""``docs/guides/data.md`` is true: its manifests and its commands, as they stand there."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from genebench.datasets.published_arrays import array_files

DOCS = Path(__file__).resolve().parents[2] / "docs"
GUIDE = (DOCS / "guides" / "data.md").read_text("utf-8")
EXAMPLE, PREPARED = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A home, and a working folder that has the example where the guide says it is."""
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    shutil.copytree(DOCS / "example", tmp_path / "docs" / "example")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_five_minutes_run_as_they_stand(genebench, folder):
    commands = re.findall(r"^genebench (.*example.*)$", GUIDE, re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["data", "data", "run"]
    for command in commands:
        outcome = genebench(*command.split())
        assert outcome.status == 0, outcome.err
        assert outcome.out.strip()
    # Nothing of the example is dropped or found twice; its files are as the guide shows them.
    described = genebench("data", "info", "example").out
    assert described.count("12 of 12") == described.count("24 of 24") == 3


def test_the_manifest_is_that_of_the_example():
    assert (DOCS / "example" / "example.toml").read_text("utf-8") == EXAMPLE


def test_the_manifest_of_prepared_arrays_makes_a_dataset(genebench, folder):
    (folder / "dgex.toml").write_text(PREPARED, "utf-8")
    genes = {}
    for role, name in (("X", "map_lm.txt"), ("Y", "map_tg.txt")):
        shutil.copy(DOCS / "example" / name, folder / name)
        genes[role] = (folder / name).read_text("utf-8").split("\n")[:-1]
    landmarks, targets = ([line.split("\t")[1] for line in genes[role]] for role in "XY")
    random = np.random.default_rng(0)
    for path in array_files(folder, ["geo", "1000g", "gtex"]):
        size = 12 if path.name.startswith("bgedv2") else 7
        values = random.standard_normal((size, len(genes["X" if "_X" in path.name else "Y"])))
        np.save(path, values)
    for platform in ("1000G", "GTEx"):
        x = np.load(folder / f"{platform}_X_float64.npy")
        y = np.load(folder / f"{platform}_Y_float64.npy")
        for gene in set(landmarks) & set(targets):
            y[:, targets.index(gene)] = x[:, landmarks.index(gene)]
        np.save(folder / f"{platform}_Y_float64.npy", y)

    prepared = genebench("data", "prepare", "dgex.toml")
    assert prepared.status == 0, prepared.err
    assert "values and split as they came" in prepared.out
    assert "already prepared" in genebench("data", "prepare", "dgex.toml").out
    assert genebench("data", "verify", "dgex").status == 0
    ran = genebench("run", "--dataset", "dgex", "--preset", "tiny", "--methods", "knn",
                    "--protocol", "geo,gtex", "--results", "results")  # fmt: skip
    assert ran.status == 0, ran.err
    assert genebench("report", "--results", "results").status == 0
    strict = genebench("run", "--dataset", "dgex", "--methods", "knn", "--protocol", "geo-strict")
    assert strict.status == 2
    assert strict.err.count("\n") == 1
    assert "Leave out protocols with statistics of the training profiles (-strict)" in strict.err
    assert genebench("data", "remove", "dgex").status == 0
