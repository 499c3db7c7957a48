"""--plugin FILE: what was run with a local file is also looked at with it."""

from __future__ import annotations

import sys

import pytest

from genebench.plugins.discovery import installed
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry

BIAS = """
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec, MetricSpec
genebench_contract = 1

def bias(truth, prediction):
    return abs((prediction - truth).mean(axis=0))

class Flat(Model):
    def __init__(self, level):
        self.level = level
    def predict(self, landmarks):
        return landmarks[:, :1] * 0 + self.level
    def tensors(self):
        return {"level": self.level}

class Mean(Method):
    def fit(self, train, validation_sets, context):
        return dict.fromkeys(validation_sets, Flat(train.targets.mean(axis=0)))
    def restore(self, tensors, context):
        return Flat(tensors["level"])

@hookimpl
def genebench_metrics():
    return [MetricSpec(name="bias", title="Bias", summary="s", code="localbias:bias", unit="1",
                       direction="lower", best=0.0)]

@hookimpl
def genebench_methods():
    return [MethodSpec(name="local-mean", title="m", summary="s", code="localbias:Mean")]
"""


@pytest.fixture
def forget(monkeypatch):
    """Local files that a command has loaded are forgotten."""

    def forget():
        monkeypatch.setenv(FILES, "")
        sys.modules.pop("localbias", None)
        installed.cache_clear()
        registry.cache_clear()

    forget()
    yield forget
    forget()


@pytest.fixture
def made(genebench, forget, tiny, tmp_path):
    """A file that offers a method and a metric, and results of both."""
    file, results = tmp_path / "localbias.py", tmp_path / "results"
    file.write_text(BIAS)
    done = genebench(
        "run", "--plugin", file, "--methods", "local-mean", "--preset", "tiny", "--protocol", "geo",
        "--results", results, "--quiet", "--keep-models",
    )  # fmt: skip
    assert done.status == 0, done.err
    forget()
    return file, results


def test_report_says_which_metric_is_not_installed(genebench, made, forget):
    file, results = made
    done = genebench("report", "--results", results, "--metrics", "bias")
    assert done.status == 0
    assert done.err == "note: metric bias: not installed here\n"
    done = genebench("report", "--results", results, "--metrics", "bias", "--plugin", file)
    assert done.err == ""
    assert "Bias" in done.out


def test_compare_and_leaderboard_take_the_file(genebench, made, forget, tmp_path):
    file, results = made
    site = tmp_path / "site"
    for command in (
        ("compare", "local-mean", "copy-twin", "--metric", "bias", "--results", results),
        ("leaderboard", results, "--out", site, "--metrics", "bias,mae"),
    ):
        done = genebench(*command)
        assert done.status == 2
        assert "unknown metric 'bias'" in done.err
        forget()
        done = genebench(*command, "--plugin", file)
        assert done.status == 0, done.err
        forget()


def test_predict_takes_the_file(genebench, made, forget, tmp_path):
    file, results = made
    [model] = (path for path in results.glob("*.safetensors") if b"local-mean" in path.read_bytes())
    landmarks = tmp_path / "landmarks.tsv"
    landmarks.write_text("id\tone\n")
    command = ("predict", model, landmarks, tmp_path / "out.tsv")
    assert "local-mean" in genebench(*command).err
    forget()
    assert "local-mean" not in genebench(*command, "--plugin", file).err
