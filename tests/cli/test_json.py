"""Every command that prints data prints them as JSON, too."""

from __future__ import annotations

import json

import pytest
import typer

from genebench.cli import build_app

WITHOUT_DATA = {
    "cite": "BibTeX, for other programs already",
    "data aliases": "writes a file",
    "data convert": "writes a file",
    "data export": "writes a file",
    "data new-manifest": "writes a file",
    "data prepare": "writes a dataset, which data info shows",
    "data remove": "prints one line",
    "job": "writes records, which status shows",
    "leaderboard": "writes a site",
    "new": "writes a package",
    "predict": "writes a file",
    "results config": "TOML, for other programs already",
    "results export": "writes a file",
    "results merge": "writes a folder, which status shows",
    "results publish": "writes a folder, which status shows",
    "results schema": "JSON already",
    "results submit": "writes a file",
}
"""Command → why it has no --json."""


def commands():
    """Path of each command of genebench itself → its options."""

    def walk(group, path):
        for name, command in group.commands.items():
            where = f"{path} {name}".strip()
            if hasattr(command, "commands"):
                yield from walk(command, where)
            elif command.callback.__module__.startswith("genebench."):
                yield where, {option for param in command.params for option in param.opts}

    return dict(walk(typer.main.get_command(build_app()), ""))


def test_each_command_prints_json_or_prints_no_data():
    found = commands()
    assert set(found) >= set(WITHOUT_DATA)
    without = {name for name, options in found.items() if "--json" not in options}
    assert without == set(WITHOUT_DATA)


@pytest.mark.parametrize(
    "command",
    [
        "config", "list methods", "list suites", "list plugins", "show lsr", "show geo",
        "show table1", "data list", "data info sim-tiny", "data verify sim-tiny", "data fetch",
        "doctor --no-gpu",
    ],
)  # fmt: skip
def test_what_is_printed_is_json(genebench, tiny, command):
    printed = genebench(*command.split(), "--json")
    assert json.loads(printed.out)


@pytest.mark.parametrize(
    "command",
    [
        "status", "report", "report ranks", "report --cost", "compare lsr train-mean",
        "results verify", "results diff lsr@geo lsr@gtex",
    ],
)  # fmt: skip
def test_results_are_printed_as_json(genebench, lsr_and_knn, command):
    printed = genebench(*command.split(), "--json", "--results", lsr_and_knn)
    assert json.loads(printed.out)


def test_a_check_of_a_protocol_is_printed_as_json(genebench, tiny):
    done = genebench("check", "geo", "--only", "says_what_it_is", "--json")
    [row] = json.loads(done.out)
    assert (row["subject"], row["status"]) == ("geo", "passed")
    for words in (["geo", "--set", "k_max=5"], ["geo", "--time-limit", "2h"], ["geo,lsr-l2"]):
        refused = genebench("check", *words)
        assert (refused.status, refused.out, "protocol" in refused.err) == (2, "", True)


def test_a_check_and_a_search_are_printed_as_json(genebench, tiny, tmp_path):
    rows = json.loads(genebench("check", "train-mean", "--only", "shape", "--json").out)
    assert {row["subject"] for row in rows} == {"train-mean"}
    assert "passed" in {row["status"] for row in rows}
    searched = genebench(
        "tune", "--method", "knn", "--grid", "k_max=1,2", "--protocol", "geo", "--preset", "tiny",
        "--results", tmp_path / "results", "--quiet", "--json",
    )  # fmt: skip
    found = json.loads(searched.out)
    assert [trial["chosen"] for trial in found["trials"]].count(True) == 1
    assert {row["method"] for row in found["scores"]} >= {"knn"}
