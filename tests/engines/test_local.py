"""Tests of methods whose text no file can hold, or that close files which are not theirs.

Each command runs in a process of its own, because these methods harm theirs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = """
import os
import numpy as np
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec

genebench_contract = 1
BAD = "a\\udcff"


class Zero(Model):
    def __init__(self, targets, **facts):
        self.targets = targets
        vars(self).update(facts)

    def predict(self, landmarks):
        return np.zeros((len(landmarks), self.targets), np.float32)

    def tensors(self):
        return getattr(self, "saved", {})


class Odd(Method):
    def fit(self, train, validation_sets, context):
        n = len(train.target_genes)
        return {name: self.model(n) for name in validation_sets}


class Works(Odd):
    def model(self, n):
        return Zero(n)


class Raises(Odd):
    def model(self, n):
        raise ValueError(BAD)


class States(Odd):
    def model(self, n):
        return Zero(
            n, choices={BAD: BAD}, notes=(BAD,), curves={BAD: {BAD: [1.0]}},
            per_target={BAD: np.zeros(n)},
        )


class Names(Odd):
    def model(self, n):
        return Zero(n, saved={BAD: np.zeros(2)})


class Closes(Odd):
    first = 3

    def model(self, n):
        os.closerange(self.first, 4096)
        return Zero(n)


class ClosesAll(Closes):
    first = 0


@hookimpl
def genebench_methods():
    return [
        MethodSpec(name=cls.__name__.lower(), title="t", summary="s", code=f"odd:{cls.__name__}")
        for cls in (Works, Raises, States, Names, Closes, ClosesAll)
    ]
"""
ESCAPED = "a\\udcff"


@pytest.fixture
def plugin(write) -> Path:
    """Return the plugin file of the methods."""
    return write("odd.py", PLUGIN)


def run(plugin: Path, method: str, results: bytes | Path) -> tuple[int, str]:
    """Run a method, and return the exit status and all messages."""
    command = [
        sys.executable, "-m", "genebench", "run", "--methods", method, "--plugin", plugin,
        "--preset", "tiny", "--protocol", "geo", "--keep-models", "--results", results,
    ]  # fmt: skip
    done = subprocess.run(command, check=False, capture_output=True, cwd=plugin.parent)
    messages = done.stderr.decode()
    assert "Traceback" not in messages
    return done.returncode, messages


def records(results: bytes | Path) -> dict[str, dict]:
    """Return method → its record."""
    folder = Path(os.fsdecode(results))
    read = [json.loads(path.read_bytes()) for path in folder.glob("*.json")]
    return {record["identity"]["method"]: record for record in read if "identity" in record}


def test_text_that_no_file_can_hold_ends_in_records(tiny, plugin, tmp_path):
    status, messages = run(plugin, "raises,states,names", tmp_path / "results")
    made = records(tmp_path / "results")
    assert status == 1
    assert ESCAPED in messages
    assert made["raises"]["failure"]["message"] == ESCAPED
    assert made["states"]["choices"] == {ESCAPED: ESCAPED}
    assert made["states"]["notes"][0] == ESCAPED
    assert made["states"]["curves"] == {ESCAPED: {ESCAPED: [1.0]}}
    assert "its name is not text" in made["names"]["failure"]["message"]


@pytest.mark.parametrize("method", ["closes", "closesall"])
def test_a_method_that_closes_all_files_leaves_a_record_and_stops_no_later_run(
    tiny, plugin, tmp_path, method
):
    status, messages = run(plugin, method, tmp_path / "results")
    record = records(tmp_path / "results")[method]
    assert status == 1 or "Standard output was closed" in messages or method == "closesall"
    assert status in {1, 2}
    assert record["status"] == ("done" if method == "closes" else "failed")
    status, messages = run(plugin, f"{method},works", tmp_path / "results")
    assert records(tmp_path / "results")["works"]["status"] == "done"
    assert status == (1 if method == "closesall" else 0)


def test_a_results_folder_whose_name_is_no_text_works(tiny, plugin, tmp_path):
    folder = os.fsencode(tmp_path) + b"/r\xff"
    status, messages = run(plugin, "works", folder)
    assert status == 0, messages
    assert records(folder)["works"]["provenance"]["command"].endswith(r"r\udcff'")
    command = [sys.executable, "-m", "genebench", "status", "--results", folder]
    shown = subprocess.run(command, check=True, capture_output=True)
    assert rb"r\udcff" in shown.stdout
