"""The GPU kit at a tiny size on the CPU: stages, limits, goals and the table."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def imported(path, monkeypatch):
    """Import a script, which is in no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look for their module.
    monkeypatch.setitem(sys.modules, path.stem, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def gpu(monkeypatch):
    return imported(ROOT / "benchmarks" / "gpu.py", monkeypatch)


def values(rows):
    return {row.what: row for row in rows}


@pytest.mark.parametrize("stage", ["dgex", "ggan"])
def test_a_step_is_timed_plain_and_ours_with_its_share_and_its_goal(gpu, stage, monkeypatch):
    training = imported(ROOT / "benchmarks" / "training.py", monkeypatch)
    monkeypatch.setitem(sys.modules, "training", training)
    monkeypatch.setitem(gpu.GOALS_MS, stage, 1e9)
    rows = list(gpu.steps(stage, gpu.TINY))
    assert [row.what.rpartition(", ")[2] for row in rows] == [
        "plain", "float32", "bfloat16", "best",
    ]  # fmt: skip
    assert "% of the floor" in rows[1].value
    assert rows[-1].verdict == "met"
    monkeypatch.setitem(gpu.GOALS_MS, stage, 0.0)
    assert list(gpu.steps(stage, gpu.TINY))[-1].verdict == "MISSED"


@pytest.mark.parametrize("name", ["lsr-l2", "lsr-l1", "knn-ge", "knn", "kernel-ridge"])
def test_a_closed_form_is_fitted_and_predicts(gpu, name):
    rows = list(gpu.run_stage(name, tiny=True))
    assert f"{name}, fit on {gpu.device()}" in values(rows)
    assert f"{name}, 40 predictions" in values(rows)


def test_parity_compares_every_method_and_can_miss(gpu, monkeypatch):
    rows = list(gpu.parity(gpu.TINY))
    assert [row.what.partition(",")[0] for row in rows] == list(gpu.CLOSED_FORMS)
    assert {row.verdict for row in rows} == {"met"}
    calls = []

    def other_on_the_cpu(*arguments):
        model = fitted(*arguments)
        calls.append(arguments)
        predict = model.predict
        model.predict = lambda block: predict(block) + len(calls) % 2
        return model

    fitted = gpu.fitted
    monkeypatch.setattr(gpu, "fitted", other_on_the_cpu)
    assert {row.verdict for row in gpu.parity(gpu.TINY)} == {"MISSED"}


def test_every_file_with_a_test_for_cuda_is_found(gpu):
    files = {path.relative_to(ROOT).as_posix() for path in gpu.cuda_tests(ROOT)}
    assert {
        "plugins/knn/tests/test_knn.py", "plugins/ggan/tests/test_ggan.py",
        "tests/methods/test_moments.py",
    } <= files  # fmt: skip
    assert not any("cli" in name for name in files)


def test_only_tests_that_need_cuda_are_kept(gpu, tmp_path):
    path = tmp_path / "test_some.py"
    path.write_text(
        "import pytest\n"
        "def test_plain(): pass\n"
        "@pytest.mark.skipif(True, reason='no CUDA device')\n"
        "def test_needs_it(): pass\n"
        "@pytest.mark.skipif(True, reason='another')\n"
        "def test_other(): pass\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "gpu", "--collect-only", str(path)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT / "benchmarks"), "PATH": ""},
    )  # fmt: skip
    assert "test_needs_it" in done.stdout
    assert "test_plain" not in done.stdout
    assert "test_other" not in done.stdout


def test_a_report_of_tests_becomes_rows(gpu):
    passed = "<testcase classname='a' name='one'/>"
    failed = "<testcase classname='a' name='two'><failure/></testcase>"
    skipped = "<testcase classname='a' name='three'><skipped/></testcase>"

    def rows(*cases):
        return list(
            gpu.test_rows(f"<testsuites><testsuite>{''.join(cases)}</testsuite></testsuites>")
        )

    assert [row.verdict for row in rows(passed)] == ["met"]
    first, *others = rows(passed, failed, skipped)
    assert (first.value, first.verdict) == ("1 passed, 1 failed, 1 skipped", "MISSED")
    assert [(row.what, row.value) for row in others] == [
        ("a.two", "failed"),
        ("a.three", "skipped"),
    ]
    assert rows()[0].verdict == "MISSED"
    assert [row.value for row in gpu.test_rows("")] == ["no report"]


def stage_of(gpu, tmp_path, monkeypatch, body):
    """Let the process of a stage be another script."""
    script = tmp_path / "stage.py"
    script.write_text(
        f"import json, sys, time\nout = sys.argv[sys.argv.index('--out') + 1]\n{body}"
    )
    monkeypatch.setattr(gpu, "__file__", str(script))


ROW = 'open(out, "a").write(json.dumps(dict(stage="knn", what="first", value="1")) + "\\n")\n'


def test_a_stage_that_takes_too_long_keeps_its_rows(gpu, tmp_path, monkeypatch):
    stage_of(gpu, tmp_path, monkeypatch, f"{ROW}time.sleep(60)\n")
    first, fault, spent = gpu.supervised("knn", 1.5, tiny=True)
    assert first.what == "first"
    assert (fault.value, fault.verdict) == ("stopped after 2 s", "MISSED")
    assert spent.what == "seconds of the stage"


def test_a_stage_that_dies_costs_itself_alone(gpu, tmp_path, monkeypatch):
    stage_of(gpu, tmp_path, monkeypatch, f"{ROW}sys.exit(3)\n")
    out = tmp_path / "gpu.md"
    arguments = type("Given", (), {
        "stages": ["knn", "knn-ge"], "minutes": 1.0, "out": out, "tiny": True,
    })()  # fmt: skip
    assert gpu.main(arguments) == 1
    text = out.read_text()
    assert text.count("ended with status 3") == 2
    assert f"Python {sys.version.split()[0]}" in text
    assert "torch" in text.splitlines()[0]


def test_without_time_left_a_stage_is_not_started(gpu, tmp_path, monkeypatch):
    monkeypatch.setattr(gpu, "supervised", lambda *_, **__: pytest.fail("it was started"))
    arguments = type("Given", (), {
        "stages": ["knn"], "minutes": 0.0, "out": tmp_path / "gpu.md", "tiny": True,
    })()  # fmt: skip
    assert gpu.main(arguments) == 1
    assert "no time left" in (tmp_path / "gpu.md").read_text()


def test_all_limits_fit_into_the_time(gpu):
    assert sum(gpu.LIMITS_SECONDS.values()) < 20 * 60
    assert set(gpu.LIMITS_SECONDS) == {"tests", *gpu.GOALS_MS, *gpu.CLOSED_FORMS, "parity"}


def test_wheels_are_installed_without_an_index(gpu, tmp_path):
    wheels, target = tmp_path / "wheels", tmp_path / "target"
    wheels.mkdir()
    with pytest.raises(SystemExit, match="no wheels"):
        gpu.install(wheels, target)
    info = "made_up-1.0.dist-info"
    with zipfile.ZipFile(wheels / "made_up-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("made_up.py", "answer = 42\n")
        # A dependency that is nowhere: it must not be looked for.
        wheel.writestr(
            f"{info}/METADATA",
            "Metadata-Version: 2.1\nName: made-up\nVersion: 1.0\nRequires-Dist: not-anywhere\n",
        )
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "made_up.py,,\n")
    gpu.install(wheels, target)
    assert (target / "made_up.py").read_text() == "answer = 42\n"


def test_cells_cannot_break_the_table(gpu):
    row = gpu.Row("knn", "a | b", "two\nlines")
    text = gpu.table([row, replace(row, verdict="met")], "title")
    assert [line.count("|") for line in text.splitlines()[2:]] == [6] * 4
