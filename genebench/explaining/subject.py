"""The subject of an explanation: a model, the record that it gave, and its profiles."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import key_of
from genebench._util.progress import Progress, silent
from genebench._util.text import printable
from genebench.analysis.lookup import assignments, find
from genebench.analysis.variants import variants_of
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError
from genebench.explaining.trust import shuffled
from genebench.method import Context, Model
from genebench.methods.device import resolve_device
from genebench.models.saved import open_model, read_model
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.results.filters import RecordFilter
from genebench.results.record import UNSAVED, Identity, Record
from genebench.results.store import ResultsStore
from genebench.runs.plan import split_digests
from genebench.specs import ProtocolSpec

_KEY = re.compile(r"[0-9a-f]{6,24}")
"""The start of a key. A shorter one is likely to fit several records."""
MODEL_SUFFIX = ".safetensors"


class Wanted(NamedTuple):
    """What a user names: the path of a model, the key of a record, or a method."""

    path: Path | None = None
    key: str = ""
    method: str = ""
    """A method, METHOD:PARAM=VALUE, or METHOD@PROTOCOL without its protocol."""
    protocol: str = "geo"
    """Protocol. Empty for a path or a key without one."""

    @classmethod
    def of(cls, name: str, protocol: str | None = None) -> Wanted:
        """Return what a text names.

        Raises:
            UserError: the protocol is named twice, in different ways, or a part of
                METHOD:PARAM=VALUE is no assignment.
        """
        if protocol:
            registry().protocols.single(protocol)
        if name.endswith(MODEL_SUFFIX) or Path(name).is_file():
            return cls(path=Path(name), protocol=protocol or "")
        if _KEY.fullmatch(name) and name not in registry().methods.specs:
            return cls(key=name, protocol=protocol or "")
        method, _, named = name.partition("@")
        if named and protocol and named != protocol:
            raise UserError(f"{name}: --protocol {protocol} contradicts it. Remove one of them.")
        chosen = named or protocol or "geo"
        registry().protocols.single(chosen)
        assigned_in(method)
        return cls(method=method, protocol=chosen)


def assigned_in(name: str) -> dict[str, str]:
    """Return parameter → value of METHOD:PARAM=VALUE,PARAM=VALUE.

    Raises:
        UserError: a part is no assignment.
    """
    method, colon, text = name.partition(":")
    values = {}
    for part in assignments(text) if colon else ():
        parameter, equals, value = (each.strip() for each in part.partition("="))
        # An empty value is an empty list or an empty text. Numbers and switches refuse it.
        if not (parameter and equals):
            raise UserError(
                f"{printable(name)}: {printable(part) or 'nothing'} is not an assignment. Write "
                f"METHOD:PARAM=VALUE, such as {method}:seed=1."
            )
        values[parameter] = value
    return values


@dataclass(frozen=True)
class Subject:
    """A fitted model with its data.

    Attributes:
        model: the model.
        identity: what was run to get it.
        dataset: the dataset that it was run on.
        protocol: its protocol.
        record: its record, if it is in the results folder.
        store: the results folder that holds the record.
        others: key → file of the models of the same method and data with other seeds.
        path: file of the model, or None if it was fitted again.
        device: the device that it runs on.
        notes: remarks for the reader.
    """

    model: Model
    identity: Identity
    dataset: Dataset
    protocol: ProtocolSpec
    record: Record | None = None
    store: ResultsStore | None = None
    others: Mapping[str, Path] = field(default_factory=dict)
    path: Path | None = None
    device: str = "cpu"
    notes: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Method, protocol and dataset."""
        name = self.record.dataset if self.record else self.dataset.name
        return f"{self.identity.method} · {self.identity.protocol} · {name}"

    @property
    def key(self) -> str:
        """Key of the result that the model gave."""
        return key_of(self.identity.model_dump())

    @cached_property
    def test(self) -> Profiles:
        """The test profiles."""
        return self.dataset.profiles(self.protocol.test)

    @cached_property
    def train(self) -> Profiles:
        """The training profiles."""
        return self.dataset.profiles(self.protocol.train)

    def openers(self) -> list[Callable[[], Model]]:
        """Return a function for each other seed that opens its model, by seed."""
        return [partial(_opened, path, self.device) for path in self.others.values()]

    def control(self, seed: int) -> Model | None:
        """Return the model with shuffled weights, or None for one that cannot be saved.

        Raises:
            UserError: its method cannot restore it.
        """
        return shuffled(read_model(self.path), seed, self.device) if self.path else None

    def about(self) -> dict[str, Any]:
        """Return what an explanation keeps of the model: its key, identity and data."""
        identity = self.identity
        return {
            "key": self.key,
            "method": identity.method,
            "params": dict(identity.params),
            "seed": identity.seed,
            "protocol": identity.protocol,
            "test": identity.test,
            "code": identity.code.model_dump(),
            "dataset": self.record.dataset if self.record else self.dataset.name,
            "data": identity.data,
            "seeds": 1 + len(self.others),
            "other_seeds": list(self.others),
        }


def find_record(
    wanted: Wanted, store: ResultsStore, dataset: str | None = None, preset: str | None = None
) -> Record | None:
    """Return the record that is wanted, or None if its method was not run yet.

    Of several seeds, the first is taken. A key names a record whatever its dataset and preset.

    Raises:
        UserError: no record has that key, the name could mean several variants, or a record is
            damaged.
    """
    exists = store.root.is_dir() and any(store.root.iterdir())
    records = store.sound()[0] if exists else []
    if wanted.key:
        fitting = [record for record in records if record.key.startswith(wanted.key)]
        if len(fitting) != 1:
            many = f"{len(fitting)} results have" if fitting else "no result has"
            raise UserError(
                f"{store.root}: {many} a key that begins with {wanted.key}. See genebench status, "
                "or give a method."
            )
        return fitting[0]
    records = [
        record
        for record in RecordFilter(status="done", trials=False).apply(records)
        if record.identity.protocol == wanted.protocol
        and record.dataset == (dataset or record.dataset)
        and record.preset == (preset or record.preset)
    ]
    name = wanted.method.partition(":")[0]
    if not any(record.identity.method == name for record in records):
        registry().methods.get(name)
        return None
    # One table at a time: the same method may have been run on several data.
    data = {record.identity.data for record in records if record.identity.method == name}
    if len(data) > 1:
        raise UserError(
            f"{wanted.method} was run under {wanted.protocol} on {len(data)} datasets. Choose one "
            "with --dataset, or give the key of a result."
        )
    records = [record for record in records if record.identity.data in data]
    variant = find(wanted.method, variants_of(records, registry()))
    return variant.done[0] if variant else None


def data_of(identity: Identity, name: str) -> tuple[Dataset, ProtocolSpec]:
    """Return the dataset of an identity by its digest, and its protocol.

    Raises:
        UserError: the dataset is not prepared here, or the protocol has changed.
    """
    dataset = DataStore().find(identity.data)
    if dataset is None:
        raise UserError(
            f"{name}: its dataset {identity.data} is not prepared here. Prepare it with genebench "
            "data prepare, or set GENEBENCH_HOME."
        )
    protocol = registry().protocols.get(identity.protocol)
    splits = split_digests(protocol, dataset, registry())
    if str(protocol.test) != identity.test or splits != identity.splits:
        raise UserError(
            f"{name}: protocol {protocol.name} has changed since. Use the genebench that ran it."
        )
    return dataset, protocol


def check_asked(
    name: object, identity: Identity, record: Record | None, **asked: str | None
) -> None:
    """Refuse what contradicts a model that was named by its path or key.

    Args:
        name: the path or the key.
        identity: identity of the model.
        record: its record, if there is one.
        asked: ``protocol``, ``dataset`` and ``preset``, each None or empty if it was not named.

    Raises:
        UserError: the model has another one, or its preset is unknown without a record.
    """
    own = {
        "protocol": identity.protocol,
        "dataset": record.dataset if record else None,
        "preset": record.preset if record else None,
    }
    for option, value in asked.items():
        if value and value != own[option]:
            known = f"is of {option} {own[option]}" if own[option] else f"says no {option}"
            raise UserError(
                f"{name}: it {known}, so --{option} {value} cannot be had. Remove --{option}, or "
                "name a method."
            )


def open_subject(
    path: Path | None,
    record: Record | None,
    store: ResultsStore,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> Subject:
    """Open a model with its data. One that cannot be saved is fitted again.

    Args:
        path: file of a model, or None for that of the record.
        record: the record.
        store: the results folder.
        device: ``auto``, ``cpu`` or ``cuda``.
        progress: called while a model is fitted again.

    Raises:
        UserError: the model was not kept, cannot be opened, or has other genes than the dataset.
    """
    if path is None and record is not None and record.model == UNSAVED:
        return _fitted_again(record, store, device, progress)
    if path is None:
        path = store.model_path(record) if record else None
        if path is None:
            raise UserError(
                f"{record.key if record else store.root}: the model was not kept. Run again with "
                "genebench run --keep-models."
            )
    saved = open_model(path, device)
    dataset, protocol = data_of(saved.identity, str(path))
    tables = (
        (saved.landmark_genes, dataset.landmark_genes),
        (saved.target_genes, dataset.target_genes),
    )
    if not all(own.index.equals(other.index) for own, other in tables):
        raise UserError(
            f"{path}: its genes are not those of dataset {dataset.name}. Prepare the dataset again."
        )
    chosen = resolve_device(device, registry().methods.get(saved.identity.method))
    return Subject(
        saved.model, saved.identity, dataset, protocol, record, store if record else None,
        other_seeds(saved.identity, store), path, chosen, saved.notes,
    )  # fmt: skip


def _opened(path: Path, device: str) -> Model:
    return open_model(path, device).model


def other_seeds(identity: Identity, store: ResultsStore) -> dict[str, Path]:
    """Return key → file of the kept models of the same method with other seeds, by seed."""
    if not store.paths.layout.is_file():
        return {}
    found = []
    for record in store.sound()[0]:
        own = record.identity
        alike = own.without_seed() == identity.without_seed() and own.seed != identity.seed
        if alike and record.status == "done" and (path := store.model_path(record)):
            found.append((own.seed, record.key, path))
    return {key: path for _, key, path in sorted(found)}


def _fitted_again(record: Record, store: ResultsStore, device: str, progress: Progress) -> Subject:
    """Fit a method again whose models cannot be saved, such as nearest neighbours."""
    identity = record.identity
    dataset, protocol = data_of(identity, record.key)
    spec = registry().methods.get(identity.method)
    if spec.members:
        raise UserError(
            f"{record.key}: a model of {identity.method} cannot be saved here, because one of its "
            "members cannot. Explain its members."
        )
    method = load_code(spec.code)(**identity.params)
    context = Context(seed=identity.seed, device=resolve_device(device, spec), progress=progress)
    sets: Mapping[str, Profiles] = {protocol.name: dataset.profiles(protocol.validation)}
    model: Model = method.fit(dataset.profiles(protocol.train), sets, context)[protocol.name]
    note = f"models of {identity.method} cannot be saved, so it was fitted again"
    return Subject(model, identity, dataset, protocol, record, store, notes=(note,))


def gene_scores(subject: Subject) -> dict[str, NDArray[Any]]:
    """Return metric → value for each target, in the order of the dataset. Empty without a record.

    Raises:
        UserError: the vectors of the record are damaged.
    """
    if subject.record is None or subject.store is None or subject.record.status != "done":
        return {}
    vectors = subject.store.vectors(subject.record)
    prefix = "gene-metric."
    order = {gene: place for place, gene in enumerate(vectors["gene.id"].tolist())}
    places = np.array([order.get(gene, -1) for gene in subject.dataset.target_genes.index])
    if (places < 0).any():
        return {}
    return {
        name.removeprefix(prefix): values[places]
        for name, values in vectors.items()
        if name.startswith(prefix)
    }
