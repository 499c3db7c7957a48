"""Process Run Crates: records, their files, and the runs that made them, to deposit with a DOI.

A crate is a folder, or a zip file of one, with ``ro-crate-metadata.json`` in JSON-LD. It follows
RO-Crate 1.1 and the profile Process Run Crate 0.5 (https://w3id.org/ro/wfrun/process/0.5). Each
record is a ``CreateAction``. Its durations and its memory are ``resourceUsage``, a term of the same
vocabulary. The machine is its ``environment``.
"""

from __future__ import annotations

import json
import mimetypes
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from genebench._util.files import atomic_write, sha256_of, temporary_folder, user_errors
from genebench._util.text import typed
from genebench.errors import UserError
from genebench.hookspecs import PROJECT
from genebench.results.record import Record
from genebench.results.store import ResultsStore

METADATA = "ro-crate-metadata.json"
"""Name of the file that makes a folder a crate."""
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
_CRATE = "https://w3id.org/ro/crate/1.1"
_CONTEXT = [f"{_CRATE}/context", "https://w3id.org/ro/terms/workflow-run/context"]
_UNITS = {
    "s": "https://qudt.org/vocab/unit/SEC", "B": "https://qudt.org/vocab/unit/BYTE",
    "J": "https://qudt.org/vocab/unit/J",
}  # fmt: skip
_HOMEPAGES = {
    "numpy": "https://numpy.org", "scipy": "https://scipy.org", "pandas": "https://pandas.pydata.org",
    "python": "https://www.python.org", "scikit-learn": "https://scikit-learn.org",
    "torch": "https://pytorch.org",
}  # fmt: skip
_OTHER_FILE = "Name another file or folder with --out."

Entity = dict[str, Any]


def write_crate(
    out: Path, store: ResultsStore, records: Iterable[Record], author: str = "", licence: str = ""
) -> int:
    """Write records, their files and their provenance as a crate. Return the number of its files.

    Args:
        out: a new folder, or a zip file.
        store: the folder of the records.
        records: records of the crate.
        author: name of the person who deposits it.
        licence: its licence: an SPDX name such as ``CC-BY-4.0``, or an address.

    Raises:
        UserError: the folder is there already, or it cannot be written.
    """
    records = list(records)
    files = [path for record in records for path in store.paths.files(record)]
    graph = _graph(records, store, author, licence)
    metadata = json.dumps({"@context": _CONTEXT, "@graph": graph}, indent=1, ensure_ascii=False)
    with user_errors(out, _OTHER_FILE):
        if not out.parent.is_dir():
            raise UserError(f"{out}: there is no folder {out.parent}. Make it first.")
        if out.suffix == ".zip":
            with atomic_write(out) as stream, zipfile.ZipFile(stream, "w") as archive:
                archive.writestr(METADATA, metadata, zipfile.ZIP_DEFLATED)
                for path in (store.paths.layout, *files):
                    archive.write(path, path.name)
        elif out.exists():
            raise UserError(f"{out}: is there already. {_OTHER_FILE}")
        else:
            with temporary_folder(out.parent, f".{out.name}.") as folder:
                crate = folder / "crate"
                crate.mkdir()
                for path in (store.paths.layout, *files):
                    shutil.copyfile(path, crate / path.name)
                (crate / METADATA).write_text(metadata, "utf-8")
                crate.rename(out)
    return len(files) + 2


def _graph(records: list[Record], store: ResultsStore, author: str, licence: str) -> list[Entity]:
    """Return the entities of the crate, each once."""
    agent = {"@id": "#author", "@type": "Person", "name": author} if author else None
    entities: dict[str, Entity] = {}
    actions = []
    for record in records:
        action, *others = _run(record, store)
        if agent:
            action["agent"] = _ref(agent)
        actions.append(action)
        entities |= {entity["@id"]: entity for entity in (action, *others)}
    parts = [entity for entity in entities.values() if entity["@type"] == "File"]
    layout = _file(store.paths.layout, "the mark of a results folder of genebench")
    methods = sorted({record.identity.method for record in records})
    root: Entity = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"genebench results: {', '.join(methods)}",
        "description": (
            f"{len(records)} evaluations of methods that infer target genes from landmark genes, "
            "with scores per gene, parameters, versions, machines and times. A results folder of "
            "genebench."
        ),
        "datePublished": datetime.now(UTC).isoformat(timespec="seconds"),
        "conformsTo": {"@id": PROFILE},
        "hasPart": [_ref(part) for part in (layout, *parts)],
        "mentions": [_ref(action) for action in actions],
    }
    contextual: list[Entity] = [
        {"@id": PROFILE, "@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    ]
    if agent:
        root["author"] = _ref(agent)
        contextual.append(agent)
    if licence:
        address = licence if "://" in licence else f"https://spdx.org/licenses/{licence}"
        root["license"] = {"@id": address}
        contextual.append(
            {
                "@id": address, "@type": "CreativeWork", "name": licence,
                "description": f"the licence {licence}",
            }
        )  # fmt: skip
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "conformsTo": {"@id": _CRATE},
        "about": {"@id": "./"},
    }
    return [descriptor, root, *contextual, layout, *entities.values()]


def _run(record: Record, store: ResultsStore) -> Iterator[Entity]:
    """Yield the action of a record, then what it names."""
    identity, origin = record.identity, record.provenance
    software = list(_software(record))
    data = {
        "@id": f"#data-{quote(identity.data)}",
        "@type": "CreativeWork",
        "name": f"dataset {record.dataset}",
        "identifier": identity.data,
        "description": "a dataset that genebench prepared, named by the digest of its content",
    }
    inputs = [
        _value(record, "parameter", name, value)
        for name, value in {
            "protocol": identity.protocol, "seed": identity.seed, "preset": record.preset,
            # An array of JSON-LD has no order.
            **{n: typed(v) if isinstance(v, tuple) else v for n, v in identity.params.items()},
        }.items()
    ]  # fmt: skip
    environment = [
        _value(record, "environment", name, value)
        for name, value in {
            "host": origin.host, "platform": origin.platform,
            "processor": origin.processor, "cpus": origin.cpus,
            "device": origin.device, "accelerator": origin.accelerator, "python": origin.python,
            "seal": record.seal.level,
        }.items()
        if value != ""
    ]  # fmt: skip
    usage = [
        *(
            _value(record, "usage", f"seconds.{phase}", seconds, unit="s")
            for phase, seconds in record.seconds.items()
        ),
        *(
            _value(record, "usage", f"joules.{phase}", joules, unit="J")
            for phase, joules in (record.energy.joules.items() if record.energy else ())
        ),
        _value(record, "usage", "peak_memory", record.peak_memory, unit="B"),
    ]
    kinds = {"json": "record", "npz": "values per gene and profile", "npy": "predictions",
             "safetensors": "model"}  # fmt: skip
    results = [
        _file(path, f"{kinds[path.suffix[1:]]} of {identity.method} under {identity.protocol}")
        for path in store.paths.files(record)
    ]
    # The vocabulary has no state for work that a method declined. Its reason is the error.
    state = "Completed" if record.status == "done" else "Failed"
    action: Entity = {
        "@id": f"#{record.key}",
        "@type": "CreateAction",
        "name": f"{identity.method}, seed {identity.seed}, under {identity.protocol}",
        "description": origin.command,
        "instrument": _ref(software[0]),
        "object": [_ref(data), *map(_ref, inputs)],
        "result": [_ref(result) for result in results],
        "environment": [_ref(item) for item in environment],
        "resourceUsage": [_ref(item) for item in usage],
        "actionStatus": f"http://schema.org/{state}ActionStatus",
        **_times(record),
    }
    if record.failure:
        action["error"] = f"{record.failure.kind}: {record.failure.message}"
    elif record.reason:
        action["error"] = f"{record.status}: {record.reason}"
    yield from (action, *software, data, *inputs, *environment, *usage, *results)


def _times(record: Record) -> dict[str, str]:
    """Return start and end. A record of a stranger may have a start that is no time."""
    try:
        started = datetime.fromisoformat(record.provenance.started)
        ended = started + timedelta(seconds=sum(record.seconds.values()))
    except (ValueError, OverflowError):
        return {}
    return {"startTime": started.isoformat(), "endTime": ended.isoformat(timespec="seconds")}


def _software(record: Record) -> Iterator[Entity]:
    """Yield the method as an application, then genebench, Python and the libraries."""
    code, origin = record.identity.code, record.provenance
    versions = {"python": origin.python, **origin.versions}
    libraries = [_library(name, version) for name, version in versions.items()]
    yield {
        "@id": f"#method-{quote(f'{record.identity.method}-{code.digest}')}",
        "@type": "SoftwareApplication",
        "name": record.identity.method,
        "softwareVersion": code.version,
        "identifier": code.digest,
        "description": f"a method of {code.distribution}, run by {PROJECT}",
        "softwareRequirements": [_ref(library) for library in libraries],
    }
    yield from libraries


def _library(name: str, version: str) -> Entity:
    address = {"url": _HOMEPAGES[name]} if name in _HOMEPAGES else {}
    return {
        "@id": f"#software-{quote(f'{name}-{version}')}",
        "@type": "SoftwareApplication",
        "name": name,
        "softwareVersion": version,
        **address,
    }


def _value(record: Record, kind: str, name: str, value: object, unit: str = "") -> Entity:
    units = {"unitCode": _UNITS[unit]} if unit else {}
    return {
        "@id": f"#{record.key}-{kind}-{quote(name)}",
        "@type": "PropertyValue",
        "name": name,
        "propertyID": f"{PROJECT}:{kind}.{name}",
        "value": value,
        **units,
    }


def _file(path: Path, description: str) -> Entity:
    guess = {".npz": "application/zip"}.get(path.suffix) or mimetypes.guess_type(path.name)[0]
    return {
        "@id": path.name,
        "@type": "File",
        "name": path.name,
        "description": description,
        "encodingFormat": guess or "application/octet-stream",
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_of(path),
    }


def _ref(entity: Mapping[str, Any]) -> dict[str, str]:
    return {"@id": entity["@id"]}
