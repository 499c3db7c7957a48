"""What commands print at 80 and 120 columns, line by line.

The files in ``snapshots/`` hold the output. After a change that is meant, write them anew with
``GENEBENCH_SNAPSHOTS=write python -m pytest tests/cli/test_snapshots.py``, and read the difference.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from genebench.results.panels import scores_of
from genebench.results.store import ResultsStore

SNAPSHOTS = Path(__file__).with_name("snapshots")
COMMANDS = {
    "summary": ("report", "summary"),
    "summary-in-full": ("report", "summary", "--notes", "--cost", "--protocol", "geo"),
    "scores": ("report", "scores", "--cost", "--protocol", "geo"),
    "ranks": ("report", "ranks"),
    "scaled": ("report", "scaled"),
    "cost": ("report", "cost", "--protocol", "geo"),
    "sweep": ("report", "sweep", "--protocol", "geo"),
    "compare": ("compare", "lsr", "lsr-l2"),
    "compare-one": ("compare", "knn:k_max=1", "lsr-l2", "--protocol", "gtex", "--notes"),
    "status": ("status",),
    "list-metrics": ("list", "metrics"),
    "list-reporters": ("list", "reporters"),
    "show-method": ("show", "lsr-l2"),
    "show-long-method": ("show", "ggan"),
    "show-engine": ("show", "slurm"),
    "data-list": ("data", "list"),
    "data-info": ("data", "info", "sim-tiny"),
}
WITHOUT_RESULTS = {"list", "show", "data"}


GENES, PER_GROUP = 40, 4


@pytest.fixture(scope="module")
def folder(made_up, tmp_path_factory) -> Path:
    """Return results of runs that never were, with the vectors that tests between methods need."""
    store = ResultsStore(tmp_path_factory.mktemp("snapshots") / "results")
    store.prepare()
    methods = [
        ("train-mean", {}, 0.80), ("copy-twin", {}, 0.78), ("lsr", {}, 0.415),
        ("lsr-l2", {"lambdas": 29}, 0.41), ("knn", {"k_max": 1}, 0.53),
        ("knn", {"k_max": 50}, 0.43), ("net", {"units": 9}, 0.802),
    ]  # fmt: skip
    for protocol, groups in (("geo", 13), ("gtex", 30)):
        random = np.random.default_rng(groups)
        hard = 0.1 * random.normal(size=groups * PER_GROUP)
        for number, (method, params, mae) in enumerate(methods):
            # The twins of a microarray are two measurements, and those of RNA-seq one.
            of_twins = 1.0 if method != "copy-twin" else 0.6 if protocol == "geo" else 0.0
            vectors = vectors_of(mae, hard, of_twins, random)
            record = made_up(
                method, params, mae, protocol=protocol, test=f"{protocol}/test",
                code={"distribution": "genebench", "version": "0.1.0", "digest": "0" * 16},
                profiles={"train": 320, "validation": 40, "test": len(hard)},
                genes={"landmark": 32, "target": GENES}, peak_memory=10**8 * (number + 1),
                seconds={"fit": 2.0**number, "predict": 0.25, "score": 0.5},
                choices={"k": 7} if method == "knn" else {},
                seal={"level": "landlock", "reason": ""},
            )  # fmt: skip
            store.write(record.model_copy(update={"scores": scores_of(vectors)}), vectors)
    store.write(made_up("lsr-l1", {}, None, started="2026-01-02T03:04:05+00:00"), {})
    return store.root


def vectors_of(mae, hard, of_twins, random):
    """Return vectors of a method: values per gene, and shares per profile with the same mean."""
    profiles, twin = len(hard), np.arange(GENES) < 10
    panels = {"all": np.full(GENES, True), "strict": ~twin, "twin": twin}
    vectors = {
        "profile.id": np.array([f"GSM{place:04}" for place in range(profiles)]),
        "profile.group": np.array([f"GSE{place // PER_GROUP:03}" for place in range(profiles)]),
        "gene.id": np.array([f"ENSG{place:011}" for place in range(GENES)]),
        "gene.twin": twin,
    }
    for metric, mean, best in (("mae", mae, 0.0), ("cc", 1 - mae, 1.0)):
        values = mean + 0.02 * random.normal(size=GENES)
        values = np.where(twin, best + (values - best) * of_twins, values)
        vectors[f"gene-metric.{metric}"] = values
        shares = hard + 0.02 * random.normal(size=profiles)
        for panel, genes in panels.items():
            share = shares - shares.mean() + values[genes].mean()
            vectors[f"profile-share.{metric}.{panel}"] = share
    return vectors


@pytest.fixture(scope="module")
def only_tiny(tiny, tmp_path_factory) -> Path:
    """Return a data folder with the tiny dataset alone, whatever other tests have prepared."""
    folder = tmp_path_factory.mktemp("data")
    shutil.copytree(tiny.root.parent, folder / "datasets" / "sim-tiny")
    return folder


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_prints_what_its_snapshot_holds(
    name, width, *, genebench, folder, only_tiny, monkeypatch
):
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("GENEBENCH_HOME", str(only_tiny))
    command = COMMANDS[name]
    results = () if command[0] in WITHOUT_RESULTS else ("--results", folder)
    outcome = genebench(*command, *results)
    assert outcome.status == 0, outcome.err
    shown = outcome.out.replace(str(folder), "RESULTS").replace(str(only_tiny), "HOME")
    # The digest of the simulation on processors without AVX-512.
    shown = shown.replace("6dacdb440ffa5201", "048ca54a6f159328")
    assert max(map(len, shown.splitlines())) <= width
    snapshot = SNAPSHOTS / f"{name}-{width}.txt"
    if os.environ.get("GENEBENCH_SNAPSHOTS") == "write":
        snapshot.parent.mkdir(exist_ok=True)
        snapshot.write_text(shown, "utf-8")
    assert shown == snapshot.read_text("utf-8"), "GENEBENCH_SNAPSHOTS=write writes them anew"


def test_every_snapshot_has_its_command():
    assert {path.stem for path in SNAPSHOTS.iterdir()} == {
        f"{name}-{width}" for name in COMMANDS for width in (80, 120)
    }
