"""genebench data fetch: files come, are verified and said so; or one line that helps."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from genebench.datasets import sources
from genebench.datasets.sources import Source

CONTENT = b"AATF\tENSG00000108270\t201208_at\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(autouse=True)
def downloads(tmp_path, monkeypatch) -> Path:
    """Where files go, in a home of its own."""
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "home" / "downloads"


@pytest.fixture
def mirror(tmp_path) -> Iterator[str]:
    """Address of a folder on this machine that has served.txt."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "served.txt").write_bytes(CONTENT)
    handler = partial(Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def known(mirror, monkeypatch) -> Callable[..., None]:
    """known(**changes) makes two sources known: one that is served and one to ask for."""

    def known(**changes: object) -> None:
        served = {
            "name": "served",
            "title": "a served file",
            "file": "served.txt",
            "urls": (f"{mirror}/served.txt",),
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
            "size": len(CONTENT),
            "licence": "CC0; cite somebody",
            "ask": "somebody",
        }
        asked = {"name": "asked", "file": "asked.gctx", "urls": (), "sha256": None, "size": None}
        found = (Source(**(served | changes)), Source(**(served | asked)))
        monkeypatch.setattr("genebench.datasets.sources.SOURCES", found)

    return known


def assert_one_line_error(outcome, *fragments: str) -> None:
    assert outcome.status == 2
    assert outcome.err.startswith("genebench: error: ")
    assert outcome.err.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.err


def test_a_file_is_fetched_after_its_licence_was_said(genebench, known, downloads):
    known()
    outcome = genebench("data", "fetch", "served")
    assert (outcome.status, outcome.err) == (0, "")
    licence, result = outcome.out.splitlines()
    assert "CC0; cite somebody" in licence
    assert result == f"{downloads / 'served.txt'}: sha256 as published"
    assert (downloads / "served.txt").read_bytes() == CONTENT


def test_a_file_that_nobody_vouches_for_is_said_to_be_unverified(genebench, known, downloads):
    known(sha256=None)
    outcome = genebench("data", "fetch", "served")
    assert "NOT verified" in outcome.out
    assert hashlib.sha256(CONTENT).hexdigest() in outcome.out


def test_quiet_fetching_says_nothing(genebench, known, downloads):
    known()
    outcome = genebench("data", "fetch", "served", "--quiet")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert (downloads / "served.txt").exists()


def test_all_fetches_what_is_served_and_names_the_rest(genebench, known, downloads):
    known()
    outcome = genebench("data", "fetch", "all")
    assert outcome.status == 0
    assert (downloads / "served.txt").exists()
    assert "not served in public: asked" in outcome.out


def test_all_goes_on_after_a_failure_and_names_it(genebench, known, mirror, downloads, monkeypatch):
    known()
    served, asked = sources.SOURCES
    gone = replace(served, name="gone", file="gone.txt", urls=(f"{mirror}/gone.txt",))
    wrong = replace(served, name="wrong", file="wrong.txt", sha256="0" * 64)
    monkeypatch.setattr(sources, "SOURCES", (gone, wrong, asked, served))
    outcome = genebench("data", "fetch", "all")
    assert outcome.status == 1
    assert (downloads / "served.txt").read_bytes() == CONTENT
    of_gone, of_wrong, last = outcome.err.splitlines()
    assert of_gone.startswith("genebench: gone: ")
    assert "404" in of_gone
    assert of_wrong.startswith("genebench: wrong: ")
    assert last == "genebench: failed: gone, wrong"
    assert "not served in public: asked" in outcome.out


def test_all_verifies_what_the_user_put_there(genebench, known, downloads):
    known()
    downloads.mkdir(parents=True)
    (downloads / "asked.gctx").write_bytes(b"\x89HDF\r\n\x1a\n")
    outcome = genebench("data", "fetch", "all")
    assert f"{downloads / 'asked.gctx'}: NOT verified" in outcome.out
    assert "not served in public" not in outcome.out


@pytest.mark.parametrize("arguments", [(), ("list",)], ids=["no argument", "list"])
def test_sources_are_listed_with_their_state_and_nothing_is_touched(
    genebench, known, downloads, arguments
):
    known()
    outcome = genebench("data", "fetch", *arguments)
    assert outcome.status == 0
    assert not downloads.exists()
    rows = {line.split()[0]: line for line in outcome.out.splitlines() if line}
    assert "to fetch" in rows["served"]
    assert "to ask for" in rows["asked"]
    genebench("data", "fetch", "served")
    (downloads / "asked.gctx.part").write_bytes(b"half")
    rows = {line.split()[0]: line for line in genebench("data", "fetch").out.splitlines() if line}
    assert "here" in rows["served"]
    assert "of it here" in rows["asked"]


def test_the_list_of_the_published_sources_needs_no_network(genebench):
    out = genebench("data", "fetch", "list").out
    for file in ("map_lm.txt", "bgedv2_QNORM.gctx", "bgedv2_X_tr_float64.npy"):
        assert file in out


def test_a_file_to_ask_for_is_one_line_with_its_place(genebench, known, downloads):
    known()
    outcome = genebench("data", "fetch", "asked")
    assert_one_line_error(outcome, "Ask somebody.", str(downloads / "asked.gctx"))


def test_a_file_that_is_gone_is_one_line_with_its_place(genebench, known, mirror, downloads):
    known(urls=(f"{mirror}/gone.txt",))
    outcome = genebench("data", "fetch", "served")
    assert_one_line_error(outcome, "404", str(downloads / "served.txt"))
    assert not (downloads / "served.txt").exists()


def test_the_users_wrong_file_is_one_line(genebench, known, downloads):
    known()
    downloads.mkdir(parents=True)
    (downloads / "served.txt").write_bytes(CONTENT[::-1])
    assert_one_line_error(genebench("data", "fetch", "served"), "another file than published")


def test_that_nothing_verified_a_file_is_said_although_quiet(genebench, known, downloads):
    known(sha256=None)
    outcome = genebench("data", "fetch", "served", "--quiet")
    assert (outcome.status, outcome.out) == (0, "")
    assert "NOT verified" in outcome.err
    assert hashlib.sha256(CONTENT).hexdigest() in (downloads / "served.txt.sha256").read_text()


def test_an_unknown_source_is_one_line_with_near_misses(genebench):
    assert_one_line_error(genebench("data", "fetch", "geuvadi"), "source 'geuvadi'", "geuvadis")


def test_help_has_an_example(genebench):
    assert "Example: genebench data fetch geuvadis" in genebench("data", "fetch", "-h").out
