"""Explanations of models that a user names: the model is run first if need be, then explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from genebench._util.progress import Progress, silent
from genebench.data.store import Dataset
from genebench.datasets.library import open_dataset
from genebench.explaining import panels
from genebench.explaining.enrichment import GeneSets, known_sets
from genebench.explaining.explanation import Explanation
from genebench.explaining.settings import Settings
from genebench.explaining.subject import (
    Subject,
    Wanted,
    assigned_in,
    check_asked,
    data_of,
    find_record,
    open_subject,
    other_seeds,
)
from genebench.plugins.registry import registry
from genebench.results import DEFAULT_RESULTS
from genebench.results.paths import ResultPaths
from genebench.results.record import UNSAVED, Record
from genebench.results.store import ResultsStore
from genebench.runs.suite import texts
from genebench.specs import PRESETS, ProtocolSpec


class ModelRun(NamedTuple):
    """A run whose model is to be explained."""

    method: str
    params: Mapping[str, str]
    """Parameter → value, as typed. All others are the preset's."""
    protocol: str
    dataset: str
    preset: str | None
    seed: int


def check_explanation(
    dataset: Dataset, protocol: ProtocolSpec, settings: Settings, sets: GeneSets | None,
    source: str,
) -> None:  # fmt: skip
    """Refuse an explanation that can only fail, before a model is fitted or opened.

    Args:
        dataset: the dataset.
        protocol: the protocol.
        settings: the settings.
        sets: gene sets, if any.
        source: their file.

    Raises:
        UserError: too few profiles or genes, an unknown column, or no known gene in the sets.
    """
    test = dataset.profiles(protocol.test)
    settings.check_sizes(
        profiles=len(test), targets=len(test.target_genes), landmarks=len(test.landmark_genes)
    )
    settings.label_column([str(name) for name in test.profiles.columns])
    if sets is not None:
        known_sets(sets, test.landmark_genes, test.target_genes, source)


def subject_of(
    wanted: Wanted,
    *,
    dataset: str | None,
    preset: str | None,
    results: Path,
    device: str = "auto",
    check: Callable[[Dataset, ProtocolSpec], None],
    run: Callable[[ModelRun], Record],
    progress: Progress = silent,
) -> Subject:
    """Return a model with its data. A method without a kept model is run first.

    Args:
        wanted: what the user names.
        dataset: the dataset, for a method.
        preset: the preset, for a method that has to be run.
        results: folder of the results.
        device: ``auto``, ``cpu`` or ``cuda``.
        check: refuses the dataset and the protocol before anything long runs.
        run: runs a method, and returns the record of its kept model.
        progress: called while a dataset is built, or a model is fitted that cannot be saved.

    Raises:
        UserError: an unknown name, or a model that cannot be made or opened.
    """
    if wanted.path:
        folder = wanted.path.parent
        store = ResultsStore(folder if ResultPaths(folder).layout.is_file() else results)
        subject = open_subject(wanted.path, None, store, device=device)
        check(subject.dataset, subject.protocol)
        record = store.read(subject.key) if store.paths.layout.is_file() else None
        check_asked(
            wanted.path, subject.identity, record,
            protocol=wanted.protocol, dataset=dataset, preset=preset,
        )  # fmt: skip
        return replace(subject, record=record, store=store if record else None)
    store = ResultsStore(results)
    store.check()
    record = find_record(wanted, store, dataset, preset)
    if record and wanted.key:
        check_asked(
            wanted.key, record.identity, record,
            protocol=wanted.protocol, dataset=dataset, preset=preset,
        )  # fmt: skip
    if record:
        check(*data_of(record.identity, record.key))
    if record is None or not (record.model == UNSAVED or store.model_path(record)):
        spec = registry().protocols.get(record.identity.protocol if record else wanted.protocol)
        name = dataset or (record.dataset if record else "sim")
        if record is None:
            check(open_dataset(name, registry().datasets, preset, progress), spec)
        record = run(_model_run(wanted, record, name, preset))
    return open_subject(None, record, store, device=device, progress=progress)


def _model_run(wanted: Wanted, record: Record | None, dataset: str, preset: str | None) -> ModelRun:
    """Return the run of a method, or that of a record whose model was not kept."""
    if record is None:
        method, values = wanted.method.partition(":")[0], assigned_in(wanted.method)
        return ModelRun(method, values, wanted.protocol, dataset, preset, 0)
    identity = record.identity
    return ModelRun(
        identity.method, texts(identity.params), identity.protocol, dataset,
        record.preset if record.preset in PRESETS else preset, identity.seed,
    )  # fmt: skip


def explanation_of(
    subject: Subject,
    settings: Settings,
    sets: GeneSets | None = None,
    *,
    source: str = "",
    progress: Progress = silent,
) -> Explanation:
    """Explain a model that is open, and test gene sets if any are given.

    Raises:
        UserError: the model has no such rule, or there are too few profiles or genes.
    """
    explanation = panels.explain(
        subject.model, subject.test, settings,
        others=subject.openers(), control=subject.control(settings.seed),
        about=subject.about(), progress=progress,
    )  # fmt: skip
    if sets is None:
        return explanation
    return panels.enriched(explanation, sets, source)


def explained(record: Record, results: Path | str = DEFAULT_RESULTS) -> Explanation:
    """Return the explanation of a record with default settings. It is made if none is kept.

    A kept one of other settings stays and is not returned: a user asked for it. One that was made
    before more seeds were trained is made again.

    Raises:
        UserError: the model was not kept, or cannot be explained.
    """
    store, settings = ResultsStore(Path(results)), Settings()
    folder = store.paths.explanation(record.key)
    kept = Explanation.read(folder) if folder.is_dir() else None
    seeds = list(other_seeds(record.identity, store))
    if kept and kept.has(settings) and kept.about.get("other_seeds") == seeds:
        return kept
    explanation = explanation_of(open_subject(None, record, store), settings)
    if kept is None or (kept.has(settings) and kept.enrichment is None):
        explanation.save(folder)
    return explanation
