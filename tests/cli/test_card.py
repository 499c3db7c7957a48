"""genebench data card: text, JSON, Croissant, and a folder with figures."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example"


@pytest.fixture(autouse=True)
def prepared(genebench, tmp_path, monkeypatch):
    """The example, prepared in a home of its own."""
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert genebench("data", "prepare", EXAMPLE / "example.toml").status == 0


def test_text(genebench):
    outcome = genebench("data", "card", "example")
    assert outcome.status == 0, outcome.err
    assert outcome.out.startswith("# example\n")
    for heading in ("Platforms", "Sources and licences", "Batch structure", "Levels"):
        assert f"## {heading}\n" in outcome.out
    assert "| geo | arrays.tsv |" in outcome.out


def test_json_and_croissant(genebench):
    facts = json.loads(genebench("data", "card", "example", "--json").out)
    metadata = json.loads(
        genebench("data", "card", "example", "--croissant", "--url", "https://e.org").out
    )
    assert facts["digest"] in metadata["description"]
    assert metadata["url"] == "https://e.org"
    outcome = genebench("data", "card", "example", "--croissant", "--json")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)


def test_a_folder_with_figures(genebench, tmp_path):
    pytest.importorskip("matplotlib")
    outcome = genebench("data", "card", "example", "--out", "card")
    assert outcome.status == 0, outcome.err
    written = {path.name: path.read_bytes() for path in (tmp_path / "card").iterdir()}
    assert set(written) == {
        "example.md",
        *(
            f"example-{kind}.{end}"
            for kind in ("levels", "components")
            for end in ("pdf", "svg", "png", "csv")
        ),
    }
    assert b"![example-components](example-components.svg)" in written["example.md"]
    for name in ("example-levels.svg", "example-components.svg"):
        texts = [item.text for item in ET.fromstring(written[name]).iter() if item.text]
        assert texts
    # The same card is the same bytes.
    genebench("data", "card", "example", "--out", "card")
    assert written == {path.name: path.read_bytes() for path in (tmp_path / "card").iterdir()}


def test_without_matplotlib(genebench, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("genebench.reports.figures.drawing.find_spec", lambda name: None)
    outcome = genebench("data", "card", "example", "--out", "card")
    assert outcome.status == 2
    assert "A figure needs matplotlib, which is not installed" in outcome.err
    assert not (tmp_path / "card").exists()


def test_no_such_dataset(genebench):
    outcome = genebench("data", "card", "exmple")
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert "Did you mean example" in outcome.err
