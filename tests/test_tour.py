"""The tour is a notebook that runs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
TOUR = DOCS / "tour.ipynb"


def test_the_tour_has_no_outputs_and_is_linked():
    cells = json.loads(TOUR.read_text("utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    assert "(tour.ipynb)" in (DOCS / "index.md").read_text("utf-8")


def executed_for_the_site():
    """Return the tour as ``make docs`` has executed it, with today's tour and code, or None."""
    if not (site := os.environ.get("GENEBENCH_DOCS_SITE")):
        return None
    path = Path(site).parent / "jupyter_execute" / TOUR.name
    sources = [TOUR, *ROOT.glob("genebench/**/*.py"), *ROOT.glob("plugins/*/genebench_*/**/*.py")]
    newest = max(source.stat().st_mtime for source in sources)
    if not path.exists() or path.stat().st_mtime < newest:
        return None
    tour = notebook(path)
    # A site may have been built without running it.
    return tour if any(cell.get("outputs") for cell in tour.cells) else None


def executed_here(tmp_path, monkeypatch):
    """Execute the tour with a kernel of this Python, whatever is installed for the user."""
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    spec = tmp_path / "share" / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel = {"argv": command, "display_name": "Python 3", "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(kernel))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    resources = {"metadata": {"path": str(tmp_path)}}
    return client.NotebookClient(
        notebook(TOUR), timeout=280, kernel_name="python3", resources=resources
    ).execute()


def notebook(path):
    """Read a notebook."""
    return pytest.importorskip("nbformat").read(path, as_version=4)


@pytest.mark.usefixtures("tiny")
@pytest.mark.filterwarnings("default")  # those of Jupyter are not ours
def test_the_tour_runs_and_shows_tables_and_figures(tmp_path, monkeypatch):
    tour = executed_for_the_site() or executed_here(tmp_path, monkeypatch)
    outputs = [output for cell in tour.cells for output in cell.get("outputs", ())]
    assert not [output for output in outputs if output["output_type"] in {"error", "stream"}]
    html = [output["data"]["text/html"] for output in outputs if "data" in output
            and "text/html" in output["data"]]  # fmt: skip
    assert sum("<table" in text for text in html) >= 7
    assert sum("data:image/svg+xml" in text for text in html) == 2
    lines = [text for text in html if text.startswith("<div>") and " in " in text]
    assert lines, "a run has shown its progress"
