"""The example of an observer: runs in MLflow's file layout, and no harm to the run."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

from genebench.api import run
from genebench.plugins.discovery import installed
from genebench.plugins.registry import registry

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "examples" / "observer"


@pytest.fixture
def mlruns(tiny, tmp_path, monkeypatch):
    """Install the example, as its pyproject says; give the folder that it is to write to."""
    site = tmp_path / "site-packages"
    shutil.copytree(EXAMPLE / "genebench_mlruns", site / "genebench_mlruns")
    info = site / "genebench_mlruns-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: genebench-mlruns\nVersion: 0.1.0\n"
    )
    point = re.search(
        r"\[project\.entry-points\.genebench\]\n(.*)\n", (EXAMPLE / "pyproject.toml").read_text()
    )
    (info / "entry_points.txt").write_text(f"[genebench]\n{point[1].replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("MLFLOW_TRACKING_DIR", str(tmp_path / "mlruns"))
    for cached in (installed, registry):
        cached.cache_clear()
    yield tmp_path / "mlruns"
    for cached in (installed, registry):
        cached.cache_clear()
    for name in [name for name in sys.modules if name.startswith("genebench_mlruns")]:
        del sys.modules[name]


def trained(tmp_path, **options):
    """A run of a network that takes four epochs."""
    found = run(
        "dgex", ("geo", "gtex"), preset="tiny", results=tmp_path / "results",
        params={"dgex": {"epochs": 4}}, **options,
    )  # fmt: skip
    return [record for record in found.records if record.identity.method == "dgex"]


def run_of(mlruns, method):
    """The folder of a method's run."""
    [folder] = [
        path.parent.parent
        for path in mlruns.glob("*/*/params/method")
        if path.read_text() == method
    ]
    return folder


def metric(folder, name):
    """Values and steps; each line is a time in milliseconds, a value and a step."""
    lines = (folder / "metrics" / name).read_text().splitlines()
    fields = [line.split(" ") for line in lines]
    assert all(len(field) == 3 and len(field[0]) == 13 for field in fields)
    return [(float(value), int(step)) for _, value, step in fields]


def meta(folder):
    """A flat YAML mapping, read without help."""
    return dict(line.split(": ", 1) for line in (folder / "meta.yaml").read_text().splitlines())


def test_a_training_is_logged_as_it_goes_with_the_error_on_each_validation_set(mlruns, tmp_path):
    records = trained(tmp_path)
    folder = run_of(mlruns, "dgex")
    done = metric(folder, "progress")
    assert done[-1][0] == 1.0
    assert [step for _, step in done] == sorted(step for _, step in done)
    for record in records:
        protocol = record.identity.protocol
        learnt = record.curves["learning"]
        logged = metric(folder, f"curve/{protocol}/learning/mae {protocol}")
        assert logged == list(zip(learnt[f"mae {protocol}"], range(1, 5), strict=True))
        live = metric(folder, f"live/{protocol}")
        assert {value for value, _ in live} <= {round(v, 4) for v in learnt[f"mae {protocol}"]}
        assert live[-1][0] == round(learnt[f"mae {protocol}"][-1], 4)


def test_the_end_of_a_run_has_its_scores_parameters_and_state(mlruns, tmp_path):
    records = trained(tmp_path)
    folder = run_of(mlruns, "dgex")
    for record in records:
        for name, panels in record.scores.items():
            for panel, score in panels.items():
                logged = metric(folder, f"test/{record.identity.protocol}/{name}/{panel}")
                assert logged == [(score.mean, 0)]
        assert (folder / "tags" / f"key.{record.identity.protocol}").read_text() == record.key
    written = {path.name: path.read_text() for path in (folder / "params").iterdir()}
    params = {name: str(value) for name, value in records[0].identity.params.items()}
    assert written.items() >= {**params, "epochs": "4", "seed": "0", "dataset": "sim"}.items()
    state = meta(folder)
    assert state["status"] == "3"  # finished
    assert int(state["end_time"]) >= int(state["start_time"])
    assert state["run_id"] == state["run_uuid"] == f'"{folder.name}"'
    assert re.fullmatch(r"[0-9a-f]{32}", folder.name)
    experiment = meta(folder.parent)
    assert experiment["experiment_id"] == state["experiment_id"] == f'"{folder.parent.name}"'
    assert experiment["name"] == f'"sim {records[0].identity.data}"'


def test_a_run_that_is_done_again_replaces_what_was_logged(mlruns, tmp_path):
    first = trained(tmp_path)
    shutil.rmtree(tmp_path / "results")
    trained(tmp_path)
    folder = run_of(mlruns, "dgex")
    protocol = first[0].identity.protocol
    assert len(metric(folder, f"test/{protocol}/mae/all")) == 1


def test_a_job_that_fails_is_logged_as_failed_with_its_reason(mlruns, tmp_path, monkeypatch):
    from genebench_dgex.method import DGEX

    def broken(*_):
        raise RuntimeError("no luck")

    monkeypatch.setattr(DGEX, "fit", broken)
    trained(tmp_path)
    folder = run_of(mlruns, "dgex")
    assert meta(folder)["status"] == "4"
    assert (folder / "tags" / "failure.geo").read_text() == "RuntimeError: no luck"


def test_a_folder_that_cannot_be_written_costs_one_line_and_no_result(mlruns, tmp_path, caplog):
    mlruns.write_text("a file, where a folder is wanted")
    with caplog.at_level(logging.WARNING, "genebench"):
        records = trained(tmp_path)
    assert {record.status for record in records} == {"done"}
    [line] = caplog.records
    rest = "The log is incomplete. Set MLFLOW_TRACKING_DIR to another folder."
    assert line.getMessage() == f"mlruns: {mlruns}: not a directory. {rest}"


def test_a_disk_that_fills_up_costs_no_result(mlruns, tmp_path, monkeypatch, caplog):
    from genebench_mlruns.runs import Run

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "progress")

    monkeypatch.setattr(Run, "_log", full)
    with caplog.at_level(logging.WARNING, "genebench"):
        records = trained(tmp_path)
    assert {record.status for record in records} == {"done"}
    [line] = caplog.records
    assert f"{mlruns}: no space left on device" in line.getMessage()


def test_names_never_lead_out_of_the_run():
    sys.path.insert(0, str(EXAMPLE))
    try:
        from genebench_mlruns.runs import _safe
    finally:
        sys.path.remove(str(EXAMPLE))
    assert _safe("curve/geo/../../../x") == "curve/geo/_/_/_/x"
    assert _safe("mae λ=1:\n") == "mae λ_1__"


def test_mlflow_reads_what_was_logged(mlruns, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    tracking = pytest.importorskip("mlflow.tracking", reason="MLflow is not installed")
    trained(tmp_path)
    client = tracking.MlflowClient(mlruns.as_uri())
    folder = run_of(mlruns, "dgex")
    found = client.get_run(folder.name)
    assert found.info.status == "FINISHED"
    assert found.data.params["method"] == "dgex"
    assert found.data.metrics["test/geo/mae/all"] == metric(folder, "test/geo/mae/all")[0][0]
