"""BibTeX of a table: everything it rests on, once, with unique keys."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from genebench.analysis.citations import bibliography
from genebench.plugins.registry import registry

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY = re.compile(r"^@(\w+)\{([\w-]+),$", re.MULTILINE)


def entries(text: str) -> dict[str, str]:
    """Return key → kind. Braces must be balanced, or BibTeX would read past an entry."""
    kinds = {}
    for entry in re.split(r"^%.*$", text, flags=re.MULTILINE):
        depth = 0
        for letter in entry:
            depth += (letter == "{") - (letter == "}")
            assert depth >= 0
        assert depth == 0
        for kind, key in ENTRY.findall(entry):
            assert key not in kinds
            kinds[key] = kind
    return kinds


def test_every_installed_method_cites_papers_or_says_that_it_has_none():
    text = bibliography([], registry(), registry().methods.specs)
    found = entries(text)
    assert {"genebench", "chen2016", "wang2018", "mancuso2020", "kunc2021"} <= found.keys()
    for name, spec in registry().methods.specs.items():
        assert spec.control or spec.bibtex, name
        assert f"% method {name} (" in text


def test_a_paper_of_several_methods_is_printed_once(made_up):
    text = bibliography([made_up("lsr", {}), made_up("lsr-l2", {})], registry())
    assert text.count("@article{wang2018,") == 1
    assert text.count(": wang2018") == 2


def test_members_of_a_method_are_cited(made_up):
    member = {"key": "0" * 24, "variant": "0" * 24, "distribution": "genebench-knn"}
    record = made_up("ensemble", {})
    identity = record.identity.model_copy(
        update={"members": type(record.identity).model_validate(
            record.identity.model_dump() | {"members": {"knn-ge": member}}
        ).members}
    )  # fmt: skip
    text = bibliography([record.model_copy(update={"identity": identity})], registry())
    assert {"breiman1996", "chen2016"} <= entries(text).keys()


def test_data_are_cited_by_their_manifest_or_the_gap_is_named(made_up):
    record = made_up("lsr", {})
    digest = record.identity.data
    own = "@misc{mine,\n  title = {Mine}\n}"
    assert "mine" in entries(
        bibliography([record], registry(), origins={digest: {"kind": "measured", "bibtex": own}})
    )
    assert "their manifest has no bibtex" in bibliography(
        [record], registry(), origins={digest: {"kind": "measured"}}
    )
    assert "not prepared here" in bibliography([record], registry())
    assert "simulation" in bibliography(
        [record], registry(), origins={digest: {"kind": "simulated"}}
    )
    published = made_up("lsr", {}, published_data=True)
    assert {"chen2016", "lappalainen2013", "gtex2013"} <= entries(
        bibliography([published], registry())
    ).keys()


def test_two_papers_with_one_key_get_two_keys(made_up):
    record = made_up("dgex", {})
    other = "@misc{chen2016,\n  title = {Another}\n}"
    origins = {record.identity.data: {"bibtex": other}}
    assert {"chen2016", "chen2016-x"} <= entries(
        bibliography([record], registry(), origins=origins)
    ).keys()


def test_a_method_that_is_gone_is_named(made_up):
    assert "% method gone is not installed" in bibliography([made_up("gone", {})], registry())


def test_the_command_prints_and_writes(lsr_and_knn, genebench, tmp_path):
    shown = genebench("cite", "--results", lsr_and_knn, "--methods", "lsr")
    assert {"genebench", "wang2018"} == entries(shown.out).keys()
    file = tmp_path / "references.bib"
    assert genebench("cite", "--results", lsr_and_knn, "--out", file).status == 0
    assert "wang2018" in entries(file.read_text())
    named = genebench("cite", "--results", tmp_path / "none", "--methods", "dgex")
    assert {"genebench", "chen2016"} == entries(named.out).keys()
    assert genebench("cite", "--results", tmp_path / "none").status == 2


@pytest.mark.parametrize("key", ["version", "license"])
def test_the_citation_file_agrees_with_the_package(key):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    # The wheel holds libraries of others, whose licences follow that of genebench.
    own = project[key].partition(" AND ")[0]
    assert f"\n{key}: {own}\n" in (REPOSITORY / "CITATION.cff").read_text()
