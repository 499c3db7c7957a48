"""Suites that repeat a record: everything that its key depends on, as far as a file can set it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping

from genebench._util.hashing import code_digest
from genebench._util.text import printable_line
from genebench.errors import UserError
from genebench.plugins.registry import Registry
from genebench.results.record import Identity, Record, Setting
from genebench.results.store import ResultsStore
from genebench.runs.plan import NUMERICS
from genebench.specs import PRESETS


def suite_of_record(record: Record, store: ResultsStore) -> str:
    """Return the text of a suite that runs a record again.

    A suite runs seeds from 0 on, so those below the seed of the record run as well. The head of the
    file holds what no suite can set: versions, the digest of the data, and the device.

    Args:
        record: the record.
        store: its folder, which also holds the records of its members.

    Raises:
        UserError: the record is a trial of tuning, or one of its members is not in the folder.
    """
    identity = record.identity
    if identity.is_trial:
        raise UserError(
            f"{record.key}: is a trial of tuning, which no suite can repeat. Name the result that "
            "was tested, or run genebench tune again."
        )
    lines = [
        *(f"# {printable_line(line)}".rstrip() for line in _head(record)),
        "",
        f"title = {_value(f'{identity.method} under {identity.protocol}, {record.key}')}",
        f"dataset = {_value(record.dataset)}",
        *([f"preset = {_value(record.preset)}"] if record.preset in PRESETS else []),
        f"protocols = [{_value(identity.protocol)}]",
        f"seeds = {identity.seed + 1}",
    ]
    members: dict[str, Identity] = {}
    for name, member in identity.members.items():
        found = store.read(member.key)
        if found is None:
            raise UserError(
                f"{record.key}: is made of {name}, whose record {member.key} is not in "
                f"{store.root}. Merge the folder that holds it."
            )
        members[name] = found.identity
    # The run of a member keeps the model that the method is made of.
    for made in (*members.values(), identity):
        lines += ["", "[[runs]]", f"methods = [{_value(made.method)}]"]
        lines += _table("runs.set", made.params)
    for name, made in members.items():
        lines += _table(f"runs.members.{_value(name)}", made.params)
    return "\n".join(lines) + "\n"


def changes_since(identity: Identity, registry: Registry, data: str = "") -> Iterator[str]:
    """Yield what differs here from what a record was made with, so that its key cannot come again.

    Args:
        identity: identity of the record.
        registry: the specs on offer here.
        data: digest of the dataset here. Empty if it is not prepared.
    """
    spec = registry.methods.specs.get(identity.method)
    if spec is None:
        yield f"method {identity.method} is not installed ({identity.code.distribution})"
        return
    if code_digest(spec.code) != identity.code.digest:
        installed = registry.methods.plugins[spec.name]
        yield (
            f"the code of {identity.method} differs: {installed.distribution} {installed.version} "
            f"here, {identity.code.distribution} {identity.code.version} then"
        )
    protocol = registry.protocols.get(identity.protocol)
    if protocol.version != identity.protocol_version:
        yield (
            f"protocol {protocol.name} has version {protocol.version} here, and had "
            f"{identity.protocol_version}"
        )
    if identity.numerics != NUMERICS:
        yield f"genebench's arithmetic has version {NUMERICS} here, and had {identity.numerics}"
    if data and data != identity.data:
        yield f"the dataset has digest {data} here, and had {identity.data}"


def _head(record: Record) -> Iterator[str]:
    """Yield the lines of the comment at the head of the file."""
    identity, origin = record.identity, record.provenance
    code = identity.code
    yield f"Repeats record {record.key}: {identity.method}, seed {identity.seed}."
    yield _command(record)
    yield ""
    yield f"Then: {origin.started} with {code.distribution} {code.version} (code {code.digest}),"
    yield f"Python {origin.python}, {origin.platform}, {origin.accelerator or origin.device}."
    yield f"Data: {identity.data}. The key is the same if data and code are."
    libraries = ", ".join(f"{name} {version}" for name, version in origin.versions.items())
    yield f"Versions: {libraries}"
    for name, plugin in origin.plugins.items():
        if plugin.install == "file":
            yield f"{name} was a local file: add --plugin FILE.py."


def _command(record: Record) -> str:
    """Return the command that runs the suite and keeps what the record keeps."""
    parts = ["genebench", "run", "FILE.toml", "--device", record.provenance.device]
    if record.predictions:
        parts.append("--keep-predictions")
    if record.model:
        parts.append("--keep-models")
    return shlex.join(parts)


def _table(name: str, params: Mapping[str, Setting]) -> list[str]:
    """Return the lines of a table of parameters."""
    if not params:
        return []
    return ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in params.items())]


def _value(value: Setting) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool | str):
        # A JSON string is a TOML string, but for one character that TOML wants escaped.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)
