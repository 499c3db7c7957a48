"""What a newcomer types first: no arguments, -h, --version, list, show."""

from __future__ import annotations

import json
from importlib.metadata import version

import pytest
import typer

from genebench.cli import build_app

KINDS = {
    "methods": {"lsr", "lsr-l2", "knn", "knn-ge", "train-mean", "copy-twin"},
    "datasets": {"sim"},
    "splits": {"random", "group"},
    "protocols": {"geo", "gtex"},
    "metrics": {"mae", "cc", "rmse", "spearman", "recall", "profile-recall"},
    "engines": {"local"},
    "reports": {"scores", "ranks", "scaled", "leaks", "curve", "suite", "sweep"},
    "reporters": {"terminal", "markdown", "latex", "csv", "json"},
    "plugins": {"linear", "knn", "genebench.methods.controls"},
}


def commands(group=None, path=()):
    """The words of every command and group of commands, the root included."""
    group = group or typer.main.get_command(build_app())
    yield path
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*path, name))


EVERY_COMMAND = pytest.mark.parametrize(
    "path", list(commands()), ids=lambda path: " ".join(path) or "genebench"
)


def assert_one_line_error(outcome, *fragments: str) -> None:
    assert outcome.status == 2
    assert outcome.out == ""
    assert outcome.err.startswith("genebench: error: ")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err


# Help


@EVERY_COMMAND
def test_every_command_has_help_with_an_example_of_itself(genebench, path):
    outcome = genebench(*path, "-h")
    assert outcome.status == 0
    assert outcome.err == ""
    usage = outcome.out.splitlines()[0]
    assert usage.startswith("Usage: ")
    assert f" {' '.join((*path, '[OPTIONS]'))}" in usage
    assert "Example: genebench " + " ".join(path) in " ".join(outcome.out.split())


@EVERY_COMMAND
def test_the_long_option_gives_the_same_help(genebench, path):
    assert genebench(*path, "--help").out == genebench(*path, "-h").out


@EVERY_COMMAND
def test_an_unknown_option_is_one_line(genebench, path):
    assert_one_line_error(genebench(*path, "--nonsense"), "--nonsense")


@pytest.mark.parametrize("path", [(), ("data",), ("results",)], ids=" ".join)
def test_without_a_command_the_help_is_printed_as_help(genebench, path):
    outcome = genebench(*path)
    assert outcome.out == genebench(*path, "-h").out
    assert outcome.err == ""


def test_the_version_is_that_of_the_distribution(genebench):
    outcome = genebench("--version")
    assert (outcome.status, outcome.out) == (0, f"genebench {version('genebench-suite')}\n")


def test_an_unknown_command_is_one_line_with_near_misses(genebench):
    assert_one_line_error(genebench("reprot"), "reprot", "report")


# list


@pytest.mark.parametrize("kind", KINDS)
def test_everything_on_offer_is_listed(genebench, kind):
    outcome = genebench("list", kind)
    assert outcome.status == 0
    shown = {line.split()[0] for line in outcome.out.splitlines() if line.strip()}
    assert KINDS[kind] <= shown


@pytest.mark.parametrize("kind", KINDS)
def test_listings_are_also_json(genebench, kind):
    rows = json.loads(genebench("list", kind, "--json").out)
    assert KINDS[kind] <= {row["name"] for row in rows}
    assert all(isinstance(value, str) for row in rows for value in row.values())


def test_a_listing_says_which_plugin_and_version_a_method_comes_from(genebench):
    rows = json.loads(genebench("list", "methods", "--json").out)
    plugin = {row["name"]: row["plugin"] for row in rows}
    assert plugin["lsr"] == f"genebench-linear {version('genebench-linear')}"
    assert plugin["train-mean"] == f"genebench {version('genebench-suite')}"


def test_an_unknown_kind_is_one_line_with_near_misses(genebench):
    assert_one_line_error(genebench("list", "method"), "'method'", "methods")
    assert_one_line_error(genebench("list", "everything"), "everything", "methods")


def test_without_a_kind_the_kinds_are_listed_with_their_first_names(genebench):
    rows = {row["kind"]: row for row in json.loads(genebench("list", "--json").out)}
    assert {*KINDS, "suites", "plugins"} <= set(rows)
    for kind in ("methods", "datasets", "plugins"):
        entries = json.loads(genebench("list", kind, "--json").out)
        assert rows[kind]["number"] == len(entries)
        assert rows[kind]["names"] == [entry["name"] for entry in entries]


# show


@pytest.mark.parametrize("method", sorted(KINDS["methods"]))
def test_every_method_can_be_shown(genebench, method):
    outcome = genebench("show", method)
    assert outcome.status == 0
    assert outcome.out.startswith(f"{method}: ")


def test_a_method_is_shown_with_its_origin_reference_parameters_and_bounds(genebench):
    out = genebench("show", "knn").out
    assert f"genebench-knn {version('genebench-knn')}" in out
    assert "Wang et al. 2018" in out
    row = next(line for line in out.splitlines() if line.split()[:1] == ["k_max"])
    assert "50" in row
    assert "≥ 1, ≤ 1000" in row


def test_an_unknown_method_is_one_line_with_near_misses(genebench):
    assert_one_line_error(genebench("show", "lssr"), "name 'lssr'", "lsr")


def test_help_names_every_kind(genebench):
    shown = " ".join(genebench("list", "--help").out.split())
    assert all(kind in shown for kind in KINDS)


def test_an_engine_is_shown_with_its_options(genebench):
    pytest.importorskip("genebench_slurm")
    out = genebench("show", "slurm").out
    assert "Keeps limits of time and memory." in out
    assert "partition" in out
    assert genebench("show", "local").out.endswith("Keeps no limits.\n")
