"""Crates hold all files and the runs that made them, by RO-Crate 1.1 and Process Run Crate 0.5."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime
from hashlib import sha256

import pytest

from genebench.results.crate import METADATA, PROFILE
from genebench.results.store import ResultsStore


@pytest.fixture
def crate(made, genebench, tmp_path):
    """A crate of real results, with predictions."""
    out = tmp_path / "crate"
    done = genebench(
        "results", "export", "--ro-crate", "--out", out, "--results", made,
        "--licence", "CC-BY-4.0", "--name", "A. Person",
    )  # fmt: skip
    assert done.status == 0
    return out


def graph_of(folder):
    content = json.loads((folder / METADATA).read_text())
    entities = {entity["@id"]: entity for entity in content["@graph"]}
    assert len(entities) == len(content["@graph"])
    return entities


def references(value):
    if isinstance(value, dict):
        yield value["@id"]
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_reference_is_described_and_every_file_is_there(crate, made):
    entities = graph_of(crate)
    for entity in entities.values():
        for name, value in entity.items():
            if name not in ("@id", "@type"):
                for target in references(value) if isinstance(value, dict | list) else ():
                    assert target in entities or target == "https://w3id.org/ro/crate/1.1", target
    files = {path.name for path in crate.iterdir()}
    parts = set(references(entities["./"]["hasPart"]))
    assert files == {*parts, METADATA}
    for name in parts:
        content = (crate / name).read_bytes()
        assert entities[name]["sha256"] == sha256(content).hexdigest()
        assert int(entities[name]["contentSize"]) == len(content)
    assert not ResultsStore(crate).sound(thorough=True)[1]
    assert ResultsStore(crate).paths.keys() == ResultsStore(made).paths.keys()


def test_it_meets_what_the_profile_demands(crate):
    entities = graph_of(crate)
    assert entities[METADATA]["about"] == {"@id": "./"}
    root = entities["./"]
    assert root["conformsTo"] == {"@id": PROFILE}
    assert entities[PROFILE]["@type"] == "CreativeWork"
    assert root["name"]
    assert root["description"]
    assert datetime.fromisoformat(root["datePublished"])
    actions = [entity for entity in entities.values() if entity["@type"] == "CreateAction"]
    assert {action["@id"] for action in actions} == set(references(root["mentions"]))
    for action in actions:
        software = entities[action["instrument"]["@id"]]
        assert software["@type"] == "SoftwareApplication"
        assert software["name"]
        assert software["softwareVersion"]
        assert all(entities[name]["@type"] == "File" for name in references(action["result"]))


def test_durations_memory_and_machine_are_those_of_the_record(crate):
    entities = graph_of(crate)
    for record in ResultsStore(crate).records():
        action = entities[f"#{record.key}"]
        usage = {
            entities[name]["name"]: entities[name] for name in references(action["resourceUsage"])
        }
        assert usage["peak_memory"]["value"] == record.peak_memory
        assert all(item["propertyID"] and item["unitCode"] for item in usage.values())
        for phase, seconds in record.seconds.items():
            assert usage[f"seconds.{phase}"]["value"] == seconds
        environment = {
            entities[name]["name"]: entities[name]["value"]
            for name in references(action["environment"])
        }
        assert environment["host"] == record.provenance.host
        assert environment["python"] == record.provenance.python
        start, end = (datetime.fromisoformat(action[name]) for name in ("startTime", "endTime"))
        assert 0 <= (end - start).total_seconds() <= sum(record.seconds.values()) + 1


def test_a_failure_is_an_action_that_failed(made_up, tmp_path, genebench):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    record = store.write(made_up("lsr", {"λ/%": 1}, None, started="no time"), {})
    out = tmp_path / "crate"
    arguments = "--licence", "MIT", "--out", out, "--results", store.root
    genebench("results", "export", "--ro-crate", *arguments)
    action = graph_of(out)[f"#{record.key}"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"] == "ValueError: no luck"
    assert "startTime" not in action


def test_a_method_that_is_not_applicable_did_not_complete(made_up, tmp_path, genebench):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    none = {"status": "not applicable", "reason": "needs arrays", "failure": None}
    record = store.write(made_up("lsr", {}, None, **none), {})
    out = tmp_path / "crate"
    arguments = "--licence", "MIT", "--out", out, "--results", store.root
    genebench("results", "export", "--ro-crate", *arguments)
    action = graph_of(out)[f"#{record.key}"]
    assert action["actionStatus"] == "http://schema.org/FailedActionStatus"
    assert action["error"] == "not applicable: needs arrays"


@pytest.mark.parametrize(
    ("options", "named"),
    [(("--format", "csv"), "--format"), (("--wide", "--table", "genes"), "--table, --wide")],
)
def test_options_of_tables_contradict_a_crate(made, genebench, tmp_path, options, named):
    refused = genebench(
        "results", "export", "--ro-crate", "--licence", "MIT", "--out", tmp_path / "crate",
        "--results", made, *options,
    )  # fmt: skip
    assert refused.status == 2
    assert f"{named} is for tables" in refused.err
    assert not (tmp_path / "crate").exists()


def test_a_zip_file_holds_the_same(made, genebench, tmp_path):
    out = tmp_path / "crate.zip"
    arguments = "--licence", "MIT", "--out", out, "--results", made
    assert genebench("results", "export", "--ro-crate", *arguments).status == 0
    with zipfile.ZipFile(out) as archive:
        names = set(archive.namelist())
        content = json.loads(archive.read(METADATA))
    root = next(entity for entity in content["@graph"] if entity["@id"] == "./")
    assert names == {*references(root["hasPart"]), METADATA}


def test_a_folder_that_is_there_is_not_written_over(made, genebench, tmp_path):
    arguments = "results", "export", "--ro-crate", "--out", tmp_path, "--results", made
    outcome = genebench(*arguments, "--licence", "MIT")
    assert outcome.status == 2
    assert "is there already" in outcome.err
    # The validator of the profile demands a licence.
    assert "--licence" in genebench(*arguments).err


def test_the_library_of_ro_crate_reads_it(crate):
    library = pytest.importorskip("rocrate.rocrate")
    read = library.ROCrate(crate)
    actions = [entity for entity in read.get_entities() if entity.type == "CreateAction"]
    assert {action["instrument"]["name"] for action in actions} >= {"lsr", "train-mean"}
    assert read.root_dataset["license"]["name"] == "CC-BY-4.0"
