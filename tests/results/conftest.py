"""A results folder that a run made, and ways to change it that a person might take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from genebench import api
from genebench._util.hashing import key_of
from genebench.results.record import PluginOrigin, Record, Seal
from genebench.results.store import ResultsStore


@pytest.fixture(scope="session")
def made(tiny, tmp_path_factory) -> Path:
    """lsr and the controls, predictions kept, released and sealed; nobody writes to it."""
    folder = tmp_path_factory.mktemp("made") / "results"
    api.run("lsr", "geo", preset="tiny", results=folder, keep="predictions")
    store = ResultsStore(folder)
    for record in list(store.records()):
        rewrite(store, record, provenance=released(record), seal=Seal(level="landlock"))
    return folder


@pytest.fixture
def store(made, tmp_path) -> ResultsStore:
    """A copy of it that a test may change."""
    return ResultsStore(Path(shutil.copytree(made, tmp_path / "results")))


@pytest.fixture
def other(made, tmp_path) -> ResultsStore:
    """Another copy: what somebody else holds."""
    return ResultsStore(Path(shutil.copytree(made, tmp_path / "other")))


@pytest.fixture
def lsr(store) -> Record:
    """The record of lsr."""
    return next(record for record in store.records() if record.identity.method == "lsr")


def released(record: Record):
    """The provenance of a record whose code came from wheels."""
    origins = {
        name: PluginOrigin(version="1.0", install="wheel")
        for name in ("genebench", record.identity.code.distribution)
    }
    return record.provenance.model_copy(update={"plugins": origins})


def rewrite(store: ResultsStore, record: Record, **changes) -> Record:
    """Write a record again, as genebench would have written it with these values."""
    changed = record.model_copy(update=changes)
    vectors = store.vectors(record) if changed.status == "done" else {}
    return store.write(changed, vectors)


@pytest.fixture
def change() -> Callable[..., Record]:
    return rewrite


@pytest.fixture
def again() -> Callable[..., Record]:
    """Write a record a second time, with another identity and the key of that."""

    def again(store: ResultsStore, record: Record, **identity) -> Record:
        other = record.identity.model_copy(update=identity)
        return rewrite(
            store, record, identity=other, key=key_of(other.model_dump()), predictions=""
        )

    return again


@pytest.fixture
def edit() -> Callable[..., None]:
    """Edit the file of a record, as somebody with a text editor would."""

    def edit(store: ResultsStore, record: Record, change: Callable[[dict], None]) -> None:
        path = store.root / f"{record.key}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return edit
