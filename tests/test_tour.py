"""The tour is a notebook that runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
TOUR = DOCS / "tour.ipynb"


def test_the_tour_has_no_outputs_and_is_linked():
    cells = json.loads(TOUR.read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    assert "(tour.ipynb)" in (DOCS / "index.md").read_text("utf-8")


@pytest.mark.filterwarnings("default")  # those of Jupyter are not ours
def test_the_tour_runs_and_shows_tables_and_figures(tiny, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    # A kernel of this Python, whatever is installed for the user.
    spec = tmp_path / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    tour = nbformat.read(TOUR, as_version=4)
    client.NotebookClient(
        tour, timeout=280, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [output for cell in tour.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] in {"error", "stream"}]
    html = [output["data"]["text/html"] for output in outputs if "data" in output
            and "text/html" in output["data"]]  # fmt: skip
    assert sum("<table" in text for text in html) >= 7
    assert sum("data:image/svg+xml" in text for text in html) == 2
    lines = [text for text in html if text.startswith("<div>") and " in " in text]
    assert lines, "a run has shown its progress"
