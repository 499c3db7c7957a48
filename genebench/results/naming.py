"""Records by name: a key or its start, a file, or METHOD@PROTOCOL."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from genebench._util.text import typed
from genebench.errors import UserError, counted, some, unknown
from genebench.results.record import Record
from genebench.results.store import ResultsStore

_KEY = re.compile(r"[0-9a-f]{6,24}")
"""A key or its start. A shorter start is likely to fit several records."""
_SHOWN = 6
"""Records that a message lists."""


class Named(NamedTuple):
    """A record, and the folder that it lies in."""

    record: Record
    store: ResultsStore


def named(name: str, results: Path, *, model: bool = False) -> Named:
    """Return the record that a user names.

    Args:
        name: a key or its first six digits or more, the path of a record, or ``METHOD@PROTOCOL``.
        results: folder of the records that a key or a method names.
        model: whether only records with a kept model are meant.

    Raises:
        UserError: no record has that name, or several do.
    """
    path = Path(name)
    if path.suffix == ".json":
        store = ResultsStore(path.parent)
        record = store.read(path.stem)
        if record is None:
            raise UserError(f"{name}: there is no such record. Correct the path.")
        return Named(record, store)
    store = ResultsStore(results)
    if "@" in name:
        return Named(_of_method(name, store, model=model), store)
    wanted = name if _KEY.fullmatch(name) else "no key"
    keys = [key for key in store.paths.keys() if key.startswith(wanted)]  # noqa: SIM118
    if len(keys) != 1:
        store.check_exists()
        if keys:
            raise UserError(f"{name}: {len(keys)} keys begin so: {some(keys, _SHOWN)}. Type more.")
        raise UserError(
            f"{name}: no record of this name is in {results}. Name a key that genebench status "
            "lists, at least six digits of it, or METHOD@PROTOCOL."
        )
    record = store.read(keys[0])
    if record is None:
        raise UserError(f"{name}: the record was removed meanwhile. Run the command again.")
    return Named(record, store)


def model_file(name: str, results: Path) -> Path:
    """Return the file of a saved model: a path, or the kept model of a record.

    Raises:
        UserError: no record has that name, several do, or its model was not kept.
    """
    path = Path(name)
    if path.exists() or path.suffix == ".safetensors":
        return path
    record, store = named(name, results, model=True)
    kept = store.model_path(record)
    if kept is None:
        raise UserError(
            f"{name}: the model of {record.key} was not kept. Run its method again with "
            "--keep-models (in Python keep='model')."
        )
    return kept


def _of_method(name: str, store: ResultsStore, *, model: bool) -> Record:
    """Return the only record of ``METHOD@PROTOCOL``, or that of its first seed.

    Raises:
        UserError: there is none, or there are several that differ in more than the seed.
    """
    method, _, protocol = name.partition("@")
    there = [record for record in store.records() if not record.identity.is_trial]
    ran = [record for record in there if record.identity.method == method]
    if not ran:
        raise unknown("method among these results", method, _methods(there))
    tested = [record for record in ran if record.identity.protocol == protocol]
    if not tested:
        known = {record.identity.protocol for record in ran}
        raise unknown(f"protocol among the results of {method}", protocol, known)
    meant = [record for record in tested if record.status == "done"]
    if model:
        meant = [record for record in meant if store.paths.kept(record, "model").is_file()]
    if not meant and not model:
        # Records without scores have settings, too.
        meant = tested
    if not meant:
        raise UserError(
            f"{name}: {counted(len(tested), 'result')} in {store.root}, none of which has kept its "
            f"model. Run genebench run --methods {method} --protocol {protocol} --keep-models."
        )
    if len({record.identity.without_seed() for record in meant}) > 1:
        choices = some(
            (f"{record.key[:8]} ({_setting(record, meant)})" for record in meant), _SHOWN
        )
        raise UserError(
            f"{name}: {len(meant)} results have this name. Name one by its key: {choices}."
        )
    return min(meant, key=lambda record: record.identity.seed)


def _methods(records: Iterable[Record]) -> set[str]:
    return {record.identity.method for record in records}


def _setting(record: Record, others: list[Record]) -> str:
    """Return what tells a record from others of its method and protocol."""

    def differing() -> Iterator[str]:
        identities = [other.identity for other in others]
        if len({other.dataset for other in others}) > 1:
            yield record.dataset
        if len({identity.data for identity in identities}) > 1:
            yield f"data {record.identity.data[:8]}"
        for name, value in record.identity.params.items():
            if any(identity.params.get(name) != value for identity in identities):
                yield f"{name}={typed(value)}"
        if len({identity.code.digest for identity in identities}) > 1:
            yield f"code {record.identity.code.digest[:7]}"
        if record.identity.seed:
            yield f"seed {record.identity.seed}"

    return " ".join(differing()) or f"seed {record.identity.seed}"
