"""The data of a board for its scripts, and the libraries that are shipped with them."""

from __future__ import annotations

import hashlib
import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from genebench import api
from genebench.leaderboard import board_data, siblings
from genebench.leaderboard.assembly import build

ROOT = Path(__file__).resolve().parents[2]
VENDOR = ROOT / "genebench" / "leaderboard" / "static" / "vendor"


@pytest.fixture(scope="module")
def site(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    api.run("lsr,lsr-l2", "geo,gtex", dataset="sim", preset="tiny", results=folder / "results")
    build([folder / "results"], folder / "site")
    return folder / "site"


def data_of(site, protocol):
    for path in site.glob("boards/*/data.js"):
        name, _, text = path.read_text("utf-8").partition("=")
        data = json.loads(text)
        if data["protocol"] == protocol:
            assert name == "globalThis.genebenchBoard"
            return data
    return None


def test_the_numbers_are_those_of_the_csv(site):
    data = data_of(site, "geo")
    content = json.loads((site / "boards" / data["id"] / "board.json").read_text("utf-8"))
    lines = content["rows"]
    at = {name: number for number, name in enumerate(data["figures"])}
    assert len(data["rows"]) == len(lines) == 4
    for row, line in zip(data["rows"], lines, strict=True):
        assert (row["label"], row["targets"]) == (line["label"], line["targets"])
        for panel in ("all", "strict", "twin"):
            for metric in ("mae", "cc"):
                scores = row["panels"][panel][metric]
                scores += [None] * (len(at) - len(scores))
                for figure, name in (("mean", "mean"), ("low", "low"), ("rankHigh", "rank_high"),
                                     ("difference", "difference")):  # fmt: skip
                    numbers = dict(
                        zip(content["figures"], line["scores"][panel][metric], strict=False)
                    )
                    expected = numbers.get(name)
                    expected = None if expected is None else pytest.approx(expected, rel=1e-4)
                    assert scores[at[figure]] == expected


def test_one_leader_has_no_difference_and_others_are_worse(site):
    data = data_of(site, "geo")
    at = data["figures"].index("difference")
    ranked = [row["panels"]["all"]["mae"] for row in data["rows"] if row["section"] == "ranked"]
    differences = [(scores + [None] * 15)[at] for scores in ranked]
    assert differences.count(None) == 1
    assert all(value >= 0 for value in differences if value is not None)


def test_links_lead_to_boards_that_differ_in_one_choice(site):
    data = data_of(site, "geo")
    links = {(link["protocol"], link["panel"]): link["href"] for link in data["siblings"]}
    assert ("gtex", "twin") in links
    assert all((site / "boards" / data["id"] / href).resolve().exists() for href in links.values())


def test_no_text_can_end_the_script():
    text = "</script><!-- \u2028 & \ud800"
    script = board_data.script_of("name", {"a": text})
    assert not set("<>&\u2028") & set(script)
    assert json.loads(script.partition("=")[2]) == {"a": text}


def test_a_board_names_no_number_of_targets_but_its_own(site):
    for page in site.glob("boards/*/*.html"):
        assert "9,520" not in page.read_text("utf-8")


def test_libraries_are_those_that_were_reviewed_and_have_licences(site):
    sums = dict(
        reversed(line.split()) for line in (VENDOR / "SHA256SUMS").read_text("utf-8").splitlines()
    )
    scripts = {path.name for path in VENDOR.iterdir() if path.suffix in {".js", ".css"}}
    assert scripts == set(sums)
    for name, digest in sums.items():
        for folder in (VENDOR, site / "vendor"):
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        assert (VENDOR / f"{name.partition('.')[0]}.LICENSE").exists()
    assert "Tabulator v6.5.3" in (VENDOR / "tabulator.min.js").read_text("utf-8")[:100]
    assert 'version="6.1.0"' in (VENDOR / "echarts.min.js").read_text("utf-8")


def test_equations_are_those_of_the_reference():
    pytest.importorskip("docutils")
    spec = spec_from_file_location("maths", ROOT / "docs" / "maths.py")
    maths = module_from_spec(spec)
    sys.modules["maths"] = maths
    spec.loader.exec_module(maths)
    assert json.loads(maths.FILE.read_text("utf-8")) == maths.maths(), "run python docs/maths.py"


def test_equal_names_of_different_data_are_told_apart():
    class Identity:
        def __init__(self, data, protocol, version):
            self.data, self.protocol, self.protocol_version = data, protocol, version

    class Board:
        preset = "paper"

        def __init__(self, id_, datasets, *identity):
            self.id, self.datasets = id_, datasets
            self.first = type("First", (), {"identity": Identity(*identity)})

    places = siblings.places_of(
        [Board("a", "one", "1" * 16, "geo", 1), Board("b", "one", "2" * 16, "geo", 2)]
    )
    assert places == {
        "a": ("one 111111", "geo 1", "paper"), "b": ("one 222222", "geo 2", "paper")
    }  # fmt: skip
